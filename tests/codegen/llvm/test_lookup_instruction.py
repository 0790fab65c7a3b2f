"""Tables of sixteen numbers in a register, where the target has an instruction for them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.support import host
from tensorc.target import Target
from tests.codegen.llvm.running import run_llvm

WIDE = Target("llvm", vector_bytes=64, features=("avx2", "fma", "avx512f", "avx512vl"))
HALF = Target("llvm", vector_bytes=32, features=("avx2", "fma", "avx512f"))
PLAIN = Target("llvm", vector_bytes=64, features=("avx2", "fma"))
SIZE = 1 << 16


def calls(function: str, lanes: int) -> PrimFunc:
    return parse_func(f"""
@prim_func(outputs=('B',))
def kernel(A: buffer(({SIZE},), 'float32'), B: buffer(({SIZE},), 'float32')):
    for i in serial(0, {SIZE // lanes}):
        B[ramp({lanes}*i, {lanes})] = {function}(A[ramp({lanes}*i, {lanes})])
""")


@pytest.mark.parametrize("function", ["erf", "exp"])
def test_tables_are_for_whole_vectors_only(function: str) -> None:
    assert "@llvm.x86.avx512.permvar.sf.512(" in emit_llvm(calls(function, 16), WIDE)
    assert "permvar" not in emit_llvm(calls(function, 8), WIDE)
    assert "permvar" not in emit_llvm(calls(function, 32), WIDE)
    assert "permvar" not in emit_llvm(calls(function, 16), HALF)
    assert "permvar" not in emit_llvm(calls(function, 16), PLAIN)


@pytest.mark.skipif(
    "avx512f" not in host.instruction_sets(), reason="the processor has no such instruction"
)
def test_erf_by_pieces_is_as_accurate_as_stated() -> None:
    """Within 1.3 units in the last place, as without tables, and never beyond 1."""
    rng = np.random.default_rng(0)
    data = np.concatenate(
        [
            np.linspace(-4.5, 4.5, SIZE // 2, dtype=np.float32),
            rng.standard_normal(SIZE // 4, np.float32),
            rng.integers(0, 1 << 32, SIZE // 4, np.uint64).astype(np.uint32).view(np.float32),
        ]
    )
    data[:8] = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-40, 3.875, -3e38]
    data[8:40] = np.arange(32) / 8  # among them the ends of the pieces
    found = run_llvm(calls("erf", 16), [data, np.zeros(SIZE, np.float32)], WIDE)[1]
    exact = np.array([math.erf(float(x)) for x in data])
    right = exact.astype(np.float32)
    np.testing.assert_array_equal(found[:6], right[:6])
    np.testing.assert_array_equal(np.signbit(found), np.signbit(right))
    known = ~np.isnan(exact)
    np.testing.assert_array_equal(np.isnan(found), ~known)
    ulp = np.spacing(np.maximum(np.abs(right[known]), np.finfo(np.float32).tiny))
    assert np.max(np.abs(found[known] - exact[known]) / ulp) <= 1.3
    assert np.max(np.abs(found[known])) == 1


@pytest.mark.skipif(
    "avx512vl" not in host.instruction_sets(), reason="the processor has no such instruction"
)
def test_exp_by_a_table_is_as_accurate_as_stated() -> None:
    """Within 1.1 units in the last place, also where results vanish gradually."""
    ranges = [(-1, 1), (-20, 20), (-103.9, -87), (-87.3, 88.7)]
    data = np.concatenate([np.linspace(*r, SIZE // 4, dtype=np.float32) for r in ranges])
    data[:10] = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-40, -1e30, 1e30, -200, 3e38]
    found = run_llvm(calls("exp", 16), [data, np.zeros(SIZE, np.float32)], WIDE)[1]
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(data.astype(np.float64))
        right = exact.astype(np.float32)
    np.testing.assert_array_equal(found[:10], right[:10])
    error = np.abs(found[10:] - exact[10:]) / np.spacing(right[10:])
    assert np.max(error) <= 1.1
