"""How the elements of a sum over windows are cut into tiles, and which matrix row each tile is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tensorc import te
from tensorc.space.definitions.bilinear import Bilinear, bilinear
from tensorc.space.definitions.windows import Window, WindowSum
from tensorc.te import Expr

# Multiply-adds that fit in the time in which an element is transformed: most of it is traffic.
_TRANSFORM: Final = 16
# Products of a tile, each of which is a formula of its own in the code (`transforms.flattened`): a
# candidate with 216 compiles in 0.2 s, and one with 729 in 1.2 s.
_MOST_PRODUCTS_OF_TILE: Final = 256


def flat(indices: Sequence[Expr], extents: Sequence[int]) -> Expr:
    """Several indices in one, the last one the fastest."""
    result: Expr = te.const(0, "int32")
    for index, extent in zip(indices, extents, strict=True):
        result = result * extent + index
    return result


def unflat(index: Expr, extents: Sequence[int]) -> list[Expr]:
    """The indices that are in one."""
    result: list[Expr] = []
    for extent in reversed(extents):
        result.insert(0, te.indexmod(index, extent))
        index = te.indexdiv(index, extent)
    return result


@dataclass(frozen=True, slots=True)
class Cut:
    """A window by tiles.

    Elements of a tile are as far apart as taps are, so that they share positions: where taps have
    a gap, as many tiles lie within each other.

    Attributes:
        window: The window.
        how: What is computed for each tile.
    """

    window: Window
    how: Bilinear

    @property
    def inside(self) -> int:
        """How many tiles lie one behind the other."""
        return -(-self.window.extent // (self.window.gap * self.how.size))

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return self.inside * self.window.gap

    @property
    def wide(self) -> int:
        """How many positions they reach."""
        last = self._apart * (self.inside - 1) + self.window.step * (self.window.gap - 1)
        return last + self.window.gap * (self.how.reach - 1) + 1

    @property
    def _apart(self) -> int:
        """Positions from a tile to the one behind it."""
        return self.window.step * self.window.gap * self.how.size // self.window.spread

    def position(self, tile: Expr, k: Expr | int) -> Expr:
        """Which position a tile's position number `k` is."""
        gap = self.window.gap
        if gap == 1:
            return tile * self._apart + k
        first = te.indexdiv(tile, gap) * self._apart + te.indexmod(tile, gap) * self.window.step
        return first + k * gap

    def place(self, element: Expr) -> tuple[Expr, Expr]:
        """The tile that an element is in, and its number there."""
        gap, size = self.window.gap, self.how.size
        if gap == 1:
            return te.indexdiv(element, size), te.indexmod(element, size)
        behind = te.indexdiv(element, gap)
        tile = te.indexdiv(behind, size) * gap + te.indexmod(element, gap)
        return tile, te.indexmod(behind, size)


@dataclass(frozen=True, slots=True)
class Tiles:
    """All tiles, as rows of matrices: one for each combination of batches and tiles of windows.

    Attributes:
        what: The stage.
        cuts: Its windows by tiles.
    """

    what: WindowSum
    cuts: tuple[Cut, ...]

    @property
    def extents(self) -> tuple[int, ...]:
        """How many tiles, or batches, there are of each role of the rows."""
        counts = {cut.window.axis: cut.count for cut in self.cuts}
        return tuple(counts.get(role, self.what.sizes[role]) for role in self.what.rows)

    @property
    def wide(self) -> tuple[int, ...]:
        """How many positions, or batches, are read along each role of the rows."""
        reached = {cut.window.axis: cut.wide for cut in self.cuts}
        return tuple(reached.get(role, self.what.sizes[role]) for role in self.what.rows)

    def limits(self) -> dict[str, int]:
        """How many positions exist, where tiles reach more."""
        return {
            cut.window.axis: cut.window.positions
            for cut in self.cuts
            if cut.wide > cut.window.positions
        }

    def corner(self, row: Expr, offsets: Sequence[Expr | int]) -> dict[str, Expr]:
        """Where a row of the data is read, at some position of each tile: every role's place."""
        at = dict(zip(self.what.rows, unflat(row, self.extents), strict=True))
        for cut, k in zip(self.cuts, offsets, strict=True):
            at[cut.window.axis] = cut.position(at[cut.window.axis], k)
        return at

    def number(self, at: Mapping[str, Expr]) -> tuple[list[Expr], Expr]:
        """Which elements of its tiles an element is, and which row they are."""
        places = {cut.window.axis: cut.place(at[cut.window.axis]) for cut in self.cuts}
        tiles = [places[role][0] if role in places else at[role] for role in self.what.rows]
        elements = [places[cut.window.axis][1] for cut in self.cuts]
        return elements, flat(tiles, self.extents)

    @property
    def terms(self) -> int:
        """How many products are summed."""
        return math.prod(self.what.sizes[role] for role in self.what.channels)

    def gain(self) -> float:
        """How many times less work there is than without tiles, that of transforms included."""
        what = self.what
        direct = math.prod(w.extent * w.taps / w.spread for w in (c.window for c in self.cuts))
        products = math.prod(cut.count * cut.how.products for cut in self.cuts)
        outputs = math.prod(what.sizes[role] for role in what.outputs)
        return direct / (products * (1 + _TRANSFORM / self.terms + _TRANSFORM / outputs))


def tiles_of(what: WindowSum, sizes: Sequence[int]) -> Tiles | None:
    """Return tiles of so many elements along each window; None if they have too many products.

    Tiles are smaller where that takes no more of them, and where windows have many taps.
    """
    cuts = [_cut(window, size) for window, size in zip(what.windows, sizes, strict=True)]
    known = tuple(cut for cut in cuts if cut is not None)
    if (
        len(known) < len(cuts)
        or math.prod(cut.how.products for cut in known) > _MOST_PRODUCTS_OF_TILE
    ):
        return None
    return Tiles(what, known)


def _cut(window: Window, tile: int) -> Cut | None:
    elements = -(-window.extent // (window.gap * window.spread))
    even = -(-elements // -(-elements // tile))
    for size in range(even, 0, -1):
        how = bilinear(window, size)
        if how is not None:
            return Cut(window, how)
    return None
