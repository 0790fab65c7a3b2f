"""One row for each schedule: columns that act on nothing get a fixed value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tensorc.lower.lanes import lanes_of
from tensorc.schedule.access import body_of
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.stage import IterKind
from tensorc.schedule.steps import Col, LocateStep
from tensorc.space.columns import Columns
from tensorc.space.constraints import Constraints
from tensorc.space.decisions import Choice, Rows
from tensorc.space.draft import Draft
from tensorc.space.features.operations import lines_per_step
from tensorc.space.strides import conditional_axes
from tensorc.space.task import SearchTask
from tensorc.space.unrolling import body_copies, deepest_guest, vector_flags

# Lines of generated text that unrolling may make of one stage; more compiles too slowly.
_MOST_LINES = 2000


@dataclass(frozen=True, slots=True, eq=False)
class UnrollColumn:
    """The unrolling limit of a stage.

    Attributes:
        choice: The decision.
        lines: Lines of text for each copy of the body.
        lanes: Elements of a vector.
        tiles: Extent and innermost column of each spatial split: one that does not divide the
            extent makes a second version of the body.
    """

    choice: Choice
    lines: int
    lanes: int
    tiles: tuple[tuple[int, int], ...]

    def settle(self, rows: Rows, bounds: Bounds) -> None:
        """Lower the limit, in place, to the least that unrolls the same, or to what is compiled."""
        stage, column = self.choice.stage, self.choice.first
        loops = bounds.nests[stage].own
        vectors = vector_flags(bounds.state, stage)
        guest = deepest_guest(bounds.state, bounds, stage)
        wanted = rows[:, column]
        least, *more = self.choice.options
        lines = np.full(len(rows), self.lines, np.int64)
        for extent, innermost in self.tiles:
            lines = np.where(extent % rows[:, innermost] > 0, 2 * lines, lines)
        copies, _ = body_copies(loops, vectors, guest, least, self.lanes)
        value = np.full(len(rows), least, np.int64)
        for limit in more:
            larger, _ = body_copies(loops, vectors, guest, limit, self.lanes)
            taken = (wanted >= limit) & (larger != copies) & (larger * lines <= _MOST_LINES)
            value = np.where(taken, limit, value)
            copies = np.where(taken, larger, copies)
        rows[:, column] = value


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """What canonical rows need to know of a sketch.

    Attributes:
        constraints: Those whose repairs are made first.
        locations: The steps with a location column, consumers first.
        parallel: The choices of parallel loops.
        located: The location column of each stage that has one.
        unrolls: The choices of unrolling.
    """

    constraints: Constraints
    locations: tuple[LocateStep, ...]
    parallel: tuple[Choice, ...]
    located: dict[str, int]
    unrolls: tuple[UnrollColumn, ...]

    @classmethod
    def of(
        cls, task: SearchTask, draft: Draft, columns: Columns, constraints: Constraints
    ) -> Canonical:
        """Collect what is needed."""
        steps = tuple(
            s for s in draft.state.steps if isinstance(s, LocateStep) and isinstance(s.level, Col)
        )
        parallel = tuple(c for c in columns.choices if c.what == "parallel")
        located = {s.stage: s.level.index for s in steps if isinstance(s.level, Col)}
        unrolls = tuple(
            UnrollColumn(
                c,
                _lines(draft, c.stage),
                lanes_of(draft.op(c.stage), task.target),
                tuple(
                    (t.extent, t.first + t.count - 1)
                    for t in (columns.tile for columns in columns.tiles)
                    if t.stage == c.stage and t.kind is IterKind.SPATIAL
                ),
            )
            for c in columns.choices
            if c.what == "unroll"
        )
        return cls(constraints, steps, parallel, located, unrolls)

    def apply(self, rows: Rows, bounds_of: Callable[[Rows], Bounds]) -> Rows:
        """Return canonical rows; applying this again changes nothing."""
        rows = self.constraints.repair(rows)
        if not len(rows) or not (self.locations or self.parallel or self.unrolls):
            return rows
        bounds = bounds_of(rows)
        rows = rows.copy()
        for step in self.locations:
            loops = bounds.nests[step.target].loops[: step.limit]
            column = self.located[step.stage]
            _fall(rows, column, [loop.extent for loop in loops], 0)
        for choice in self.parallel:
            if choice.stage in self.located:
                inside = rows[:, self.located[choice.stage]] > 0
                rows[inside, choice.first] = choice.options[0]
        rows = self.constraints.repair(rows)
        for choice in self.parallel:
            own = [loop.extent for loop in bounds.nests[choice.stage].own]
            _fall(rows, choice.first, own, choice.options[0])
        for unroll in self.unrolls:
            unroll.settle(rows, bounds)
        return rows


def _lines(draft: Draft, stage: str) -> int:
    """Lines of text for each copy of a stage's body; borders make three versions along an axis."""
    borders = len(conditional_axes(draft.state, stage) & set(draft.op(stage).axes))
    versions = 9 if borders > 1 else 3 if borders else 1
    return max(lines_per_step(body_of(draft.state, stage)), 1) * versions


def _fall(rows: Rows, column: int, extents: list[int | Rows], least: int) -> None:
    """Lower a number of loops, in place, as long as the last of them is but one iteration."""
    value = rows[:, column]
    for count in range(len(extents), least, -1):
        idle = (value == count) & np.equal(extents[count - 1], 1)
        value = np.where(idle, count - 1, value)
    rows[:, column] = value
