"""Wrong results that random schedules found, made small."""

from __future__ import annotations

import pytest

from tensorc import te
from tensorc.lower import lower
from tensorc.schedule.printer import print_state
from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    ComputeAtStep,
    ComputeInlineStep,
    FuseStep,
    ReorderStep,
    SplitStep,
)
from tensorc.target import Target
from tests.lower.test_loop_nest import check_result, state_of


def test_the_tail_of_a_part_of_a_fused_loop_is_tested() -> None:
    A = te.placeholder((17, 17), name="A")
    C = te.compute((17, 17), lambda i, j: A[i, j] + 1.0, name="C")
    state = state_of([A, C], SplitStep("C", "i", (8,)), FuseStep("C", ("i.1", "j")))
    check_result(state, [A, C])


def test_conditions_of_a_body_play_no_part_in_its_initial_values() -> None:
    X = te.placeholder((6,), name="X")
    P = te.compute(
        (8,), lambda i: te.if_then_else(te.all(i >= 1, i < 7), X[i - 1], -100.0), name="P"
    )
    k = te.reduce_axis((0, 2), name="k")
    C = te.compute((7,), lambda i: te.max(P[i + k], axis=k), name="C")
    state = state_of([X, C], ComputeInlineStep("P"), ReorderStep("C", ("k", "i")))
    check_result(state, [X, C])


def test_parts_of_a_fused_loop_are_bound_where_its_outer_loop_has_one_value() -> None:
    A, B = te.placeholder((5, 7), name="A"), te.placeholder((7,), name="B")
    C = te.compute((5, 7), lambda i, j: A[i, j] + B[j], name="C")
    steps = (FuseStep("C", ("i", "j")), SplitStep("C", "i@j@", (16,)))
    check_result(state_of([A, B, C], *steps), [A, B, C])
    vector = AnnotationStep("C", "i@j@.1", Annotation.VECTORIZE)
    check_result(state_of([A, B, C], *steps, vector), [A, B, C])


def test_empty_reductions_may_be_fused() -> None:
    A = te.placeholder((3, 0, 4), name="A")
    k, q = te.reduce_axis((0, 0), name="k"), te.reduce_axis((0, 4), name="q")
    C = te.compute((3,), lambda i: te.sum(A[i, k, q], axis=[k, q]), name="C")
    check_result(state_of([A, C], FuseStep("C", ("k", "q"))), [A, C])


def test_empty_reductions_may_be_split_and_fused_again() -> None:
    """Found by the fuzz, seed 9000681: the initial value was not written."""
    A = te.placeholder((0, 3), name="A")
    k, q = te.reduce_axis((0, 0), name="k"), te.reduce_axis((0, 3), name="q")
    C = te.compute((), lambda: te.sum(A[k, q], axis=[k, q]), name="C")
    state = state_of([A, C], SplitStep("C", "k", (8,)), FuseStep("C", ("k.0", "k.1")))
    check_result(state, [A, C])
    copied = state_of(
        [A, C],
        CacheReadStep("A", "global", ("C",)),
        SplitStep("C", "k", (8,)),
        ComputeAtStep("A.global", "C", "k.1"),
        FuseStep("C", ("k.0", "k.1", "q")),
    )
    assert "A.global" in print_state(copied)
    check_result(copied, [A, C])


def test_the_workspace_is_checked_once_it_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORC_VERIFY", "1")
    A = te.placeholder((40_000,), name="A")
    B = te.compute((40_000,), lambda i: A[i] * 2.0, name="B")
    C = te.compute((40_000,), lambda i: B[i] + B[39_999 - i], name="C")
    func = lower(state_of([A, C]), Target("llvm"))
    assert func.workspace_bytes == 160_000
