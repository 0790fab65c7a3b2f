"""Programs without a space that random programs found, made small."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc import te
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import Root
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
