"""How far accesses move: flat distances between neighbours along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tensorc.arith.affine import substitute
from tensorc.arith.sizes import Size
from tensorc.ir.affine import (
    Affine,
    FloorDiv,
    add,
    affine_variables,
    atom_variables,
    coefficient,
    scale,
    variable,
)
from tensorc.ir.expr import Select
from tensorc.ir.visit import walk_expr
from tensorc.schedule.access import accesses, body_of
from tensorc.schedule.state import State
from tensorc.te.op import Op

# The stride up to which it pays to vectorise along an axis a read walks in steps.
_NEAR = 4


def flat_stride(indices: Sequence[Affine], shape: Sequence[Size], axis: str) -> Size | None:
    """Elements between neighbours along `axis`; None if it is inside another atom."""
    total: Size = 0
    for d, index in enumerate(indices):
        for atom, factor in index.terms:
            if atom == axis and isinstance(atom, str):
                total = total + factor * prod(shape[d + 1 :])
            elif not isinstance(atom, str) and axis in atom_variables(atom):
                return None
    return total


def read_strides(state: State, stage: str, axis: str) -> list[Size | None]:
    """The stride of each read of a stage along one of its axes."""
    return [
        flat_stride(indices, state.dag.by_name[producer].shape, axis)
        for producer, places in accesses(state, stage).items()
        for indices in places
    ]


def group_size(state: State, stage: str, axis: str) -> int | None:
    """How many neighbours along an axis read from the same group, as in `A[i//34]`; None for all.

    Where several reads divide the axis the smallest divisor counts.
    """
    divisors = [
        atom.divisor
        for places in accesses(state, stage).values()
        for indices in places
        for index in indices
        for atom, _ in index.terms
        if isinstance(atom, FloorDiv) and atom.affine == variable(axis)
    ]
    return min((d for d in divisors if isinstance(d, int)), default=None)


def walks_rows(state: State, stage: str, axis: str) -> bool:
    """Whether some read steps closely along an axis."""
    strides = read_strides(state, stage, axis)
    return any(isinstance(s, int) and 0 < abs(s) <= _NEAR for s in strides)


def conditional_axes(state: State, stage: str) -> frozenset[str]:
    """The axes that conditions on indices depend on."""
    return frozenset(
        name
        for value in body_of(state, stage)
        for e in walk_expr(value)
        if isinstance(e, Select)
        for condition in e.conditions
        for name in affine_variables(condition)
    )


def contiguous_run(state: State, stage: str) -> int:
    """How many of the innermost axes can be one loop along which every read steps evenly."""
    op: Op = state.dag.by_name[stage]
    conditional = conditional_axes(state, stage)
    run = 1
    for outer in range(len(op.axes) - 2, -1, -1):
        a, b, extent = op.axes[outer], op.axes[outer + 1], op.shape[outer + 1]
        if {a, b} & conditional:
            break
        pairs = zip(read_strides(state, stage, a), read_strides(state, stage, b), strict=True)
        if not all(x is not None and y is not None and x == y * extent for x, y in pairs):
            break
        run += 1
    return run


@dataclass(frozen=True, slots=True)
class Walk:
    """How a read moves along an axis: `step` elements of one of its dimensions."""

    dimension: int
    step: int


def walk_along(indices: Sequence[Affine], axis: str, phases: int = 1) -> Walk | None:
    """How a read moves along an axis, or along one of its phases; None if not in even steps.

    A step of 0 means that it stands still.
    """
    phase = f"{axis}.1"
    inner = {axis: add(scale(variable(axis), phases), variable(phase))} if phases > 1 else {}
    moving = Walk(0, 0)
    for d, index in enumerate(indices):
        along = substitute(index, inner, {phase: (0, phases - 1)})
        step = coefficient(along, axis)
        rest = Affine(along.const, tuple(t for t in along.terms if t[0] != axis))
        if axis in affine_variables(rest) or not isinstance(step, int):
            return None
        if step and moving.step:
            return None
        moving = Walk(d, step) if step else moving
    return moving
