"""The order in which the steps of an unrolled nest are written, so that what they load is reused.

In `for r in unrolled(0, 3): for i in unrolled(0, 8): T[i] = T[i] + A[i + r] * B[r]` each of ten
elements is wanted in up to three iterations of `r`, and is kept in a register meanwhile: ten at
once. By elements of A (`i + r`), all steps that want one follow each other, and it is gone: three
elements of B stay instead. Each sum has its terms in the same order, so results are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, product
from math import prod
from typing import TypeAlias

from tensorc.ir.affine import Affine
from tensorc.ir.expr import Load
from tensorc.ir.stmt import For, ForKind, Stmt, Store
from tensorc.ir.visit import walk_expr

# Coefficients of the variables of a nest, outermost first; a value of each of them.
_Coefficients: TypeAlias = tuple[int, ...]
_Step: TypeAlias = tuple[int, ...]
# Where something is at each step of a nest, in the order of its loops.
_Places: TypeAlias = list[int]
# Steps of a nest that is looked at; in longer ones no register survives from one end to the other.
_MOST_STEPS = 1024


@dataclass(frozen=True, slots=True)
class _Walk:
    """A load, as the nest goes on.

    Attributes:
        source: A number for the buffer and what the nest leaves of the index as it is.
        start: The constant of the index.
        coefficients: Those of the variables.
    """

    source: int
    start: int
    coefficients: _Coefficients


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
    extents = tuple(s.extent for s in loops)
    if prod(extents) > _MOST_STEPS:
        return None
    variables = tuple(s.var for s in loops)
    kept = _coefficients(body.index, variables)
    if kept is None or all(kept):
        return None
    loads = _loads(body, variables)
    if loads is None or not any(_overlaps(load.coefficients, extents) for load in loads):
        return None
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


def _loads(s: Store, variables: Sequence[str]) -> tuple[_Walk, ...] | None:
    """What is loaded beside the sum itself, None if that is not a sum or cannot be told."""
    found: dict[_Walk, None] = {}
    sources: dict[object, int] = {}
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
        around = frozenset(term for term in e.index.terms if term[0] not in variables)
        source = sources.setdefault((e.buffer.name, e.lanes, e.stride, around), len(sources))
        found[_Walk(source, e.index.const, coefficients)] = None
    return tuple(found) if is_sum else None


@lru_cache(maxsize=4096)
def _best_order(
    extents: tuple[int, ...], kept: _Coefficients, loads: tuple[_Walk, ...], registers: int
) -> tuple[_Step, ...] | None:
    """The order by one of the loads in which the fewest values have to be kept, if not the given.

    Args:
        extents: Iterations of the loops, outermost first.
        kept: Coefficients of the element that is stored.
        loads: What is loaded at each step.
        registers: How many values may be kept.
    """
    sums = _places(kept, extents)
    walked: dict[int, list[_Places]] = {}
    for load in loads:
        places = _places(load.coefficients, extents, load.start)
        walked.setdefault(load.source, []).append(places)
    sources = tuple(walked.values())
    best, least = None, _pressure(range(len(sums)), sums, sources)
    if least <= registers:
        return None
    overlapping = [c for c in dict.fromkeys(w.coefficients for w in loads) if _overlaps(c, extents)]
    for order in _orders(_places(c, extents) for c in overlapping):
        if _keeps_sums(order, sums):
            needed = _pressure(order, sums, sources)
            if needed < least:
                best, least = order, needed
    steps = list(product(*map(range, extents)))
    return None if best is None else tuple(steps[number] for number in best)


def _overlaps(coefficients: _Coefficients, extents: tuple[int, ...]) -> bool:
    """Whether different values of the variables that an index has give the same element."""
    moving = sorted((abs(c), n) for c, n in zip(coefficients, extents, strict=True) if c and n > 1)
    reach = 0
    for c, n in moving:
        if c <= reach:
            break
        reach += c * (n - 1)
    else:
        return False  # each variable moves past all that those inside it reach
    counts = tuple(n for _, n in moving)
    return len(set(_places(tuple(c for c, _ in moving), counts))) < prod(counts)


def _places(coefficients: _Coefficients, extents: tuple[int, ...], start: int = 0) -> _Places:
    places = [start]
    for c, n in zip(coefficients, extents, strict=True):
        places = [place + c * x for place in places for x in range(n)]
    return places


def _orders(walks: Iterable[_Places]) -> Iterator[list[int]]:
    """The numbers of steps by each of the loads, upwards and downwards; else as they are."""
    for places in walks:
        for downwards in (False, True):
            yield sorted(range(len(places)), key=places.__getitem__, reverse=downwards)


def _keeps_sums(order: Sequence[int], sums: _Places) -> bool:
    """Whether each sum has its terms in the same order."""
    last: dict[int, int] = {}
    for number in order:
        if number < last.get(sums[number], -1):
            return False
        last[sums[number]] = number
    return True


def _pressure(order: Sequence[int], sums: _Places, sources: Iterable[Sequence[_Places]]) -> int:
    """The most values that are wanted at a time: all sums, and loads between first and last use."""
    changes = [0] * (len(order) + 1)
    for walks in sources:
        wanted = [places[number] for number in order for places in walks]
        times = range(len(wanted))
        last = dict(zip(wanted, times, strict=True))
        first = dict(zip(reversed(wanted), reversed(times), strict=True))
        for place, time in first.items():
            changes[time // len(walks)] += 1
            changes[last[place] // len(walks) + 1] -= 1
    return max(accumulate(changes)) + len(set(sums))
