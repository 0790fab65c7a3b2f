"""How operations read each other: Ansor's access analysis.

Sizes may be arrays while a sketch is replayed; then equal sizes are the same object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tensorc.arith.sizes import Size
from tensorc.ir.affine import Affine
from tensorc.ir.expr import Call, Read, Select, Where
from tensorc.ir.visit import walk_expr
from tensorc.te.op import Op

Access: TypeAlias = tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class SimpleAccess:
    """An access by shifted axes: which are not used, used twice, or used out of order."""

    missing: bool
    duplicated: bool
    ordered: bool


def accesses(op: Op) -> dict[str, tuple[Access, ...]]:
    """The indices with which each operation is read, in order of first reading."""
    found: dict[str, list[Access]] = {}
    for e in op.body:
        for node in walk_expr(e):
            if isinstance(node, Read):
                found.setdefault(node.op, []).append(node.indices)
    return {name: tuple(group) for name, group in found.items()}


def same_size(a: Size, b: Size) -> bool:
    """Whether two sizes are known to be equal."""
    return a is b or (isinstance(a, int) and isinstance(b, int) and a == b)


def same_shape(a: Op, b: Op) -> bool:
    """Whether the outputs of two operations have one shape."""
    return len(a.shape) == len(b.shape) and all(map(same_size, a.shape, b.shape))


def shifted_axis(index: Affine) -> str | None:
    """The axis of an index that is an axis plus a constant."""
    match index.terms:
        case ((str(axis), c),) if isinstance(c, int) and c == 1:
            return axis
        case _:
            return None


def simple_access(op: Op, access: Access) -> SimpleAccess | None:
    """How an access by shifted axes of `op`, or constants, uses them; None for any other."""
    positions: list[int] = []
    for index in access:
        if not index.terms:
            continue
        axis = shifted_axis(index)
        if axis is None or axis not in op.axes:
            return None
        positions.append(op.axes.index(axis))
    used = set(positions)
    return SimpleAccess(
        len(used) < len(op.axes), len(used) < len(positions), positions == sorted(positions)
    )


def is_elementwise(op: Op, access: Access) -> bool:
    """Whether every axis of `op` is used once and in order."""
    simple = simple_access(op, access)
    return simple == SimpleAccess(missing=False, duplicated=False, ordered=True)


def has_branch(op: Op) -> bool:
    """Whether elements are computed by cases."""
    return any(isinstance(node, (Select, Where)) for e in op.body for node in walk_expr(e))


def is_expensive(op: Op) -> bool:
    """Whether elements take an exponential function, which is not to be repeated."""
    return any(
        isinstance(node, Call) and node.function == "exp" for e in op.body for node in walk_expr(e)
    )


def common_outer_axes(producer: Op, consumer: Op, read: tuple[Access, ...]) -> int:
    """How many outer axes of both operations run over the same values."""
    count = 0
    pairs = zip(producer.shape, consumer.shape, consumer.axes, strict=False)
    for d, (a, b, axis) in enumerate(pairs):
        if not same_size(a, b) or any(shifted_axis(access[d]) != axis for access in read):
            break
        count += 1
    return count
