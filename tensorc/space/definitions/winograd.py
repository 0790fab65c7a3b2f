"""3x3 windows by Winograd's algorithm (Lavin and Gray, arXiv 1509.09308): fewer multiplications.

    before:  O(n, h, w, co) = Σ over r, s, c of S(n, h + r, w + s, c) · W(r, s, c, co)
    after:   D(x, p, c)     = Bᵀ S B    for tile p of (m + 2)² positions; x counts the positions
             K(x, c, co)    = G W Gᵀ
             P(x, p, co)    = Σ over c of D(x, p, c) · K(x, c, co)
             O              = Aᵀ P A    for tile p, m × m elements

A value that is not finite spreads over its tile.

The transforms go along rows first and then along columns. Their matrices are written out in the
formulas: zeros cost nothing, and what two rows have in common is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Final

from tensorc import te
from tensorc.ir.affine import Affine
from tensorc.space.definitions.definition import Definition
from tensorc.space.definitions.splice import splice
from tensorc.space.definitions.windows import WindowSum, window_sum
from tensorc.te import Expr, Tensor
from tensorc.te.dag import CONST_TENSOR_INDICES, ComputeDAG
from tensorc.topi.winograd import Matrix, transform_matrices

_TAPS: Final = 3
_EPSILON: Final = 2.0**-23
# How much of the error allowed is left to data that cancels worse than random data.
_MARGIN: Final = 64.0
# Terms, of which there is one for each channel, add to the error of a single one like this.
_CHANNELS: Final = 1 / 6


@dataclass(frozen=True, slots=True)
class Winograd:
    """Compute stages that slide a 3x3 window in steps of 1 by tiles of `tile` x `tile` elements.

    Attributes:
        tile: Elements of a tile along each axis: 2 needs 2.25 times fewer multiplications, 4 needs
            4 times fewer.
    """

    tile: int

    def apply(self, dag: ComputeDAG, tolerance: float) -> Iterator[Definition]:
        """Return a definition for each such stage that the tolerance allows."""
        for op in dag.ops:
            found = None if op.is_placeholder else window_sum(dag, op.name)
            if found is None or not found.sizes["r"] == found.sizes["s"] == _TAPS:
                continue
            error = error_bound(self.tile, found.sizes["c"])
            if error <= tolerance:
                name = f"winograd({self.tile}x{self.tile}) of {op.name}"
                yield Definition(name, _rewritten(dag, found, self.tile), error)


def error_bound(tile: int, channels: int) -> float:
    """Return the error allowed for, relative to the largest element of the result, in float32.

    It is `64 · ε · κ · (1 + √channels / 6)`, where κ is by how much the transforms enlarge the
    rounding of random data: 1.7 for tiles of 2, 10.4 for tiles of 4. Random data has an error of
    about a sixty-fourth of it (2e-7 … 9e-7 and 1e-6 … 6e-6 for 1 … 512 channels; direct sums have
    1e-7 … 3e-6); the rest is for data that cancels worse.
    """
    return _MARGIN * _EPSILON * _enlargement(tile) ** 2 * (1 + math.sqrt(channels) * _CHANNELS)


def _enlargement(tile: int) -> float:
    """How much larger than of a direct sum the root mean square of the terms is, along an axis."""
    a, b, g = transform_matrices(tile, _TAPS)
    products = [
        sum(float(row[i]) ** 2 for row in b) * sum(float(x) ** 2 for x in g[i])
        for i in range(len(a))
    ]
    sums = [
        sum(float(a[i][o]) ** 2 * product for i, product in enumerate(products))
        for o in range(tile)
    ]
    return math.sqrt(max(sums) / _TAPS)


def _rewritten(dag: ComputeDAG, what: WindowSum, tile: int) -> ComputeDAG:
    source, kernel = dag.by_name[what.source.op], dag.by_name[what.weight]
    data = te.placeholder(source.shape, source.dtypes[what.source.output].name, name="data")
    weight = te.placeholder(kernel.shape, kernel.dtypes[what.weight_output].name, name="weight")
    a, b, g = transform_matrices(tile, _TAPS)
    tiles = _Tiles(what, tile)
    products = _products(_data(tiles, data, b), _kernel(what, weight, g))
    result = _output(tiles, products, a)
    return splice(dag, what.stage, {data: source.name, weight: kernel.name}, result)


@dataclass(frozen=True, slots=True)
class _Tiles:
    """How the elements of a stage are cut into tiles."""

    what: WindowSum
    size: int

    @property
    def batch(self) -> tuple[int, ...]:
        """The extents of the axes that are neither in a window nor of the weights."""
        return tuple(self.what.sizes[role] for role in self.what.batch)

    @property
    def counts(self) -> tuple[int, int]:
        """Tiles along both axes of the window."""
        rows, columns = (-(-self.what.sizes[role] // self.size) for role in ("h", "w"))
        return rows, columns

    @property
    def total(self) -> int:
        """All tiles."""
        return math.prod((*self.batch, *self.counts))

    def corner(self, p: Expr) -> tuple[list[Expr], Expr, Expr]:
        """Where a tile begins: the batch axes, and the first position of the window's two."""
        rows, columns = self.counts
        place = te.indexdiv(p, rows * columns)
        batch: list[Expr] = []
        for extent in reversed(self.batch):
            batch.insert(0, te.indexmod(place, extent))
            place = te.indexdiv(place, extent)
        row = te.indexmod(te.indexdiv(p, columns), rows)
        return batch, row * self.size, te.indexmod(p, columns) * self.size

    def number(self, batch: Sequence[Expr], h: Expr, w: Expr) -> Expr:
        """The tile that an element is in."""
        rows, columns = self.counts
        place: Expr = te.const(0, "int32")
        for index, extent in zip(batch, self.batch, strict=True):
            place = place * extent + index
        return (
            place * (rows * columns)
            + te.indexdiv(h, self.size) * columns
            + te.indexdiv(w, self.size)
        )


def _data(tiles: _Tiles, data: Tensor, matrix: Matrix) -> Tensor:
    """The transformed tiles of the data: `[positions, tiles, channels]`."""
    alpha, channels = len(matrix), tiles.what.sizes["c"]
    element = _positions(tiles, data)

    def row(eps: Expr, nu: Expr, p: Expr, c: Expr) -> Expr:
        batch, h, w = tiles.corner(p)
        return _chosen(eps, _columns(matrix), lambda k: element(batch, h + k, w + nu, c))

    rows = te.compute(
        (alpha, alpha, tiles.total, channels),
        row,
        name_hint="data_rows",
        attrs={CONST_TENSOR_INDICES: ["eps", "nu"]},
    )
    return te.compute(
        (alpha * alpha, tiles.total, channels),
        lambda x, p, c: _chosen(
            te.indexmod(x, alpha), _columns(matrix), lambda k: rows(te.indexdiv(x, alpha), k, p, c)
        ),
        name_hint="data_tiles",
        attrs={CONST_TENSOR_INDICES: ["x"]},
    )


def _positions(tiles: _Tiles, data: Tensor) -> Callable[[Sequence[Expr], Expr, Expr, Expr], Expr]:
    """What the window slides over, as a formula; a stage of its own where there are conditions."""
    what = tiles.what
    sizes = {role: what.sizes[role] + _TAPS - 1 for role in ("h", "w")}
    wide = [n * tiles.size + _TAPS - 1 for n in tiles.counts]

    def read(batch: Sequence[Expr], h: Expr, w: Expr, c: Expr) -> Expr:
        roles = {**dict(zip(what.batch, batch, strict=True)), "h": h, "w": w, "c": c}
        return data(*(_index(affine, roles) for affine in what.source.indices))

    def padded(*axes: Expr) -> Expr:
        *batch, h, w, c = axes
        roles = {**dict(zip(what.batch, batch, strict=True)), "h": h, "w": w, "c": c}
        zero = te.const(0, data.dtype)
        value = read(batch, h, w, c)
        behind = [
            place < sizes[role]
            for role, place, n in zip(("h", "w"), (h, w), wide, strict=True)
            if n > sizes[role]
        ]
        inside = [_index(condition, roles) >= 0 for condition in what.source.conditions]
        for conditions in (behind, inside):
            if conditions:
                value = te.if_then_else(te.all(*conditions), value, zero)
        return value

    last = what.source.indices[-1].terms
    if not what.source.conditions and wide == [*sizes.values()] and last and last[0][0] == "c":
        return read
    stage = te.compute(
        (*tiles.batch, *wide, what.sizes["c"]),
        padded,
        name_hint="data_pad",
        varargs_names=(*what.batch, "h", "w", "c"),
    )
    return lambda batch, h, w, c: stage(*batch, h, w, c)


def _kernel(what: WindowSum, weight: Tensor, matrix: Matrix) -> Tensor:
    """The transformed weights: `[positions, channels, output channels]`."""
    alpha, sizes = len(matrix), what.sizes

    def tap(r: Expr | int, s: Expr, c: Expr, co: Expr) -> Expr:
        roles = {"r": r, "s": s, "c": c, "co": co}
        return weight(*(roles[role] for role in what.weight_roles))

    rows = te.compute(
        (alpha, _TAPS, sizes["c"], sizes["co"]),
        lambda eps, s, c, co: _chosen(eps, matrix, lambda k: tap(k, s, c, co)),
        name_hint="kernel_rows",
        attrs={CONST_TENSOR_INDICES: ["eps", "s"]},
    )
    return te.compute(
        (alpha * alpha, sizes["c"], sizes["co"]),
        lambda x, c, co: _chosen(
            te.indexmod(x, alpha), matrix, lambda k: rows(te.indexdiv(x, alpha), k, c, co)
        ),
        name_hint="kernel_tiles",
        attrs={CONST_TENSOR_INDICES: ["x"]},
    )


def _products(data: Tensor, kernel: Tensor) -> Tensor:
    c = te.reduce_axis((0, data.shape[2]), name="c")
    return te.compute(
        (*data.shape[:2], kernel.shape[2]),
        lambda x, p, co: te.sum(data(x, p, c) * kernel(x, c, co), axis=c),
        name_hint="tile_products",
    )


def _output(tiles: _Tiles, products: Tensor, matrix: Matrix) -> Tensor:
    """The elements of the stage, in the order of its axes."""
    what, alpha, size = tiles.what, len(matrix), tiles.size
    _, total, channels = products.shape
    rows = te.compute(
        (size, alpha, total, channels),
        lambda i, nu, p, co: _chosen(
            i, _columns(matrix), lambda k: products(nu + k * alpha, p, co)
        ),
        name_hint="product_rows",
        attrs={CONST_TENSOR_INDICES: ["i", "nu"]},
    )
    elements = te.compute(
        (size, size, total, channels),
        lambda i, j, p, co: _chosen(j, _columns(matrix), lambda k: rows(i, k, p, co)),
        name_hint="output_tiles",
        attrs={CONST_TENSOR_INDICES: ["i", "j"]},
    )

    def element(*axes: Expr) -> Expr:
        at = dict(zip(what.axes, axes, strict=True))
        p = tiles.number([at[role] for role in what.batch], at["h"], at["w"])
        return elements(te.indexmod(at["h"], size), te.indexmod(at["w"], size), p, at["co"])

    shape = [what.sizes[role] for role in what.axes]
    return te.compute(shape, element, name_hint=what.stage, varargs_names=what.axes)


def _columns(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def _chosen(axis: Expr, matrix: Matrix, term: Callable[[int], Expr]) -> Expr:
    """Row number `axis` of a matrix times a vector: a choice that unrolling decides."""
    *first, last = _rows(matrix, term)
    return reduce(
        lambda rest, k: te.select(axis.equal(k), first[k], rest),
        reversed(range(len(first))),
        last,
    )


def _rows(matrix: Matrix, term: Callable[[int], Expr]) -> list[Expr]:
    """A matrix times a vector; of two rows that differ by signs only, both parts are shared."""
    results = [_sum(row, term) for row in matrix]
    for n, row in enumerate(matrix):
        for k, other in enumerate(matrix[:n]):
            same = [x if x == y else Fraction(0) for x, y in zip(row, other, strict=True)]
            rest = [x - y for x, y in zip(row, same, strict=True)]
            if (
                any(same)
                and any(rest)
                and all(x == -y for x, y in zip(rest, other, strict=True) if x)
            ):
                results[k] = _sum(same, term) - _sum(rest, term)
                results[n] = _sum(same, term) + _sum(rest, term)
    return results


def _sum(row: Sequence[Fraction], term: Callable[[int], Expr]) -> Expr:
    """The terms of a row that are not zero."""
    terms = [(x, term(k)) for k, x in enumerate(row) if x]
    (first, value), *others = terms
    result = value if first == 1 else value * float(first)
    for factor, value in others:
        match factor:
            case 1:
                result = result + value
            case -1:
                result = result - value
            case _:
                result = result + value * float(factor)
    return result


def _index(affine: Affine, roles: dict[str, Expr]) -> Expr:
    """An affine of roles as an expression of the axes that have them."""
    result: Expr = te.const(affine.const, "int32")
    for role, step in affine.terms:
        result = result + roles[str(role)] * step
    return result
