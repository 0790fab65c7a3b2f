"""Which hints to the memory system a finished schedule is tried with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tensorc import te, topi
from tensorc.schedule.replay import replay
from tensorc.schedule.steps import ComputeAtStep, PragmaStep, SplitStep, Step
from tensorc.space.hints import hints
from tensorc.target import Target
from tensorc.te import Tensor

CACHES = {"l1_bytes": 1 << 10, "l2_bytes": 1 << 12, "l3_bytes": 1 << 16}
TARGET = Target("llvm", num_cores=1, features=("avx",), cache_line_bytes=64, **CACHES)


def found(
    tensors: Sequence[Tensor], *steps: Step, target: Target = TARGET
) -> list[tuple[PragmaStep, ...]]:
    return list(hints(replay(te.ComputeDAG.from_tensors(list(tensors)), steps), target))


def scaled(rows: int) -> list[Tensor]:
    A = te.placeholder((rows, 64), name="A")
    return [A, te.compute((rows, 64), lambda i, j: A[i, j] * 2.0, name="C")]


def spread(rows: int, count: int) -> list[Tensor]:
    """The largest and the sum of exponentials of each row, which is read twice in turn."""
    A = te.placeholder((rows, count), name="A")
    k, n = te.reduce_axis((0, count), name="k"), te.reduce_axis((0, count), name="n")
    M = te.compute((rows,), lambda i: te.max(A[i, k], axis=k), name="M")
    S = te.compute((rows,), lambda i: te.sum(te.exp(A[i, n] - M[i]), axis=n), name="S")
    return [A, te.compute((rows,), lambda i: M[i] + te.log(S[i]), name="C")]


STREAM = PragmaStep("C", "i", "streaming_stores", 1)
TOGETHER = (ComputeAtStep("S", "C", "i"), ComputeAtStep("M", "C", "i"))
BY_LINES = SplitStep("S", "n", (16,))


def test_an_output_that_no_cache_holds_is_stored_past_them() -> None:
    assert found(scaled(4096)) == [(STREAM,)]


def test_what_the_caches_hold_stays_in_them() -> None:
    assert found(scaled(64)) == []


def test_small_outputs_of_large_inputs_stay_in_the_caches() -> None:
    assert found([A := te.placeholder((4096, 64), name="A"), topi.sum(A, axis=1)]) == []


@pytest.mark.parametrize(
    "target",
    [
        Target("c", num_cores=1, features=("avx",), **CACHES),
        Target("llvm", num_cores=1, features=(), **CACHES),
    ],
)
def test_machines_without_such_stores_are_not_asked(target: Target) -> None:
    assert found(scaled(4096), target=target) == []


def test_the_last_of_several_readers_fetches_the_next_piece() -> None:
    step = PragmaStep("S", "n.0", "prefetch", 256)
    assert found(spread(64, 4096), BY_LINES, *TOGETHER) == [(step,)]


def test_two_large_inputs_of_one_reader_are_fetched_by_one_hint() -> None:
    A, B = (te.placeholder((64, 4096), name=name) for name in "AB")
    k, n = te.reduce_axis((0, 4096), name="k"), te.reduce_axis((0, 4096), name="n")
    M = te.compute((64,), lambda i: te.max(A[i, k] * B[i, k], axis=k), name="M")
    S = te.compute((64,), lambda i: te.sum(A[i, n] * B[i, n] - M[i], axis=n), name="S")
    C = te.compute((64,), lambda i: M[i] + S[i], name="C")
    step = PragmaStep("S", "n.0", "prefetch", 256)
    assert found([A, B, C], BY_LINES, *TOGETHER) == [(step,)]


def test_the_loop_that_fetches_walks_along_the_large_input() -> None:
    A, W = te.placeholder((64, 4096), name="A"), te.placeholder((4, 16), name="W")
    k, n = te.reduce_axis((0, 4096), name="k"), te.reduce_axis((0, 4096), name="n")
    m = te.reduce_axis((0, 4), name="m")  # walks from line to line of weights that caches hold
    M = te.compute((64,), lambda i: te.max(A[i, k], axis=k), name="M")
    S = te.compute((64,), lambda i: te.sum(A[i, n] * W[m, 0] - M[i], axis=(n, m)), name="S")
    C = te.compute((64,), lambda i: M[i] + S[i], name="C")
    step = PragmaStep("S", "n.0", "prefetch", 256)
    assert found([A, W, C], BY_LINES, *TOGETHER) == [(step,)]


@pytest.mark.parametrize(
    ("rows", "steps"),
    [
        (64, (BY_LINES,)),  # one after another: a plain stream
        (64, TOGETHER),  # no loop walks from line to line
        (2, (BY_LINES, *TOGETHER)),  # the caches hold it
    ],
)
def test_others_do_not_fetch(rows: int, steps: tuple[Step, ...]) -> None:
    assert found(spread(rows, 4096), *steps) == []
