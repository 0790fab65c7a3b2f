"""Conversions of 16-bit floats in C, in vectors longer than the machine converts at once."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tensorc
from tensorc import te
from tensorc.codegen.python_namespace import numpy_dtype
from tensorc.ir.dtype import as_dtype


@pytest.mark.parametrize("features", [("native",), ("sse4.1",)], ids=["native", "sse4.1"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_long_vectors_are_converted_in_short_parts(dtype: str, features: tuple[str, ...]) -> None:
    size = 1 << 16
    A = te.placeholder((size,), dtype, name="A")
    B = te.compute((size,), lambda i: A[i] * te.const(1.5, dtype), name="B")
    s = tensorc.Schedule([A, B])
    s.vectorize(B, s.split(B, "i", [32])[1])
    target = tensorc.Target("c", vector_bytes=64, features=features)
    f = tensorc.compile([A, B], target, schedule=s)
    recipes = re.findall(r"tc_\w*(?:float32_to|to_float32)\w*_x(\d+)\(tc", f.source())
    assert set(map(int, recipes)) == {8}
    every = np.arange(size, dtype=np.uint16).view(numpy_dtype(as_dtype(dtype)))
    with np.errstate(all="ignore"):
        expected = (every.astype(np.float32) * np.float32(1.5)).astype(every.dtype)
    result, nan = f(every), np.isnan(expected)
    assert np.array_equal(result[~nan].view(np.uint16), expected[~nan].view(np.uint16))
    assert np.isnan(result[nan]).all()
