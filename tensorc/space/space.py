"""The candidates of one sketch: rows of integers, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tensorc.ir.dtype import compute_dtype
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.schedule.steps import LocateStep, Step
from tensorc.space.canonical import Canonical
from tensorc.space.columns import MAX_INNER, Columns, inner_choices, tile_columns
from tensorc.space.concrete import concrete_steps, recover_row
from tensorc.space.constraints import (
    Constraints,
    NoDeeper,
    ParallelBound,
    RegisterBudget,
    Repair,
    VectorBound,
)
from tensorc.space.decisions import Choice, Rows, Tile
from tensorc.space.draft import Draft
from tensorc.space.features.plan import Plan, make_plan
from tensorc.space.features.population import features
from tensorc.space.inquiries import readers
from tensorc.space.nests import homes, nest_loops
from tensorc.space.population import (
    annotate,
    is_around_unrolled,
    live_stages,
    register_tiles,
    vector_tile,
)
from tensorc.space.sampling import RegisterTile, sample
from tensorc.space.sketch import Sketch
from tensorc.space.task import SearchTask
from tensorc.space.variation import change_one, cross

# Tries to change a row before it is left as it is.
_TRIES = 3


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
    """

    def __init__(self, task: SearchTask, sketch: Sketch) -> None:
        self.task = task
        self.sketch = sketch
        self.draft = annotate(task, Draft(sketch.state, sketch.decisions, sketch.width))
        self.columns = _columns(task, self.draft)
        self._groups = _register_groups(task, self.draft, self.columns)
        self.constraints = Constraints(
            tuple(group.budget for group in self._groups), _repairs(self.draft, self.columns)
        )
        self._canonical = Canonical.of(task, self.draft, self.columns, self.constraints)
        self._plan: Plan | None = None
        generator = np.random.default_rng(7)
        self._factors: Rows = generator.integers(1, 2**62, self.columns.width) | 1

    def size(self) -> float:
        """About how many rows there are."""
        return self.columns.size

    def sample(self, count: int, rng: np.random.Generator) -> Rows:
        """Draw rows."""
        return self.canonical(sample(self.columns, self._groups, count, rng))

    def mutate(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Change one decision of each row; a row that cannot be changed stays."""
        result = rows.copy()
        todo = np.arange(len(rows))
        for _ in range(_TRIES):
            old = rows[todo]
            new = self.constraints.repair(change_one(self.columns, old, rng))
            done = self.valid(new) & (new != old).any(axis=1)
            result[todo[done]] = new[done]
            todo = todo[~done]
            if not len(todo):
                break
        return self.canonical(result)

    def crossover(self, first: Rows, second: Rows, rng: np.random.Generator) -> Rows:
        """Take each decision from one of two parents; the first parent if that is not valid."""
        child = self.constraints.repair(cross(self.columns, first, second, rng))
        valid = self.valid(child)
        return self.canonical(np.where(valid[:, None], child, first))

    def keys(self, rows: Rows) -> Rows:
        """Equal numbers for rows of equal schedules, different ones for others."""
        keys: Rows = (self.canonical(rows) * self._factors).sum(axis=1)
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
        bounds = self.bounds(rows)
        if self._plan is None:
            self._plan = make_plan(bounds.state, bounds, self.task.target)
        return features(bounds.state, self.task.target, len(rows), self._plan, bounds)

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


def _columns(task: SearchTask, draft: Draft) -> Columns:
    vectors = {vector_tile(register_tiles(draft, stage)) for stage in live_stages(draft)}
    tiles = []
    for d in draft.decisions:
        if isinstance(d, Tile):
            lanes, gpu = _lanes(task, draft, d.stage), task.target.is_gpu
            cap = lanes if is_around_unrolled(draft, d) and not gpu else MAX_INNER
            lengths = inner_choices(d, lanes, cap, is_vector=d in vectors, is_gpu=gpu)
            tiles.append(tile_columns(d, lengths))
    choices = tuple(d for d in draft.decisions if isinstance(d, Choice))
    return Columns(tuple(tiles), choices, draft.width)


def _lanes(task: SearchTask, draft: Draft, stage: str) -> int:
    return task.target.lanes(compute_dtype(draft.op(stage).dtype).bits)


def _register_groups(task: SearchTask, draft: Draft, columns: Columns) -> tuple[RegisterTile, ...]:
    by_tile = {t.tile: t for t in columns.tiles}
    groups = []
    for stage in live_stages(draft):
        tiles = register_tiles(draft, stage)
        if not tiles:
            continue
        vector = vector_tile(tiles)
        rows = tuple(by_tile[t] for t in tiles if t is not vector)
        column = None if vector is None else vector.first + vector.count - 1
        inner = tuple(r.tile.first + r.tile.count - 1 for r in rows)
        registers = task.target.vector_registers
        budget = RegisterBudget(column, inner, _lanes(task, draft, stage), registers)
        groups.append(RegisterTile(budget, by_tile[vector] if vector else None, rows))
    return tuple(groups)


def _repairs(draft: Draft, columns: Columns) -> tuple[Repair, ...]:
    """Bounds between columns: locations, consumers first, then parallel and vector loops."""
    located = {c.stage: c.first for c in columns.choices if c.what == "location"}
    parallel = {c.stage: c.first for c in columns.choices if c.what == "parallel"}
    targets = {s.stage: s for s in draft.state.steps if isinstance(s, LocateStep)}
    deeper: list[Repair] = []
    fused: list[Repair] = []
    for stage, column in located.items():
        step = targets[stage]
        for reader in _readers_inside(draft, stage, step.target):
            if reader in located:
                deeper.append(NoDeeper(column, located[reader]))
        loops = nest_loops(draft.state, step.target)[: step.limit]
        for owner, count in parallel.items():
            mine = [k for k, (name, _) in enumerate(loops) if name == owner]
            if mine:
                fused.append(ParallelBound(count, column, mine[0], len(mine)))
    vectors = [
        VectorBound(c.first, parallel[c.stage], len(draft.stage(c.stage).iterators))
        for c in columns.choices
        if c.what == "vectorize" and c.stage in parallel
    ]
    return (*deeper, *fused, *vectors)


def _readers_inside(draft: Draft, stage: str, target: str) -> list[str]:
    """The stages between one and the stage it is computed in: its readers and their homes."""
    found: dict[str, None] = {}
    for reader in readers(draft, stage):
        chain = homes(draft.state, reader)
        found.update(dict.fromkeys(chain[: chain.index(target)]))
    return list(found)
