"""What is known about axes at a place of a formula: their ranges, and the conditions that hold.

A condition is an affine that is ≥ 0. Conditions narrow the ranges of the axes in them and bound
expressions of the same shape, so that a read behind the test `0 <= h + kh - 1 < H` is known to be
inside its tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, assert_never

from tensorc.arith.affine import Range
from tensorc.ir.affine import (
    Affine,
    Atom,
    FloorDiv,
    FloorMod,
    Opaque,
    affine_variables,
)
from tensorc.ir.expr import Expr

_MOST_POINTS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """A place of a formula.

    Attributes:
        env: The range of every axis; of some points in it the facts may still be false.
        facts: Conditions that hold here.
        guarded: Whether a condition on data stands before this place. Such a place may be
            evaluated although the condition does not hold.
        values: Formulas that were already translated at this place.
    """

    env: Mapping[str, Range]
    facts: tuple[Affine, ...] = ()
    guarded: bool = False
    values: dict[object, Expr] = field(default_factory=dict)

    def assuming(self, conditions: Iterable[Affine]) -> Scope | None:
        """The place where these hold too; None if they cannot."""
        facts = (*self.facts, *conditions)
        env = dict(self.env)
        for _ in range(2):
            for fact in facts:
                _narrow(env, fact)
        if any(low > high for low, high in env.values()):
            return None
        return Scope(env, facts, self.guarded)

    def behind_data(self) -> Scope:
        """The place behind a condition on data."""
        return self if self.guarded else Scope(self.env, self.facts, guarded=True)

    def undecided(self, conditions: Iterable[Affine]) -> tuple[Affine, ...] | None:
        """Those not known to hold, in a normal form; None if one is known to fail."""
        left: list[Affine] = []
        for condition in conditions:
            low, high = self.bounds(condition)
            if high < 0:
                return None
            normal = normalized(condition)
            if low < 0 and normal not in left:
                left.append(normal)
        return tuple(left)

    def bounds(self, a: Affine) -> Range:
        """Lowest and highest value, as far as known."""
        low = high = a.const
        for atom, c in a.terms:
            lo, hi = self._atom_bounds(atom)
            low, high = low + min(c * lo, c * hi), high + max(c * lo, c * hi)
        if a.terms and self.facts:
            low, high = self._bounds_by_facts(a, low, high)
        return low, high

    def _atom_bounds(self, atom: Atom) -> Range:
        match atom:
            case str():
                return self.env[atom]
            case FloorDiv(inner, divisor):
                low, high = self.bounds(inner)
                return low // divisor, high // divisor
            case FloorMod(inner, divisor):
                low, high = self.bounds(inner)
                if low // divisor == high // divisor:
                    return low % divisor, high % divisor
                return 0, divisor - 1
            case Opaque(_, low, high):
                return low, high
            case _:
                assert_never(atom)

    def _bounds_by_facts(self, a: Affine, low: int, high: int) -> Range:
        """Use facts that speak of the same terms: from `t + c ≥ 0` follows `g·t + k ≥ k - g·c`."""
        g = math.gcd(*(c for _, c in a.terms))
        terms = {atom: c // g for atom, c in a.terms}
        negative = {atom: -c for atom, c in terms.items()}
        for fact in self.facts:
            known = dict(fact.terms)
            if known == terms:
                low = max(low, a.const - g * fact.const)
            elif known == negative:
                high = min(high, a.const + g * fact.const)
        return low, high

    def counterexample(self, a: Affine, extent: int) -> dict[str, int] | None:
        """Values of axes, allowed by the facts, at which `a` is outside `[0, extent)`, if found."""
        names = tuple(dict.fromkeys(v for f in (a, *self.facts) for v in affine_variables(f)))
        used = set(affine_variables(a))
        for values in _points([self.env[name] for name in names]):
            point = dict(zip(names, values, strict=True))
            index = evaluate(a, point)
            if index is None:
                return None
            if 0 <= index < extent:
                continue
            facts = [evaluate(fact, point) for fact in self.facts]
            if all(fact is not None and fact >= 0 for fact in facts):
                return {name: value for name, value in point.items() if name in used}
        return None


def _points(ranges: list[Range]) -> Iterator[tuple[int, ...]]:
    """Every point if they are few, otherwise corners."""
    if math.prod(high - low + 1 for low, high in ranges) <= _MOST_POINTS:
        yield from product(*(range(low, high + 1) for low, high in ranges))
        return
    exponent = 0
    corners: list[tuple[int, ...]] = []
    for low, high in ranges:
        if low == high or 2**exponent >= _MOST_POINTS:
            corners.append((low,))
        else:
            corners.append((low, high))
            exponent += 1
    yield from product(*corners)


def _narrow(env: dict[str, Range], fact: Affine) -> None:
    """Shrink the ranges of axes to where the fact can hold."""
    for atom, c in fact.terms:
        if not isinstance(atom, str):
            continue
        rest = Scope(env).bounds(Affine(fact.const, tuple(t for t in fact.terms if t[0] != atom)))
        low, high = env[atom]
        if c > 0:
            env[atom] = (max(low, -(rest[1] // c)), high)
        else:
            env[atom] = (low, min(high, rest[1] // -c))


def normalized(condition: Affine) -> Affine:
    """The condition divided by the greatest divisor of its coefficients: `p ≥ 0 ⟺ p // g ≥ 0`."""
    g = math.gcd(*(c for _, c in condition.terms))
    if g <= 1:
        return condition
    return Affine(condition.const // g, tuple((atom, c // g) for atom, c in condition.terms))


def negated(condition: Affine) -> Affine:
    """The condition that holds where this one does not: `-p - 1 ≥ 0`."""
    return -condition - 1


def is_transparent(a: Affine) -> bool:
    """Whether no opaque atom is in it, at any depth."""
    for atom, _ in a.terms:
        if isinstance(atom, Opaque):
            return False
        if isinstance(atom, (FloorDiv, FloorMod)) and not is_transparent(atom.affine):
            return False
    return True


def evaluate(a: Affine, point: Mapping[str, Any]) -> Any:
    """The value at a point, or at an array of them; None if it depends on data."""
    total = a.const
    for atom, c in a.terms:
        match atom:
            case str():
                value: Any = point[atom]
            case FloorDiv(inner, divisor) | FloorMod(inner, divisor):
                value = evaluate(inner, point)
                if value is not None:
                    value = value // divisor if isinstance(atom, FloorDiv) else value % divisor
            case _:
                value = None
        if value is None:
            return None
        total = total + c * value
    return total
