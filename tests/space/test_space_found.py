"""Programs without a space that random programs found, made small."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc import te
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import At, Root
from tensorc.schedule.steps import CacheWriteStep, ComputeInlineStep
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.te import ComputeDAG, Tensor


def sampled(tensors: list[Tensor], rules: str) -> list[Space]:
    """All spaces, each of which has been sampled and replayed."""
    task = SearchTask.of(ComputeDAG.from_tensors(tensors), "llvm -num-cores=4")
    spaces = [Space(task, sketch) for sketch in generate_sketches(task, rules=rules)]
    for space in spaces:
        for row in space.sample(4, np.random.default_rng(0)):
            replay(task.dag, space.steps(row))
    return spaces


@pytest.mark.parametrize("rules", ["default", "ansor"])
def test_a_stage_without_loops_has_no_place_for_others(rules: str) -> None:
    A = te.placeholder((3, 4), name="A")
    k, q = te.reduce_axis((0, 3), name="k"), te.reduce_axis((0, 4), name="q")
    B = te.compute((), lambda: te.sum(A[k, q], axis=[k, q]), name="B")
    C = te.compute((), lambda: te.exp(B()) + 1.0, name="C")
    assert sampled([A, C], rules)
    D = te.compute((), lambda: te.exp(C()), name="D")
    assert sampled([A, D], rules)


@pytest.mark.parametrize("rules", ["default", "ansor"])
def test_an_output_is_not_taken_over_by_its_reader(rules: str) -> None:
    A, B = te.placeholder((8, 9), name="A"), te.placeholder((9, 7), name="B")
    k = te.reduce_axis((0, 9), name="k")
    C = te.compute((8, 7), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    D = te.compute((8, 7), lambda i, j: C[i, j] * 2.0, name="D")
    spaces = sampled([A, B, C, D], rules)
    assert all(isinstance(s.sketch.state["C"].location, Root) for s in spaces)
    assert any(isinstance(x, CacheWriteStep) for s in spaces for x in s.sketch.steps)


@pytest.mark.parametrize("rules", ["default", "ansor"])
def test_a_stage_of_two_outputs_is_not_inlined(rules: str) -> None:
    A = te.placeholder((8,), name="A")
    low, high = te.compute((8,), lambda i: (A[i] + 1.0, A[i] * 2.0), name="B")
    C = te.compute((8,), lambda i: low[i] * high[i], name="C")
    spaces = sampled([A, C], rules)
    assert not any(isinstance(x, ComputeInlineStep) for s in spaces for x in s.sketch.steps)


@pytest.mark.parametrize("rules", ["default", "ansor"])
def test_loops_of_no_iterations_are_tiled(rules: str) -> None:
    A, B = te.placeholder((0, 9), name="A"), te.placeholder((9, 7), name="B")
    k = te.reduce_axis((0, 9), name="k")
    C = te.compute((0, 7), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    assert sampled([A, B, C], rules)
    q = te.reduce_axis((0, 0), name="q")
    E, F = te.placeholder((9, 0), name="E"), te.placeholder((0, 7), name="F")
    D = te.compute((9, 7), lambda i, j: te.sum(E[i, q] * F[q, j], axis=q), name="D")
    assert sampled([E, F, D], rules)
    G = te.placeholder((3, 12, 0, 12), name="G")
    i, j = te.reduce_axis((0, 12), name="i"), te.reduce_axis((0, 12), name="j")
    H = te.compute((3, 0), lambda n, m: te.sum(G[n, i, m, j], axis=[i, j]), name="H")
    assert sampled([G, H], rules)


def test_partial_results_follow_what_combines_them() -> None:
    """The combining stage may be at the root, although it could be in loops of its reader."""
    A = te.placeholder((8, 32), name="A")
    k, q = te.reduce_axis((0, 8), name="k"), te.reduce_axis((0, 32), name="q")
    B = te.compute((), lambda: te.max(A[k, q], axis=[k, q]), name="B")
    C = te.compute((8, 32), lambda i, j: A[i, j] * te.abs(B()), name="C")
    places = set()
    for space in sampled([A, C], "default"):
        rows = space.sample(200, np.random.default_rng(1))
        for row in np.unique(rows, axis=0):
            state = replay(space.task.dag, space.steps(row))
            places |= {type(state["B"].location) for name in state.stages if name == "B.rf"}
    assert places == {Root, At}


def test_a_consumer_that_is_tiled_already_is_not_followed() -> None:
    """It reads something else across its rows, so a rule of its own has tiled it."""
    A, B = te.placeholder((64, 48, 32), name="A"), te.placeholder((32, 48), name="B")
    k = te.reduce_axis((0, 64), name="k")
    C = te.compute((48, 32), lambda i, j: te.sum(A[k, i, j], axis=k), name="C")
    D = te.compute((48, 32), lambda i, j: C[i, j] + B[j, i], name="D")
    assert sampled([A, B, D], "default")


@pytest.mark.parametrize("rules", ["default", "ansor"])
def test_a_single_element_without_a_reduction_is_not_factored(rules: str) -> None:
    A, B = te.placeholder((4,), name="A"), te.placeholder((5,), name="B")
    C = te.compute(
        (1, 1), lambda i, j: te.select(A[i + 1] < B[j], A[2] * B[j], A[i] * B[3]), name="C"
    )
    assert sampled([A, B, C], rules)


@pytest.mark.parametrize("mirrored", [True, False])
def test_what_an_output_reads_as_it_is_has_the_places_of_what_it_computes_with(
    mirrored: bool,
) -> None:
    def places(scale: float | None) -> list[tuple[int, ...]]:
        A = te.placeholder((64, 32, 64), name="A")
        k = te.reduce_axis((0, 32), name="k")
        R = te.compute((64, 64), lambda i, j: te.sum(A[i, k, j], axis=k), name="R")

        def body(j: te.Expr, i: te.Expr) -> tuple[te.Expr, ...]:
            found = (R[i, j], R[63 - i, j] if mirrored else R[i, j])
            return found if scale is None else tuple(x * scale for x in found)

        found = sampled([A, *te.compute((64, 64), body, name="P")], "default")
        choices = (c for space in found for c in space.columns.choices)
        return [c.options for c in choices if (c.stage, c.what) == ("R", "location")]

    assert places(None) == places(2.0)
    assert places(None)
