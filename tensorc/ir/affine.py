"""Affine indices: a constant plus terms, the only form of an index in tensorc.

A term is an atom times a coefficient. An atom is a variable (its name), the floor quotient or the
floor remainder of another affine, or an opaque integer expression of known range (data-dependent
indices such as `A[I[i]]`, products of variables). Constants and coefficients are ints; while a
sketch is replayed for a whole population they may be arrays (`arith.sizes.Size`), in which case
the node must not be compared or hashed.

Operations that need the ranges of variables (intervals, exact division, folding) are in
`tensorc.arith.affine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from tensorc.ir.expr import Expr


@dataclass(frozen=True, slots=True)
class FloorDiv:
    """The atom `affine // divisor`, rounded towards minus infinity; `divisor` is positive."""

    affine: Affine
    divisor: Any


@dataclass(frozen=True, slots=True)
class FloorMod:
    """The atom `affine % divisor`, in `[0, divisor)`; `divisor` is positive."""

    affine: Affine
    divisor: Any


@dataclass(frozen=True, slots=True)
class Opaque:
    """The atom for an integer expression that is not affine, known to lie in `[low, high]`."""

    value: Expr
    low: int
    high: int


Atom: TypeAlias = str | FloorDiv | FloorMod | Opaque
Term: TypeAlias = tuple[Atom, Any]


@dataclass(frozen=True, slots=True)
class Affine:
    """`const + Σ coefficient · atom`; atoms are distinct and no coefficient is the int 0."""

    const: Any
    terms: tuple[Term, ...] = ()

    def __add__(self, other: Affine | int) -> Affine:
        """The sum."""
        return add(self, as_affine(other))

    def __sub__(self, other: Affine | int) -> Affine:
        """The difference."""
        return add(self, scale(as_affine(other), -1))

    def __mul__(self, factor: Any) -> Affine:
        """The product with a constant."""
        return scale(self, factor)

    def __neg__(self) -> Affine:
        """The negation."""
        return scale(self, -1)


ZERO = Affine(0)


def as_affine(value: Affine | int) -> Affine:
    """An int as a constant affine; an affine as itself."""
    return value if isinstance(value, Affine) else Affine(value)


def variable(name: str) -> Affine:
    """The affine that is just one variable."""
    return Affine(0, ((name, 1),))


def of_atom(atom: Atom) -> Affine:
    """The affine that is just one atom."""
    return Affine(0, ((atom, 1),))


def from_terms(const: Any, terms: Mapping[Atom, Any]) -> Affine:
    """An affine from a dictionary of terms; int-zero coefficients are dropped."""
    return Affine(
        const, tuple((a, c) for a, c in terms.items() if not (isinstance(c, int) and c == 0))
    )


def add(a: Affine, b: Affine) -> Affine:
    """The sum of two affines."""
    if not b.terms:
        return Affine(a.const + b.const, a.terms)
    if not a.terms:
        return Affine(a.const + b.const, b.terms)
    try:
        terms = dict(a.terms)
        for atom, coefficient in b.terms:
            terms[atom] = terms.get(atom, 0) + coefficient
    except TypeError:
        return Affine(a.const + b.const, _merge_unhashable(a.terms + b.terms))
    return from_terms(a.const + b.const, terms)


def total(start: Affine, parts: Iterable[Affine]) -> Affine:
    """The sum of several affines."""
    return reduce(add, parts, start)


def _merge_unhashable(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    # Atoms that hold arrays have no hash: variables meet by name, other atoms by identity.
    merged: dict[str | int, Term] = {}
    for atom, c in terms:
        key = atom if isinstance(atom, str) else id(atom)
        known = merged.get(key)
        merged[key] = (atom, c if known is None else known[1] + c)
    return tuple(t for t in merged.values() if not (isinstance(t[1], int) and t[1] == 0))


def scale(a: Affine, factor: Any) -> Affine:
    """The product of an affine and a constant."""
    if isinstance(factor, int):
        if factor == 0:
            return ZERO
        if factor == 1:
            return a
    return Affine(a.const * factor, tuple((atom, c * factor) for atom, c in a.terms))


def coefficient(a: Affine, atom: Atom) -> Any:
    """The coefficient of an atom, 0 if absent."""
    for other, c in a.terms:
        if other == atom:
            return c
    return 0


def atom_variables(atom: Atom) -> Iterator[str]:
    """The variables inside an atom, each possibly several times."""
    match atom:
        case str():
            yield atom
        case FloorDiv(inner, _) | FloorMod(inner, _):
            yield from affine_variables(inner)
        case Opaque(value, _, _):
            yield from value.variables()


def affine_variables(a: Affine) -> Iterator[str]:
    """The variables of an affine, those inside `//`, `%` and opaque atoms included."""
    for atom, _ in a.terms:
        if isinstance(atom, str):
            yield atom
        else:
            yield from atom_variables(atom)
