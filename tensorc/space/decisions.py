"""Decisions of a sketch, and the tables of values that their columns may hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorc.arith.sizes import ceildiv
from tensorc.schedule.stage import IterKind

Rows: TypeAlias = NDArray[np.int64]
ChoiceKind: TypeAlias = Literal["location", "parallel", "vectorize", "unroll", "threads", "vector"]
TileRole: TypeAlias = Literal["levels", "across", "lanes", "chunk", "blocks", "factor", "shares"]


@dataclass(frozen=True, slots=True)
class Tile:
    """The inner lengths of one split, outermost first; the outermost loop is derived.

    Attributes:
        stage: The stage that was split.
        iterator: The iterator that was split.
        kind: Whether it is spatial.
        extent: Its extent; 1 for a loop of no iterations.
        first: The first of its columns.
        count: How many columns it has.
        role: What it is for: the levels of a tiled stage, such levels with the vectors along this
            axis although it is not the last, the vector loop of an untiled reduction, the part of
            a row that one core takes, a number of blocks that several stages are computed for, a
            factored reduction, or one that cores have shares of.
        row: Elements of the last axis that share the lanes with the innermost loop.
    """

    stage: str
    iterator: str
    kind: IterKind
    extent: int
    first: int
    count: int
    role: TileRole = "levels"
    row: int = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """One column that holds one of `options`, in ascending order."""

    stage: str
    what: ChoiceKind
    first: int
    options: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many columns it has."""
        return 1


Decision: TypeAlias = Tile | Choice


@cache
def divisors(n: int) -> tuple[int, ...]:
    """The divisors of a number, ascending."""
    small = [k for k in range(1, int(n**0.5) + 1) if n % k == 0]
    return tuple(sorted({*small, *(n // k for k in small)}))


@cache
def factorizations(n: int, count: int) -> tuple[tuple[int, ...], ...]:
    """All tuples of `count` numbers whose product divides `n`."""
    if count == 0:
        return ((),)
    return tuple((*outer, k) for k in divisors(n) for outer in factorizations(n // k, count - 1))


@cache
def tile_table(extent: int, count: int, lengths: tuple[int, ...]) -> Rows:
    """All inner lengths of a split into `count + 1` loops, sorted by the innermost.

    The innermost length is one of `lengths` (ascending) and need not divide the extent: the rest
    makes one tail. The other lengths divide what remains.
    """
    rows = [
        (*outer, inner)
        for inner in lengths
        for outer in factorizations(ceildiv(extent, inner), count - 1)
    ]
    return np.array(rows, np.int64).reshape(len(rows), count)


@cache
def share_table(extent: int, lengths: tuple[int, ...], shares: tuple[int, ...]) -> Rows:
    """The inner lengths of a split in three whose outermost loop runs over equal shares.

    Shares are so many at most as `shares` say; the last one may be shorter.
    """
    rows = {(ceildiv(ceildiv(extent, inner), n), inner) for inner in lengths for n in shares}
    return np.array(sorted(rows, key=lambda row: (row[1], row[0])), np.int64)


@cache
def inner_lengths(extent: int, cap: int, waste: float) -> tuple[int, ...]:
    """Innermost lengths up to `cap` with at most the share `waste` of iterations past the end."""
    return tuple(
        inner
        for inner in range(1, min(cap, extent) + 1)
        if ceildiv(extent, inner) * inner - extent <= waste * extent
    )


@cache
def vector_lengths(extent: int, cap: int, waste: float, lanes: int) -> tuple[int, ...]:
    """Innermost lengths that fill vectors: multiples of `lanes`, and the whole axis if it fits.

    Other lengths would leave part of a vector at the end of every tile.
    """
    filled = {n for n in inner_lengths(extent, cap, waste) if n % lanes == 0}
    whole = {extent} if extent <= cap else set()
    return tuple(sorted(filled | whole)) or inner_lengths(extent, cap, 0.0)
