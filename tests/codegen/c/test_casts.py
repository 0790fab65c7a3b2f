"""Conversions of 16-bit floats in C."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tensorc
from tensorc import te
from tensorc.codegen.python_namespace import numpy_dtype
from tensorc.ir.dtype import as_dtype
from tensorc.ir.parser import parse_func
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction


@pytest.mark.parametrize("features", [("native",), ("sse4.1",)], ids=["native", "sse4.1"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_vectors_are_as_long_as_a_register_of_float32(
    dtype: str, features: tuple[str, ...]
) -> None:
    size = 1 << 16
    A = te.placeholder((size,), dtype, name="A")
    B = te.compute((size,), lambda i: A[i] * te.const(1.5, dtype), name="B")
    s = tensorc.Schedule([A, B])
    s.vectorize(B, s.split(B, "i", [32])[1])
    target = tensorc.Target("c", features=features)
    f = tensorc.compile([A, B], target, schedule=s)
    recipes = re.findall(r"tc_\w*(?:float32_to|to_float32)\w*_x(\d+)\(tc", f.source())
    assert set(map(int, recipes)) == {target.lanes(32)}
    every = np.arange(size, dtype=np.uint16).view(numpy_dtype(as_dtype(dtype)))
    with np.errstate(all="ignore"):
        expected = (every.astype(np.float32) * np.float32(1.5)).astype(every.dtype)
    result, nan = f(every), np.isnan(expected)
    assert np.array_equal(result[~nan].view(np.uint16), expected[~nan].view(np.uint16))
    assert np.isnan(result[nan]).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_longer_vectors_are_converted_in_parts(dtype: str) -> None:
    """No loop is vectorised so; IR that is written by hand may be."""
    text = (
        f"@prim_func(outputs=('B',))\n"
        f"def kernel(A: buffer((32,), '{dtype}'), B: buffer((32,), '{dtype}')):\n"
        f"    B[ramp(0, 32)] = A[ramp(0, 32)] + A[ramp(0, 32)]\n"
    )
    target = tensorc.Target("c")
    artifact = build(parse_func(text), target)
    recipes = re.findall(r"tc_\w*(?:float32_to|to_float32)\w*_x(\d+)\(tc", artifact.source)
    assert set(map(int, recipes)) == {target.lanes(32)}
    a = np.arange(32).astype(numpy_dtype(as_dtype(dtype)))
    assert np.array_equal(CompiledFunction(artifact)(a), a + a)
