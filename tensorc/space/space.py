"""The candidates of one sketch: rows of integers, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tensorc.schedule.bounds import Bounds
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.schedule.steps import Step
from tensorc.space.assembly import column_bounds, make_columns, shared_memory, tile_groups
from tensorc.space.canonical import Canonical
from tensorc.space.concrete import concrete_steps, recover_row
from tensorc.space.constants import constant_ops
from tensorc.space.constraints import Budget, Constraints
from tensorc.space.decisions import Rows
from tensorc.space.draft import Draft
from tensorc.space.features.plan import Plan, make_plan
from tensorc.space.features.population import features
from tensorc.space.population import annotate
from tensorc.space.sampling import sample
from tensorc.space.sketch import Sketch
from tensorc.space.task import SearchTask
from tensorc.space.thread_binding import bind_threads
from tensorc.space.variation import change_one, cross

# Tries to change a row before it is left as it is.
_TRIES = 3
# The greatest block for which the C library lowers its threshold, less its own overhead.
_LARGE_BLOCK = 31 << 20


@dataclass(slots=True)
class Rejections:
    """How many rows were made by chance, and how many broke a constraint: those are not proposed.

    Attributes:
        made: All of them, those that were made again included.
        rejected: Those that were not valid.
    """

    made: int = 0
    rejected: int = 0

    def count(self, valid: np.ndarray) -> None:
        """Add rows that were just made."""
        self.made += len(valid)
        self.rejected += len(valid) - int(np.count_nonzero(valid))

    @classmethod
    def total(cls, parts: Iterable[Rejections]) -> Rejections:
        """The sum over several spaces."""
        listed = list(parts)
        return cls(sum(part.made for part in listed), sum(part.rejected for part in listed))

    @property
    def rate(self) -> float:
        """The share of rows that were rejected; 0 where none were made."""
        return self.rejected / max(self.made, 1)


class Space:
    """The candidates of one sketch.

    A row holds a value for each decision of the sketch and of the population rules. Rows that are
    drawn, changed or crossed here keep to all constraints and are canonical: columns without
    effect hold a fixed value, so that equal schedules are equal rows.

    Attributes:
        task: What is tuned.
        sketch: The sketch, as the rules made it.
        draft: The sketch with the choices of the population rules.
        columns: What the columns mean, and which values they may take.
        constraints: What columns owe each other.
        rejections: How many rows were made so far, and how many of them were not valid.
    """

    def __init__(self, task: SearchTask, sketch: Sketch) -> None:
        self.task = task
        self.sketch = sketch
        draft = Draft(sketch.state, sketch.decisions, sketch.width)
        gpu = task.target.is_gpu
        self.draft = bind_threads(task, draft) if gpu else annotate(task, draft)
        self.columns = make_columns(task, self.draft)
        self._groups = tile_groups(task, self.draft, self.columns)
        self._shared = shared_memory(task, self.draft, self.columns, self.bounds) if gpu else None
        budgets: tuple[Budget, ...] = self._groups
        if self._shared is not None:
            budgets = (*budgets, self._shared)
        self.constraints = Constraints(budgets, column_bounds(self.draft, self.columns))
        self._canonical = Canonical.of(task, self.draft, self.columns, self.constraints)
        self.rejections = Rejections()
        self._plan: Plan | None = None
        generator = np.random.default_rng(7)
        self._factors: Rows = generator.integers(1, 2**62, self.columns.width) | 1

    def size(self) -> float:
        """About how many rows there are."""
        return self.columns.size

    def sample(self, count: int, rng: np.random.Generator) -> Rows:
        """Draw rows."""
        keep_freed_memory()
        rows = self._draw(count, rng)
        valid = self._judged(rows)
        for _ in range(_TRIES):
            bad = np.flatnonzero(~valid)
            if not len(bad):
                break
            rows[bad] = self._draw(len(bad), rng)
            valid[bad] = self._judged(rows[bad])
        bad, good = np.flatnonzero(~valid), np.flatnonzero(valid)
        if len(bad) and len(good):  # rare, on GPUs only: take what is known to fit
            rows[bad] = rows[good[rng.integers(0, len(good), len(bad))]]
        return self.canonical(rows)

    def _judged(self, rows: Rows) -> np.ndarray:
        """Which of the rows that were just made are valid; the others are counted."""
        valid = self.valid(rows)
        self.rejections.count(valid)
        return valid

    def _draw(self, count: int, rng: np.random.Generator) -> Rows:
        rows = self.constraints.repair(sample(self.columns, self._groups, count, rng))
        return rows if self._shared is None else self._shared.repair(rows, rng)

    def mutate(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Change one decision of each row; a row that cannot be changed stays."""
        result = rows.copy()
        todo = np.arange(len(rows))
        for _ in range(_TRIES):
            old = rows[todo]
            new = self.constraints.repair(change_one(self.columns, old, rng))
            done = self._judged(new) & (new != old).any(axis=1)
            result[todo[done]] = new[done]
            todo = todo[~done]
            if not len(todo):
                break
        return self.canonical(result)

    def crossover(self, first: Rows, second: Rows, rng: np.random.Generator) -> Rows:
        """Take each decision from one of two parents; the first parent if that is not valid."""
        child = self.constraints.repair(cross(self.columns, first, second, rng))
        valid = self._judged(child)
        return self.canonical(np.where(valid[:, None], child, first))

    def keys(self, rows: Rows) -> Rows:
        """Equal numbers for canonical rows of equal schedules, different ones for others."""
        keys: Rows = (rows * self._factors).sum(axis=1)
        return keys

    def valid(self, rows: Rows) -> np.ndarray:
        """Which rows hold allowed values that keep to all budgets."""
        mask: np.ndarray = self.columns.contain(rows) & self.constraints.hold(rows)
        return mask

    def canonical(self, rows: Rows) -> Rows:
        """The rows with dependent columns in their bounds and idle ones at a fixed value."""
        return self._canonical.apply(rows, self.bounds)

    def features(self, rows: Rows) -> NDArray[np.float32]:
        """The features of every statement: candidates × statements × features."""
        keep_freed_memory()
        bounds = self.bounds(rows)
        if self._plan is None:
            self._plan = make_plan(bounds.state, bounds, self.task.target)
        values = features(bounds.state, self.task.target, len(rows), self._plan, bounds)
        constant = constant_ops(self.task, bounds.state.dag)
        free = [n for n, s in enumerate(self._plan.statements) if s.name in constant]
        if free:
            values[:, free] = 0.0  # computed before all calls
        return values

    def state(self, rows: Rows) -> State:
        """The state of a whole population at once."""
        columns: list[int | Rows] = list(np.ascontiguousarray(rows.T))
        for column, value in self._fixed.items():
            columns[column] = value  # ints are short cuts in replay and in bounds inference
        return replay(self.task.dag, self.draft.state.steps, columns)

    def bounds(self, rows: Rows) -> Bounds:
        """Loops and regions of a whole population at once."""
        return Bounds(self.state(rows))

    def steps(self, row: Rows) -> tuple[Step, ...]:
        """The schedule of a row."""
        ints = [int(value) for value in self.canonical(row[None])[0]]
        return concrete_steps(self.task.dag, self.draft.state, ints)

    def row(self, steps: Sequence[Step]) -> Rows | None:
        """The row of a schedule, None if it is not one of this space."""
        found = recover_row(self.draft.state, self.columns.width, tuple(steps))
        if found is None:
            return None
        row = self.canonical(self._filled(np.array([found], np.int64)))
        if not self.valid(row)[0] or self.steps(row[0]) != tuple(steps):
            return None
        first: Rows = row[0]
        return first

    @cached_property
    def _fixed(self) -> dict[int, int]:
        return self.columns.fixed()

    def _filled(self, rows: Rows) -> Rows:
        """Zeros that are no option, of choices without effect, become the first option."""
        filled = rows.copy()
        for choice in self.columns.choices:
            known = np.isin(filled[:, choice.first], choice.options)
            filled[:, choice.first] = np.where(known, filled[:, choice.first], choice.options[0])
        return filled


def keep_freed_memory() -> None:
    """Make the C library keep the blocks of arrays that are freed.

    Otherwise the temporaries of a population, some 100 KiB each, go back to the system at once,
    and the page faults of the next ones take most of the time. glibc keeps blocks up to the
    largest that was ever freed (`M_MMAP_THRESHOLD` in mallopt(3)): a large one, never touched, is
    freed here.
    """
    np.empty(_LARGE_BLOCK, np.uint8)
