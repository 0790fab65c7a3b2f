"""Recipes of the exponential family: exp, exp2, expm1, tanh, sigmoid, sinh, cosh, erf.

All start from `exp(x) = 2^k · exp(r)` with `k = round(x / ln2)` and `|r| ≤ ln2 / 2`. Rounding is
done by adding a large constant, which leaves k in the low bits of the sum; ln2 is in two parts, of
which the first has so few bits that its product with k is exact (Cody and Waite 1980).
"""

from __future__ import annotations

from typing import Final

from tensorc.codegen import math_tables as tables
from tensorc.codegen.float_formats import Format, format_of
from tensorc.codegen.recipes import (
    Number,
    Value,
    bits,
    copysign,
    fma,
    from_bits,
    horner,
    select,
)

# Powers of two.
_SIXTEENTHS: Final = tuple(2 ** (i / 16) for i in range(16))
# Pieces for each 1 of the argument of erf, and just before the end of the last of sixteen.
_ERF_PIECES: Final = 4.0
_ERF_END: Final = 3.875 - 2.0**-22


def reduce(x: Value, f: Format) -> tuple[Value, Value]:
    """`k`, still added to the large constant, and `r` with `x = k·ln2 + r`."""
    shifted = fma(x, f.log2_e, f.magic)
    k = shifted - f.magic
    return shifted, fma(k, -f.ln2_low, fma(k, -f.ln2_high, x))


def power_of_two(shifted: Value, f: Format, offset: int = 0) -> Value:
    """`2^(k + offset)` where that is a normal number."""
    return from_bits((bits(shifted) + (f.bias + offset)) << f.mantissa)


def scale(p: Value, shifted: Value, f: Format, offset: int = 0) -> Value:
    """`p · 2^(k + offset)`; in two steps, so that overflow and underflow are gradual.

    Only the low bits of an exponent survive the shift, and those of the large constant are 0.
    """
    if p.trace.scales:
        return p.trace.step("scale", p.dtype, p, shifted - (f.magic - offset))
    k = bits(shifted) + (2 * f.bias + offset)
    half = k >> 1
    first = from_bits(half << f.mantissa)
    second = from_bits((k - half) << f.mantissa)
    return p * first * second


def _exp_minus_one(r: Value, table: tables.Table, f: Format) -> Value:
    """`exp(r) - 1` for small r."""
    return fma(r * r, horner(r, table[f.bits]), r)


def at_most(x: Value, limit: Number) -> Value:
    """The smaller; NaN stays."""
    return select(x > limit, limit, x)


def at_least(x: Value, limit: Number) -> Value:
    """The larger; NaN stays."""
    return select(x < limit, limit, x)


def exp(x: Value) -> Value:
    """E to the power of x; at either limit the scaled result is 0 or infinite."""
    f = format_of(x)
    y = at_most(at_least(x, f.exp_low), f.exp_high)
    if x.trace.looks_up and x.trace.scales:
        return _exp_by_table(y, f)
    shifted, r = reduce(y, f)
    p = _exp_minus_one(r, tables.EXP, f) + 1.0
    return scale(p, shifted, f)


def _exp_by_table(x: Value, f: Format) -> Value:
    """`2^floor(k) · 2^(k - floor(k)) · exp(r)` with k in sixteenths, so that r is small.

    The table has the second factor; to scale by `2^k` rounds k down.
    """
    shifted = fma(x, f.log2_e, f.magic / 16)
    k = shifted - f.magic / 16
    r = fma(k, -f.ln2_low, fma(k, -f.ln2_high, x))
    power = x.trace.lookup(bits(shifted), _SIXTEENTHS)
    rest = fma(r, fma(r, 1 / 6, 0.5), 1.0)
    return x.trace.step("scale", x.dtype, fma(rest, r * power, power), k)


def exp2(x: Value) -> Value:
    """2 to the power of x."""
    f = format_of(x)
    y = at_most(at_least(x, f.exp2_low), f.exp2_high)
    shifted = y + f.magic
    r = y - (shifted - f.magic)
    p = fma(r, horner(r, tables.EXP2[f.bits]), 1.0)
    return scale(p, shifted, f)


def expm1(x: Value) -> Value:
    """`exp(x) - 1`, exact near 0."""
    f = format_of(x)
    y = at_most(select(x < -f.expm1_flat, -f.expm1_flat, x), f.exp_high)
    shifted, r = reduce(y, f)
    # Half the power of two, since 2^k overflows a little before the result does.
    half = power_of_two(shifted, f, -1)
    result = fma(_exp_minus_one(r, tables.EXPM1, f), half, half - 0.5) * 2.0
    return copysign(result, x)


def tanh(x: Value) -> Value:
    """The hyperbolic tangent: a polynomial below 0.9, else `1 - 2 / (exp(2x) + 1)`."""
    f = format_of(x)
    a = abs(x)
    z = a * a
    small = fma(a * z, horner(z, tables.TANH[f.bits]), a)
    y = at_most(a, f.tanh_flat)
    shifted, r = reduce(y + y, f)
    e = (_exp_minus_one(r, tables.EXP, f) + 1.0) * power_of_two(shifted, f)
    large = 1.0 - 2.0 / (e + 1.0)
    return copysign(select(a < 0.9, small, large), x)


def sigmoid(x: Value) -> Value:
    """`1 / (1 + exp(-x))`, from `exp(-|x|)`, which does not overflow."""
    z = exp(-abs(x))
    return select(x < 0.0, z, 1.0) / (z + 1.0)


def sinh(x: Value) -> Value:
    """The hyperbolic sine: a polynomial below 1, else half of `exp(x) - exp(-x)`."""
    f = format_of(x)
    a = abs(x)
    z = a * a
    small = fma(a * z, horner(z, tables.SINH[f.bits]), a)
    half = _half_exp(a, f)
    return copysign(select(a < 1.0, small, half - 0.25 / half), x)


def cosh(x: Value) -> Value:
    """The hyperbolic cosine: half of `exp(x) + exp(-x)`."""
    half = _half_exp(abs(x), format_of(x))
    return half + 0.25 / half


def _half_exp(a: Value, f: Format) -> Value:
    """`exp(a) / 2` of a non-negative value; it overflows later than `exp(a)`."""
    shifted, r = reduce(at_most(a, f.exp_high + 2.0), f)
    return scale(_exp_minus_one(r, tables.EXP, f) + 1.0, shifted, f, -1)


def erf(x: Value) -> Value:
    """The error function of float32: a polynomial below 1, else `1 - exp(polynomial)`.

    With tables it is a polynomial in each of sixteen pieces, of a fourth each; the last one ends
    with 1, which all larger arguments give.
    """
    f = format_of(x)
    a = abs(x)
    if x.trace.looks_up:
        y = at_most(a, _ERF_END)
        shifted = fma(y, _ERF_PIECES, f.magic)
        t = fma(y, _ERF_PIECES, f.magic - shifted)
        pieces = bits(shifted)
        constant, *lower, p = (x.trace.lookup(pieces, row) for row in tables.ERF_PIECES)
        for coefficient in reversed(lower):
            p = fma(p, t, coefficient)
        # Added to x, what is missing in the first piece leaves small results exact.
        return copysign(fma(p, t, select(y <= 0.5 / _ERF_PIECES, y, constant)), x)
    small = fma(a, horner(a * a, tables.ERF[f.bits]), a)
    shifted, r = reduce(horner(at_most(a, 4.0), tables.ERFC[f.bits]), f)
    complement = (_exp_minus_one(r, tables.EXP, f) + 1.0) * power_of_two(shifted, f)
    return copysign(select(a < 1.0, small, 1.0 - complement), x)
