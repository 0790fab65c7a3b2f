"""Recipes of logarithms and of powers.

`log(x) = e·ln2 + log(1 + f)` with `x = 2^e · (1 + f)` and `1 + f` between √½ and √2. With
`s = f / (2 + f)`, `log(1 + f) = 2·atanh(s) = f - (f²/2 - s·(f²/2 + s²·P(s²)))`, as in fdlibm's
`e_log.c`.
"""

from __future__ import annotations

import math

from tensorc.codegen import math_tables as tables
from tensorc.codegen.float_formats import DOUBLE, Format, format_of
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
    shr,
    trunc,
    widen,
)

_ROOT_HALF_BITS = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}


def _decompose(x: Value, f: Format) -> tuple[Value, Value]:
    """The biased exponent, as an integer, and `1 + f` of a positive normal number."""
    root_half = _ROOT_HALF_BITS[f.bits]
    i = bits(x) + (f.one_bits - root_half)
    fraction = i & ((1 << f.mantissa) - 1)
    return shr(i, f.mantissa), from_bits(fraction + root_half)


def _exponent(biased: Value, f: Format) -> Value:
    """The exponent as a float."""
    return from_bits(biased + f.magic_bits) - (f.magic + f.bias)


def _split(x: Value, f: Format) -> tuple[Value, Value]:
    """Exponent, as a float, and `1 + f` of a positive number."""
    subnormal = x < f.tiny
    biased, m = _decompose(select(subnormal, x * 2.0**f.rescale, x), f)
    return _exponent(biased, f) - select(subnormal, x.literal(float(f.rescale)), 0.0), m


def _correction(fraction: Value, f: Format) -> tuple[Value, Value, Value]:
    """`h`, `s` and `w` with `log(1 + fraction) = fraction - (h - s·w)`."""
    s = fraction / (fraction + 2.0)
    z = s * s
    h = fraction * fraction * 0.5
    return h, s, h + z * horner(z, tables.LOG[f.bits])


def _natural(e: Value, fraction: Value, f: Format) -> Value:
    h, s, w = _correction(fraction, f)
    rest = fraction - (h - fma(s, w, e * f.ln2_low))
    return fma(e, f.ln2_high, rest)


def _outside(x: Value, start: float, result: Value) -> Value:
    """`result` between `start` and infinity; -∞ at start, NaN below."""
    pole = select(eq(x, start), -math.inf, select(x > start, x, math.nan))
    return select((x > start) & (x < math.inf), result, pole)


def log(x: Value) -> Value:
    """The natural logarithm."""
    f = format_of(x)
    e, m = _split(x, f)
    return _outside(x, 0.0, _natural(e, m - 1.0, f))


def _to_base(x: Value, factor: tuple[float, float], unit: tuple[float, float]) -> Value:
    """`log(x) · factor`, where e counts `unit`; both in two parts, as is log(1 + f)."""
    f = format_of(x)
    e, m = _split(x, f)
    fraction = m - 1.0
    h, s, w = _correction(fraction, f)
    small = h - s * w
    high = fraction - small
    low = (fraction - high) - small
    rest = fma(low, factor[0], fma(high, factor[1], e * unit[1]))
    return _outside(x, 0.0, fma(e, unit[0], fma(high, factor[0], rest)))


# 1/ln2, 1/ln10 and log10(2) in two parts; the first part of log10(2) has few bits.
_PER_LN2 = {
    32: (1.4426950216293335, 1.9259629911266175e-08),
    64: (1.4426950408889634, 2.0355273740931033e-17),
}
_PER_LN10 = {
    32: (0.4342944920063019, -1.0103050052231683e-08),
    64: (0.4342944819032518, 1.098319650216765e-17),
}
_LOG10_2 = {
    32: (0.301025390625, 4.605038981195214e-06),
    64: (float.fromhex("0x1.34413509f6p-2"), float.fromhex("0x1.9fef311f12b36p-42")),
}


def log2(x: Value) -> Value:
    """The logarithm to base 2."""
    return _to_base(x, _PER_LN2[format_of(x).bits], (1.0, 0.0))


def log10(x: Value) -> Value:
    """The logarithm to base 10."""
    width = format_of(x).bits
    return _to_base(x, _PER_LN10[width], _LOG10_2[width])


def log1p(x: Value) -> Value:
    """`log(1 + x)`, exact near 0: what rounding 1 + x loses is added to the fraction."""
    f = format_of(x)
    u = x + 1.0
    biased, m = _decompose(u, f)
    lost = select(x < 1.0, x - (u - 1.0), 1.0 - (u - x))
    reciprocal = from_bits((2 * f.bias - biased) << f.mantissa)
    fraction = (m - 1.0) + select(x < 2.0**60, lost * reciprocal, 0.0)
    result = _natural(_exponent(biased, f), fraction, f)
    return _outside(x, -1.0, copysign(result, x))


def power(x: Value, y: Value) -> Value:
    """`x ** y` of float32, computed in float64."""
    f = format_of(x)
    a = abs(x)
    magnitude = narrow(_power_of_positive(widen(a), widen(y)))
    is_one = eq(y, 0.0) | eq(x, 1.0) | (eq(a, 1.0) & eq(abs(y), math.inf))
    magnitude = select(is_one, 1.0, magnitude)
    whole = eq(trunc(y), y)
    half = y * 0.5
    odd = whole & ne(trunc(half), half)
    negative = bits(x) < 0
    sign = select(odd & negative, bits(x).literal(f.sign_bit), 0)
    signed = from_bits(bits(magnitude) ^ sign)
    return select((x < 0.0) & (a < math.inf) & ~whole, math.nan, signed)


def _power_of_positive(x: Value, y: Value) -> Value:
    """`2^(y · log2 x)` in float64, to the accuracy of float32."""
    biased, m = _decompose(x, DOUBLE)
    s = (m - 1.0) / (m + 1.0)
    log = fma(s, horner(s * s, tables.LOG2_SHORT[64]), _exponent(biased, DOUBLE))
    log = select(x < math.inf, select(x > 0.0, log, -math.inf), x)
    w = y * log
    w = select(w > 200.0, 200.0, select(w < -200.0, -200.0, w))
    shifted = w + DOUBLE.magic
    r = w - (shifted - DOUBLE.magic)
    p = fma(r, horner(r, tables.EXP2_SHORT[64]), 1.0)
    return p * from_bits((bits(shifted) + DOUBLE.bias) << DOUBLE.mantissa)
