"""Random chains of small transforms: into blocks, products of blocks, and back to elements."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from random import Random

from tensorc import te, topi
from tensorc.te import Expr, Tensor
from tensorc.te.dag import CONST_TENSOR_INDICES


def transforms(r: Random) -> list[Tensor]:
    """A chain over rows, or rows and columns, whose sizes blocks need not divide."""
    length = r.choice((2, 3, 4))
    positions, channels = length + r.randint(0, 2), r.choice((1, 3, 8, 20))
    height, width = r.randint(1, 11), r.choice((1, r.randint(2, 9)))
    counts = -(-height // length), -(-width // length)
    both = width > 1
    shape = [n * length + positions - length for n in counts]
    data = te.placeholder((*(shape if both else shape[:1]), channels), name="data")

    def element(e: Expr, k: int, p: Expr, c: Expr) -> Expr:
        if not both:
            return data(p * length + k, c)
        return data(
            te.indexdiv(p, counts[1]) * length + k, te.indexmod(p, counts[1]) * length + e, c
        )

    total = counts[0] * (counts[1] if both else 1)
    made = [data]
    first = _marked(r, (positions, total, channels), positions, element, "first")
    tiles = first
    if r.random() < 0.7:
        tiles = _marked(
            r, (positions, total, channels), positions, lambda _, k, p, c: first(k, p, c), "second"
        )
    if r.random() < 0.6:
        tiles = _products(r, tiles, made)
    if r.random() < 0.7:
        source = tiles
        tiles = _marked(
            r, (length, *tiles.shape[1:]), positions, lambda _, k, p, c: source(k, p, c), "third"
        )
    return [*made, _joined(r, tiles, length, counts if both else counts[:1], (height, width))]


def _marked(
    r: Random,
    shape: tuple[int, ...],
    terms: int,
    term: Callable[[Expr, int, Expr, Expr], Expr],
    name: str,
) -> Tensor:
    """A choice of sums, by the place in a block."""

    def chosen(e: Expr, p: Expr, c: Expr) -> Expr:
        values = [
            reduce(
                lambda a, b: a + b,
                [term(e, k, p, c) * float(r.choice((-2, -1, 1, 2))) for k in _some(r, terms)],
            )
            for _ in range(shape[0])
        ]
        *firsts, last = values
        return reduce(
            lambda rest, k: te.select(e.equal(k), firsts[k], rest), range(len(firsts)), last
        )

    return te.compute(shape, chosen, name_hint=name, attrs={CONST_TENSOR_INDICES: ["e"]})


def _some(r: Random, count: int) -> list[int]:
    return sorted(r.sample(range(count), r.randint(1, min(count, 3))))


def _products(r: Random, tiles: Tensor, made: list[Tensor]) -> Tensor:
    """Products of the channels with a matrix for each place in a block."""
    positions, total, channels = tiles.shape
    weight = te.placeholder((positions, channels, r.choice((2, 16, 24))), name="weight")
    made.append(weight)
    k = te.reduce_axis((0, channels), name="k")
    return te.compute(
        (positions, total, weight.shape[2]),
        lambda x, p, o: te.sum(tiles(x, p, k) * weight(x, k, o), axis=k),
        name_hint="products",
    )


def _joined(
    r: Random, tiles: Tensor, length: int, counts: tuple[int, ...], sizes: tuple[int, int]
) -> Tensor:
    """The elements in order; with two axes, blocks are of all places of the first one only."""
    channels = tiles.shape[2]
    back = _marked(
        r,
        (length, *tiles.shape[1:]),
        tiles.shape[0],
        lambda _, k, p, c: tiles(k, p, c),
        "back",
    )
    if len(counts) == 1:
        result = te.compute(
            (sizes[0], channels),
            lambda h, c: back(te.indexmod(h, length), te.indexdiv(h, length), c),
            name_hint="joined",
        )
    else:
        square = te.compute(
            (length, length, *back.shape[1:]),
            lambda i, j, p, c: te.select(i.equal(0), back(j, p, c) * 2.0, back(j, p, c)),
            name_hint="square",
            attrs={CONST_TENSOR_INDICES: ["i", "j"]},
        )
        result = te.compute(
            (*sizes, channels),
            lambda h, w, c: square(
                te.indexmod(h, length),
                te.indexmod(w, length),
                te.indexdiv(h, length) * counts[1] + te.indexdiv(w, length),
                c,
            ),
            name_hint="joined",
        )
    return topi.relu(result) if r.random() < 0.4 else result
