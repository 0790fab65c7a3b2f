"""Stores past the caches and prefetch as LLVM text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.parser import parse_func
from tensorc.target import Target
from tests.codegen.llvm.running import TARGET, check

TEXT = """
@prim_func(outputs=('C',))
def copy(A: buffer((64, 36), 'float32'), C: buffer((64, 36), 'float32')):
    for i in {kind}(0, 64):
        prefetch(A, 36*i + 1000000)
        stream(C, {position}, A[{position}])
"""
X86 = Target("llvm", num_cores=2, features=("avx512f",), vector_bytes=64)


def text(position: str, kind: str = "serial", target: Target = X86) -> str:
    return emit_llvm(parse_func(TEXT.format(kind=kind, position=position)), target)


def test_aligned_vectors_go_past_the_caches_if_the_output_is_aligned() -> None:
    found = text("ramp(36*i + 4, 4)")
    assert len(re.findall("store .*align 16, !nontemporal !0", found)) == 1
    assert len(re.findall("store <4 x float> .*align 4\n", found)) == 1, "another body without"
    assert re.search(r"and i64 %\w+, 63", found)
    assert "!0 = !{i32 1}" in found


@pytest.mark.parametrize("position", ["ramp(36*i + 2, 4)", "36*i", "ramp(36*i, 8)"])
def test_others_do_not(position: str) -> None:
    assert "nontemporal" not in text(position)


def test_they_are_done_before_other_threads_go_on() -> None:
    fence = "  call void @llvm.x86.sse.sfence()\n  ret void"
    assert text("ramp(36*i, 4)").count(fence) == 1
    parallel = text("ramp(36*i, 4)", "parallel")
    body = parallel[parallel.index("@copy.body1") if "@copy.body1" in parallel else 0 :]
    assert fence in body
    assert "sfence" not in text("36*i")


def test_a_machine_without_them_has_one_body() -> None:
    found = text("ramp(36*i, 4)", target=replace(X86, features=("neon",), vector_bytes=16))
    assert "nontemporal" not in found
    assert "63" not in found
    assert len(re.findall("store <4 x float>", found)) == 1


def test_a_prefetch_names_an_address_that_may_lie_anywhere() -> None:
    found = text("ramp(36*i, 4)")
    assert "call void @llvm.prefetch.p0(ptr %" in found
    assert "inbounds" not in found


@pytest.mark.parametrize("kind", ["serial", "parallel", "unrolled"])
@pytest.mark.parametrize("target", [TARGET, X86], ids=["here", "avx512f"])
def test_the_result_is_the_oracles(kind: str, target: Target) -> None:
    if not set(target.features) <= set(TARGET.features):
        pytest.skip("needs AVX-512")
    check(TEXT.format(kind=kind, position="ramp(36*i, 16)"), target=target)
