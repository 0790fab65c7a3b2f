"""Windows along one axis with fewer multiplications: Toom and Cook's products, phase by phase.

Some neighbouring elements of the result are `Aᵀ ((Bᵀ d) · (G w))`, from some neighbouring positions
`d` of the data and all taps `w`, with as many products as A has rows. A window with a step, or with
stretched data, is several plain ones, its phases: each has some of the taps and reads some of the
positions, or makes some of the elements. Their products stand one below the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tensorc.space.definitions.windows import Window
from tensorc.topi.winograd import Matrix, transform_matrices

# More products of one phase lose more digits than they save time.
_MOST_PRODUCTS_OF_PHASE: Final = 8


@dataclass(frozen=True, slots=True)
class Bilinear:
    """How elements of a tile follow from positions of the data and from taps.

    Attributes:
        outputs: A, a row for each product and a column for each element.
        data: B, a row for each position and a column for each product.
        taps: G, a row for each product and a column for each tap.
    """

    outputs: Matrix
    data: Matrix
    taps: Matrix

    @property
    def products(self) -> int:
        """How many products there are."""
        return len(self.outputs)

    @property
    def size(self) -> int:
        """How many elements a tile has."""
        return len(self.outputs[0])

    @property
    def reach(self) -> int:
        """How many positions they are computed from."""
        return len(self.data)

    def enlargement(self) -> float:
        """How much larger than of a direct sum the root mean square of the terms is."""
        squares = [
            sum(float(row[i]) ** 2 for row in self.data) * sum(float(x) ** 2 for x in self.taps[i])
            for i in range(self.products)
        ]
        return max(
            math.sqrt(sum(float(a) ** 2 * x for a, x in zip(column, squares, strict=True)) / terms)
            for column, terms in zip(zip(*self.outputs, strict=True), self._terms(), strict=True)
        )

    def _terms(self) -> list[int]:
        """How many terms the direct sum of each element has."""
        return [
            sum(
                any(
                    sum(column[i] * row[i] * self.taps[i][r] for i in range(self.products))
                    for row in self.data
                )
                for r in range(len(self.taps[0]))
            )
            for column in zip(*self.outputs, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Phase:
    """A plain window within another; of all three, the first one and how far on the next is."""

    outputs: tuple[int, int]
    data: tuple[int, int]
    taps: tuple[int, int]
    count: int


def bilinear(window: Window, tile: int) -> Bilinear | None:
    """Return the algorithm for tiles of `tile` elements of each phase.

    None if a phase has more products than are sensible. The gap of the window is left out: it is
    for tiles of elements, and positions, that are so far apart.
    """
    phases = list(_phases(window))
    if max(tile + phase.count - 1 for phase in phases) > _MOST_PRODUCTS_OF_PHASE:
        return None
    reach = max(p.data[0] + p.data[1] * (tile + p.count - 2) for p in phases) + 1
    rows: list[tuple[Fraction, ...]] = []
    columns: list[tuple[Fraction, ...]] = []
    kernel: list[tuple[Fraction, ...]] = []
    for phase in phases:
        a, b, g = _plain(tile, phase.count)
        rows += (_spread(row, *phase.outputs, tile * window.spread) for row in a)
        columns += (_spread(column, *phase.data, reach) for column in zip(*b, strict=True))
        kernel += (_spread(row, *phase.taps, window.taps) for row in g)
    return Bilinear(tuple(rows), tuple(zip(*columns, strict=True)), tuple(kernel))


def _phases(window: Window) -> Iterator[_Phase]:
    step, spread = window.step, window.spread
    for tap in range(step):
        # Of stretched data an element sees every `spread`-th tap, from the first whole position on.
        for output in range(spread):
            first = -(output + window.shift) % spread if spread > 1 else tap
            position = (output + first + window.shift) // spread if spread > 1 else tap
            apart = step * spread
            count = -(-(window.taps - first) // apart)
            yield _Phase((output, spread), (position, step), (first, apart), count)


def _plain(tile: int, taps: int) -> tuple[Matrix, Matrix, Matrix]:
    if tile > 1 and taps > 1:
        return transform_matrices(tile, taps)
    # As many products as of the direct sum: they are the direct ones.
    ones = ((Fraction(1),),) * (tile * taps)
    unit = tuple(tuple(Fraction(i == j) for j in range(len(ones))) for i in range(len(ones)))
    return (unit, unit, ones) if taps == 1 else (ones, unit, unit)


def _spread(row: tuple[Fraction, ...], first: int, step: int, length: int) -> tuple[Fraction, ...]:
    """The numbers so far apart, with zeros between and around."""
    result = [Fraction(0)] * length
    for n, x in enumerate(row):
        result[first + n * step] = x
    return tuple(result)
