"""Random rows that keep to all budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tensorc.space.columns import Columns, TileColumns
from tensorc.space.constraints import Budget, Mask, RegisterBudget
from tensorc.space.decisions import Rows


@dataclass(frozen=True, slots=True, eq=False)
class RegisterTile:
    """The splits whose innermost lengths share the vector registers.

    Attributes:
        budget: What they share.
        vector: The split of the vector axis, None if there is none.
        rows: The splits of the other axes.
    """

    budget: RegisterBudget
    vector: TileColumns | None
    rows: tuple[TileColumns, ...]

    @property
    def axes(self) -> tuple[TileColumns, ...]:
        """All splits."""
        return self.rows if self.vector is None else (*self.rows, self.vector)

    def holds(self, matrix: Rows) -> Mask:
        """Which rows keep to the budget."""
        return self.budget.holds(matrix)

    def spend(self, matrix: Rows, rng: np.random.Generator) -> None:
        """Draw all axes, in place: the vector axis first, then the others in random order."""
        lengths = np.ones(len(matrix), np.int64)
        if self.vector is not None:
            widest = np.full(len(matrix), self.budget.widest, np.int64)
            drawn = self.vector.draw(widest, rng)
            matrix[:, self.vector.columns] = drawn
            lengths = drawn[:, -1]
        room = self.budget.room(lengths)
        for k in rng.permutation(len(self.rows)):
            drawn = self.rows[k].draw(room, rng)
            matrix[:, self.rows[k].columns] = drawn
            room = np.maximum(room // drawn[:, -1], 1)


class TileGroup(Budget, Protocol):
    """Splits that share a budget."""

    @property
    def axes(self) -> tuple[TileColumns, ...]:
        """The splits."""
        ...

    def spend(self, matrix: Rows, rng: np.random.Generator) -> None:
        """Draw the columns of all splits, in place."""
        ...


def sample(
    columns: Columns, groups: Sequence[TileGroup], count: int, rng: np.random.Generator
) -> Rows:
    """Draw rows; splits that share a budget spend it together."""
    matrix = np.zeros((count, columns.width), np.int64)
    for choice in columns.choices:
        options = np.array(choice.options, np.int64)
        matrix[:, choice.first] = options[rng.integers(0, len(options), count)]
    spent: set[int] = set()
    for group in groups:
        group.spend(matrix, rng)
        spent.update(axis.tile.first for axis in group.axes)
    for tile in columns.tiles:
        if tile.tile.first not in spent:
            unlimited = np.full(count, tile.tile.extent, np.int64)
            matrix[:, tile.columns] = tile.draw(unlimited, rng)
    return matrix
