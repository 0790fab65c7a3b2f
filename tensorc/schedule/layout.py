"""Packed layouts of cached tensors: one dimension tiled, all permuted, padded with zeros."""

from __future__ import annotations

from tensorc.arith.affine import divmod_affine
from tensorc.arith.sizes import Size, ceildiv
from tensorc.ir.affine import Affine, add, scale, variable
from tensorc.ir.dtype import DType
from tensorc.ir.expr import Const, Expr, Read, Select
from tensorc.schedule.steps import Layout
from tensorc.support.errors import ScheduleError
from tensorc.te.op import Op


def check_layout(layout: Layout, op: Op, factor: Size, deed: str) -> None:
    """Refuse a layout that does not fit a tensor.

    Raises:
        ScheduleError: the dimension, the tile or the order does not fit.
    """
    rank = len(op.shape)
    if not 0 <= layout.dim < rank:
        raise ScheduleError(
            f"Cannot {deed}: expected a dimension below {rank} to tile, got {layout.dim}."
        )
    if isinstance(factor, int) and factor <= 0:
        raise ScheduleError(f"Cannot {deed}: expected a positive tile, got {factor}.")
    if sorted(layout.order) != list(range(rank + 1)):
        raise ScheduleError(
            f"Cannot {deed}: expected an order of the {rank + 1} dimensions, got {layout.order}."
        )


def packed_op(op: Op, name: str, layout: Layout, factor: Size) -> Op:
    """The operation that copies `op` into a layout.

    Elements past the end of the tiled dimension are zero. The condition is there even where the
    tile divides the dimension, in which case it is decided, so that a whole population of tiles
    has one body.
    """
    rank, dim = len(op.shape), layout.dim
    axes = [f"ax{d}" for d in range(rank + 1)]
    indices = [variable(axis) for axis in axes[:rank]]
    indices[dim] = add(scale(indices[dim], factor), variable(axes[rank]))
    inside = add(Affine(op.shape[dim] - 1), scale(indices[dim], -1))
    shape: list[Size] = [*op.shape, factor]
    shape[dim] = ceildiv(op.shape[dim], factor)
    body = tuple(
        Select((inside,), Read(op.name, tuple(indices), dtype, output), zero(dtype))
        for output, dtype in enumerate(op.dtypes)
    )
    return Op(
        name,
        tuple(shape[d] for d in layout.order),
        op.dtypes,
        tuple(axes[d] for d in layout.order),
        body=body,
    )


def packed_indices(indices: tuple[Affine, ...], layout: Layout, factor: Size) -> tuple[Affine, ...]:
    """Where the element at `indices` is in a layout."""
    quotient, remainder = divmod_affine(indices[layout.dim], factor)
    full = [*indices, remainder]
    full[layout.dim] = quotient
    return tuple(full[d] for d in layout.order)


def plain_copy(op: Op, name: str, axes: tuple[str, ...]) -> Op:
    """The operation that copies every output of `op`."""
    indices = tuple(map(variable, axes))
    body: tuple[Expr, ...] = tuple(
        Read(op.name, indices, dtype, output) for output, dtype in enumerate(op.dtypes)
    )
    return Op(name, op.shape, op.dtypes, axes, body=body)


def zero(dtype: DType) -> Const:
    """The zero of a type."""
    if dtype.is_float:
        return Const(0.0, dtype)
    return Const(0 if dtype.is_integer else False, dtype)
