"""Stores past the caches and prefetch as LLVM text."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.parser import parse_func
from tensorc.runtime.arrays import address_of, empty
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.target import Target
from tests.codegen.llvm.running import TARGET, inputs_of

TEXT = """
@prim_func(outputs=('C',))
def copy(A: buffer((96, 48), 'float32'), C: buffer((96, 48), 'float32')):
    for i in {kind}(0, 96):
        prefetch(A, 48*i + 1000000)
        stream(C, {position}, A[{position}])
"""
TWICE = """
@prim_func(outputs=('C', 'D'))
def twice(A: buffer((96,), 'float32'), C: buffer((96,), 'float32'), D: buffer((96,), 'float32')):
    for n in serial(0, 2):
        for i in parallel(0, 96):
            D[i] = C[i]
        for j in serial(0, 6):
            stream(C, ramp(16*j, 16), A[ramp(16*j, 16)])
"""
FENCE = "  call void @llvm.x86.sse.sfence()"
X86 = Target("llvm", num_cores=2, features=("avx512f",), vector_bytes=64)


def text(position: str, kind: str = "serial", target: Target = X86) -> str:
    return emit_llvm(parse_func(TEXT.format(kind=kind, position=position)), target)


def function(found: str, name: str) -> str:
    """The text of an inner function."""
    start = found.index(f'define internal void @"{name}"(')
    return found[start : found.index("\n}", start)]


def test_aligned_vectors_go_past_the_caches_if_the_output_is_aligned() -> None:
    found = text("ramp(48*i + 4, 4)")
    assert len(re.findall("store .*align 16, !nontemporal !0", found)) == 1
    assert len(re.findall("store <4 x float> .*align 4\n", found)) == 1, "another body without"
    assert re.search(r"and i64 %\w+, 63", found)
    assert "!0 = !{i32 1}" in found


@pytest.mark.parametrize("position", ["ramp(48*i + 2, 4)", "48*i", "ramp(48*i + 4, 8)"])
def test_others_do_not_and_need_no_second_body(position: str) -> None:
    found = text(position)
    assert "nontemporal" not in found
    assert "ptrtoint" not in found
    assert len(re.findall("  store ", found)) == 1


def test_they_are_done_before_other_threads_go_on() -> None:
    assert text("ramp(48*i, 4)").count(f"{FENCE}\n  ret void") == 1
    parallel = text("ramp(48*i, 4)", "parallel")
    assert "nontemporal" in function(parallel, "copy.body1")
    assert function(parallel, "copy.body1").endswith(f"{FENCE}\n  ret void")
    assert "sfence" not in function(parallel, "copy.body2"), "it has ordinary stores"
    assert "sfence" not in text("48*i")


def test_they_are_done_before_other_threads_are_asked_to_read_them() -> None:
    body = function(emit_llvm(parse_func(TWICE), X86), "twice.body")
    assert len(re.findall("call void @tensorc_parallel_for", body)) == 2
    assert body.count(f"{FENCE}\n  call void @tensorc_parallel_for") == 2


def test_a_machine_without_them_has_one_body() -> None:
    found = text("ramp(48*i, 4)", target=replace(X86, features=("neon",), vector_bytes=16))
    assert "nontemporal" not in found
    assert "ptrtoint" not in found
    assert len(re.findall("store <4 x float>", found)) == 1


def test_a_prefetch_names_an_address_that_may_lie_anywhere() -> None:
    found = text("ramp(48*i, 4)")
    assert "call void @llvm.prefetch.p0(ptr %" in found
    assert "inbounds" not in found


@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("kind", ["serial", "parallel", "unrolled"])
@pytest.mark.parametrize("target", [TARGET, X86], ids=["here", "avx512f"])
def test_each_body_computes_the_right_thing(kind: str, target: Target, shift: int) -> None:
    if not set(target.features) <= set(TARGET.features):
        pytest.skip("needs AVX-512")
    func = parse_func(TEXT.format(kind=kind, position="ramp(48*i, 16)"))
    assert ("nontemporal" in emit_llvm(func, target)) is target.has_streaming_stores
    A, C = inputs_of(func)
    out = empty((C.nbytes + 64,), np.dtype(np.uint8), C.nbytes + 64)
    assert address_of(out) % 64 == 0
    C = out[shift : shift + C.nbytes].view(np.float32).reshape(C.shape)
    C[:] = 0
    CompiledFunction(build(func, target))(A, C)
    np.testing.assert_array_equal(C[:, :16], A[:, :16])
    assert not C[:, 16:].any()
