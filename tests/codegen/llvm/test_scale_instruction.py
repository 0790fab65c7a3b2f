"""Powers of two by one instruction, where the target has it."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.runtime.build import build
from tensorc.support import host
from tensorc.target import Target
from tests.codegen.llvm.running import run_llvm

WIDE = Target("llvm", vector_bytes=64, features=("avx2", "fma", "avx512f", "avx512vl"))
HALF = Target("llvm", vector_bytes=32, features=("avx2", "fma", "avx512f", "avx512vl"))
PLAIN = Target("llvm", vector_bytes=32, features=("avx2", "fma"))


def exponential(dtype: str, lanes: int, size: int = 4096) -> PrimFunc:
    return parse_func(f"""
@prim_func(outputs=('B',))
def kernel(A: buffer(({size},), '{dtype}'), B: buffer(({size},), '{dtype}')):
    for i in serial(0, {size // lanes}):
        B[ramp({lanes}*i, {lanes})] = exp(A[ramp({lanes}*i, {lanes})])
""")


@pytest.mark.parametrize(
    ("dtype", "lanes", "name"),
    [
        ("float32", 16, "ps.512"),
        ("float32", 8, "ps.256"),
        ("float64", 8, "pd.512"),
        ("float64", 4, "pd.256"),
    ],
)
def test_exp_is_scaled_by_an_instruction(dtype: str, lanes: int, name: str) -> None:
    func = exponential(dtype, lanes)
    assert f"@llvm.x86.avx512.mask.scalef.{name}(" in emit_llvm(func, WIDE)
    assert "scalef" not in emit_llvm(func, PLAIN)
    assert "scalef" not in emit_llvm(exponential(dtype, 2), WIDE)


def test_vectors_longer_than_the_targets_are_scaled_in_steps() -> None:
    """LLVM cannot take the instruction apart: it ended the process (random program 7001189)."""
    func = exponential("float32", 16)
    assert "scalef" not in emit_llvm(func, HALF)
    build(func, HALF)


@pytest.mark.skipif(
    "avx512vl" not in host.instruction_sets(), reason="the processor has no such instruction"
)
@pytest.mark.parametrize(("dtype", "lanes"), [("float32", 8), ("float64", 8), ("float64", 4)])
def test_scaling_gives_what_steps_give(dtype: str, lanes: int) -> None:
    """To the bit, also where results vanish gradually, are infinite or are no numbers."""
    edge = 745.2 if dtype == "float64" else 104.5
    data = np.linspace(-edge, edge, 4096).astype(dtype)
    data[:6] = [np.inf, -np.inf, np.nan, 0.0, -1e30, 1e30]
    func, zeros = exponential(dtype, lanes), np.zeros(4096, dtype)
    scaled = run_llvm(func, [data, zeros], WIDE)[1]
    stepped = run_llvm(func, [data, zeros], PLAIN)[1]
    np.testing.assert_array_equal(scaled, stepped)
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_allclose(scaled, np.exp(data), rtol=3e-7, atol=np.finfo(dtype).tiny)
