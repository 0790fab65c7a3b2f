"""Recipes of trigonometric functions, of float32.

Arguments are reduced by multiples of π/2 in float64, with π/2 in three parts (Cody and Waite 1980):
for arguments up to 2^50 on targets with fused multiply-add, 2^29 on others. Beyond 2^50 the result
is NaN.
"""

from __future__ import annotations

import math

from tensorc.codegen import math_tables as tables
from tensorc.codegen.float_formats import DOUBLE
from tensorc.codegen.recipes import (
    Value,
    bits,
    copysign,
    eq,
    fma,
    from_bits,
    horner,
    narrow,
    ne,
    select,
    widen,
)

_HALF_PI = tuple(map(float.fromhex, ("0x1.921fb4p+0", "0x1.4442dp-24", "0x1.8469898cc5170p-48")))
# π/2 and π as float32 and the rest.
_HALF_PI_SINGLE = (1.5707963705062866, -4.371139000186241e-08)
_PI_SINGLE = (3.1415927410125732, -8.742278000372482e-08)


def _reduce(x: Value) -> tuple[Value, Value]:
    """The quadrant, counted on in an int32, and the rest of the argument, |r| ≤ π/4."""
    wide = widen(select(abs(x) < 2.0**50, x, math.nan))
    shifted = fma(wide, 2.0 / math.pi, DOUBLE.magic)
    k = shifted - DOUBLE.magic
    r = wide
    for part in _HALF_PI:
        r = fma(k, -part, r)
    return narrow(bits(shifted)), narrow(r)


def _sine(r: Value) -> Value:
    z = r * r
    return fma(r * z, horner(z, tables.SIN[32]), r)


def _cosine(r: Value) -> Value:
    z = r * r
    return fma(z * z, horner(z, tables.COS[32]), fma(z, -0.5, 1.0))


def _wave(quadrant: Value, r: Value) -> Value:
    """The sine of `r + quadrant · π/2`."""
    result = select(ne(quadrant & 1, 0), _cosine(r), _sine(r))
    return from_bits(bits(result) ^ ((quadrant & 2) << 30))


def sin(x: Value) -> Value:
    """The sine."""
    return select(eq(x, 0.0), x, _wave(*_reduce(x)))


def cos(x: Value) -> Value:
    """The cosine."""
    quadrant, r = _reduce(x)
    return _wave(quadrant + 1, r)


def tan(x: Value) -> Value:
    """The tangent."""
    quadrant, r = _reduce(x)
    z = r * r
    t = fma(r * z, horner(z, tables.TAN[32]), r)
    return select(eq(x, 0.0), x, select(ne(quadrant & 1, 0), -1.0 / t, t))


def _arc(v: Value) -> Value:
    """The arc tangent of a value between 0 and 1."""
    z = v * v
    return fma(v * z, horner(z, tables.ATAN[32]), v)


def _from(total: tuple[float, float], a: Value) -> Value:
    """`total - a`, total in two parts."""
    return total[0] - (a - total[1])


def atan(x: Value) -> Value:
    """The arc tangent."""
    a = abs(x)
    steep = a > 1.0
    arc = _arc(select(steep, 1.0 / a, a))
    return copysign(select(steep, _from(_HALF_PI_SINGLE, arc), arc), x)


def atan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y)."""
    height, width = abs(y), abs(x)
    steep = height > width
    short, long = select(steep, width, height), select(steep, height, width)
    slope = select(eq(short, math.inf), 1.0, select(eq(long, 0.0), 0.0, short / long))
    arc = _arc(slope)
    right = select(steep, _from(_HALF_PI_SINGLE, arc), arc)
    angle = copysign(select(bits(x) < 0, _from(_PI_SINGLE, right), right), y)
    return select(ne(x, x) | ne(y, y), x + y, angle)
