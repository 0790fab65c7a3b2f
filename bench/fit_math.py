"""Fit the polynomials of `tensorc.codegen.math_tables` and write that file.

    python bench/fit_math.py > tensorc/codegen/math_tables.py

Needs mpmath, which tensorc itself does not. Each polynomial P of a given degree minimises the
largest weighted error |w·(P − f)| on an interval (Remez exchange); w is chosen so that this is the
relative error of the function that P serves. What stays exact, such as the leading term, is not
part of P.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass

from mpmath import (
    atan,
    atanh,
    cos,
    erf,
    erfc,
    exp,
    expm1,
    fabs,
    linspace,
    log,
    lu_solve,
    matrix,
    mp,
    mpf,
    pi,
    polyval,
    sign,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)

Function = Callable[[mpf], mpf]
mp.dps = 50
_GRID = 2000


@dataclass(frozen=True, slots=True)
class Fit:
    """A polynomial to find: `values` approximates `f` on [low, high], weighted."""

    name: str
    meaning: str
    f: Function
    weight: Function
    low: mpf
    high: mpf
    degrees: dict[int, int]  # bits of the float type -> degree


def remez(fit: Fit, degree: int) -> tuple[list[mpf], mpf]:
    """The coefficients, constant first, and the largest weighted error."""
    middle, half = (fit.low + fit.high) / 2, (fit.high - fit.low) / 2
    count = degree + 2
    points = [middle - half * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    grid = [middle - half * cos(pi * i / _GRID) for i in range(_GRID + 1)]
    values = [(x, fit.f(x), fit.weight(x)) for x in grid]
    coefficients: list[mpf] = []
    largest = mpf(0)
    for _ in range(12):
        coefficients = _solve(fit, degree, points)
        errors = [w * (polyval(coefficients[::-1], x) - y) for x, y, w in values]
        points = _extrema(grid, errors, count)
        largest = max(fabs(e) for e in errors)
    return coefficients, largest


def _solve(fit: Fit, degree: int, points: list[mpf]) -> list[mpf]:
    rows, right = [], []
    for i, x in enumerate(points):
        w = fit.weight(x)
        rows.append([*(w * x**k for k in range(degree + 1)), mpf((-1) ** i)])
        right.append(w * fit.f(x))
    return list(lu_solve(matrix(rows), matrix(right)))[: degree + 1]


def _extrema(grid: list[mpf], errors: list[mpf], count: int) -> list[mpf]:
    """The point of largest error in each stretch of one sign; the `count` that matter."""
    best: list[tuple[mpf, mpf]] = []
    for x, e in zip(grid, errors, strict=True):
        if best and sign(best[-1][1]) == sign(e):
            if fabs(e) > fabs(best[-1][1]):
                best[-1] = (x, e)
        else:
            best.append((x, e))
    while len(best) > count:
        best.pop(0 if fabs(best[0][1]) < fabs(best[-1][1]) else -1)
    if len(best) < count:
        return list(linspace(grid[0], grid[-1], count))
    return [x for x, _ in best]


def _even(f: Function) -> Function:
    """`f` as a function of the square of its argument."""
    return lambda z: f(sqrt(z))


_TINY = mpf(10) ** -12
_LN2 = log(mpf(2))
# Pieces of erf, those for each 1 of its argument, and the degree of their polynomials.
_TABLE = 16
_PIECES = 4
_PIECES_DEGREE = 5
_ROOT = (sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1)

FITS = (
    Fit(
        "EXP", "(exp(r) - 1 - r) / r², |r| ≤ ln2/2",
        lambda r: (expm1(r) - r) / r**2 if fabs(r) > 1e-15 else mpf(1) / 2,
        lambda r: r**2 / exp(r), -_LN2 / 2 * 1.001, _LN2 / 2 * 1.001, {32: 4, 64: 9},
    ),
    Fit(
        "EXPM1", "(exp(r) - 1 - r) / r², |r| ≤ ln2/2, relative to exp(r) - 1",
        lambda r: (expm1(r) - r) / r**2 if fabs(r) > 1e-15 else mpf(1) / 2,
        lambda r: r**2 / expm1(r) if fabs(r) > 1e-15 else r, -_LN2 / 2 * 1.001, _LN2 / 2 * 1.001,
        {32: 5, 64: 10},
    ),
    Fit(
        "EXP2", "(2^r - 1) / r, |r| ≤ 1/2",
        lambda r: expm1(r * _LN2) / r if fabs(r) > 1e-15 else _LN2,
        lambda r: r / exp(r * _LN2), mpf(-0.501), mpf(0.501), {32: 5, 64: 11},
    ),
    Fit(
        "EXP2_SHORT", "(2^r - 1) / r, |r| ≤ 1/2, for results rounded to float32",
        lambda r: expm1(r * _LN2) / r if fabs(r) > 1e-15 else _LN2,
        lambda r: r / exp(r * _LN2), mpf(-0.501), mpf(0.501), {64: 6},
    ),
    Fit(
        "LOG", "(2·atanh(s) / s - 2) / z, z = s², |s| ≤ (√2 - 1) / (√2 + 1)",
        _even(lambda s: (2 * atanh(s) / s - 2) / s**2),
        _even(lambda s: s**3 / atanh(s)), _TINY, (_ROOT * 1.001) ** 2, {32: 2, 64: 6},
    ),
    Fit(
        "LOG2_SHORT", "log2((1 + s) / (1 - s)) / s of z = s², for results rounded to float32",
        _even(lambda s: 2 * atanh(s) / s / _LN2),
        _even(lambda s: s / atanh(s)), _TINY, (_ROOT * 1.001) ** 2, {64: 4},
    ),
    Fit(
        "TANH", "(tanh(x) - x) / x³ of x², |x| ≤ 0.9",
        _even(lambda x: (tanh(x) - x) / x**3), _even(lambda x: x**3 / tanh(x)),
        _TINY, mpf(0.9) ** 2, {32: 6, 64: 15},
    ),
    Fit(
        "SINH", "(sinh(x) - x) / x³ of x², |x| ≤ 1",
        _even(lambda x: (sinh(x) - x) / x**3), _even(lambda x: x**3 / sinh(x)),
        _TINY, mpf(1), {32: 3, 64: 6},
    ),
    Fit(
        "ERF", "erf(x) / x - 1 of x², |x| ≤ 1",
        _even(lambda x: erf(x) / x - 1), _even(lambda x: x / erf(x)),
        _TINY, mpf(1), {32: 6},
    ),
    Fit(
        "ERFC", "log(erfc(x)), 1 ≤ x ≤ 4",
        lambda x: log(erfc(x)), lambda x: erfc(x) + mpf(2) ** -33, mpf(0.99), mpf(4), {32: 6},
    ),
    Fit(
        "SIN", "(sin(r) - r) / r³ of r², |r| ≤ π/4",
        _even(lambda r: (sin(r) - r) / r**3), _even(lambda r: r**3 / sin(r)),
        _TINY, (pi / 4 * 1.001) ** 2, {32: 2},
    ),
    Fit(
        "COS", "(cos(r) - 1 + r²/2) / r⁴ of r², |r| ≤ π/4",
        _even(lambda r: (cos(r) - 1 + r**2 / 2) / r**4), _even(lambda r: r**4 / cos(r)),
        mpf(10) ** -8, (pi / 4 * 1.001) ** 2, {32: 2},
    ),
    Fit(
        "TAN", "(tan(r) - r) / r³ of r², |r| ≤ π/4",
        _even(lambda r: (tan(r) - r) / r**3), _even(lambda r: r**3 / tan(r)),
        _TINY, (pi / 4 * 1.001) ** 2, {32: 6},
    ),
    Fit(
        "ATAN", "(atan(x) - x) / x³ of x², |x| ≤ 1",
        _even(lambda x: (atan(x) - x) / x**3), _even(lambda x: x**3 / atan(x)),
        _TINY, mpf(1), {32: 8},
    ),
)  # fmt: skip

_HEADER = '''"""Coefficients of the polynomials of `math_functions`, constant first, by width.

Written by `bench/fit_math.py`; the comment at each gives the largest weighted error, which is the
relative error it causes.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Table: TypeAlias = dict[int, tuple[float, ...]]
Pieces: TypeAlias = tuple[tuple[float, ...], ...]
'''


def _rounded(c: mpf, bits: int) -> float:
    value = float(c)
    return struct.unpack("<f", struct.pack("<f", value))[0] if bits == 32 else value


def table(fit: Fit) -> str:
    """The Python text of one table; says on stderr how good it is."""
    lines = [f"# {fit.meaning}", f"{fit.name}: Final[Table] = {{"]
    for bits, degree in fit.degrees.items():
        coefficients, error = remez(fit, degree)
        values = [f"        {_rounded(c, bits)!r}," for c in coefficients]
        lines += [f"    {bits}: (  # {float(error):.1e}", *values, "    ),"]
        print(fit.name, bits, f"2^{float(log(error, 2)):.1f}", file=sys.stderr)
    return "\n".join([*lines, "}"])


def erf_pieces() -> str:
    """The table of erf by sixteen pieces, as Python text: a tuple for each power."""
    fits = [(_erf_piece(mpf(piece) / _PIECES), _PIECES_DEGREE) for piece in range(1, _TABLE)]
    found = [remez(_first_piece(), _PIECES_DEGREE - 1), *(remez(*fit) for fit in fits)]
    rows = [coefficients for coefficients, _ in found]
    rows[0].insert(0, mpf(0))
    # At the end, where all larger arguments are taken to be, it is 1 to the last bit.
    last = rows[-1]
    last[0] = mpf(_rounded(last[0], 32))
    last[1] += 2 * (1 - mpf(2) ** -26 - polyval(last[::-1], mpf(1) / 2))
    lines = [
        "# erf(x), x = (i + t) / 4, |t| ≤ 1/2, as polynomials of t: by power, then i; less x",
        "# where i is 0",
        f"ERF_PIECES: Final[Pieces] = (  # {float(max(error for _, error in found)):.1e}",
    ]
    for column in zip(*rows, strict=True):
        lines += ["    (", *(f"        {_rounded(c, 32)!r}," for c in column), "    ),"]
    return "\n".join([*lines, ")"])


def _first_piece() -> Fit:
    """`erf(x) - x` divided by t: added to x it is exact to the last bits near 0, too."""

    def rest(t: mpf) -> mpf:
        return (erf(t / _PIECES) - t / _PIECES) / t

    return Fit("", "", rest, lambda t: t / erf(t / _PIECES), _TINY, mpf(1) / 2, {})


def _erf_piece(start: mpf) -> Fit:
    def f(t: mpf) -> mpf:
        return erf(start + t / _PIECES)

    return Fit("", "", f, lambda t: 1 / f(t), -mpf(1) / 2, mpf(1) / 2, {})


def main() -> None:
    """Print the module of tables."""
    print("\n".join([_HEADER, "\n\n".join([*map(table, FITS), erf_pieces()])]))


if __name__ == "__main__":
    main()
