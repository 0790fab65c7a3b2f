"""Prefetch and stores past the caches: what lowering makes of the pragmas, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tensorc import te
from tensorc.codegen.llvm import emit_llvm
from tensorc.driver.compile import compile_state
from tensorc.ir.printer import print_func
from tensorc.ir.stmt import Prefetch, Store
from tensorc.ir.verify import verify
from tensorc.ir.visit import walk_stmt
from tensorc.lower import lower
from tensorc.runtime.arrays import empty
from tensorc.schedule.replay import replay
from tensorc.schedule.schedule import Schedule
from tensorc.schedule.stage import Annotation
from tensorc.schedule.state import State
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheWriteStep,
    ComputeAtStep,
    FuseStep,
    PragmaStep,
    ReorderStep,
    SplitStep,
    Step,
)
from tensorc.support.errors import LoweringError
from tensorc.target import Target
from tensorc.te import Tensor
from tests.golden_text import GoldenFile
from tests.lower.test_loop_nest import check, check_result, matmul, state_of, vectorize

TARGET = Target("llvm", vector_bytes=64, features=("avx512f",), num_cores=1, cache_line_bytes=64)
SHAPE = (32, 344)


def added(rows: int = 8, columns: int = 96) -> list[Tensor]:
    A = te.placeholder((rows, columns), name="A")
    B = te.placeholder((rows, columns), name="B")
    return [A, B, te.compute((rows, columns), lambda i, j: A[i, j] + B[i, j], name="C")]


def smoothed() -> list[Tensor]:
    A = te.placeholder((10, 64), name="A")
    return [A, te.compute((8, 64), lambda i, j: A[i, j] + A[i + 1, j] + A[i + 2, j], name="C")]


def ahead(stage: str, iterator: str, distance: int) -> Step:
    return PragmaStep(stage, iterator, "prefetch", distance)


def streaming(stage: str, iterator: str) -> Step:
    return PragmaStep(stage, iterator, "streaming_stores", 1)


def prefetches(tensors: Sequence[Tensor], *steps: Step, target: Target = TARGET) -> list[str]:
    """The statements, in the order of the text."""
    func = lower(state_of(list(tensors), *steps), target)
    verify(func)
    text = print_func(func).splitlines()
    return [line.strip() for line in text if line.strip().startswith("prefetch(")]


def test_an_iteration_asks_for_each_line_once(golden: GoldenFile) -> None:
    check(
        golden, "lines", added(),
        SplitStep("C", "j", (32,)), vectorize("C", "j.1"), ahead("C", "j.0", 2),
    )  # fmt: skip


def test_lines_that_the_iteration_before_has_read_are_left_out() -> None:
    steps = SplitStep("C", "j", (16,)), ReorderStep("C", ("j.0", "i", "j.1"))
    found = prefetches(smoothed(), *steps, vectorize("C", "j.1"), ahead("C", "i", 4))
    assert found == ["prefetch(A, 64*C_i + 16*C_j_0 + 384)"]  # the last of three rows


def test_a_register_tile_asks_for_the_operand_that_moves() -> None:
    steps = (
        SplitStep("C", "j", (16,)),
        SplitStep("C", "i", (4,)),
        ReorderStep("C", ("i.0", "j.0", "k", "i.1", "j.1")),
        AnnotationStep("C", "i.1", Annotation.UNROLL),
        vectorize("C", "j.1"),
    )
    found = prefetches(matmul(8, 48, 64), *steps, ahead("C", "k", 8))
    assert found == ["prefetch(B, 48*C_k + 16*C_j_0 + 384)"]  # A moves by an element only
    check_result(state_of(matmul(8, 48, 64), *steps, ahead("C", "k", 8)), matmul(8, 48, 64))


def test_what_is_unrolled_asks_for_its_own_lines() -> None:
    steps = SplitStep("C", "j", (16,)), AnnotationStep("C", "j.0", Annotation.UNROLL)
    func = lower(state_of(added(2, 64), *steps, ahead("C", "j.0", 4)), TARGET)
    assert sum(isinstance(s, Prefetch) for s in walk_stmt(func.body)) == 2


def test_a_prefetch_of_0_iterations_is_none() -> None:
    assert prefetches(added(), ahead("C", "i", 0)) == []


def test_a_fused_loop_asks_as_a_plain_one_does() -> None:
    steps = FuseStep("C", ("i", "j")), SplitStep("C", "i@j@", (16,))
    found = prefetches(added(), *steps, vectorize("C", "i@j@.1"), ahead("C", "i@j@.0", 1))
    assert found == [f"prefetch({name}, 16*C_i_j__0 + 16)" for name in "AB"]


def test_a_prefetch_in_vectors_is_refused() -> None:
    message = "Cannot prefetch in loop 'j' .*'C': .*a loop around vectors, got 'vectorized'"
    with pytest.raises(LoweringError, match=message):
        prefetches(added(), vectorize("C", "j"), ahead("C", "j", 4))


NO_NEW_LINES = (ahead("C", "j", 4),)
LONG_RUNS = SplitStep("C", "j", (1024,)), ahead("C", "j.0", 1)
LONG_TOGETHER = SplitStep("C", "j", (512,)), ahead("C", "j.0", 1)


@pytest.mark.parametrize("steps", [NO_NEW_LINES, LONG_RUNS, LONG_TOGETHER])
def test_a_prefetch_that_makes_no_sense_on_the_machine_is_left_out(
    steps: tuple[Step, ...],
) -> None:
    assert prefetches(added(4, 4096), *steps) == []


def test_a_machine_with_longer_lines_is_asked_for_fewer() -> None:
    longer = replace(TARGET, cache_line_bytes=256)
    assert len(prefetches(added(4, 4096), *LONG_RUNS, target=longer)) == 32


def test_an_output_is_stored_past_the_caches(golden: GoldenFile) -> None:
    check(golden, "streaming", added(), vectorize("C", "j"), streaming("C", "i"))


def test_a_tile_is_stored_past_the_caches_when_it_is_done() -> None:
    steps = SplitStep("C", "j", (16,)), ReorderStep("C", ("i", "j.0", "k", "j.1"))
    state = state_of(matmul(4, 32, 8), *steps, vectorize("C", "j.1"), streaming("C", "i"))
    stores = [s for s in walk_stmt(lower(state, TARGET).body) if isinstance(s, Store)]
    assert [s.buffer.name for s in stores if s.streams] == ["C"]
    check_result(state, matmul(4, 32, 8))


@pytest.mark.parametrize(
    "steps",
    [
        (ReorderStep("C", ("k", "i", "j")),),
        (SplitStep("C", "k", (4,)), SplitStep("C", "j", (16,)),
         ReorderStep("C", ("k.0", "i", "j.0", "k.1", "j.1")), vectorize("C", "j.1")),
    ],
)  # fmt: skip
def test_what_is_written_more_than_once_stays_in_the_caches(steps: tuple[Step, ...]) -> None:
    state = state_of(matmul(4, 32, 8), *steps, streaming("C", "i"))
    stores = [s for s in walk_stmt(lower(state, TARGET).body) if isinstance(s, Store)]
    assert not any(s.streams for s in stores)
    check_result(state, matmul(4, 32, 8))


def test_what_is_no_output_is_not_stored_past_the_caches() -> None:
    steps = CacheWriteStep("C", "local"), ComputeAtStep("C.local", "C", "i")
    with pytest.raises(LoweringError, match=r"'C.local' past the caches: .* an output of the kern"):
        lower(state_of(matmul(64, 64, 64), *steps, streaming("C.local", "i")), TARGET)


def hinted() -> State:
    """Rows of so many cache lines and a half, in pairs: half of the vectors are aligned."""
    return state_of(
        added(*SHAPE), SplitStep("C", "i", (2,)), SplitStep("C", "j", (48,)),
        vectorize("C", "j.1"), AnnotationStep("C", "i.1", Annotation.UNROLL),
        AnnotationStep("C", "i.0", Annotation.PARALLEL), ahead("C", "j.0", 1000),
        streaming("C", "i.0"),
    )  # fmt: skip


def test_one_body_has_vectors_that_stream_and_others() -> None:
    text = emit_llvm(lower(hinted(), TARGET), TARGET)
    start = text.index('define internal void @"kernel.body1"(')
    body = text[start : text.index("\n}", start)]
    assert len(re.findall("store <16 x float> .*align 64, !nontemporal", body)) == 3
    assert len(re.findall("store <16 x float> .*align 4\n", body)) == 3


@pytest.mark.parametrize("kind", ["llvm", "c", "python"])
@pytest.mark.parametrize("shift", [0, 4])
def test_hints_change_no_result_wherever_arrays_lie(kind: str, shift: int) -> None:
    f = compile_state(hinted(), Target(kind, num_cores=2))
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(SHAPE).astype(np.float32) for _ in range(2))
    raw = empty((x.nbytes + 64,), np.dtype(np.uint8), x.nbytes + 64)
    out: Any = raw[shift : shift + x.nbytes].view(np.float32).reshape(SHAPE)
    f(x, y, out=out)
    np.testing.assert_array_equal(out, x + y)


def test_a_schedule_with_hints_is_printed_as_what_makes_it() -> None:
    dag = te.ComputeDAG.from_tensors(added(*SHAPE))
    code = Schedule.from_steps(dag, hinted().steps).python_code()
    assert 's.pragma("C", "j.0", "prefetch", 1000)' in code
    written: dict[str, Any] = {"Schedule": Schedule, "program": dag}
    exec(code, written)
    assert written["s"].steps == hinted().steps


def test_hints_survive_split_loops() -> None:
    tensors = added(8, 256)
    state = replay(
        te.ComputeDAG.from_tensors(tensors),
        (SplitStep("C", "j", (64,)), ahead("C", "j.0", 1), SplitStep("C", "j.0", (2,))),
    )
    assert state["C"].pragmas == (("j.0.0", "prefetch", 1),)
    check_result(state, tensors)
