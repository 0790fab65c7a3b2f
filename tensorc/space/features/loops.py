"""The loops of one statement as arrays: loops × candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorc.schedule.bounds import Bounds, Loop, Nest
from tensorc.schedule.stage import Annotation, AtLevel
from tensorc.schedule.state import State
from tensorc.space.features.plan import StatementPlan
from tensorc.space.unrolling import vector_flags

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LoopArrays:
    """The loops around a store, outermost first.

    Attributes:
        nest: The nest they are of.
        first: How many of them belong to other stages.
        extents: Their extents; a loop that is not in force has 1.
        live: Whether an extent is more than 1.
        inside: The product of the extents from each loop on, and 1 after the last.
        vector: Which are vectorised.
        unrolled: Which are marked to be unrolled.
        parallel: Which are shared among cores.
    """

    nest: Nest
    first: int
    extents: Floats
    live: Flags
    inside: Floats
    vector: Flags
    unrolled: Flags
    parallel: Flags

    @property
    def count(self) -> int:
        """How many loops there are."""
        return len(self.extents)

    @property
    def total(self) -> Floats:
        """Iterations in all."""
        row: Floats = self.inside[0]
        return row

    def number(self, flags: Flags) -> tuple[Floats, Floats, Floats]:
        """Of the live loops with a flag: how many, their product, the extent of the innermost."""
        on = flags & self.live
        number = on.sum(axis=0).astype(np.float64)
        product = np.where(on, self.extents, 1.0).prod(axis=0)
        inner = np.zeros(on.shape[1])
        for k in range(self.count):
            inner = np.where(on[k], self.extents[k], inner)
        return number, np.where(number > 0, product, 0.0), inner


def spread(value: Any, rows: int) -> Floats:
    """A size as an array over candidates."""
    return np.broadcast_to(np.asarray(value, np.float64), (rows,))


def stacked(values: list[Any], rows: int) -> Floats:
    """Sizes as an array, one row for each."""
    out = np.empty((len(values), rows))
    for k, value in enumerate(values):
        out[k] = value
    return out


def loop_arrays(state: State, bounds: Bounds, plan: StatementPlan, rows: int) -> LoopArrays:
    """The loops of a statement that count."""
    nest = bounds.nests[plan.name]
    loops = [nest.loops[k] for k in plan.levels]
    extents = stacked([loop.extent for loop in loops], rows)
    inside = np.ones((len(loops) + 1, rows))
    for k in range(len(loops) - 1, -1, -1):
        inside[k] = inside[k + 1] * extents[k]
    vector = [loop.annotation is Annotation.VECTORIZE for loop in nest.outer]
    vector += vector_flags(state, plan.name)
    return LoopArrays(
        nest,
        plan.own,
        extents,
        extents > 1,
        inside,
        _flags([vector[k] for k in plan.levels], rows),
        _flags([loop.annotation is Annotation.UNROLL for loop in loops], rows),
        _flags([_is_parallel(state, loop) for loop in loops], rows),
    )


def _flags(values: list[Any], rows: int) -> Flags:
    out = np.empty((len(values), rows), bool)
    for k, value in enumerate(values):
        out[k] = value
    return out


def _is_parallel(state: State, loop: Loop) -> Any:
    """Whether a loop is annotated, or among the outer ones of a stage at the root marked so."""
    stage = state.stages[loop.stage]
    marked: Any = dict(stage.marks).get("parallel", 0) > loop.order
    if isinstance(stage.location, AtLevel):
        marked = marked & (stage.location.level == 0)
    return marked | (loop.annotation is Annotation.PARALLEL)
