"""Recipes of the conversions between 16-bit and 32-bit floats, in integer operations.

For targets without instructions for them. The 16-bit side is an int32 that holds the 16 bits,
the high half 0; 32-bit floats are rounded to nearest, ties to even, and NaN stays a quiet NaN.
"""

from __future__ import annotations

from functools import cache

from tensorc.codegen.recipes import (
    Recipe,
    Value,
    bits,
    from_bits,
    narrow,
    ne,
    select,
    shr,
    to_float,
    trace,
    widen,
)
from tensorc.ir.dtype import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, INT32, DType

_INFINITY = 0x7F800000
_MAGNITUDE = 0x7FFFFFFF


@cache
def conversion(source: DType, dtype: DType) -> Recipe:
    """The recipe from float32 to a 16-bit float type or back.

    From float64 to float32, the recipe is rounding to odd: the last bit is set where the result is
    inexact, so that rounding it again to 16 bits gives what rounding the float64 would (Boldo and
    Melquiond 2005, "When double rounding is odd").
    """
    name = f"{source}_to_{dtype}"
    match source, dtype:
        case (d, s) if d == FLOAT32 and s == FLOAT16:
            return trace(name, _to_half, (FLOAT32,))
        case (d, s) if d == FLOAT16 and s == FLOAT32:
            return trace(name, _from_half, (INT32,))
        case (d, s) if d == FLOAT32 and s == BFLOAT16:
            return trace(name, _to_bfloat, (FLOAT32,))
        case (d, s) if d == BFLOAT16 and s == FLOAT32:
            return trace(name, _from_bfloat, (INT32,))
        case _:
            assert source == FLOAT64, f"no conversion from {source} to {dtype}"
            assert dtype == FLOAT32, f"no conversion from {source} to {dtype}"
            return trace("round_to_odd", _to_odd, (FLOAT64,))


def _to_half(x: Value) -> Value:
    u = bits(x)
    sign = shr(u, 16) & 0x8000
    a = u & _MAGNITUDE
    # Below 2^-14 the result is subnormal: adding 0.5 leaves the rounded mantissa in the low bits.
    subnormal = bits(from_bits(a) + 0.5) - 0x3F000000
    odd = shr(a, 13) & 1
    normal = shr(a - 0x38000000 + 0xFFF + odd, 13)
    overflow = select(a > _INFINITY, (shr(a, 13) & 0x3FF) | 0x7E00, 0x7C00)
    finite = select(a < 0x38800000, subnormal, normal)
    return sign | select(a >= 0x47800000, overflow, finite)


def _from_half(h: Value) -> Value:
    a = h & 0x7FFF
    sign = (h & 0x8000) << 16
    # The exponent is re-based by 112, that of infinity and NaN by 112 more; subnormals are
    # integers times 2^-24.
    shifted = a << 13
    normal = shifted + select(a >= 0x7C00, a.literal(0x70000000), 0x38000000)
    subnormal = bits(to_float(a) * 2.0**-24)
    return from_bits(sign | select(a < 0x400, subnormal, normal))


def _to_bfloat(x: Value) -> Value:
    u = bits(x)
    rounded = shr(u + 0x7FFF + (shr(u, 16) & 1), 16)
    return select(ne(x, x), shr(u, 16) | 0x40, rounded)


def _from_bfloat(h: Value) -> Value:
    return from_bits(h << 16)


def _to_odd(x: Value) -> Value:
    near = narrow(x)
    back = widen(near)
    u = bits(near)
    truncated = u - select(abs(back) > abs(x), u.literal(1), 0)
    return from_bits(truncated | select((back < x) | (back > x), u.literal(1), 0))
