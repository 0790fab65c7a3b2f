"""One row for each schedule: columns that act on nothing get a fixed value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tensorc.schedule.bounds import Bounds
from tensorc.schedule.steps import Col, LocateStep
from tensorc.space.columns import Columns
from tensorc.space.constraints import Constraints
from tensorc.space.decisions import Choice, Rows
from tensorc.space.draft import Draft


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """What canonical rows need to know of a sketch.

    Attributes:
        constraints: Those whose repairs are made first.
        locations: The steps with a location column, consumers first.
        parallel: The choices of parallel loops.
        located: The location column of each stage that has one.
    """

    constraints: Constraints
    locations: tuple[LocateStep, ...]
    parallel: tuple[Choice, ...]
    located: dict[str, int]

    @classmethod
    def of(cls, draft: Draft, columns: Columns, constraints: Constraints) -> Canonical:
        """Collect what is needed."""
        steps = tuple(
            s for s in draft.state.steps if isinstance(s, LocateStep) and isinstance(s.level, Col)
        )
        parallel = tuple(c for c in columns.choices if c.what == "parallel")
        located = {s.stage: s.level.index for s in steps if isinstance(s.level, Col)}
        return cls(constraints, steps, parallel, located)

    def apply(self, rows: Rows, bounds_of: Callable[[Rows], Bounds]) -> Rows:
        """Return canonical rows; applying this again changes nothing."""
        rows = self.constraints.repair(rows)
        if not len(rows) or not (self.locations or self.parallel):
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
        return rows


def _fall(rows: Rows, column: int, extents: list[int | Rows], least: int) -> None:
    """Lower a number of loops, in place, as long as the last of them is but one iteration."""
    value = rows[:, column]
    for count in range(len(extents), least, -1):
        idle = (value == count) & np.equal(extents[count - 1], 1)
        value = np.where(idle, count - 1, value)
    rows[:, column] = value
