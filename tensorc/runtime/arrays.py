"""NumPy arrays as kernels want them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

import _cffi_backend  # type: ignore[import-untyped]  # a part of cffi without stubs
import numpy as np

from tensorc.ir.dtype import DType
from tensorc.runtime.artifact import ALIGNMENT
from tensorc.support.optional import optional_import

Array: TypeAlias = np.ndarray[Any, Any]

# Below this, an unaligned array costs less than aligning it.
_SMALL = 1 << 14


@cache
def kernel_ffi() -> Any:
    """Return the cffi interface that makes the pointer arrays kernels take.

    The one without declarations, all in C: its `from_buffer` takes half the time of `cffi.FFI`'s.
    """
    return _cffi_backend.FFI()


@cache
def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """Return the NumPy type of a scalar type; bfloat16 is that of ml_dtypes.

    Raises:
        MissingDependencyError: It is bfloat16, and ml_dtypes is not installed.
    """
    if dtype.kind == "bfloat":
        library = optional_import("ml_dtypes", purpose="bfloat16 arrays")
        found: np.dtype[Any] = np.dtype(library.bfloat16)
        return found
    return np.dtype(dtype.name)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], nbytes: int) -> Array:
    """Return an uninitialised array; a large one begins at a cache line, as vector code likes."""
    if nbytes < _SMALL:
        return np.empty(shape, dtype)
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -address_of(block) % ALIGNMENT
    return block[start : start + nbytes].view(dtype).reshape(shape)


def address_of(array: Array) -> int:
    """Return where the data of a contiguous array begin."""
    ffi = kernel_ffi()
    return int(ffi.cast("uintptr_t", ffi.from_buffer(array)))


def overlap(array: Array, others: Iterable[Array]) -> bool:
    """Say whether the memory of a contiguous array overlaps that of another."""
    start = address_of(array)
    end = start + array.nbytes
    for other in others:
        begin = address_of(other)
        if start < begin + other.nbytes and begin < end:
            return True
    return False
