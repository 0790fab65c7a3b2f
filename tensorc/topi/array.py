"""What every operator does to its operands: broadcast them, compute wide, narrow afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tensorc import te
from tensorc.ir.dtype import DType, as_dtype, compute_dtype
from tensorc.support.errors import TEError
from tensorc.te import Expr, Tensor

Axes: TypeAlias = int | tuple[int, ...] | None
"""One axis, several, or all of them; negative numbers count from the last axis."""

Operand: TypeAlias = Tensor | Expr | float
"""A tensor, or a number."""


def accumulator(dtype: DType | str) -> DType:
    """The type in which sums that end up as `dtype` are formed: at least 32 bits for floats."""
    return compute_dtype(as_dtype(dtype))


def narrow(tensor: Tensor, dtype: DType | str) -> Tensor:
    """The tensor converted to `dtype`; itself if it has that type."""
    if tensor.element_type == as_dtype(dtype):
        return tensor
    return te.compute(tensor.shape, lambda *i: te.cast(dtype, tensor(*i)), name_hint="T_cast")


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all these shapes stretch to, as in NumPy.

    Raises:
        TEError: two extents differ and neither is 1.
    """
    rank = max(map(len, shapes), default=0)
    aligned = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result: list[int] = []
    for extents in zip(*aligned, strict=True):
        longest = {extent for extent in extents if extent != 1} or {1}
        if len(longest) > 1:
            raise TEError(f"Cannot broadcast shapes {', '.join(map(str, shapes))} together.")
        result.append(longest.pop())
    return tuple(result)


def shape_of(operand: Operand) -> tuple[int, ...]:
    """The shape; that of a number is empty."""
    return operand.shape if isinstance(operand, Tensor) else ()


def stretched(operand: Operand, indices: Sequence[Expr]) -> Expr | float:
    """The element that stands at `indices` of the result; an axis of extent 1 is repeated."""
    if not isinstance(operand, Tensor):
        return operand
    own = indices[len(indices) - operand.ndim :]
    return operand(*(0 if n == 1 else i for i, n in zip(own, operand.shape, strict=True)))


def positive_axes(axis: Axes, rank: int) -> tuple[int, ...]:
    """The axes as numbers from 0 on, in increasing order.

    Raises:
        TEError: there is no such axis, or one is given twice.
    """
    chosen = tuple(range(rank)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = sorted(a + rank if a < 0 else a for a in chosen)
    if any(not 0 <= a < rank for a in axes) or len(set(axes)) < len(axes):
        raise TEError(f"Expected different axes from {-rank} to {rank - 1}, got {axis}.")
    return tuple(axes)
