"""Operators that move elements and change none: the result has the dtype of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate

from tensorc import te
from tensorc.ir.dtype import promote
from tensorc.support.errors import TEError
from tensorc.te import Expr, Tensor
from tensorc.topi.array import positive_axes


def transpose(data: Tensor, axes: tuple[int, ...] | None = None) -> Tensor:
    """Axis `i` of the result is axis `axes[i]` of the data; without `axes`, in reverse order.

    Raises:
        TEError: `axes` is no permutation.
    """
    order = tuple(reversed(range(data.ndim))) if axes is None else axes
    order = tuple(a + data.ndim if a < 0 else a for a in order)
    if sorted(order) != list(range(data.ndim)):
        raise TEError(f"Expected a permutation of {data.ndim} axes, got {axes}.")
    return te.compute(
        tuple(data.shape[a] for a in order),
        lambda *i: data(*(i[order.index(a)] for a in range(data.ndim))),
        name_hint="T_transpose",
        tag="injective",
    )


def reshape(data: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The elements of `data`, in row-major order, as an array of `shape`; one entry may be -1.

    Raises:
        TEError: the shapes differ in size, or several entries are -1.
    """
    size, known = math.prod(data.shape), math.prod(n for n in shape if n != -1)
    free = size // known if known else 0
    extents = tuple(free if n == -1 else n for n in shape)
    if math.prod(extents) != size or shape.count(-1) > 1:
        raise TEError(f"Cannot reshape '{data.name}' of shape {data.shape} to {shape}.")

    def element(*indices: Expr) -> Expr:
        flat: Expr | int = 0
        for i, n in zip(indices, extents, strict=True):
            flat = flat * n + i
        position: list[Expr | int] = []
        for n in reversed(data.shape):
            position.insert(0, te.indexmod(flat, n))
            flat = te.indexdiv(flat, n)
        return data(*position)

    return te.compute(extents, element, name_hint="T_reshape", tag="injective")


def concatenate(arrays: tuple[Tensor, ...], axis: int = 0) -> Tensor:
    """The arrays one after another along `axis`; their other axes agree.

    Raises:
        TEError: the arrays differ in rank, or in an extent of another axis.
    """
    first, *rest = arrays
    (along,) = positive_axes(axis, first.ndim)
    frames = {(*t.shape[:along], *t.shape[along + 1 :]) for t in arrays}
    if len(frames) > 1 or any(t.ndim != first.ndim for t in arrays):
        shapes = ", ".join(str(t.shape) for t in arrays)
        raise TEError(f"Cannot concatenate shapes {shapes} along axis {axis}.")
    ends = list(accumulate(t.shape[along] for t in arrays))
    dtype = first.element_type
    for tensor in rest:
        dtype = promote(dtype, tensor.element_type)

    def element(*i: Expr) -> Expr:
        def part(tensor: Tensor, start: int) -> Expr:
            return te.cast(dtype, tensor(*i[:along], i[along] - start, *i[along + 1 :]))

        result = part(arrays[-1], ends[-1] - arrays[-1].shape[along])
        for tensor, end in reversed(list(zip(arrays[:-1], ends, strict=False))):
            inside = i[along] < end
            result = te.if_then_else(inside, part(tensor, end - tensor.shape[along]), result)
        return result

    shape = (*first.shape[:along], ends[-1], *first.shape[along + 1 :])
    return te.compute(shape, element, name_hint="T_concat", tag="injective")


def strided_slice(
    data: Tensor,
    begin: tuple[int, ...],
    end: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    axes: tuple[int, ...] | None = None,
) -> Tensor:
    """`data[begin:end:stride]` along each of `axes`, by default the first `len(begin)` axes.

    Limits are Python's: negative ones count from the end, those out of range are clamped. To go
    backwards up to and including the first element, let `end` be below `-size`.
    """
    chosen = tuple(range(len(begin))) if axes is None else axes
    steps = (1,) * len(begin) if strides is None else strides
    ranges = [range(n) for n in data.shape]
    for axis, first, last, step in zip(chosen, begin, end, steps, strict=True):
        ranges[axis] = range(data.shape[axis])[first:last:step]
    return te.compute(
        tuple(map(len, ranges)),
        lambda *i: data(*(j * r.step + r.start for j, r in zip(i, ranges, strict=True))),
        name_hint="T_strided_slice",
        tag="injective",
    )


def take(data: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    """The slices `indices` (integers of any shape) of `data` along `axis`.

    The result's shape is the data's with `axis` replaced by the shape of `indices`. Negative
    indices count from the end; what others out of range give is not defined.
    """
    (along,) = positive_axes(axis, data.ndim)
    inner = along + indices.ndim
    return te.compute(
        (*data.shape[:along], *indices.shape, *data.shape[along + 1 :]),
        lambda *i: data(
            *i[:along], _from_start(indices(*i[along:inner]), data.shape[along]), *i[inner:]
        ),
        name_hint="T_take",
        tag="injective",
    )


def gather(data: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    """One element of `data` for each of `indices`: at `[..., i, ...]`, `[..., indices[...], ...]`.

    Only the coordinate on `axis` is replaced. `indices` has the data's rank, and its extents except
    on `axis`; negative indices count from the end.

    Raises:
        TEError: the shapes differ on other axes than `axis`.
    """
    (along,) = positive_axes(axis, data.ndim)
    frame = (*data.shape[:along], *data.shape[along + 1 :])
    if indices.ndim != data.ndim or (*indices.shape[:along], *indices.shape[along + 1 :]) != frame:
        raise TEError(f"Cannot gather from shape {data.shape} by indices of {indices.shape}.")
    return te.compute(
        indices.shape,
        lambda *i: data(*i[:along], _from_start(indices(*i), data.shape[along]), *i[along + 1 :]),
        name_hint="T_gather",
        tag="injective",
    )


def _from_start(index: Expr, size: int) -> Expr:
    """The index counted from the first element."""
    if index.dtype.kind == "uint":
        return index
    return te.if_then_else(index < 0, index + size, index)


def pad(
    data: Tensor,
    pad_before: tuple[int, ...],
    pad_after: tuple[int, ...] | None = None,
    pad_value: float = 0.0,
    *,
    name: str | None = None,
    attrs: Mapping[str, object] | None = None,
) -> Tensor:
    """`data` with `pad_before[i]` and `pad_after[i]` elements of `pad_value` around axis `i`.

    `pad_after` is `pad_before` if not given; `name` and `attrs` are those of `te.compute`.

    Raises:
        TEError: there is not one border for each axis.
    """
    before = tuple(pad_before)
    after = before if pad_after is None else tuple(pad_after)
    if len(before) != data.ndim or len(after) != data.ndim:
        raise TEError(f"Expected {data.ndim} borders for '{data.name}', got {before} and {after}.")
    shape = tuple(b + n + a for b, n, a in zip(before, data.shape, after, strict=True))

    def element(*indices: Expr) -> Expr:
        inside: list[Expr] = []
        for i, b, n, a in zip(indices, before, data.shape, after, strict=True):
            inside += [i >= b] if b else []
            inside += [i < b + n] if a else []
        value = data(*(i - b for i, b in zip(indices, before, strict=True)))
        if not inside:
            return value
        return te.if_then_else(te.all(*inside), value, te.const(pad_value, data.dtype))

    return te.compute(shape, element, name, attrs=attrs, name_hint="PadInput", tag="injective,pad")
