"""The order in which the steps of an unrolled nest are written, so that what they load is reused.

In `for r in unrolled(0, 3): for i in unrolled(0, 8): T[i] = T[i] + A[i + r] * B[r]` each of ten
elements is wanted in up to three iterations of `r`, and is kept in a register meanwhile: ten at
once. By elements of A (`i + r`), all steps that want one follow each other, and it is gone: three
elements of B stay instead. Each sum has its terms in the same order, so results are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from math import prod
from typing import TypeAlias

from tensorc.ir.affine import Affine
from tensorc.ir.expr import Load
from tensorc.ir.stmt import For, ForKind, Stmt, Store
from tensorc.ir.visit import walk_expr

# Coefficients of the variables of a nest, outermost first; a value of each of them.
_Coefficients: TypeAlias = tuple[int, ...]
_Step: TypeAlias = tuple[int, ...]
# Steps of a nest that is looked at; in longer ones no register survives from one end to the other.
_MOST_STEPS = 1024


@dataclass(frozen=True, slots=True)
class Ordered:
    """An unrolled nest as a list of steps.

    Attributes:
        variables: Its variables, outermost first.
        steps: Their values at each step.
        store: What each step does.
    """

    variables: tuple[str, ...]
    steps: tuple[_Step, ...]
    store: Store


def reuse_order(loop: For, registers: int) -> Ordered | None:
    """A better order for a nest of unrolled loops around one sum in registers, None if as it is.

    Args:
        loop: The outermost of the loops.
        registers: Vector registers; where the loops' own order needs no more, it stays.
    """
    loops, body = _nest(loop)
    if not isinstance(body, Store) or body.buffer.scope != "local" or len(loops) < 2:
        return None
    variables = tuple(s.var for s in loops)
    kept = _coefficients(body.index, variables)
    if kept is None or all(kept):
        return None
    loads = _loads(body, variables)
    if loads is None:
        return None
    extents = tuple(s.extent for s in loops)
    order = _best_order(extents, kept, loads, registers)
    if order is None:
        return None
    starts = [s.start for s in loops]
    steps = (tuple(a + x for a, x in zip(starts, step, strict=True)) for step in order)
    return Ordered(variables, tuple(steps), body)


def _nest(s: Stmt) -> tuple[list[For], Stmt]:
    """Unrolled loops directly inside each other, and what is in the innermost."""
    loops: list[For] = []
    while isinstance(s, For) and s.kind is ForKind.UNROLLED and not s.lets:
        loops.append(s)
        s = s.body
    return loops, s


def _coefficients(index: Affine, variables: Sequence[str]) -> _Coefficients | None:
    """The coefficient of each variable, None if some part of the index is no variable."""
    if not all(isinstance(atom, str) for atom, _ in index.terms):
        return None
    terms = dict(index.terms)
    return tuple(terms.get(v, 0) for v in variables)


def _loads(s: Store, variables: Sequence[str]) -> tuple[_Coefficients, ...] | None:
    """What is loaded beside the sum itself, None if that is not a sum or cannot be told."""
    found: dict[_Coefficients, None] = {}
    is_sum = False
    for e in walk_expr(s.value):
        if not isinstance(e, Load):
            continue
        if e.buffer.name == s.buffer.name:
            if e.index != s.index:
                return None
            is_sum = True
            continue
        coefficients = _coefficients(e.index, variables)
        if coefficients is None:
            return None
        found[coefficients] = None
    return tuple(found) if is_sum else None


@lru_cache(maxsize=4096)
def _best_order(
    extents: tuple[int, ...],
    kept: _Coefficients,
    loads: tuple[_Coefficients, ...],
    registers: int,
) -> tuple[_Step, ...] | None:
    """The order by one of the loads in which the fewest values have to be kept, if not the given.

    Args:
        extents: Iterations of the loops, outermost first.
        kept: Coefficients of the element that is stored.
        loads: Those of the elements that are loaded.
        registers: How many values may be kept.
    """
    if prod(extents) > _MOST_STEPS:
        return None
    overlapping = [c for c in loads if _overlaps(c, extents)]
    if not overlapping:
        return None
    steps = list(product(*map(range, extents)))
    best, least = None, _pressure(steps, kept, loads)
    if least <= registers:
        return None
    for order in _orders(steps, overlapping):
        if _keeps_sums(steps, order, kept):
            needed = _pressure(order, kept, loads)
            if needed < least:
                best, least = tuple(order), needed
    return best


def _overlaps(coefficients: _Coefficients, extents: tuple[int, ...]) -> bool:
    """Whether different values of the variables that an index has give the same element."""
    moving = [(c, n) for c, n in zip(coefficients, extents, strict=True) if c]
    places = {sum(p) for p in product(*(range(0, c * n, c) for c, n in moving))}
    return len(places) < prod(n for _, n in moving)


def _orders(steps: list[_Step], loads: Sequence[_Coefficients]) -> Iterator[list[_Step]]:
    """The steps by each of the loads, upwards and downwards; else in the order they have."""
    for coefficients in loads:
        for downwards in (False, True):
            yield sorted(steps, key=partial(_place, coefficients), reverse=downwards)


def _place(coefficients: _Coefficients, step: _Step) -> int:
    return sum(c * x for c, x in zip(coefficients, step, strict=True))


def _keeps_sums(steps: list[_Step], order: list[_Step], kept: _Coefficients) -> bool:
    """Whether each sum has its terms in the same order."""
    number = {step: n for n, step in enumerate(steps)}
    last: dict[int, int] = {}
    for step in order:
        place = _place(kept, step)
        if number[step] < last.get(place, -1):
            return False
        last[place] = number[step]
    return True


def _pressure(order: list[_Step], kept: _Coefficients, loads: Sequence[_Coefficients]) -> int:
    """The most values that are wanted at a time: all sums, and loads between first and last use."""
    changes = [0] * (len(order) + 1)
    for coefficients in loads:
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for n, step in enumerate(order):
            place = _place(coefficients, step)
            first.setdefault(place, n)
            last[place] = n
        for place, n in first.items():
            changes[n] += 1
            changes[last[place] + 1] -= 1
    most = now = 0
    for change in changes:
        now += change
        most = max(most, now)
    return most + len({_place(kept, step) for step in order})
