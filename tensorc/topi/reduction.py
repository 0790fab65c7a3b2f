"""Reductions over one axis, several, or (`axis=None`) all.

The result has the dtype of the data; 16-bit floats are summed in float32. `keepdims` leaves reduced
axes in place with extent 1. An axis that is not there, or is given twice, raises `TEError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tensorc import te
from tensorc.ir.dtype import INT64, DType
from tensorc.te import CommReducer, Expr, IterVar, Tensor
from tensorc.topi.array import Axes, accumulator, narrow, positive_axes


def _reduced(
    name: str,
    data: Tensor,
    axis: Axes,
    keepdims: bool,
    element: Callable[[Expr, list[IterVar]], object],
) -> Tensor | tuple[Tensor, ...]:
    """A tensor without, or with flat, reduced axes; `element` reduces what is given to it."""
    axes = positive_axes(axis, data.ndim)
    over = [te.reduce_axis((0, data.shape[a]), name=f"k{a}") for a in axes]
    kept = [a for a in range(data.ndim) if keepdims or a not in axes]

    def formula(*indices: Expr) -> object:
        position = dict(zip(kept, indices, strict=True)) | dict(zip(axes, over, strict=True))
        return element(data(*(position[a] for a in range(data.ndim))), over)

    shape = tuple(1 if a in axes else data.shape[a] for a in kept)
    return te.compute(shape, formula, name_hint=name, tag="comm_reduce")


def _combined(
    name: str, reducer: CommReducer, data: Tensor, axis: Axes, keepdims: bool, wide: DType
) -> Tensor:
    if not positive_axes(axis, data.ndim):
        return te.compute(data.shape, lambda *i: te.cast(wide, data(*i)), name_hint=name)
    result = _reduced(name, data, axis, keepdims, lambda x, k: reducer(x.astype(wide), axis=k))
    assert isinstance(result, Tensor)
    return result


def sum(data: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Sum of the elements along `axis`."""
    wide = accumulator(data.dtype)
    return narrow(_combined("T_sum", te.sum, data, axis, keepdims, wide), data.dtype)


def prod(data: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Product of the elements along `axis`."""
    wide = accumulator(data.dtype)
    return narrow(_combined("T_prod", te.prod, data, axis, keepdims, wide), data.dtype)


def max(data: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Largest element along `axis`."""
    return _combined("T_max", te.max, data, axis, keepdims, data.element_type)


def min(data: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Smallest element along `axis`."""
    return _combined("T_min", te.min, data, axis, keepdims, data.element_type)


def mean(data: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean along `axis`; for integers, rounded toward zero."""
    dtype = data.element_type
    wide = accumulator(dtype) if dtype.is_float else INT64
    total = _combined("T_sum", te.sum, data, axis, keepdims, wide)
    count = math.prod(data.shape[a] for a in positive_axes(axis, data.ndim))
    return te.compute(
        total.shape,
        lambda *i: te.cast(dtype, te.div(total(*i), te.const(count, wide))),
        name_hint="T_mean",
    )


def argmax(
    data: Tensor, axis: int | None = None, keepdims: bool = False, out_dtype: str = "int32"
) -> Tensor:
    """Index of the largest element along `axis`, the first of several.

    `axis=None` gives the index into the flattened data.
    """
    return _position("T_argmax", te.argmax, data, axis, keepdims, out_dtype)


def argmin(
    data: Tensor, axis: int | None = None, keepdims: bool = False, out_dtype: str = "int32"
) -> Tensor:
    """Index of the smallest element along `axis`, the first of several.

    `axis=None` gives the index into the flattened data.
    """
    return _position("T_argmin", te.argmin, data, axis, keepdims, out_dtype)


def _position(
    name: str,
    reducer: Callable[..., tuple[Expr, Expr]],
    data: Tensor,
    axis: int | None,
    keepdims: bool,
    out_dtype: str,
) -> Tensor:
    pair = _reduced(name, data, axis, keepdims, lambda x, k: reducer(x, axis=k))
    assert isinstance(pair, tuple)
    return narrow(pair[0], out_dtype)


def norm_bmn(data: Tensor) -> Tensor:
    """Square root of the sum of squares of each matrix: `[B, M, N]` -> `[B]`."""
    batch, rows, columns = data.shape
    wide = accumulator(data.dtype)
    i = te.reduce_axis((0, rows), name="i")
    j = te.reduce_axis((0, columns), name="j")

    def square(b: Expr) -> Expr:
        element = data[b, i, j].astype(wide)
        return element * element

    total = te.compute((batch,), lambda b: te.sum(square(b), axis=[i, j]), name_hint="T_squares")
    return te.compute(
        (batch,), lambda b: te.cast(data.dtype, te.sqrt(total[b])), name_hint="T_norm"
    )
