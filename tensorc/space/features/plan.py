"""What no decision of a sketch changes: found out once, used for every population."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensorc.arith.sizes import is_one
from tensorc.ir.affine import affine_variables
from tensorc.schedule.access import body_of
from tensorc.schedule.bounds import Bounds, Nest
from tensorc.schedule.stage import FuseRelation, SplitRelation
from tensorc.schedule.state import State
from tensorc.space.features.operations import operation_counts
from tensorc.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class BufferPlan:
    """A tensor that a statement touches, outputs of one operation taken together.

    Attributes:
        name: The operation it is the result of.
        item_bytes: Bytes of one element of all its outputs.
        is_read: Whether the statement reads it.
        is_written: Whether the statement writes it.
        moved: For each loop that counts, whether it moves the place that is touched.
    """

    name: str
    item_bytes: int
    is_read: bool
    is_written: bool
    moved: tuple[bool, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StatementPlan:
    """A statement: the store of one stage.

    Attributes:
        name: The stage.
        levels: The loops of its nest that count: those that are not one iteration in every
            candidate. Only they have a place in arrays.
        own: How many of them belong to other stages.
        counts: Operations per iteration.
        buffers: What it touches, the written tensor first.
        moved: `BufferPlan.moved` of all, buffers × loops.
        shared: For each earlier statement that shares loops with it, its number, how many loops
            they may share, and for each buffer whether that touches it too.
    """

    name: str
    levels: tuple[int, ...]
    own: int
    counts: NDArray[np.float64]
    buffers: tuple[BufferPlan, ...]
    moved: NDArray[np.bool_]
    shared: tuple[tuple[int, int, NDArray[np.bool_]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All statements of a sketch, and the machine they run on.

    Attributes:
        target: The machine.
        statements: Producers first.
        is_empty: Whether some tensor has no elements, so that shares of nothing occur.
    """

    target: Target
    statements: tuple[StatementPlan, ...]
    is_empty: bool


def make_plan(state: State, bounds: Bounds, target: Target) -> Plan:
    """Find out everything that holds for each candidate of a sketch."""
    moves: dict[str, list[frozenset[str]]] = {}
    statements: list[StatementPlan] = []
    idle = _idle_loops(bounds)
    for name in bounds.order:
        nest = bounds.nests[name]
        levels = tuple(
            k for k, loop in enumerate(nest.loops) if (loop.stage, loop.name) not in idle
        )
        all_axes = _moved_axes(state, bounds, name, moves)
        moved_axes = [all_axes[k] for k in levels]
        buffers = _buffers(state, bounds, name, moved_axes)
        names = [b.name for b in buffers]
        shared = []
        for number, earlier in enumerate(statements):
            common = _common_loops(bounds.nests[earlier.name], nest, idle)
            if common:
                touched = {b.name for b in earlier.buffers}
                shared.append((number, common, np.array([n in touched for n in names])))
        moved = np.array([b.moved for b in buffers], bool).reshape(len(buffers), len(levels))
        own = sum(k < len(nest.outer) for k in levels)
        counts = operation_counts(state.dag.by_name[name], body_of(state, name))
        statements.append(StatementPlan(name, levels, own, counts, buffers, moved, tuple(shared)))
    sizes = [size for op in state.dag.ops for size in op.extents().values()]
    is_empty = any(isinstance(size, int) and size == 0 for size in sizes)
    return Plan(target, tuple(statements), is_empty)


def _idle_loops(bounds: Bounds) -> frozenset[tuple[str, str]]:
    """The loops that are one iteration in every candidate."""
    return frozenset(
        (loop.stage, loop.name)
        for nest in bounds.nests.values()
        for loop in nest.own
        if is_one(loop.extent)
    )


def _common_loops(a: Nest, b: Nest, idle: frozenset[tuple[str, str]]) -> int:
    count = 0
    for x, y in zip(a.loops, b.loops, strict=False):
        if (x.stage, x.name) != (y.stage, y.name):
            break
        count += (x.stage, x.name) not in idle
    return count


def _buffers(
    state: State, bounds: Bounds, name: str, moved_axes: list[frozenset[str]]
) -> tuple[BufferPlan, ...]:
    op = state.dag.by_name[name]
    used = {name: frozenset(op.axes)}
    for producer, reads in bounds.accesses[name].items():
        axes = {v for indices in reads for index in indices for v in affine_variables(index)}
        used[producer] = used.get(producer, frozenset()) | axes
    return tuple(
        BufferPlan(
            buffer,
            sum(d.itemsize for d in state.dag.by_name[buffer].dtypes),
            is_read=buffer != name or op.reducer is not None,
            is_written=buffer == name,
            moved=tuple(bool(axes & used[buffer]) for axes in moved_axes),
        )
        for buffer in used
    )


def own_moves(state: State, name: str) -> dict[str, frozenset[str]]:
    """The axes of a stage that each of its iterators, past and present, moves along."""
    moves = {axis: frozenset((axis,)) for axis in state.dag.by_name[name].extents()}
    for relation in state.stages[name].relations:
        match relation:
            case SplitRelation(parent, parts, _):
                moves.update(dict.fromkeys(parts, moves[parent]))
            case FuseRelation(parts, fused):
                moves[fused] = frozenset().union(*(moves[part] for part in parts))
    return moves


def _moved_axes(
    state: State, bounds: Bounds, name: str, known: dict[str, list[frozenset[str]]]
) -> list[frozenset[str]]:
    """The axes of a stage that each loop of its nest moves, those around it by what is read."""
    if name in known:
        return known[name]
    nest, op = bounds.nests[name], state.dag.by_name[name]
    moved: list[frozenset[str]] = []
    for level in range(len(nest.outer)):
        axes: set[str] = set()
        for user in bounds.users[name]:
            theirs = _moved_axes(state, bounds, user, known)
            if level < len(theirs):
                axes |= _read_axes(bounds, user, name, op.axes, theirs[level])
        moved.append(frozenset(axes))
    own = own_moves(state, name)
    moved += [own[loop.name] for loop in nest.own]
    known[name] = moved
    return moved


def _read_axes(
    bounds: Bounds, user: str, name: str, axes: tuple[str, ...], moving: frozenset[str]
) -> set[str]:
    return {
        axis
        for indices in bounds.accesses[user][name]
        for axis, index in zip(axes, indices, strict=True)
        if moving & set(affine_variables(index))
    }
