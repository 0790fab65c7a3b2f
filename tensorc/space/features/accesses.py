"""What a statement touches: regions, strides, cache lines, reuse; buffers × loops × candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorc.arith.sizes import is_one, where
from tensorc.ir.affine import Affine, FloorDiv, FloorMod, Opaque, atom_variables, variable
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.reach import region
from tensorc.schedule.stage import FuseRelation, SplitRelation
from tensorc.schedule.state import State
from tensorc.space.features.loops import Flags, Floats, LoopArrays
from tensorc.space.features.plan import StatementPlan

Indices = tuple[Affine, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Touched:
    """How much of each buffer a statement touches.

    Attributes:
        elements: While the loops from each on run; buffers × loops × candidates.
        run: Elements next to each other that all loops together touch.
        bytes: The bytes of all buffers; loops × candidates.
        lines: How many times its bytes a buffer takes in whole cache lines; like `elements`.
    """

    elements: Floats
    run: Floats
    bytes: Floats
    lines: Floats


def accesses_of(bounds: Bounds, plan: StatementPlan) -> list[tuple[Indices, ...]]:
    """The indices at which each buffer of a statement is touched."""
    op = bounds.state.dag.by_name[plan.name]
    written = tuple(variable(axis) for axis in op.axes)
    reads = bounds.accesses[plan.name]
    return [(written,) if b.is_written else tuple(reads[b.name]) for b in plan.buffers]


def touched(
    state: State,
    bounds: Bounds,
    plan: StatementPlan,
    loops: LoopArrays,
    rows: int,
    line_bytes: int = 64,
) -> Touched:
    """The regions of all buffers at all levels of the nest."""
    levels = max(loops.count, 1)
    ranges = _stacked_ranges(bounds, plan, rows)
    elements = np.ones((len(plan.buffers), levels, rows))
    run = np.ones((len(plan.buffers), levels, rows))
    pitch = np.ones((len(plan.buffers), levels, rows))
    for b, accesses in enumerate(accesses_of(bounds, plan)):
        shape = state.dag.by_name[plan.buffers[b].name].shape
        sizes = region(accesses, ranges)
        going: Any = True
        for size, extent in zip(reversed(sizes), reversed(shape), strict=True):
            clipped = np.clip(size, 0, extent)  # a range of nothing can look negative
            elements[b] *= clipped
            run[b] *= np.where(going, clipped, 1)
            pitch[b] *= np.where(going, extent, 1)
            going = going & (clipped == extent)
    items = np.array([float(b.item_bytes) for b in plan.buffers])
    # Pieces that lie apart by more than a line take a line each at least.
    piece = np.minimum(line_bytes / items[:, None, None], pitch)
    whole = np.maximum(piece / np.maximum(run, 1.0), 1.0)
    return Touched(elements, run[:, 0], np.einsum("blp,b->lp", elements, items), whole)


def _stacked_ranges(bounds: Bounds, plan: StatementPlan, rows: int) -> dict[str, Any]:
    """The range of each axis while the loops from each level on run: levels × candidates."""
    levels = [bounds.ranges(plan.name, level) for level in plan.levels or (0,)]
    ranges: dict[str, Any] = {}
    for axis in levels[0]:
        values = [level[axis] for level in levels]
        ranges[axis] = 1
        if not all(is_one(value) for value in values):
            ranges[axis] = np.empty((len(values), rows), np.int64)
            for k, value in enumerate(values):
                ranges[axis][k] = value
    return ranges


def loop_steps(state: State, bounds: Bounds, name: str) -> list[dict[str, Any]]:
    """For each loop of the nest, by how much one step of it moves each axis of its own stage."""
    nest = bounds.nests[name]
    steps: dict[str, dict[str, Any]] = {
        axis: {axis: 1} for axis in state.dag.by_name[name].extents()
    }
    for relation in state.stages[name].relations:
        match relation:
            case SplitRelation(parent, parts, lengths):
                stride: Any = 1
                for part, length in zip(reversed(parts), (*reversed(lengths), 1), strict=True):
                    steps[part] = {a: s * stride for a, s in steps[parent].items()}
                    stride = stride * length
            case FuseRelation(parts, fused):
                steps[fused] = steps[parts[-1]]
    return [{} for _ in nest.outer] + [steps[loop.name] for loop in nest.own]


def strides(
    state: State, bounds: Bounds, plan: StatementPlan, loops: LoopArrays, rows: int
) -> Floats:
    """Elements between the places of consecutive iterations; buffers × loops × candidates.

    Of several accesses to a buffer the first counts. Loops around the stage have 0: within them
    another region is computed.
    """
    steps = loop_steps(state, bounds, plan.name)
    result = np.zeros((len(plan.buffers), loops.count, rows))
    for b, accesses in enumerate(accesses_of(bounds, plan)):
        shape = state.dag.by_name[plan.buffers[b].name].shape
        for k in range(loops.first, loops.count):
            if plan.moved[b, k]:
                result[b, k] = _stride(accesses[0], shape, steps[plan.levels[k]])
    return result


def _stride(indices: Indices, shape: Sequence[Any], steps: Mapping[str, Any]) -> Any:
    """The distance in the innermost dimension that moves."""
    stride: Any = 0
    inner: Any = 1
    for index, extent in zip(reversed(indices), reversed(shape), strict=True):
        moved = _moved_by(index, steps)
        if isinstance(moved, int):
            if moved:
                return where(stride == 0, moved * inner, stride)
        else:
            stride = where(stride == 0, moved * inner, stride)
        inner = inner * extent
    return stride


def _moved_by(index: Affine, steps: Mapping[str, Any]) -> Any:
    """How far an index moves when a loop makes one step; at least 1 if that is not regular."""
    total: Any = 0
    for atom, coefficient in index.terms:
        match atom:
            case str():
                step = steps.get(atom, 0)
            case FloorDiv(inner, divisor):
                step = _moved_by(inner, steps) // divisor
            case FloorMod(inner, divisor):
                step = _moved_by(inner, steps) % divisor
            case Opaque():
                step = int(any(name in steps for name in atom_variables(atom)))
        if not (isinstance(step, int) and step == 0):
            total = total + abs(coefficient) * step
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Cache lines of each buffer; buffers × candidates.

    Attributes:
        all: Lines fetched if only the innermost moving loops reuse them.
        unique: Distinct lines.
        stride: Elements between consecutive iterations of the innermost live loop.
    """

    all: Floats
    unique: Floats
    stride: Floats


def lines(
    plan: StatementPlan, loops: LoopArrays, parts: Touched, stride: Floats, line_bytes: int
) -> Lines:
    """Count cache lines from the strides of loops, the innermost first."""
    buffers, rows = len(plan.buffers), loops.extents.shape[1]
    items = np.array([float(b.item_bytes) for b in plan.buffers])[:, None]
    reuse = np.ones((buffers, rows))
    moving = np.zeros((buffers, rows))
    first = np.zeros((buffers, rows))
    outside = np.ones((buffers, rows), bool)  # no loop that moves has been met
    innermost = np.ones(rows, bool)
    for k in range(loops.count - 1, -1, -1):
        live, here = loops.live[k], stride[:, k]
        first = np.where(live & innermost, here, first)
        innermost = innermost & ~live
        still = outside & live & (here == 0)
        reuse = np.where(still, reuse * loops.extents[k], reuse)
        met = outside & live & (here > 0)
        moving = np.where(met, here, moving)
        outside = outside & ~met
    share = np.minimum(1.0, moving * items / line_bytes)
    unique_bytes = parts.elements[:, 0] * items
    return Lines(
        np.maximum(loops.total / reuse * share, 1.0),
        np.maximum(unique_bytes / np.minimum(parts.run * items, line_bytes), 1.0),
        first,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Reuse:
    """How each buffer is used again; buffers × candidates.

    Attributes:
        by_loop: A loop that does not move it comes back to it.
        by_statement: An earlier statement has touched it in the same loops.
        iterations: Iterations in between.
        bytes: Bytes touched in between.
        count: How often it is used again.
    """

    by_loop: Flags
    by_statement: Flags
    iterations: Floats
    bytes: Floats
    count: Floats


def reuse(
    plan: StatementPlan,
    loops: LoopArrays,
    parts: Touched,
    around: Floats,
    earlier: Sequence[tuple[Flags, Floats]],
) -> Reuse:
    """Find the innermost loop that brings each buffer back.

    Args:
        plan: The statement.
        loops: Its loops.
        parts: What it touches.
        around: Bytes that all statements touch while the loops from each on run.
        earlier: For each statement in `plan.shared`, which loops are shared, and what it touches
            of each buffer: buffers × loops × candidates.
    """
    buffers, rows = len(plan.buffers), loops.extents.shape[1]
    items = float(sum(b.item_bytes for b in plan.buffers))
    found = np.zeros((buffers, rows), bool)
    by_loop, by_statement = found.copy(), found.copy()
    iterations, between, count = (np.zeros((buffers, rows)) for _ in range(3))
    walked = np.ones((buffers, rows))  # iterations of moving loops inside
    last = np.full((buffers, rows), items)  # bytes of the last moving loop inside
    for k in range(loops.count - 1, -1, -1):
        extent, live = loops.extents[k], loops.live[k]
        moved = plan.moved[:, k, None]
        hit = live & ~moved & ~found
        by_loop |= hit
        iterations = np.where(hit, walked, iterations)
        between = np.where(hit, last, between)
        count = np.where(hit, extent, count)
        found |= hit
        number, nearest = _touched_before(plan, parts, earlier, k)
        if number is not None:
            hit = live & moved & ~found & (number > 0)
            by_statement |= hit
            iterations = np.where(hit, nearest / extent, iterations)
            between = np.where(hit, around[k] / extent, between)
            count = np.where(hit, number, count)
            found |= hit
        walked = np.where(moved, walked * extent, walked)
        last = np.where(moved & live, around[k], last)
    return Reuse(by_loop, by_statement, iterations, between, count)


def _touched_before(
    plan: StatementPlan, parts: Touched, earlier: Sequence[tuple[Flags, Floats]], k: int
) -> tuple[Any, Any]:
    """How many earlier statements touch each buffer in loop k, and the least they touch."""
    number: Any = None
    nearest: Any = parts.elements[:, k]
    for (_, common, touching), (shared, elements) in zip(plan.shared, earlier, strict=True):
        if k >= common or not touching.any():
            continue
        inside = shared[k] & touching[:, None]
        number = inside.astype(np.float64) if number is None else number + inside
        nearest = np.where(inside, np.minimum(nearest, elements[:, k]), nearest)
    return number, nearest
