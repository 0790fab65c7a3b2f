"""The analytic estimate ranks programs that were measured; it knows nothing but their features."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kernels_ref.suite import cases
from tensorc import te, topi
from tensorc.runtime.core import CoreFigures
from tensorc.schedule.json import steps_from_json
from tensorc.schedule.replay import replay
from tensorc.search.prior import FITTED, Costs, Prior
from tensorc.space.features.names import FEATURE_NAMES
from tensorc.space.features.population import features
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target

# One core of a Zen 4, where random candidates were measured, forty of each case.
MACHINE = Target(
    "llvm",
    num_cores=1,
    vector_bytes=64,
    vector_registers=32,
    cache_line_bytes=64,
    l1_bytes=32 << 10,
    l2_bytes=1 << 20,
    l3_bytes=32 << 20,
)
MEASURED = Path(__file__).with_name("measured.jsonl")


@cache
def measured() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores and seconds of the candidates of each case."""
    found: dict[str, list[tuple[float, float]]] = {}
    estimate = Prior.of(MACHINE)
    assert estimate is not None
    tasks: dict[str, SearchTask] = {}
    for line in MEASURED.read_text().splitlines():
        record = json.loads(line)
        name = record["case"]
        task = tasks.setdefault(name, SearchTask.of(program(name), MACHINE))
        state = replay(task.dag, steps_from_json(record["steps"]))
        score = float(estimate(features(state, MACHINE))[0])
        found.setdefault(name, []).append((score, record["seconds"]))
    return {name: (*np.array(rows).T,) for name, rows in found.items()}  # type: ignore[misc]


def program(name: str) -> list[te.Tensor]:
    code, index = name.split(".")
    (case,) = cases(code, int(index), (1,))
    tensors = [te.placeholder(a.shape, name=a.name) for a in case.arguments]
    return [*tensors, getattr(topi, case.function)(*tensors, **case.kwargs)]


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values))


def correlations() -> Iterator[float]:
    for scores, seconds in measured().values():
        yield float(np.corrcoef(ranks(scores), -ranks(seconds))[0, 1])


def test_the_order_of_measured_programs_is_known_well_enough() -> None:
    """Rank correlation (Spearman), on the average of six operators."""
    assert np.mean(list(correlations())) > 0.6


def test_no_operator_is_ranked_backwards() -> None:
    assert min(correlations()) > 0.3


def test_the_best_programs_are_among_those_it_likes_best() -> None:
    """The best of the best eighth reach nine tenths of the best of all."""
    for name, (scores, seconds) in measured().items():
        liked = np.argsort(-scores)[: len(scores) // 8]
        assert seconds[liked].min() < seconds.min() / 0.9, name


def test_it_is_a_function_of_the_features_alone() -> None:
    estimate = Prior(16, 32)
    rows = np.random.default_rng(0).random((7, 3, len(FEATURE_NAMES)), np.float32)
    assert np.array_equal(estimate(rows)[2:4], estimate(rows[2:4]))
    assert np.isfinite(estimate(np.zeros((2, 1, len(FEATURE_NAMES)), np.float32))).all()


@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("accumulators", 0.0),  # one at a time: every operation waits for the one before
        ("register_run", 0.0),  # the tile is loaded and stored at each step
        ("tile_loads", 9.0),
        ("bytes_past_l2", 40.0),
        ("vector_efficiency", 0.1),
        ("parallel_balance", 0.1),
    ],
)
def test_what_limits_a_kernel_lowers_its_score(name: str, worse: float) -> None:
    A, B = te.placeholder((256, 256), name="A"), te.placeholder((256, 256), name="B")
    task = SearchTask.of([A, B, topi.matmul(A, B)], MACHINE)
    space = Space(task, generate_sketches(task)[-1])
    rows = space.features(space.sample(256, np.random.default_rng(0)))
    estimate = Prior(16, 32)
    good = rows[np.argmax(estimate(rows))][None]
    bad = good.copy()
    bad[:, :, FEATURE_NAMES.index(name)] = worse
    assert estimate(bad)[0] < estimate(good)[0]


def test_the_core_that_figures_were_fitted_on_leaves_them_as_they_are() -> None:
    first, second, third = FITTED.beyond
    noisy = CoreFigures(
        1.1 * FITTED.latency, 0.9 * FITTED.load, (1.15 * first, second, 0.87 * third)
    )
    assert Costs().on(FITTED) == Costs().on(noisy) == Costs()


def test_another_core_moves_figures_in_proportion() -> None:
    first, second, third = FITTED.beyond
    core = CoreFigures(2.0 * FITTED.latency, 0.5 * FITTED.load, (first, second / 4.0, third))
    there, here = Costs().on(core), Costs()
    assert there.latency == 2.0 * here.latency
    assert there.load == 0.5 * here.load
    assert there.beyond == (here.beyond[0], here.beyond[1] / 4.0, here.beyond[2])


def test_what_comes_from_far_costs_more_where_that_is_slow() -> None:
    rows = np.zeros((2, 1, len(FEATURE_NAMES)), np.float32)
    rows[:, 0, FEATURE_NAMES.index("iterations")] = 10.0
    rows[:, 0, FEATURE_NAMES.index("executed_share")] = 1.0
    rows[0, 0, FEATURE_NAMES.index("bytes_past_l2")] = 20.0
    slow = CoreFigures(FITTED.latency, FITTED.load, (FITTED.beyond[0], 1.0, FITTED.beyond[2]))
    usual = Prior(16, 32)
    far, near = replace(usual, core=slow)(rows) - usual(rows)
    assert far < -1.0
    assert near == 0.0


def test_gpus_are_left_to_measurements() -> None:
    assert Prior.of(Target("cuda")) is None
