"""Operations on affines that use the ranges of variables.

An environment maps a variable to the inclusive range of its values, `(low, high)`. Coefficients,
divisors and ranges may be arrays (`arith.sizes`): intervals are then arrays, and simplifications
that would have to decide something about a size are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from types import MappingProxyType
from typing import Any, Final, TypeAlias, assert_never

import numpy as np

from tensorc.ir.affine import (
    Affine,
    Atom,
    FloorDiv,
    FloorMod,
    Opaque,
    Term,
    add,
    of_atom,
    scale,
    total,
)
from tensorc.ir.expr import BinaryOp, Cast, Const, Expr, Index
from tensorc.ir.visit import map_affines

Range: TypeAlias = tuple[Any, Any]
Env: TypeAlias = Mapping[str, Range]

NO_RANGES: Final[Env] = MappingProxyType({})


def interval(a: Affine, env: Env) -> Range:
    """Lowest and highest value; exact for variables that occur once.

    Raises:
        KeyError: if a variable has no range in the environment.
    """
    low = high = a.const
    for atom, c in a.terms:
        lo, hi = env[atom] if isinstance(atom, str) else atom_interval(atom, env)
        if isinstance(c, int):
            if c >= 0:
                low, high = low + c * lo, high + c * hi
            else:
                low, high = low + c * hi, high + c * lo
        else:
            x, y = c * lo, c * hi
            low, high = low + np.minimum(x, y), high + np.maximum(x, y)
    return low, high


def atom_interval(atom: Atom, env: Env) -> Range:
    """Lowest and highest value of one atom.

    Raises:
        KeyError: as `interval` does.
    """
    match atom:
        case str():
            return env[atom]
        case FloorDiv(inner, divisor):
            low, high = interval(inner, env)
            return low // divisor, high // divisor
        case FloorMod(inner, divisor):
            low, high = interval(inner, env)
            if isinstance(low, int) and isinstance(high, int) and isinstance(divisor, int):
                if low // divisor == high // divisor:
                    return low % divisor, high % divisor
                return 0, divisor - 1
            same = low // divisor == high // divisor
            return np.where(same, low % divisor, 0), np.where(same, high % divisor, divisor - 1)
        case Opaque(_, low, high):
            return low, high
        case _:
            assert_never(atom)


def divmod_affine(a: Affine, divisor: Any, env: Env = NO_RANGES) -> tuple[Affine, Affine]:
    """`(a // divisor, a % divisor)`, with no `//` or `%` atom where the ranges allow it.

    Terms whose coefficient is a multiple of the divisor leave the remainder; `(4·i + j) // 8` with
    `j` in `[0, 3]` becomes `i // 2`. Variables without a range keep the atoms.
    """
    if not _is_integral(a, divisor):
        return of_atom(FloorDiv(a, divisor)), of_atom(FloorMod(a, divisor))
    whole: list[Term] = []
    open_terms: list[Term] = []
    for atom, c in a.terms:
        if c % divisor == 0:
            whole.append((atom, c // divisor))
        else:
            open_terms.append((atom, c))
    quotient = Affine(a.const // divisor, tuple(whole))
    rest = Affine(a.const % divisor, tuple(open_terms))
    if not open_terms:
        return quotient, rest
    try:
        low, high = interval(rest, env)
    except KeyError:
        low, high = -1, divisor
    if _same_quotient(low, high, divisor):
        shift = low // divisor
        return quotient + shift, rest - shift * divisor
    more, remainder = _divmod_by_parts(rest, divisor, env)
    return add(quotient, more), remainder


def _divmod_by_parts(rest: Affine, divisor: int, env: Env) -> tuple[Affine, Affine]:
    """Divide by a common factor first: `(g·x + y) // (g·d) = x // d` for `y` in `[0, g)`."""
    factors = {gcd(c, divisor) for _, c in rest.terms} - {1}
    for g in sorted(factors, reverse=True):
        small = Affine(rest.const % g, tuple((t, c) for t, c in rest.terms if c % g))
        try:
            low, high = interval(small, env)
        except KeyError:
            continue
        if _same_quotient(low, high, g) and low // g == 0:
            large = Affine(rest.const // g, tuple((t, c // g) for t, c in rest.terms if not c % g))
            quotient, remainder = divmod_affine(large, divisor // g, env)
            return quotient, add(scale(remainder, g), small)
    return of_atom(FloorDiv(rest, divisor)), of_atom(FloorMod(rest, divisor))


def _is_integral(a: Affine, divisor: Any) -> bool:
    if not (isinstance(divisor, int) and isinstance(a.const, int)):
        return False
    return all(isinstance(c, int) for _, c in a.terms)


def _same_quotient(low: Any, high: Any, divisor: int) -> bool:
    if not (isinstance(low, int) and isinstance(high, int)):
        return False
    return low // divisor == high // divisor


def fold(a: Affine, env: Env) -> Affine:
    """Replace variables with a one-point range by it, and recombine `d·(x // d) + x % d` to `x`.

    The insides of `//`, `%` and opaque atoms are left alone: `substitute` goes there.
    """
    if not a.terms:
        return a
    try:
        return _settle(a, a.const, dict(a.terms), env)
    except TypeError:  # atoms that hold arrays have no hash
        return a


def substitute(a: Affine, mapping: Mapping[str, Affine], env: Env = NO_RANGES) -> Affine:
    """Replace variables by affines, also inside `//`, `%` and opaque atoms.

    `env` is about the result: its variables with a one-point range become constants, and `//` and
    `%` are simplified under it. An affine that nothing happens to is returned itself.
    """
    if not a.terms:
        return a
    try:
        return _substitute(a, mapping, env)
    except TypeError:  # atoms that hold arrays have no hash
        parts = (scale(_substitute_atom(atom, mapping, env), c) for atom, c in a.terms)
        return total(Affine(a.const), parts)


def _substitute(a: Affine, mapping: Mapping[str, Affine], env: Env) -> Affine:
    const = a.const
    terms: dict[Atom, Any] = {}
    changed = False
    for atom, c in a.terms:
        if isinstance(atom, str):
            x = mapping.get(atom)
            if x is None:
                terms[atom] = terms.get(atom, 0) + c
                continue
        else:
            x = _substitute_atom(atom, mapping, env)
        changed = True
        const = const + x.const * c
        for inner, k in x.terms:
            terms[inner] = terms.get(inner, 0) + k * c
    return _settle(None if changed else a, const, terms, env)


def _substitute_atom(atom: Atom, mapping: Mapping[str, Affine], env: Env) -> Affine:
    match atom:
        case str():
            x = mapping.get(atom)
            return of_atom(atom) if x is None else x
        case FloorDiv(inner, divisor):
            return divmod_affine(substitute(inner, mapping, env), divisor, env)[0]
        case FloorMod(inner, divisor):
            return divmod_affine(substitute(inner, mapping, env), divisor, env)[1]
        case Opaque(value, low, high):
            new = substitute_expr(value, mapping, env)
            affine = None if new is value else affine_of(new)
            return of_atom(Opaque(new, low, high)) if affine is None else affine
        case _:
            assert_never(atom)


def _settle(a: Affine | None, const: Any, terms: dict[Atom, Any], env: Env) -> Affine:
    """Freeze terms: one-point variables folded, quotients recombined; `a` if nothing happened."""
    quotients = False
    settled: list[Term] = []
    for term in terms.items():
        atom, c = term
        if isinstance(c, int) and c == 0:
            continue
        if isinstance(atom, str):
            known = env.get(atom) if env else None
            if known is not None and _is_point(known):
                const = const + c * known[0]
                continue
        elif isinstance(atom, FloorDiv):
            quotients = True
        settled.append(term)
    if quotients and any(isinstance(atom, FloorMod) for atom, _ in settled):
        recombined = _recombine(const, dict(settled))
        if recombined is not None:
            # What was inside the quotient may hold one-point variables and further quotients.
            return _settle(None, recombined[0], recombined[1], env)
    if a is not None and len(settled) == len(a.terms):
        return a
    return Affine(const, tuple(settled))


def _is_point(known: Range) -> bool:
    low, high = known
    return isinstance(low, int) and isinstance(high, int) and low == high


def _recombine(const: Any, terms: dict[Atom, Any]) -> tuple[Any, dict[Atom, Any]] | None:
    """Replace the first `k·d·(x // d) + k·(x % d)` by `k·x`; None if there is none."""
    for atom in terms:
        if not isinstance(atom, FloorDiv):
            continue
        remainder = FloorMod(atom.affine, atom.divisor)
        k = terms.get(remainder)
        if not isinstance(k, int) or terms[atom] != k * atom.divisor:
            continue
        rest = {t: c for t, c in terms.items() if t is not atom and t != remainder}
        for inner, c in atom.affine.terms:
            rest[inner] = rest.get(inner, 0) + c * k
        return const + atom.affine.const * k, rest
    return None


def substitute_expr(e: Expr, mapping: Mapping[str, Affine], env: Env = NO_RANGES) -> Expr:
    """Replace index variables by affines in every index, condition and `Index` of an expression."""
    return map_affines(e, lambda a: substitute(a, mapping, env))


def affine_of(e: Expr) -> Affine | None:
    """An integer expression as an affine, None if it is not one.

    Only sums, differences, products with a constant, divisions by a positive constant and casts to
    an integer of 32 bits or more count; values are taken not to overflow their type.
    """
    match e:
        case Const(int(value), dtype) if dtype.is_integer:
            return Affine(value)
        case Index(affine, _, 1):
            return affine
        case Cast(value, dtype) if dtype.is_integer and dtype.bits >= 32:
            return affine_of(value)
        case BinaryOp("+" | "-" | "*" | "//" | "%" as op, x, y):
            a, b = affine_of(x), affine_of(y)
            return None if a is None or b is None else _combine(op, a, b)
        case _:
            return None


def _combine(op: str, a: Affine, b: Affine) -> Affine | None:
    match op:
        case "+":
            return add(a, b)
        case "-":
            return add(a, scale(b, -1))
        case "*" if not b.terms:
            return scale(a, b.const)
        case "*" if not a.terms:
            return scale(b, a.const)
        case "//" if not b.terms and b.const > 0:
            return divmod_affine(a, b.const)[0]
        case "%" if not b.terms and b.const > 0:
            return divmod_affine(a, b.const)[1]
        case _:
            return None
