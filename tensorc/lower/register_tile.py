"""The register tile of a reduction: which inner loops accumulate in a small buffer of their own.

Without it a reduction loads and stores its running value at every step. The tile is what a
`cache_write` computed at the same place would give: a buffer over the spatial loops that are
unrolled or vectorised inside the innermost group of reduction loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from tensorc.ir.affine import Affine, affine_variables, coefficient, from_terms
from tensorc.ir.stmt import ForKind
from tensorc.lower.instance import Leaf
from tensorc.lower.placement import Placed
from tensorc.lower.storage import dense_strides, padded_row

# Vectors in a tile. More than the registers of any target, so that the search may find out what
# spilling costs; few enough for the generated text.
MAX_VECTORS = 64
# A vectorised loop of more vectors than this stays a loop: its index is no constant.
MAX_UNROLLED_VECTORS = 8


@dataclass(frozen=True, slots=True)
class Tile:
    """Accumulators begin at loop `start`; `shape` and flat `index` of the running value.

    The dimensions are the loops, whatever axes they walk, the one of the lanes innermost: lanes are
    neighbours also where those of the output are far apart.
    """

    start: int
    shape: tuple[int, ...]
    index: Affine


def is_constant_once_unrolled(leaf: Leaf, lanes: int) -> bool:
    """Whether the variable of a loop is a constant in the emitted code."""
    if leaf.kind is ForKind.VECTORIZED:
        return leaf.extent <= MAX_UNROLLED_VECTORS * lanes
    return leaf.extent <= 1 or leaf.kind is ForKind.UNROLLED


def find_tile(placed: Placed, lanes: int) -> Tile | None:
    """The register tile of a reducing stage, None if its loops leave none."""
    leaves = placed.instance.leaves
    start = _tile_start(leaves, lanes)
    if start is None:
        return None
    inner = [leaf for leaf in leaves[start:] if not leaf.reduce]
    inner.sort(key=lambda leaf: leaf.kind is ForKind.VECTORIZED)
    held = prod(leaf.extent for leaf in inner)
    shape = tuple(leaf.extent for leaf in inner)
    if inner and inner[-1].kind is ForKind.VECTORIZED:
        shape = (*shape[:-1], padded_row(shape[-1], lanes))
    strides = dict(zip((leaf.var for leaf in inner), dense_strides(shape), strict=True))
    index = from_terms(0, {leaf.var: strides[leaf.var] for leaf in inner if leaf.extent > 1})
    vectors = -(-held // lanes) if _has_vectors(inner) else held
    return Tile(start, shape or (1,), index) if 0 < vectors <= MAX_VECTORS else None


def fills_rows(placed: Placed) -> bool:
    """Whether vectors run along the innermost dimension of several elements, alone."""
    leaves = placed.instance.leaves
    vectors = [leaf for leaf in leaves if leaf.kind is ForKind.VECTORIZED and leaf.extent > 1]
    if len(vectors) != 1 or vectors[0].reduce or vectors[0].lets:
        return False
    wide = [a for a, n in zip(placed.op.axes, placed.extents, strict=True) if n != 1]
    if not wide:
        return False
    row = placed.values[wide[-1]]
    plain = all(isinstance(atom, str) for atom, _ in row.terms)
    return plain and coefficient(row, vectors[0].var) == 1


def _has_vectors(leaves: Sequence[Leaf]) -> bool:
    return any(leaf.kind is ForKind.VECTORIZED and leaf.extent > 1 for leaf in leaves)


def _tile_start(leaves: Sequence[Leaf], lanes: int) -> int | None:
    start = len(leaves)
    while start and (
        leaves[start - 1].reduce or is_constant_once_unrolled(leaves[start - 1], lanes)
    ):
        start -= 1
    # Leading unrolled loops stay outside: each copy has a tile of its own. A vectorised one must
    # be inside, since there is no vector of buffers.
    while start < len(leaves) and not _opens_tile(leaves[start]):
        start += 1
    if not any(leaf.reduce for leaf in leaves[start:]) or _has_vectors(leaves[:start]):
        return None
    return start


def _opens_tile(leaf: Leaf) -> bool:
    if leaf.reduce:
        return leaf.extent != 1
    return leaf.kind is ForKind.VECTORIZED and leaf.extent > 1


def stays_in_registers(
    placed: Placed,
    stored: Affine,
    loaded: Sequence[Affine],
    by_variable: Mapping[str, Leaf],
    lanes: int,
) -> bool:
    """Whether a stage's own buffer is a register tile already: every index constant.

    Lanes that are far apart in it are not in one register.
    """
    if prod(placed.extents) > MAX_VECTORS * lanes:
        return False
    vectors = [x for x in placed.instance.leaves if x.kind is ForKind.VECTORIZED and x.extent > 1]
    if any(abs(coefficient(stored, x.var)) > 1 for x in vectors):
        return False
    own = frozenset(placed.outer)
    return all(
        v not in own and is_constant_once_unrolled(by_variable[v], lanes)
        for index in (stored, *loaded)
        for v in affine_variables(index)
    )
