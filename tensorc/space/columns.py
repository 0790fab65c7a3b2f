"""The columns of a decision matrix: which decisions a sketch has, and the values they may take."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

import numpy as np

from tensorc.arith.sizes import ceildiv
from tensorc.schedule.stage import IterKind
from tensorc.space.decisions import (
    Choice,
    Rows,
    Tile,
    divisors,
    inner_lengths,
    share_table,
    tile_table,
    vector_lengths,
)

# Ansor's `max_innermost_split_factor`.
MAX_INNER = 64
# Vectors that the innermost loop of a vector axis may have at least, however many lanes they have.
INNER_VECTORS = 4
# Share of iterations that may run past the end of an axis: its tail is computed by a second tile.
WASTE = 0.125
# For the vector axis: whole vectors are worth more.
VECTOR_WASTE = 0.2
# Vectors of partial results of a reduction that some length should leave in registers.
FACTOR_VECTORS = 8
# Vectors of partial results in each share of a reduction at most: more would leave registers.
_SHARE_VECTORS = 16
# What one core takes of a long row, in elements.
_CHUNK = 1 << 14
# Shares of a reduction that each core takes at most, so that a core that is late takes fewer.
_SHARES_PER_CORE = 4


@dataclass(frozen=True, slots=True, eq=False)
class TileColumns:
    """The columns of one split.

    Attributes:
        tile: The decision.
        table: All its values, one in each row, sorted by the innermost length.
        inner: The distinct innermost lengths.
        starts: Where the rows of each of them begin, and at the end the number of rows.
        codes: A number for each row of the table, ascending.
        order: The rows of `codes`.
    """

    tile: Tile
    table: Rows
    inner: Rows
    starts: Rows
    codes: Rows

    @property
    def columns(self) -> slice:
        """Its columns in the decision matrix."""
        return slice(self.tile.first, self.tile.first + self.tile.count)

    def contains(self, lengths: Rows) -> np.ndarray:
        """Which rows of lengths are in the table."""
        codes = _encode(lengths)
        place = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        found: np.ndarray = self.codes[place] == codes
        return found

    def draw(self, most: Rows, rng: np.random.Generator) -> Rows:
        """Draw a row for each number in `most`, which its innermost length must not exceed.

        Innermost lengths are equally likely, larger ones a little more; then so are the rows.
        """
        fitting = np.maximum(np.searchsorted(self.inner, most, "right"), 1)
        which = (np.sqrt(rng.random(len(most))) * fitting).astype(np.int64)
        return self.draw_inner(which, rng)

    def draw_inner(self, which: Rows, rng: np.random.Generator) -> Rows:
        """Draw a row for each of these positions among the innermost lengths."""
        low, high = self.starts[which], self.starts[which + 1]
        rows: Rows = self.table[low + (rng.random(len(which)) * (high - low)).astype(np.int64)]
        return rows


def tile_columns(tile: Tile, lengths: tuple[int, ...], cores: int = 1) -> TileColumns:
    """The columns of one split whose innermost length is one of `lengths`."""
    if tile.role == "shares" and tile.count > 1:
        table = share_table(tile.extent, lengths, shares_of(cores))
    else:
        table = tile_table(tile.extent, tile.count, lengths)
    inner, first = np.unique(table[:, -1], return_index=True)
    starts = np.append(first, len(table)).astype(np.int64)
    return TileColumns(tile, table, inner, starts, np.sort(_encode(table)))


def inner_choices(
    tile: Tile,
    lanes: int,
    cap: int,
    *,
    is_vector: bool,
    is_gpu: bool,
    group: int | None = None,
    cores: int = 1,
) -> tuple[int, ...]:
    """The innermost lengths of a split.

    Args:
        tile: The split.
        lanes: Elements of a vector.
        cap: The greatest length of a spatial loop.
        is_vector: Whether the innermost loop is vectorised, or its body is unrolled as a whole.
        is_gpu: Whether the machine is a GPU.
        group: How many neighbours along the axis share what they read, if not all do.
        cores: Cores of the machine.
    """
    extent = tile.extent
    if tile.role == "shares" and tile.count == 1:
        return tuple(sorted({ceildiv(extent, n) for n in shares_of(cores)}))
    if tile.role == "shares" and tile.row > 1:
        return _row_counts(extent, tile.row, lanes)
    if tile.role == "shares":
        lengths = _factor_lengths(extent, lanes, is_gpu)
        return tuple(n for n in lengths if n <= _SHARE_VECTORS * lanes) or lengths[:1]
    if tile.role == "factor":
        return _factor_lengths(extent, lanes, is_gpu)
    if tile.role == "chunk":
        chunks = tuple(n for n in (lanes * 2**k for k in range(16)) if n <= min(extent, _CHUNK))
        return chunks or (extent,)
    if tile.role == "blocks":
        return divisors(extent)
    if (is_vector or tile.role == "lanes") and not is_gpu:
        lengths = vector_lengths(extent, cap, VECTOR_WASTE, lanes)
        return lengths if group is None else _within_groups(lengths, group, cap, lanes)
    if tile.kind is IterKind.REDUCE and not is_gpu:
        return divisors(extent)  # long runs keep accumulators in registers
    exact = tile.kind is IterKind.REDUCE or tile.count == 1
    return inner_lengths(extent, cap, 0.0 if exact else WASTE)


def _within_groups(lengths: tuple[int, ...], group: int, cap: int, lanes: int) -> tuple[int, ...]:
    """Lengths of vectors that are within one group: others are put together lane by lane."""
    inside = {*lengths, *vector_lengths(group, cap, 0.0, lanes)}
    return tuple(sorted(n for n in inside if group % n == 0))


def _factor_lengths(extent: int, lanes: int, is_gpu: bool) -> tuple[int, ...]:
    """Lengths for a factored reduction: whole vectors that divide it.

    Where no several vectors do, the terms that are left over take one more step.
    """
    fitting = tuple(n for n in divisors(extent) if n <= MAX_INNER * lanes)
    filled = tuple(n for n in fitting if n % lanes == 0)
    most = FACTOR_VECTORS * lanes
    if is_gpu or any(lanes < n <= most for n in filled):
        return filled or fitting
    return vector_lengths(extent, most, VECTOR_WASTE, lanes)


def _row_counts(extent: int, row: int, lanes: int) -> tuple[int, ...]:
    """How many short rows may be behind each other: as many as fill vectors, or a power of two.

    There are rows for two shares at least.
    """
    room = max(min(_SHARE_VECTORS * lanes // row, extent // 2), 1)
    whole = lanes // gcd(row, lanes)
    counts = {start << k for start in (1, whole) for k in range(room.bit_length())}
    fitting = [n for n in sorted(counts) if n <= room]
    full = [n for n in fitting if ceildiv(n * row, lanes) * lanes <= (1 + VECTOR_WASTE) * n * row]
    return tuple(full or fitting[-1:])


def shares_of(cores: int) -> tuple[int, ...]:
    """How many shares a reduction may have: as many as cores, several times that, or a part."""
    fewer = {cores >> k for k in range(1, cores.bit_length()) if cores >> k > 1}
    more = {cores << k for k in range(_SHARES_PER_CORE.bit_length())}
    return tuple(sorted(fewer | more))


def _encode(lengths: Rows) -> Rows:
    """One number for each row of lengths, different for different rows of one table."""
    codes = np.zeros(len(lengths), np.int64)
    for k in range(lengths.shape[1]):
        codes = codes * 1_000_003 + lengths[:, k]
    return codes


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """All columns of a sketch.

    Attributes:
        tiles: The columns of each split.
        choices: The other decisions, of one column each.
        width: The number of columns.
    """

    tiles: tuple[TileColumns, ...]
    choices: tuple[Choice, ...]
    width: int

    @property
    def size(self) -> float:
        """The number of rows, those that break a constraint included."""
        tables = prod(float(len(t.table)) for t in self.tiles)
        return tables * prod(float(len(c.options)) for c in self.choices)

    def fixed(self) -> dict[int, int]:
        """The columns that have one value only, with it."""
        return {
            t.tile.first + k: int(t.table[0, k])
            for t in self.tiles
            if len(t.table) == 1
            for k in range(t.tile.count)
        }

    def contain(self, rows: Rows) -> np.ndarray:
        """Which rows hold allowed values in every column."""
        mask = np.ones(len(rows), bool)
        for t in self.tiles:
            mask &= t.contains(rows[:, t.columns])
        for c in self.choices:
            mask &= np.isin(rows[:, c.first], c.options)
        return mask
