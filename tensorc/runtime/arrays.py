"""NumPy arrays as kernels want them."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np

from tensorc.ir.dtype import DType
from tensorc.runtime.artifact import ALIGNMENT
from tensorc.support.optional import optional_import

Array: TypeAlias = np.ndarray[Any, Any]

# Below this, an unaligned array costs less than aligning it.
_SMALL = 1 << 14


@cache
def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """Return the NumPy type of a scalar type; bfloat16 is that of ml_dtypes."""
    if dtype.kind == "bfloat":
        return np.dtype(optional_import("ml_dtypes", purpose="bfloat16 arrays").bfloat16)
    return np.dtype(dtype.name)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], nbytes: int) -> Array:
    """Return an uninitialised array; a large one begins at a cache line, as vector code likes."""
    if nbytes < _SMALL:
        return np.empty(shape, dtype)
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -address_of(block) % ALIGNMENT
    return block[start : start + nbytes].view(dtype).reshape(shape)


def address_of(array: Array) -> int:
    """Return where the data of an array begin."""
    return int(array.__array_interface__["data"][0])


def overlap(a: Array, b: Array) -> bool:
    """Say whether the memory of two contiguous arrays overlaps."""
    start_a, start_b = address_of(a), address_of(b)
    return start_a < start_b + b.nbytes and start_b < start_a + a.nbytes
