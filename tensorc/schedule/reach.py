"""How far indices reach while their variables run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, assert_never

import numpy as np

from tensorc.arith.sizes import Size, vmax, vmin, where
from tensorc.ir.affine import (
    Affine,
    Atom,
    FloorDiv,
    FloorMod,
    Opaque,
    Term,
    atom_variables,
)

# Lowest and highest value.
Interval: TypeAlias = tuple[Any, Any]


def reach(a: Affine, ranges: Mapping[str, Size]) -> Interval:
    """Lowest and highest value of an affine whose variables each run over `[0, range)`.

    Variables that stand still do so at 0: the interval is relative to where the region starts.
    """
    low = high = a.const
    for atom, c in a.terms:
        if isinstance(atom, str):
            size = ranges[atom]
            if isinstance(size, int) and size == 1:
                continue
            bottom, top = 0, size - 1
        else:
            bottom, top = _atom_reach(atom, ranges)
        if isinstance(c, int):
            if c > 0:
                low, high = low + c * bottom, high + c * top
            else:
                low, high = low + c * top, high + c * bottom
        else:
            x, y = c * bottom, c * top
            low, high = low + np.minimum(x, y), high + np.maximum(x, y)
    return low, high


def _atom_reach(atom: Atom, ranges: Mapping[str, Size]) -> Interval:
    match atom:
        case str():
            return 0, ranges[atom] - 1
        case FloorDiv(inner, divisor):
            low, high = reach(inner, ranges)
            return low // divisor, high // divisor
        case FloorMod(inner, divisor):
            low, high = reach(_reduced(inner, divisor), ranges)
            same = low // divisor == high // divisor
            return where(same, low % divisor, 0), where(same, high % divisor, divisor - 1)
        case Opaque(_, low, high):
            # Unknown, but fixed while all its variables stand still.
            moving: Size = 1
            for variable in set(atom_variables(atom)):
                moving = moving * ranges[variable]
            return low, where(moving == 1, low, high)
        case _:
            assert_never(atom)


def _reduced(a: Affine, divisor: Any) -> Affine:
    """What is left of an affine modulo `divisor` when multiples of it are dropped.

    Lengths that are arrays could not be simplified when the index was built; done here for each
    candidate, the result is that of the index with ints.
    """
    terms = [(t, where(c % divisor == 0, 0, c)) for t, c in _distributed(a)]
    return Affine(a.const, tuple(terms))


def _distributed(a: Affine) -> Iterator[Term]:
    """The terms of an affine, `(c·x + y) // d` as `c // d · x + y // d` where `d` divides `c`.

    The constants stay where they are.
    """
    for atom, c in a.terms:
        if not isinstance(atom, FloorDiv):
            yield atom, c
            continue
        rest: list[Term] = []
        for inner, k in _distributed(atom.affine):
            divides = k % atom.divisor == 0
            yield inner, c * where(divides, k // atom.divisor, 0)
            rest.append((inner, where(divides, 0, k)))
        yield FloorDiv(Affine(atom.affine.const, tuple(rest)), atom.divisor), c


def region(accesses: Sequence[tuple[Affine, ...]], ranges: Mapping[str, Size]) -> tuple[Size, ...]:
    """Sizes of the hull of several accesses at the first iteration, one for each dimension."""
    if len(accesses) == 1:
        bounds = [reach(index, ranges) for index in accesses[0]]
        return tuple([high - low + 1 for low, high in bounds])
    bounds = [reach_of_all(indices, ranges) for indices in zip(*accesses, strict=True)]
    return tuple([high - low + 1 for low, high in bounds])


def reach_of_all(indices: Sequence[Affine], ranges: Mapping[str, Size]) -> Interval:
    """Lowest and highest value of several affines."""
    low, high = reach(indices[0], ranges)
    for index in indices[1:]:
        other_low, other_high = reach(index, ranges)
        low, high = vmin(low, other_low), vmax(high, other_high)
    return low, high


def differ_by_constant(a: Affine, b: Affine) -> bool:
    """Whether two affines have the same terms (False where arrays make that unknown)."""
    if a is b:
        return True
    if len(a.terms) != len(b.terms):
        return False
    try:
        rest = dict(b.terms)
        return all(atom in rest and _equal(c, rest[atom]) for atom, c in a.terms)
    except (TypeError, ValueError):  # atoms that hold arrays
        return False


def _equal(a: Any, b: Any) -> bool:
    return a is b or bool(np.all(a == b))
