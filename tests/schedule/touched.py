"""What a piece of a schedule touches, found by running its loops: the oracle of bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from tensorc.ir.affine import Affine, FloorDiv, FloorMod
from tensorc.schedule import State
from tensorc.schedule.access import accesses
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.relations import axis_values

Box = list[tuple[int, int]]


def evaluate(a: Affine, values: Mapping[str, int]) -> int:
    """The value of an affine."""
    total = a.const
    for atom, c in a.terms:
        match atom:
            case str():
                total += c * values[atom]
            case FloorDiv(inner, divisor):
                total += c * (evaluate(inner, values) // divisor)
            case FloorMod(inner, divisor):
                total += c * (evaluate(inner, values) % divisor)
            case _:
                raise AssertionError(atom)
    return total


def elements(bounds: Bounds, stage: str, position: tuple[int, ...]) -> Iterator[dict[str, int]]:
    """Values of the axes while the loops of a stage after those at `position` run."""
    state, nest = bounds.state, bounds.nests[stage]
    op, loops = state.dag.by_name[stage], nest.own
    names = [loop.name for loop in loops]
    values = axis_values(state.stages[stage].relations, nest.extents, names)
    free = [range(loop.extent) for loop in loops[len(position) :]]
    for rest in product(*free):
        env = dict(zip(names, (*position, *rest), strict=True))
        point = {name: evaluate(value, env) for name, value in values.items()}
        if all(v < nest.extents[name] for name, v in point.items()):
            yield {axis: point[axis] for axis in op.extents()}


def hull(points: list[tuple[int, ...]]) -> Box:
    """The smallest box around points."""
    return [(min(values), max(values)) for values in zip(*points, strict=True)]


def read_by_loops(bounds: Bounds, stage: str, producer: str, position: tuple[int, ...]) -> Box:
    """The box of a producer that a stage at the root reads, its first loops at `position`."""
    reads = accesses(bounds.state, stage)[producer]
    points = [
        tuple(evaluate(index, point) for index in indices)
        for point in elements(bounds, stage, position)
        for indices in reads
    ]
    return hull(points)


def needed(bounds: Bounds, name: str, target: str, position: tuple[int, ...]) -> Box:
    """The box of a stage that is read inside the first loops of `target`, a root stage."""
    state = bounds.state
    shape = state.dag.by_name[name].shape
    points: list[tuple[int, ...]] = []
    for user in bounds.users[name]:
        reads = accesses(state, user)[name]
        if user == target:
            walked = elements(bounds, user, position)
        else:
            walked = inside(state, user, needed(bounds, user, target, position))
        for point in walked:
            points += [tuple(evaluate(index, point) for index in indices) for indices in reads]
    box = hull(points)
    return [(max(low, 0), min(high, n - 1)) for (low, high), n in zip(box, shape, strict=True)]


def inside(state: State, stage: str, box: Box) -> Iterator[dict[str, int]]:
    """Values of the axes of a stage whose elements in a box are computed."""
    op = state.dag.by_name[stage]
    ranges = [range(low, high + 1) for low, high in box]
    ranges += [range(extent) for _, extent in op.reduce_axes]
    for values in product(*ranges):
        yield dict(zip(op.extents(), values, strict=True))
