"""Random rows that keep to all budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tensorc.space.columns import Columns, TileColumns
from tensorc.space.constraints import RegisterBudget
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


def sample(
    columns: Columns, groups: Sequence[RegisterTile], count: int, rng: np.random.Generator
) -> Rows:
    """Draw rows; each group spends its budget, the vector axis first, then axes in random order."""
    matrix = np.zeros((count, columns.width), np.int64)
    for choice in columns.choices:
        options = np.array(choice.options, np.int64)
        matrix[:, choice.first] = options[rng.integers(0, len(options), count)]
    spent: set[int] = set()
    for group in groups:
        _spend(matrix, group, rng)
        spent.update(t.tile.first for t in (group.vector, *group.rows) if t is not None)
    for tile in columns.tiles:
        if tile.tile.first not in spent:
            unlimited = np.full(count, tile.tile.extent, np.int64)
            matrix[:, tile.columns] = tile.draw(unlimited, rng)
    return matrix


def _spend(matrix: Rows, group: RegisterTile, rng: np.random.Generator) -> None:
    count = len(matrix)
    lengths = np.ones(count, np.int64)
    if group.vector is not None:
        widest = np.full(count, group.budget.widest, np.int64)
        drawn = group.vector.draw(widest, rng)
        matrix[:, group.vector.columns] = drawn
        lengths = drawn[:, -1]
    room = group.budget.room(lengths)
    for k in rng.permutation(len(group.rows)):
        drawn = group.rows[k].draw(room, rng)
        matrix[:, group.rows[k].columns] = drawn
        room = np.maximum(room // drawn[:, -1], 1)
