"""What splits and fusions mean: extents, ranges, and axis values in terms of loops."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from tensorc.arith.affine import divmod_affine
from tensorc.arith.sizes import Size, ceildiv, is_one, vmax, vmin
from tensorc.ir.affine import Affine, add, scale, variable
from tensorc.schedule.stage import FuseRelation, Relation, SplitRelation

NOTHING: frozenset[str] = frozenset()


def extents(
    relations: Iterable[Relation],
    axis_extents: Mapping[str, Size],
    fixed: Collection[str] = NOTHING,
) -> dict[str, Size]:
    """Extent of every axis and of everything made from them.

    An inner loop never runs past what is left of its parent, except the loops in `fixed`, which
    keep the length of their split (those bound to threads: a kernel has one block size).
    """
    result = dict(axis_extents)
    for relation in relations:
        match relation:
            case SplitRelation(parent, parts, lengths):
                rest = result[parent]
                for k in range(len(lengths), 0, -1):
                    part, length = parts[k], lengths[k - 1]
                    result[part] = length if part in fixed else vmin(length, rest)
                    rest = -(-rest // length)
                result[parts[0]] = rest
            case FuseRelation(parts, fused):
                product: Size = 1
                for part in parts:
                    product = product * result[part]
                result[fused] = product
    return result


def spans(
    relations: Sequence[Relation], extents: Mapping[str, Size], free: Collection[str]
) -> dict[str, Size]:
    """Range of every axis when the `free` loops run and the others stand still.

    `extents` is the result of the function of that name. A loop split from a fused one counts as
    aligned: a piece that straddles two rows of the fused parts is not considered.
    """
    result: dict[str, Size] = {n: (e if n in free else 1) for n, e in extents.items()}
    whole = set(free)
    for relation in reversed(relations):
        match relation:
            case SplitRelation(parent, parts, lengths):
                if whole.issuperset(parts):
                    whole.add(parent)
                    result[parent] = extents[parent]
                    continue
                span = result[parts[-1]]
                stride: Size = 1
                for k in range(len(lengths) - 1, -1, -1):
                    stride = stride * lengths[k]
                    ranged = result[parts[k]]
                    if not is_one(ranged):
                        span = span + (ranged - 1) * stride
                result[parent] = vmin(span, extents[parent])
            case FuseRelation(parts, fused):
                if fused in whole:
                    whole.update(parts)
                    result.update({part: extents[part] for part in parts})
                    continue
                rest = result[fused]
                for part in reversed(parts):
                    extent = extents[part]
                    result[part] = vmin(rest, extent)
                    rest = ceildiv(rest, vmax(extent, 1))  # an empty loop leaves nothing to cover
    return result


def axis_values(
    relations: Sequence[Relation], extents: Mapping[str, Size], leaves: Iterable[str]
) -> dict[str, Affine]:
    """Every axis, and everything between axes and leaves, as an affine of the leaf iterators."""
    values = {leaf: variable(leaf) for leaf in leaves}
    for relation in reversed(relations):
        match relation:
            case SplitRelation(parent, parts, lengths):
                value = values[parts[0]]
                for part, length in zip(parts[1:], lengths, strict=True):
                    value = add(scale(value, length), values[part])
                values[parent] = value
            case FuseRelation(parts, fused):
                rest = values[fused]
                for part in reversed(parts[1:]):
                    rest, values[part] = divmod_affine(rest, extents[part])
                values[parts[0]] = rest
    return values
