"""Axes that may be computed past their end, because all that is read there is owned and padded.

A register tile that hangs over the end of an axis needs another version of its loops, unless the
overhang may be computed too. It may where the tile's operands along this axis are packed copies,
padded with zeros at least as far as the tiles reach: what lies past the end is then read from the
padding, computed, and never copied out.
"""

from __future__ import annotations

from dataclasses import replace

from tensorc.arith.affine import interval
from tensorc.arith.sizes import ceildiv
from tensorc.ir.affine import (
    Affine,
    FloorDiv,
    FloorMod,
    affine_variables,
    atom_variables,
    of_atom,
    variable,
)
from tensorc.ir.expr import Const, Expr, Read, Select
from tensorc.ir.visit import expr_affines, walk_expr
from tensorc.schedule.access import body_of
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.relations import axis_values
from tensorc.schedule.stage import At, Stage
from tensorc.schedule.state import State
from tensorc.te.op import Op


def round_up(state: State) -> State:
    """Set `Stage.round_up` of every stage of a concrete state to the axes that allow it."""
    if not any(packed_tile(op) for op in state.dag.ops):
        return state
    stages, bounds = dict(state.stages), Bounds(state)
    for stage in state.stages.values():
        if isinstance(stage.location, At):
            factors = _packed_axes(state, stage.name)
            axes = tuple(a for a, f in factors.items() if _within_padding(bounds, stage, a, f))
            stages[stage.name] = replace(stage, round_up=axes)
    return State(state.dag, stages, state.steps, state.lengths)


def packed_tile(op: Op) -> tuple[int, int, int] | None:
    """The dimensions of tiles and within tiles, and the tile, of a packed copy; None of others."""
    match op.body:
        case (Select((Affine(_, ((str(outer), int(f)), (str(inner), -1))),), Read(), Const()),) if (
            outer in op.axes and inner in op.axes
        ):
            return op.axes.index(outer), op.axes.index(inner), -f
        case _:
            return None


def _packed_axes(state: State, name: str) -> dict[str, int]:
    """The axes `a` that occur as `a // f` and `a % f` in reads of packed copies only, with `f`."""
    factors: dict[str, int] = {}
    spoilt: set[str] = set()
    for value in body_of(state, name):
        for e in walk_expr(value):
            axis, factor, elsewhere = _packed_read(state, e)
            spoilt.update(v for a in elsewhere for v in affine_variables(a))
            if axis is not None and factors.setdefault(axis, factor) != factor:
                spoilt.add(axis)
    spatial = state.dag.by_name[name].axes
    return {a: factors[a] for a in spatial if a in factors and a not in spoilt}


def _packed_read(state: State, e: Expr) -> tuple[str | None, int, tuple[Affine, ...]]:
    """The axis that walks the tiles of a packed copy, the tile, and the other indices."""
    affines = expr_affines(e)
    tile = packed_tile(state.dag.by_name[e.op]) if isinstance(e, Read) else None
    if tile is not None:
        outer, inner, factor = tile
        for axis in affine_variables(affines[outer]):
            walk = variable(axis)
            if affines[outer] == of_atom(FloorDiv(walk, factor)) and affines[inner] == of_atom(
                FloorMod(walk, factor)
            ):
                rest = [a for d, a in enumerate(affines) if d not in (outer, inner)]
                return axis, factor, tuple(rest)
    return None, 0, affines


def _within_padding(bounds: Bounds, stage: Stage, axis: str, factor: int) -> bool:
    """Whether the regions computed along an axis tile the padded extent and end within it."""
    assert isinstance(stage.location, At)
    target, state = stage.location.target, bounds.state
    reads = bounds.accesses[target].get(stage.name, ())
    if bounds.users[stage.name] != (target,) or len(reads) != 1:
        return False
    op, nest = state.dag.by_name[stage.name], bounds.nests[target]
    dim = op.axes.index(axis)
    index, size, extent = reads[0][dim], op.shape[dim], bounds.nests[stage.name].extents[axis]
    walked = [a for a in state.dag.by_name[target].axes if index == variable(a)]
    if not walked or not (isinstance(size, int) and isinstance(extent, int)) or factor % extent:
        return False
    if nest.extents[walked[0]] != state.dag.by_name[target].extents()[walked[0]]:
        return False  # the reader itself is computed in parts, from somewhere on
    loops = [loop.name for loop in nest.own]
    inside = set(loops[loops.index(stage.location.iterator) + 1 :])
    value = axis_values(state.stages[target].relations, nest.extents, loops)[walked[0]]
    outside = [(t, c) for t, c in value.terms if not inside.intersection(atom_variables(t))]
    if any(c % extent for _, c in outside):
        return False
    ranges = {loop.name: (0, int(loop.extent) - 1) for loop in nest.own}
    _, last = interval(Affine(0, tuple(outside)), ranges)
    return bool(last + extent <= ceildiv(size, factor) * factor)
