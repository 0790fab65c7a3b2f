"""Spelling of types and constants in LLVM IR.

Values live in registers as their compute type: 16-bit floats as `float`, bools as `i1`. In memory
a bool is an `i8` and a 16-bit float an `i16`, which the conversions take apart.
"""

from __future__ import annotations

import math
import struct
from functools import cache

from tensorc.ir.dtype import DType, compute_dtype


def vector(scalar: str, lanes: int) -> str:
    """The type of `lanes` values of a scalar type."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def _scalar(dtype: DType) -> str:
    if dtype.is_float:
        return "float" if dtype.bits == 32 else "double"
    return f"i{dtype.bits}"


@cache
def register_type(dtype: DType, lanes: int = 1) -> str:
    """The type of a value while it is computed with."""
    return vector(_scalar(compute_dtype(dtype)), lanes)


@cache
def memory_type(dtype: DType, lanes: int = 1) -> str:
    """The type of a value in a buffer."""
    if dtype.kind == "bool":
        return vector("i8", lanes)
    return vector("i16" if dtype.is_float and dtype.bits == 16 else _scalar(dtype), lanes)


def needs_conversion(dtype: DType) -> bool:
    """Whether values look different in registers and in memory."""
    return dtype.kind == "bool" or (dtype.is_float and dtype.bits == 16)


def float_bits(value: float, bits: int) -> str:
    """A floating-point literal; LLVM writes both widths as the bits of a double."""
    if bits == 32:
        value = _nearest_float32(value)
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _nearest_float32(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def constant(value: float, dtype: DType, lanes: int = 1) -> str:
    """A literal in register form, without its type.

    >>> from tensorc.ir.dtype import FLOAT32, INT32
    >>> constant(1.0, FLOAT32), constant(3, INT32, 4), constant(0, INT32, 4)
    ('0x3FF0000000000000', 'splat (i32 3)', 'zeroinitializer')
    """
    # As keys of a cache, 0.0 and -0.0 would be the same.
    negative_zero = value == 0 and dtype.is_float and math.copysign(1.0, value) < 0
    return _constant(value, dtype, lanes, negative_zero)


@cache
def _constant(value: float, dtype: DType, lanes: int, negative_zero: bool) -> str:
    text = _scalar_constant(-0.0 if negative_zero else value, dtype)
    if lanes == 1:
        return text
    if text in ("0", "0x0000000000000000", "false"):
        return "zeroinitializer"
    return f"splat ({register_type(dtype)} {text})"


def _scalar_constant(value: float, dtype: DType) -> str:
    if dtype.is_float:
        return float_bits(float(value), compute_dtype(dtype).bits)
    if dtype.kind == "bool":
        return "true" if value else "false"
    wrapped = int(value) & ((1 << dtype.bits) - 1)
    if wrapped >> (dtype.bits - 1):
        wrapped -= 1 << dtype.bits
    return str(wrapped)
