"""Operations on affines that use the ranges of variables.

An environment maps a variable to the inclusive range of its values, `(low, high)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, assert_never

import numpy as np

from tensorc.ir.affine import (
    ZERO,
    Affine,
    Atom,
    FloorDiv,
    FloorMod,
    Opaque,
    add,
    from_terms,
    of_atom,
)

Range: TypeAlias = tuple[Any, Any]
Env: TypeAlias = Mapping[str, Range]


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
    """Lowest and highest value of one atom."""
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


def divmod_affine(a: Affine, divisor: int, env: Env) -> tuple[Affine, Affine]:
    """`(a // divisor, a % divisor)`, with no `//` or `%` atom where the ranges allow it.

    Terms whose coefficient is a multiple of the divisor leave the remainder. Variables without a
    range keep the atoms.
    """
    quotient = Affine(a.const // divisor, tuple((t, c // divisor) for t, c in a.terms if c % divisor == 0))
    rest = Affine(a.const % divisor, tuple((t, c) for t, c in a.terms if c % divisor))
    if not rest.terms:
        return quotient, rest
    try:
        low, high = interval(rest, env)
    except KeyError:
        low, high = -1, divisor
    if low // divisor == high // divisor:
        shift = low // divisor
        return quotient + shift, rest - shift * divisor
    return add(quotient, of_atom(FloorDiv(rest, divisor))), of_atom(FloorMod(rest, divisor))


def fold(a: Affine, env: Env) -> Affine:
    """Replace variables with a one-point range by it, and recombine `d·(x // d) + x % d` to `x`."""
    const, terms = a.const, dict[Atom, Any]()
    quotients = False
    for atom, c in a.terms:
        if isinstance(atom, str):
            known = env.get(atom)
            if known is not None and isinstance(known[0], int) and known[0] == known[1]:
                const += c * known[0]
                continue
        elif isinstance(atom, FloorDiv):
            quotients = True
        terms[atom] = terms.get(atom, 0) + c
    if quotients:
        const = _recombine(const, terms)
    return from_terms(const, terms)


def _recombine(const: Any, terms: dict[Atom, Any]) -> Any:
    for atom in [t for t in terms if isinstance(t, FloorDiv)]:
        remainder = FloorMod(atom.affine, atom.divisor)
        if remainder in terms and terms[atom] == terms[remainder] * atom.divisor:
            k = terms.pop(remainder)
            del terms[atom]
            const += atom.affine.const * k
            for inner, c in atom.affine.terms:
                terms[inner] = terms.get(inner, 0) + c * k
    return const


__all__ = ["ZERO", "Env", "Range", "atom_interval", "divmod_affine", "fold", "interval"]
