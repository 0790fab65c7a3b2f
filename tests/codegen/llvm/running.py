"""Run loop IR through LLVM and through the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tensorc.codegen.python import execute
from tensorc.ir.dtype import BFLOAT16, DType
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.target import Target

Array = NDArray[Any]
TARGET = Target("llvm", num_cores=2)
# Neither fused multiply-add nor conversions of half floats: recipes do what instructions could.
BASELINE = Target("llvm", num_cores=2, features=("sse4.1", "sse4.2"))


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if dtype == BFLOAT16 else dtype.name)


def random_array(shape: tuple[int, ...], dtype: DType, rng: np.random.Generator) -> Array:
    kind = numpy_dtype(dtype)
    if dtype.kind == "bool":
        return rng.integers(0, 2, shape).astype(kind)
    if dtype.is_integer:
        return rng.integers(-20 if dtype.kind == "int" else 0, 21, shape).astype(kind)
    return (rng.standard_normal(shape) * 4).astype(kind)


def inputs_of(func: PrimFunc, seed: int = 0) -> list[Array]:
    """Random inputs; outputs start as zeros."""
    rng = np.random.default_rng(seed)
    return [
        np.zeros(p.shape, numpy_dtype(p.dtype))
        if p.name in func.outputs
        else random_array(p.shape, p.dtype, rng)
        for p in func.params
    ]


def run_llvm(func: PrimFunc, arrays: Sequence[Array], target: Target = TARGET) -> list[Array]:
    """All parameters after a run on copies of the arrays."""
    copies = [np.array(a) for a in arrays]
    CompiledFunction(build(func, target))(*copies)
    return copies


def run_oracle(func: PrimFunc, arrays: Sequence[Array]) -> list[Array]:
    copies = [np.array(a) for a in arrays]
    execute(func, copies)
    return copies


def comparable(array: Array) -> Array:
    """The array in a type that NumPy's assertions know."""
    return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array


def check(
    text: str | PrimFunc,
    *,
    arrays: Sequence[Array] | None = None,
    target: Target = TARGET,
    rtol: float = 0.0,
) -> list[Array]:
    """Assert that LLVM computes what the oracle computes, to the bit unless `rtol` is given."""
    func = parse_func(text) if isinstance(text, str) else text
    arrays = inputs_of(func) if arrays is None else arrays
    got, expected = run_llvm(func, arrays, target), run_oracle(func, arrays)
    for g, e in zip(got, expected, strict=True):
        g, e = comparable(g), comparable(e)
        if rtol:
            np.testing.assert_allclose(g, e, rtol=rtol, atol=rtol)
        else:
            np.testing.assert_array_equal(g, e)
    return got
