"""Where the outputs of an operation are kept, and how an element becomes a flat index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tensorc.arith.affine import NO_RANGES, fold
from tensorc.ir.affine import ZERO, Affine, Atom, from_terms
from tensorc.ir.func import Buffer
from tensorc.lower.instance import Fusion
from tensorc.passes.spare_lanes import power_above


@dataclass(frozen=True, slots=True)
class View:
    """A buffer that holds elements from `base` on, `strides` apart."""

    buffer: Buffer
    base: tuple[Affine, ...]
    strides: tuple[int, ...]


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides."""
    strides = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    return tuple(strides)


def aligned_layout(
    shape: tuple[int, ...], align: tuple[int, int, int] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of a buffer whose stride along dimension `align[0]` is padded.

    The dimensions inside become one in the buffer's shape: `(n, 4, 8)` with a stride of dimension
    0 padded to `16·k + 1` is stored as `(n, 33)`.
    """
    strides = dense_strides(shape)
    if align is None:
        return shape, strides
    dimension, factor, offset = align
    dense = strides[dimension]
    padded = dense + (offset - dense) % factor
    if padded == dense:
        return shape, strides
    outer = [padded] * (dimension + 1)
    for d in range(dimension - 1, -1, -1):
        outer[d] = outer[d + 1] * shape[d + 1]
    return (*shape[: dimension + 1], padded), (*outer, *strides[dimension + 1 :])


def padded_rows(
    shape: tuple[int, ...], lanes: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shape and strides of a buffer with the last vector of each row whole.

    A row is the innermost dimension that has several elements; the vector is the shortest that
    holds the rest of them. None where it is whole anyway.
    """
    row = max((d for d, n in enumerate(shape) if n != 1), default=-1)
    length = padded_row(shape[row], lanes) if shape else 0
    if not shape or length == shape[row]:
        return None
    padded = (*shape[:row], length, *shape[row + 1 :])
    return padded[: row + 1], dense_strides(padded)


def padded_row(extent: int, lanes: int) -> int:
    """The length of a row whose last vector, the shortest that holds the rest, is whole."""
    rest = extent % lanes
    return extent - rest + power_above(rest) if rest else extent


def flatten(view: View, indices: Iterable[Affine], fusions: Sequence[Fusion]) -> Affine:
    """The position of an element in the buffer of a view.

    Parts of a fused loop that meet again become the fused variable: the walk over them is then
    visibly contiguous.
    """
    const = 0
    terms: dict[Atom, int] = {}
    hard = False
    for index, base, stride in zip(indices, view.base, view.strides, strict=True):
        const += (index.const - base.const) * stride
        for atom, c in index.terms:
            terms[atom] = terms.get(atom, 0) + c * stride
            hard = hard or not isinstance(atom, str)
        for atom, c in base.terms:
            terms[atom] = terms.get(atom, 0) - c * stride
            hard = hard or not isinstance(atom, str)
    for fusion in fusions:
        const += _recombine(terms, fusion)
    flat = from_terms(const, terms)
    return fold(flat, NO_RANGES) if hard or fusions else flat


def _recombine(terms: dict[Atom, int], fusion: Fusion) -> int:
    """Replace the parts of one fusion, in place; returns the constant this adds."""
    stride = unit = terms.get(fusion.parts[-1][0], 0)
    if unit == 0:
        return 0
    for part, extent in reversed(fusion.parts):
        if terms.get(part, 0) != stride:
            return 0
        stride *= extent
    for part, _ in fusion.parts:
        del terms[part]
    for atom, c in fusion.value.terms:
        terms[atom] = terms.get(atom, 0) + c * unit
    return int(fusion.value.const * unit)


def whole_view(buffer: Buffer) -> View:
    """A buffer that holds all of a tensor."""
    return View(buffer, (ZERO,) * len(buffer.shape), dense_strides(buffer.shape))
