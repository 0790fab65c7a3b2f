"""Numbers in programs: which dtype a literal takes, and its value in that type."""

from __future__ import annotations

import math
import struct
from typing import TypeAlias, TypeGuard

import numpy as np

from tensorc.arith.bounds import dtype_range
from tensorc.arith.constants import wrap
from tensorc.ir.dtype import BOOL, FLOAT32, INT32, INT64, UINT64, DType
from tensorc.support.errors import TEError

Number: TypeAlias = int | float | bool | np.generic
Scalar: TypeAlias = int | float | bool


def is_number(value: object) -> TypeGuard[Number]:
    """Whether this is a Python or NumPy number."""
    return isinstance(value, (bool, int, float, np.generic))


def integer_range(dtype: DType) -> tuple[int, int]:
    """Lowest and highest value of an integer type or bool.

    Raises:
        TEError: if it is neither.
    """
    whole = dtype_range(dtype)
    if whole is None:
        raise TEError(f"Expected an integer type, got '{dtype}'.")
    return whole


def float_limit(dtype: DType) -> float:
    """The largest finite value of a floating-point type."""
    if dtype.kind == "bfloat":
        return 3.3895313892515355e38
    return float(np.finfo(dtype.name).max)


def plain(value: Number) -> Scalar:
    """A NumPy number as the Python number of the same value.

    Raises:
        TEError: if it is no real number.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return value
    raise TEError(f"Expected a real number, got '{value!r}'.")


def default_dtype(value: Scalar) -> DType:
    """The type of a number that stands alone: bool, int32 (wider if needed) or float32.

    Raises:
        TEError: if it fits no integer type.
    """
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, float):
        return FLOAT32
    for dtype in (INT32, INT64, UINT64):
        low, high = integer_range(dtype)
        if low <= value <= high:
            return dtype
    raise TEError(f"The number {value} fits no integer type.")


def dtype_beside(value: Scalar, other: DType) -> DType:
    """The common type of a number and an operand of type `other`."""
    if isinstance(value, float) and not other.is_float:
        return FLOAT32
    if other == BOOL and not isinstance(value, bool):
        return default_dtype(value)
    return other


def literal(value: Scalar, dtype: DType) -> Scalar:
    """The number as a value of `dtype`; floats are rounded.

    Raises:
        TEError: if it does not fit an integer type.
    """
    if dtype.is_float:
        return _rounded(float(value), dtype)
    if isinstance(value, float) and value != int(value):
        raise TEError(f"The number {value} is not a value of type '{dtype}'.")
    low, high = integer_range(dtype)
    if not low <= value <= high:
        raise TEError(f"The number {value} does not fit the type '{dtype}'.")
    return bool(value) if dtype == BOOL else int(value)


def converted(value: Scalar, dtype: DType) -> Scalar | None:
    """The number cast to `dtype`, integers wrapping; None where the result is not defined."""
    if dtype.is_float:
        return _rounded(float(value), dtype)
    if dtype == BOOL:
        return bool(value)
    if isinstance(value, float):
        low, high = integer_range(dtype)
        return int(value) if math.isfinite(value) and low <= int(value) <= high else None
    return wrap(int(value), dtype)


def _rounded(value: float, dtype: DType) -> float:
    """The nearest value of a floating-point type, halves to even."""
    if dtype.kind == "bfloat":
        with np.errstate(over="ignore"):
            (bits,) = struct.unpack("<I", struct.pack("<f", np.float32(value)))
        if math.isfinite(value):
            bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        return float(struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0])
    with np.errstate(over="ignore"):
        return float(np.dtype(dtype.name).type(value))
