"""Rows of a space: valid, canonical, replayable, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc import te
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import Annotation, IterKind
from tensorc.schedule.steps import (
    AnnotationStep,
    Col,
    LocateStep,
    MarkStep,
    PragmaStep,
    SplitStep,
)
from tensorc.space.decisions import Rows
from tensorc.space.space import Rejections, Space
from tests.space.workloads import CPU, GPU, PROGRAMS, SMALL, spaces
from tests.te import workloads

PAIRS = [(name, target) for name in PROGRAMS for target in (CPU, GPU)]


def population(space: Space, count: int = 64, seed: int = 0) -> Rows:
    """Rows that were sampled, changed, and crossed."""
    rng = np.random.default_rng(seed)
    rows = space.sample(count, rng)
    changed = space.mutate(rows, rng)
    return np.concatenate([rows, changed, space.crossover(rows, changed[::-1], rng)])


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_all_rows_are_valid_and_canonical(name: str, target: str) -> None:
    for space in spaces(PROGRAMS[name](), target):
        rows = population(space)
        assert space.valid(rows).all()
        assert (space.canonical(rows) == rows).all()


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_rows_of_any_choices_are_canonical_after_one_pass(name: str, target: str) -> None:
    """Stages in loops that are not in force kept others from being unrolled, the first time."""
    for space in spaces(PROGRAMS[name](), target):
        rng = np.random.default_rng(1)
        rows = space.sample(256, rng)
        for choice in space.columns.choices:
            rows[:, choice.first] = rng.choice(choice.options, len(rows))
        once = space.canonical(rows)
        assert (space.canonical(once) == once).all()


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_all_rows_are_schedules_and_come_back(name: str, target: str) -> None:
    for space in spaces(PROGRAMS[name](), target):
        for row in population(space, 2)[::2]:
            steps = space.steps(row)
            assert not any(isinstance(s, LocateStep | MarkStep) for s in steps)
            assert not any(isinstance(length, Col) for s in steps for length in lengths(s))
            replay(space.task.dag, steps)
            found = space.row(steps)
            assert found is not None
            assert (found == row).all()


def lengths(step: object) -> tuple[object, ...]:
    return step.lengths if isinstance(step, SplitStep) else ()


@pytest.mark.parametrize("name", SMALL)
def test_each_row_of_the_population_is_the_nest_of_its_schedule(name: str) -> None:
    """What the search believes about loops and regions is what will be lowered."""
    for space in spaces(PROGRAMS[name]()):
        rows = population(space, 2)
        together = space.bounds(rows)
        for k, row in enumerate(rows):
            alone = Bounds(replay(space.task.dag, space.steps(row)))
            for stage in alone.order:
                axes = space.draft.op(stage).axes
                nests = together.nests[stage], alone.nests[stage]
                sizes = [[pick(nest.extents[a], k) for a in axes] for nest in nests]
                assert sizes[0] == sizes[1]
                loops = [np.prod([pick(x.extent, k) for x in nest.loops]) for nest in nests]
                assert loops[0] == loops[1]


def pick(size: object, k: int) -> int:
    return int(size[k]) if isinstance(size, np.ndarray) else int(size)


def test_equal_schedules_have_equal_keys_and_others_do_not() -> None:
    for space in spaces(workloads.softmax_nm(6, 64))[::4]:
        rows = population(space, 40)
        keys = [int(key) for key in space.keys(rows)]
        steps = [space.steps(row) for row in rows]
        assert len(set(keys)) == len(set(steps)) == len({tuple(row) for row in rows.tolist()})


def test_the_same_seed_gives_the_same_rows() -> None:
    first, second = (spaces(workloads.matmul(64, 64, 64))[0] for _ in range(2))
    assert (population(first, seed=3) == population(second, seed=3)).all()
    assert (first.keys(population(first)) == second.keys(population(second))).all()
    assert (population(first, seed=3) != population(first, seed=4)).any()


def test_mutation_changes_most_rows_in_one_decision() -> None:
    for space in spaces(workloads.matmul(512, 512, 512)):
        rng = np.random.default_rng(0)
        rows = space.sample(500, rng)
        changed = space.mutate(rows, rng)
        assert (changed != rows).any(axis=1).mean() > 0.75


def test_crossover_takes_whole_decisions() -> None:
    space = spaces(workloads.matmul(512, 512, 512), rules="ansor")[0]
    rng = np.random.default_rng(0)
    first, second = space.sample(200, rng), space.sample(200, rng)
    child = space.crossover(first, second, rng)
    for tile in space.columns.tiles:
        mine = child[:, tile.columns]
        of_first = (mine == first[:, tile.columns]).all(axis=1)
        assert (of_first | (mine == second[:, tile.columns]).all(axis=1)).all()


def test_rows_of_another_sketch_are_not_recovered() -> None:
    first, *others = spaces(workloads.matmul(64, 64, 64))
    steps = first.steps(population(first)[0])
    assert all(space.row(steps) is None for space in others)
    assert first.row(steps[:-1]) is None
    assert first.row((*steps, PragmaStep("C", "i.0", "other", 1))) is None


def test_lengths_outside_the_space_are_not_recovered() -> None:
    space = spaces(workloads.matmul(64, 64, 64), rules="ansor")[-1]
    steps = list(space.steps(population(space)[0]))
    number = next(k for k, s in enumerate(steps) if isinstance(s, SplitStep))
    steps[number] = SplitStep(steps[number].stage, steps[number].iterator, (1000, 1, 1))
    assert space.row(tuple(steps)) is None


def test_register_tiles_fit_the_registers() -> None:
    for space in spaces(workloads.matmul(512, 512, 512)):
        rows = population(space, 500)
        *others, vector = [t for t in space.columns.tiles if t.tile.kind is IterKind.SPATIAL]
        vectors = -(-rows[:, vector.columns][:, -1] // 8)
        taken = np.prod([rows[:, t.columns][:, -1] for t in others], axis=0)
        assert (taken * vectors + vectors + 1 <= 16).all()


def test_the_innermost_tile_is_unrolled_and_vectorised() -> None:
    space = spaces(workloads.matmul(512, 512, 512), rules="ansor")[-1]
    state = replay(space.task.dag, space.steps(population(space)[0]))
    *_, rows, columns = state["C.local" if "C.local" in state.stages else "C"].iterators
    assert (rows.annotation, columns.annotation) == (Annotation.UNROLL, Annotation.VECTORIZE)


def test_one_core_has_no_parallel_loops() -> None:
    for space in spaces(workloads.softmax_nm(64, 64), "llvm -num-cores=1"):
        assert not any(c.what == "parallel" for c in space.columns.choices)
        steps = space.steps(population(space)[0])
        parallel = [s for s in steps if isinstance(s, AnnotationStep)]
        assert not any(s.annotation is Annotation.PARALLEL for s in parallel)


def test_a_space_without_decisions_has_one_row() -> None:
    found = spaces(workloads.zero_rank_reduce(128), rules="ansor")
    (space,) = (s for s in found if not s.sketch.steps)
    assert space.size() >= 1
    assert len(set(space.keys(population(space)).tolist())) <= space.size()


def test_gpu_rows_keep_to_threads_and_shared_memory() -> None:
    (space,) = spaces(workloads.matmul(512, 512, 512), GPU)
    rows = population(space, 200)
    target = space.task.target
    tiles = [t for t in space.columns.tiles if t.tile.kind is IterKind.SPATIAL]
    threads = np.prod([rows[:, t.tile.first + 1] for t in tiles], axis=0)
    assert (threads <= target.max_threads_per_block).all()
    assert (threads >= target.warp_size).all()
    nests = space.bounds(rows).nests
    sizes = [nests[n].extents["ax0"] * nests[n].extents["ax1"] for n in ("A.shared", "B.shared")]
    assert (4 * sum(sizes) <= target.max_shared_bytes).all()


def test_evolution_finds_the_one_good_tile_from_bad_ones() -> None:
    """Ansor's `mutate_tile_size` test: only programs with `k.1` of extent 2 are any good."""
    failures = 0
    for seed in range(40):
        space = spaces(workloads.matmul(10, 10, 4), rules="ansor")[-1]
        (reduction,) = (t for t in space.columns.tiles if t.tile.kind is IterKind.REDUCE)
        rng = np.random.default_rng(seed)
        rows = space.sample(200, rng)
        rows = rows[rows[:, reduction.tile.first] != 2][:50]
        for _ in range(4):
            rows = space.mutate(rows, rng)
        failures += not (rows[:, reduction.tile.first] == 2).any()
    assert failures == 0


def test_long_vectors_leave_the_other_axes_their_choices() -> None:
    A, B = (te.placeholder((64, 64), "int8", name=name) for name in "AB")
    k = te.reduce_axis((0, 64), name="k")
    C = te.compute((64, 64), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    for space in spaces([A, B, C], "llvm -num-cores=4 -vector-bytes=64 -vector-registers=32"):
        rows = space.sample(64, np.random.default_rng(0))
        assert len(np.unique(space.keys(rows))) > 32


def test_tiles_of_bytes_are_up_to_four_vectors_wide() -> None:
    A, B = (te.placeholder((512, 512), "int8", name=name) for name in "AB")
    k = te.reduce_axis((0, 512), name="k")
    C = te.compute((512, 512), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    (space, *_) = spaces([A, B, C], "llvm -vector-bytes=64", rules="ansor")
    widths = {t.tile.iterator: t.inner.tolist() for t in space.columns.tiles}
    assert widths["j"] == [64, 128, 192, 256]
    assert max(widths["i"]) <= 64


@pytest.mark.parametrize(("target", "most"), [(CPU, 0.35), (GPU, 0.7)])
def test_rejected_rows_are_counted_and_never_returned(target: str, most: float) -> None:
    for space in spaces(SMALL["matmul"](), target):
        assert space.rejections.rate == 0.0
        rows = population(space, 512)
        assert space.valid(rows).all()
        assert space.rejections.made >= 3 * 512
        assert 0.0 <= space.rejections.rate < most
    total = Rejections.total([Rejections(10, 1), Rejections(30, 9)])
    assert total.rate == 0.25


def test_a_row_that_breaks_a_constraint_is_counted_as_rejected() -> None:
    (space, *_) = spaces(SMALL["matmul"](), CPU)
    rows = space.sample(8, np.random.default_rng(0))
    before = space.rejections.rejected
    broken = np.full_like(rows, 10**6)
    space.rejections.count(space.valid(np.concatenate([rows, broken])))
    assert space.rejections.rejected == before + 8
