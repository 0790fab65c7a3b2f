"""Windows by Winograd's algorithm (Lavin and Gray, arXiv 1509.09308): fewer multiplications.

    before:  O(n, h, w, co) = Σ over r, s, c of S(n, h + r, w + s, c) · W(r, s, c, co)
    after:   D(x, p, c)     = Bᵀ S B    for tile p of so many positions; x counts its products
             K(x, c, co)    = G W Gᵀ
             P(x, p, co)    = Σ over c of D(x, p, c) · K(x, c, co)
             O              = Aᵀ P A    for tile p of elements

With one window axis, or three, likewise; windows with steps or gaps, stretched data, groups and
several axes of channels differ in the tiles and matrices only (`bilinear`, `tiles`).

A value that is not finite spreads over its tile.

The transforms go along one axis after the other. Their matrices are written out in the formulas:
zeros cost nothing, and what two rows have in common is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from tensorc import te
from tensorc.ir.affine import Affine
from tensorc.space.definitions.bilinear import Bilinear
from tensorc.space.definitions.definition import Definition
from tensorc.space.definitions.splice import splice
from tensorc.space.definitions.tiles import Tiles, flat, tiles_of, unflat
from tensorc.space.definitions.transforms import flattened, transformed, transposed
from tensorc.space.definitions.windows import WindowSum, window_sum
from tensorc.target import Target
from tensorc.te import Expr, Tensor
from tensorc.te.dag import ComputeDAG

_EPSILON: Final = 2.0**-23
# How much of the error allowed is left to data that cancels worse than random data.
_MARGIN: Final = 64.0
# Terms, of which there is one for each channel, add to the error of a single one like this.
_CHANNELS: Final = 1 / 6
# Less work by less than this is no reason to measure.
_WORTH: Final = 1.1

At: TypeAlias = Mapping[str, Expr | int]


@dataclass(frozen=True, slots=True)
class Winograd:
    """Compute sums of products that slide windows by tiles of elements.

    Attributes:
        tile: How many elements a tile has along each axis, at most; where the tolerance asks for
            it, 2 along some. For 3x3 windows, 2 needs 2.25 times fewer multiplications and 4
            needs 4 times fewer. Each phase of a window with a step or spread has as many.
        gain: How many times less work there has to be.
    """

    tile: int
    gain: float = _WORTH

    def apply(self, dag: ComputeDAG, tolerance: float, target: Target) -> Iterator[Definition]:
        """Return definitions for each stage where that is less work within the tolerance."""
        for op in dag.ops:
            found = None if op.is_placeholder else window_sum(dag, op.name)
            tiles = None if found is None else self._tiles(found, tolerance)
            if tiles is not None:
                sizes = "x".join(str(cut.how.size) for cut in tiles.cuts)
                name = f"winograd({sizes}) of {op.name}"
                yield Definition(name, _rewritten(dag, tiles), _error(tiles))

    def _tiles(self, what: WindowSum, tolerance: float) -> Tiles | None:
        """The tiles of least work within the tolerance, if that is worth while."""
        choices = product(dict.fromkeys((self.tile, 2)), repeat=len(what.windows))
        known = [tiles for sizes in choices if (tiles := tiles_of(what, sizes)) is not None]
        allowed = [tiles for tiles in known if _error(tiles) <= tolerance]
        best = max(allowed, key=Tiles.gain, default=None)
        return best if best is not None and best.gain() >= self.gain else None


def error_bound(algorithms: Sequence[Bilinear], terms: int) -> float:
    """Return the error allowed for, relative to the largest element of the result, in float32.

    It is `64 · ε · κ · (1 + √terms / 6)`, where κ is by how much the transforms enlarge the
    rounding of random data, and `terms` are summed of the products: 1.7 for 3x3 windows by tiles
    of 2, 10.4 by tiles of 4. Random data has an error of about a sixty-fourth of it (2e-7 … 9e-7
    and 1e-6 … 6e-6 for 1 … 512 channels; direct sums have 1e-7 … 3e-6); the rest is for data that
    cancels worse.
    """
    enlargement = math.prod(how.enlargement() for how in algorithms)
    return _MARGIN * _EPSILON * enlargement * (1 + math.sqrt(terms) * _CHANNELS)


def _error(tiles: Tiles) -> float:
    return error_bound([cut.how for cut in tiles.cuts], tiles.terms)


def _rewritten(dag: ComputeDAG, tiles: Tiles) -> ComputeDAG:
    what = tiles.what
    source, kernel = dag.by_name[what.source.op], dag.by_name[what.weight]
    data = te.placeholder(source.shape, name="data")
    weight = te.placeholder(kernel.shape, name="weight")
    products = _products(tiles, _data(tiles, data), _kernel(tiles, weight))
    return splice(
        dag, what.stage, {data: source.name, weight: kernel.name}, _output(tiles, products)
    )


def _extents(what: WindowSum, roles: Sequence[str]) -> list[int]:
    return [what.sizes[role] for role in roles]


def _data(tiles: Tiles, data: Tensor) -> Tensor:
    """The transformed tiles of the data: `[products, rows, groups and channels]`."""
    what = tiles.what
    element = _positions(tiles, data)
    rest = {
        "p": math.prod(tiles.extents),
        "c": math.prod(_extents(what, (*what.groups, *what.channels))),
    }
    return flattened(
        [transposed(cut.how.data) for cut in tiles.cuts],
        rest,
        lambda ks, p, c: element(tiles.corner(p, ks), c),
        ("data", "data_tiles"),
    )


def _positions(tiles: Tiles, data: Tensor) -> Callable[[Mapping[str, Expr], Expr], Expr]:
    """What windows slide over, as a formula; a stage of its own where there are conditions."""
    what, limits = tiles.what, tiles.limits()
    source, roles = what.source, (*what.groups, *what.channels)
    extents = _extents(what, roles)

    def read(at: At, c: Expr) -> Expr:
        inside = {**at, **dict(zip(roles, unflat(c, extents), strict=True))}
        return data(*(_index(affine, inside) for affine in source.indices))

    def padded(*axes: Expr) -> Expr:
        *places, c = axes
        at = dict(zip(what.rows, places, strict=True))
        inside = {**at, **dict(zip(roles, unflat(c, extents), strict=True))}
        value, zero = read(at, c), te.const(0, data.dtype)
        behind = [at[role] < limit for role, limit in limits.items()]
        known = [_index(condition, inside) >= 0 for condition in source.conditions]
        for conditions in (behind, known):
            if conditions:
                value = te.if_then_else(te.all(*conditions), value, zero)
        return value

    strides = {(role, math.prod(extents[n + 1 :])) for n, role in enumerate(roles)}
    if not source.conditions and not limits and set(source.indices[-1].terms) == strides:
        return read
    stage = te.compute(
        (*tiles.wide, math.prod(extents)),
        padded,
        name_hint="data_pad",
        varargs_names=(*what.rows, "c"),
    )
    return lambda at, c: stage(*(at[role] for role in what.rows), c)


def _kernel(tiles: Tiles, weight: Tensor) -> Tensor:
    """The transformed weights: `[products, groups, channels, outputs]`."""
    what = tiles.what
    parts = {"g": what.groups} if what.groups else {}
    parts |= {"c": what.channels, "co": what.outputs}
    rest = {name: math.prod(_extents(what, roles)) for name, roles in parts.items()}

    def tap(taps: Sequence[Expr | int], *axes: Expr) -> Expr:
        at: dict[str, Expr | int] = {c.window.tap: k for c, k in zip(tiles.cuts, taps, strict=True)}
        for roles, axis in zip(parts.values(), axes, strict=True):
            at |= dict(zip(roles, unflat(axis, _extents(what, roles)), strict=True))
        return weight(*(_index(affine, at) for affine in what.weight_indices))

    matrices = [cut.how.taps for cut in tiles.cuts]
    return flattened(matrices, rest, tap, ("kernel", "kernel_tiles"))


def _products(tiles: Tiles, data: Tensor, kernel: Tensor) -> Tensor:
    """The sums over channels: `[products, groups, rows, outputs]`."""
    what = tiles.what
    groups = [kernel.shape[1]] if what.groups else []
    channels, outputs = kernel.shape[-2:]
    c = te.reduce_axis((0, channels), name="c")

    def term(*axes: Expr) -> Expr:
        x, *g, p, co = axes
        channel = g[0] * channels + c if g else c
        return te.sum(data(x, p, channel) * kernel(x, *g, c, co), axis=c)

    return te.compute(
        (data.shape[0], *groups, math.prod(tiles.extents), outputs),
        term,
        name_hint="tile_products",
        varargs_names=("x", *("g" for _ in groups), "p", "co"),
    )


def _output(tiles: Tiles, products: Tensor) -> Tensor:
    """The elements of the stage, in the order of its axes."""
    what = tiles.what
    counts = [cut.how.products for cut in tiles.cuts]
    names = ("g", "p", "co") if what.groups else ("p", "co")
    elements = transformed(
        [transposed(cut.how.outputs) for cut in tiles.cuts],
        dict(zip(names, products.shape[1:], strict=True)),
        lambda es, *rest: products(flat(es, counts), *rest),
        ("product", "output_tiles"),
    )

    def element(*axes: Expr) -> Expr:
        place = dict(zip(what.axes, axes, strict=True))
        at = {
            role: te.indexmod(te.indexdiv(place[part.axis], part.over), part.extent)
            for role, part in what.parts.items()
        }
        inside, row = tiles.number(at)
        of = {
            name: flat([at[role] for role in roles], _extents(what, roles))
            for name, roles in (("g", what.groups), ("co", what.outputs))
        }
        groups = [of["g"]] if what.groups else []
        return elements(*inside, *groups, row, of["co"])

    return te.compute(
        tuple(what.axes.values()), element, name_hint=what.stage, varargs_names=tuple(what.axes)
    )


def _index(affine: Affine, roles: At) -> Expr:
    """An affine of roles as an expression of the axes that have them."""
    result: Expr = te.const(affine.const, "int32")
    for role, step in affine.terms:
        result = result + roles[str(role)] * step
    return result
