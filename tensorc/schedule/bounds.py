"""Bounds inference: loop nests, and what each of their levels touches.

Only sizes are inferred, for ints or for a whole population of arrays at once; lowering adds where
regions start. Regions are hulls (boxes), clipped to shapes. A piece of a fused loop, and a region
read through `//` or `%`, counts as aligned: its size is that at the first iteration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tensorc.arith.affine import substitute
from tensorc.arith.sizes import Flag, Size, vmax, vmin, where
from tensorc.ir.affine import ZERO, Affine, add, affine_variables
from tensorc.schedule.access import Accesses, accesses
from tensorc.schedule.lookup import find_iterator
from tensorc.schedule.reach import differ_by_constant, reach, reach_of_all, region
from tensorc.schedule.relations import NOTHING, extents, spans
from tensorc.schedule.stage import (
    THREADS,
    Annotation,
    At,
    AtLevel,
    Inlined,
    IterKind,
    Stage,
)
from tensorc.schedule.state import State
from tensorc.te.op import Op

Ranges: TypeAlias = dict[str, Size]
# The first of several reads that differ by constants (None if they do not), lowest and highest
# value in one dimension.
_Reads: TypeAlias = tuple[Affine | None, Any, Any]
# Start of a region in the axes of the stage around it, None if it is unknown, and size.
_Hull: TypeAlias = tuple[Affine | None, Size]

# Loops over which threads that share memory are spread.
_COOPERATING = THREADS | {Annotation.VTHREAD}


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """One loop of a nest; `order` is its place among the loops of its own stage."""

    stage: str
    name: str
    kind: IterKind
    annotation: Annotation
    extent: Size
    order: int


@dataclass(frozen=True, slots=True, eq=False)
class Nest:
    """The loops around a stage's store.

    `outer` loops belong to the stages it is computed in, `own` to itself. `extents` holds the
    extents of its axes, reduced to the region that is computed, and of all iterators. Where the
    stage's location is a decision column, `active` is the number of outer loops in force; a loop
    not in force has extent 1. `masks` says of each outer loop whether it is in force.
    """

    stage: str
    outer: tuple[Loop, ...]
    own: tuple[Loop, ...]
    extents: dict[str, Size]
    active: Size | None
    masks: tuple[Flag, ...]

    @property
    def loops(self) -> tuple[Loop, ...]:
        """All loops, outermost first."""
        return self.outer + self.own


class Bounds:
    """Nests and regions of all stages of a state that are not inlined.

    Attributes:
        order: names of the stages, producers first.
        accesses: for each stage the indices at which it reads each operation.
        users: for each stage those that read it.
        nests: for each stage its loops.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.order = tuple(
            n for n, s in state.stages.items() if not isinstance(s.location, Inlined)
        )
        self.accesses: dict[str, Accesses] = {n: accesses(state, n) for n in self.order}
        users: dict[str, list[str]] = {n: [] for n in self.order}
        for reader, reads in self.accesses.items():
            for producer in reads:
                if producer in users:
                    users[producer].append(reader)
        self.users = {n: tuple(readers) for n, readers in users.items()}
        self.nests: dict[str, Nest] = {}
        self._ranges: dict[tuple[str, int, bool], Ranges] = {}
        self._required: dict[tuple[str, int, bool], Ranges] = {}
        for name in reversed(self.order):
            self.nests[name] = self._place(name)

    def ranges(self, name: str, level: int, relax: bool = False) -> Ranges:
        """Range of each axis of a stage while the loops of its nest from number `level` on run.

        With `relax`, loops bound to threads run too, wherever they are: what a block of threads
        touches together.
        """
        key = (name, level, relax)
        known = self._ranges.get(key)
        if known is None:
            known = self._ranges[key] = self._infer_ranges(name, level, relax)
        return known

    def required(self, name: str, level: int, relax: bool = False) -> Ranges:
        """Range of each spatial axis of a stage that is read while loops from `level` on run."""
        key = (name, level, relax)
        known = self._required.get(key)
        if known is None:
            known = self._required[key] = self._infer_required(name, level, relax)
        return known

    def _place(self, name: str) -> Nest:
        stage, op = self.state.stages[name], self.state.dag.by_name[name]
        outer, masks, active = self._outer_loops(stage)
        shared = stage.scope == "shared"
        space = self._region(op, active, len(outer), shared)
        if shared:
            outer = tuple([_without_threads(loop) for loop in outer])
        fixed = frozenset([i.name for i in stage.iterators if i.annotation in THREADS])
        sizes = extents(stage.relations, {**space, **dict(op.reduce_axes)}, fixed or NOTHING)
        own = tuple(
            [
                Loop(name, i.name, i.kind, i.annotation, sizes[i.name], order)
                for order, i in enumerate(stage.iterators)
            ]
        )
        return Nest(name, outer, own, sizes, active, masks)

    def _outer_loops(self, stage: Stage) -> tuple[tuple[Loop, ...], tuple[Flag, ...], Size | None]:
        """The loops a stage is inside, whether each is in force, and how many are if it varies."""
        match stage.location:
            case At(target, iterator):
                nest = self.nests[target]
                position = find_iterator(self.state.stages[target], iterator, "infer bounds")
                level = len(nest.outer) + position + 1
                masks = (nest.masks + (True,) * level)[:level]
                return nest.loops[:level], masks, None
            case AtLevel(target, active, limit):
                nest = self.nests[target]
                around = nest.loops[:limit]
                above = (nest.masks + (True,) * limit)[:limit]
                masks = tuple([(active > k) & up for k, up in enumerate(above)])
                outer = tuple([_masked(loop, active > k) for k, loop in enumerate(around)])
                return outer, masks[: len(outer)], active
            case _:
                return (), (), None

    def _region(self, op: Op, active: Size | None, levels: int, relax: bool) -> Ranges:
        """The region of a stage inside `levels` loops, of which `active` are in force."""
        space: Ranges = dict(zip(op.axes, op.shape, strict=True))
        if active is None:
            return self.required(op.name, levels, relax) if levels else space
        for level in range(1, levels + 1):
            here = self.required(op.name, level, relax)
            space = {a: where(active == level, here[a], space[a]) for a in space}
        return space

    def _infer_ranges(self, name: str, level: int, relax: bool) -> Ranges:
        nest, op = self.nests[name], self.state.dag.by_name[name]
        stage = self.state.stages[name]
        inner = level - len(nest.outer)
        if inner < 0:
            result = self.required(name, level, relax or stage.scope == "shared")
            if nest.active is not None:
                in_force = nest.active >= level
                result = {a: where(in_force, r, nest.extents[a]) for a, r in result.items()}
            return {**result, **{r: nest.extents[r] for r, _ in op.reduce_axes}}
        free = {
            loop.name
            for loop in nest.own
            if loop.order >= inner or (relax and loop.annotation in _COOPERATING)
        }
        sizes = spans(stage.relations, nest.extents, free)
        result = {a: sizes[a] for a in op.axes}
        if relax and nest.outer:
            wide = self._region(op, nest.active, len(nest.outer), True)
            for a, size in zip(op.axes, op.shape, strict=True):
                result[a] = vmin(result[a] + (wide[a] - nest.extents[a]), size)
        return {**result, **{r: sizes[r] for r, _ in op.reduce_axes}}

    def _infer_required(self, name: str, level: int, relax: bool) -> Ranges:
        op, users = self.state.dag.by_name[name], self.users[name]
        if len(users) == 1:
            reads = self._reads(name, users[0], level, relax)
            hulls = [high - low + 1 for _, low, high in reads]
        else:
            frame = self._frame(name)
            hulls = [size for _, size in self._hulls(name, frame, level, relax)]
        sized = zip(op.axes, op.shape, hulls, strict=True)
        return {axis: vmin(hull, size) for axis, size, hull in sized}

    def _reads(self, name: str, user: str, level: int, relax: bool) -> list[_Reads]:
        """What one user reads of a stage, for each dimension, from where the user's region starts.

        Where several reads differ by more than a constant, their distance depends on the outer
        loops, so that only the hull over all iterations is safe.
        """
        reads = self.accesses[user][name]
        ranges = self.ranges(user, level, relax)
        if len(reads) == 1:
            return [(index, *reach(index, ranges)) for index in reads[0]]
        result: list[_Reads] = []
        for indices in zip(*reads, strict=True):
            first = indices[0]
            if all(differ_by_constant(first, other) for other in indices[1:]):
                result.append((first, *reach_of_all(indices, ranges)))
            else:
                whole = self.state.dag.by_name[user].extents()
                result.append((None, *reach_of_all(indices, whole)))
        return result

    def _hulls(self, name: str, frame: str | None, level: int, relax: bool) -> list[_Hull]:
        """Start (in the axes of `frame`, None if unknown) and size of what all users read."""
        shape = self.state.dag.by_name[name].shape
        found: list[list[_Hull]] = [[] for _ in shape]
        for user in self.users[name]:
            starts = {} if user == frame else self._starts(user, frame, level, relax)
            for d, (index, low, high) in enumerate(self._reads(name, user, level, relax)):
                start = None if index is None or frame is None else _moved(index, starts)
                if start is not None and index is not None:
                    start = add(start, Affine(low - index.const))
                found[d].append((start, high - low + 1))
        if frame is None:
            return [(None, _largest(parts)) for parts in found]
        return [_hull(parts, size) for parts, size in zip(found, shape, strict=True)]

    def _starts(
        self, name: str, frame: str | None, level: int, relax: bool
    ) -> dict[str, Affine | None]:
        """Where the region of a stage inside `frame` starts; its reductions run in full."""
        op = self.state.dag.by_name[name]
        starts: dict[str, Affine | None] = {axis: ZERO for axis, _ in op.reduce_axes}
        for axis, (start, _) in zip(op.axes, self._hulls(name, frame, level, relax), strict=True):
            starts[axis] = start
        return starts

    def _frame(self, name: str) -> str | None:
        """The stage inside which all users of a stage are, if it is computed there too."""
        location = self.state.stages[name].location
        if not isinstance(location, (At, AtLevel)):
            return None
        within = all(self._is_within(user, location.target) for user in self.users[name])
        return location.target if within else None

    def _is_within(self, name: str, target: str) -> bool:
        while name != target:
            location = self.state.stages[name].location
            if not isinstance(location, (At, AtLevel)):
                return False
            name = location.target
        return True


def _moved(index: Affine, starts: Mapping[str, Affine | None]) -> Affine | None:
    """An index at the start of a region, None if that is unknown."""
    known: dict[str, Affine] = {}
    for name in affine_variables(index):
        if name in starts:
            start = starts[name]
            if start is None:
                return None
            known[name] = start
    return substitute(index, known)


def _hull(parts: Sequence[_Hull], size: Size) -> _Hull:
    """The hull of regions, the whole dimension if their distance is not constant."""
    first, length = parts[0]
    if first is None:
        return None, size
    low: Size = first.const
    high: Size = low + length
    for start, other in parts[1:]:
        if start is None or not differ_by_constant(first, start):
            return None, size
        low, high = vmin(low, start.const), vmax(high, start.const + other)
    return Affine(low, first.terms), high - low


def _largest(parts: Sequence[_Hull]) -> Size:
    """The size of the largest region; 1 if nothing reads the stage."""
    size: Size = 1
    for _, other in parts:
        size = vmax(size, other)
    return size


def _masked(loop: Loop, in_force: Flag) -> Loop:
    """A loop of extent 1 where it is not in force."""
    extent = where(in_force, loop.extent, 1)
    return Loop(loop.stage, loop.name, loop.kind, loop.annotation, extent, loop.order)


def _without_threads(loop: Loop) -> Loop:
    """A loop around a stage in shared memory: threads share one copy."""
    if loop.annotation not in _COOPERATING:
        return loop
    return Loop(loop.stage, loop.name, loop.kind, Annotation.NONE, 1, loop.order)


__all__ = ["Bounds", "Loop", "Nest", "Ranges", "extents", "region", "spans"]
