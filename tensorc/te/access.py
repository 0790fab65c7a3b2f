"""How operations read each other: Ansor's access analysis.

Sizes may be arrays while a sketch is replayed; then equal sizes are the same object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tensorc.arith.sizes import Size
from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque
from tensorc.ir.expr import Call, Expr, Index, Load, Read, Select, Where, children
from tensorc.te.op import Op

Access: TypeAlias = tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class SimpleAccess:
    """An access by shifted axes: which are not used, used twice, or used out of order."""

    missing: bool
    duplicated: bool
    ordered: bool


def walk(e: Expr) -> Iterator[Expr]:
    """The expression and everything in it, those inside opaque indices included."""
    yield e
    for affine in indices_of(e):
        for atom, _ in affine.terms:
            yield from _walk_atom(atom)
    for child in children(e):
        yield from walk(child)


def indices_of(e: Expr) -> tuple[Affine, ...]:
    """The affines that belong to one node."""
    match e:
        case Read(_, indices):
            return indices
        case Select(conditions):
            return conditions
        case Index(affine) | Load(_, affine):
            return (affine,)
        case _:
            return ()


def _walk_atom(atom: Atom) -> Iterator[Expr]:
    match atom:
        case Opaque(value):
            yield from walk(value)
        case FloorDiv(inner) | FloorMod(inner):
            for part, _ in inner.terms:
                yield from _walk_atom(part)
        case _:
            pass


def accesses(op: Op) -> dict[str, tuple[Access, ...]]:
    """The indices with which each operation is read, in order of first reading."""
    found: dict[str, list[Access]] = {}
    for e in op.body:
        for node in walk(e):
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
    return any(isinstance(node, (Select, Where)) for e in op.body for node in walk(e))


def is_expensive(op: Op) -> bool:
    """Whether elements take an exponential function, which is not to be repeated."""
    return any(
        isinstance(node, Call) and node.function == "exp" for e in op.body for node in walk(e)
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
