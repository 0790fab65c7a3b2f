"""What the blocks and threads of a GPU kernel may take: threads, registers, shared memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from tensorc.schedule.bounds import Bounds
from tensorc.space.columns import TileColumns
from tensorc.space.constraints import Mask
from tensorc.space.decisions import Rows
from tensorc.target import Target

# Elements that one thread computes, at most: they are in registers.
_PER_THREAD = 64
# Random rows among which one that fits the budget is looked for, before all are.
_TRIES = 12
_HALVINGS = 6
_SHRINKINGS = 24


@dataclass(frozen=True, slots=True, eq=False)
class ThreadTile:
    """The spatial splits of a tiled stage: blocks, virtual threads, threads, and two levels inside.

    Attributes:
        axes: The splits.
        limits: The most virtual threads, threads, and elements of a thread.
        least: The fewest threads; 0 if the stage is too small for it.
    """

    axes: tuple[TileColumns, ...]
    limits: Rows
    least: int

    @classmethod
    def of(cls, axes: tuple[TileColumns, ...], target: Target) -> ThreadTile:
        """The budget of a target."""
        limits = np.array([target.max_vthread, target.max_threads_per_block, _PER_THREAD])
        small = prod(a.tile.extent for a in axes) <= 2 * target.warp_size
        return cls(axes, limits, 0 if small else target.warp_size)

    def holds(self, matrix: Rows) -> Mask:
        """Which rows keep to the budget."""
        used = np.ones((len(matrix), len(self.limits)), np.int64)
        for axis in self.axes:
            used *= _use(matrix[:, axis.columns])
        mask: Mask = (used <= self.limits).all(axis=1) & (used[:, 1] >= self.least)
        return mask

    def spend(self, matrix: Rows, rng: np.random.Generator) -> None:
        """Draw all axes, in place: in random order, the longest last, since it can fill a warp."""
        room = np.tile(self.limits, (len(matrix), 1))
        longest = max(self.axes, key=lambda a: a.tile.extent)
        others = [self.axes[k] for k in rng.permutation(len(self.axes))]
        for axis in (*(a for a in others if a is not longest), longest):
            least = np.zeros(len(matrix), np.int64)
            if axis is longest:
                threads = self.limits[1] // np.maximum(room[:, 1], 1)
                least = -(-self.least // np.maximum(threads, 1))
            rows = _draw(axis, room, least, rng)
            matrix[:, axis.columns] = rows
            room = room // _use(rows)


def _use(lengths: Rows) -> Rows:
    """Virtual threads, threads and elements of a thread that each row takes."""
    used: Rows = np.stack([lengths[:, 0], lengths[:, 1], lengths[:, 2:].prod(axis=1)], axis=1)
    return used


def _draw(axis: TileColumns, room: Rows, least: Rows, rng: np.random.Generator) -> Rows:
    """A row of the table for each candidate that fits its room and has enough threads."""
    table = axis.table
    used = _use(table)
    tried = rng.integers(0, len(table), (len(room), _TRIES))
    fits = (used[tried] <= room[:, None, :]).all(axis=2) & (used[tried, 1] >= least[:, None])
    picked = tried[np.arange(len(room)), np.argmax(fits, axis=1)]
    missing = np.flatnonzero(~fits.any(axis=1))
    wanted = np.concatenate([room[missing], least[missing, None]], axis=1)
    kinds, inverse = np.unique(wanted, axis=0, return_inverse=True)
    for k, kind in enumerate(kinds):
        fitting = (used <= kind[:3]).all(axis=1)
        enough = fitting & (used[:, 1] >= kind[3])
        choices = np.flatnonzero(enough if enough.any() else fitting)
        mine = missing[inverse.reshape(-1) == k]
        picked[mine] = choices[rng.integers(0, len(choices), len(mine))]
    rows: Rows = table[picked]
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class SharedMemory:
    """The shared memory of all copies of a kernel.

    Attributes:
        stages: The copies.
        reductions: The splits of reductions, whose inner loops decide how much is copied.
        tiles: The splits of spatial loops.
        limit: Bytes of a block.
        bounds_of: Bounds of a population.
    """

    stages: tuple[str, ...]
    reductions: tuple[TileColumns, ...]
    tiles: tuple[TileColumns, ...]
    limit: int
    bounds_of: Callable[[Rows], Bounds]

    def bytes(self, matrix: Rows) -> Rows:
        """Bytes that each row needs."""
        total = np.zeros(len(matrix), np.int64)
        if not len(matrix) or not self.stages:
            return total
        bounds = self.bounds_of(matrix)
        for name in self.stages:
            op = bounds.state.dag.by_name[name]
            sizes = bounds.nests[name].extents
            elements = np.ones(len(matrix), np.int64)
            for axis in op.axes:
                elements = elements * sizes[axis]
            total += elements * sum(d.itemsize for d in op.dtypes)
        return total

    def holds(self, matrix: Rows) -> Mask:
        """Which rows fit."""
        mask: Mask = self.bytes(matrix) <= self.limit
        return mask

    def repair(self, matrix: Rows, rng: np.random.Generator) -> Rows:
        """Make rows fit: halve reduction tiles, then give factors of other levels to the grid."""
        matrix = matrix.copy()
        over = np.flatnonzero(~self.holds(matrix))
        for _ in range(_HALVINGS):
            if not len(over) or not self.reductions:
                break
            for axis in self.reductions:
                matrix[over, axis.columns] = _halved(axis, matrix[over, axis.columns], rng)
            over = over[~self.holds(matrix[over])]
        for _ in range(_SHRINKINGS):
            if not len(over) or not self.tiles:
                break
            self._shrink(matrix, over, rng)
            over = over[~self.holds(matrix[over])]
        return matrix

    def _shrink(self, matrix: Rows, over: Rows, rng: np.random.Generator) -> None:
        """Divide one level other than the threads by its greatest small prime factor, in place."""
        columns = np.array([a.tile.first + k for a in self.tiles for k in (0, 2, 3)])
        lengths = matrix[np.ix_(over, columns)]
        picked = np.argmax(np.where(lengths > 1, rng.random(lengths.shape), -1.0), axis=1)
        length = lengths[np.arange(len(over)), picked]
        factor = np.where(length > 1, length, 1)
        for prime in (2, 3, 5, 7):
            factor = np.where(length % prime == 0, prime, factor)
        before = matrix[over]
        matrix[over, columns[picked]] = length // factor
        for axis in self.tiles:  # an innermost length that does not divide may not be dividable
            foreign = ~axis.contains(matrix[np.ix_(over, np.r_[axis.columns])])
            matrix[over[foreign]] = before[foreign]


def _halved(axis: TileColumns, lengths: Rows, rng: np.random.Generator) -> Rows:
    """Rows of the table with at most half as many iterations inside."""
    sizes = axis.table.prod(axis=1)
    order = np.argsort(sizes, kind="stable")
    fitting = np.searchsorted(sizes[order], lengths.prod(axis=1) // 2, "right")
    drawn = (rng.random(len(lengths)) * np.maximum(fitting, 1)).astype(np.int64)
    rows: Rows = axis.table[order[drawn]]
    return rows
