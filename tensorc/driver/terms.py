"""How many products of two elements a program has to make: none where padding puts a zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Final

import numpy as np

from tensorc.arith.affine import substitute
from tensorc.ir.affine import Affine, affine_variables, variable
from tensorc.ir.expr import BinaryOp, Const, Expr, Read, Select, expr_variables
from tensorc.te.access import has_branch
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import Op
from tensorc.te.scope import evaluate

# Points that are looked at one by one, at most.
_MOST_POINTS: Final = 1 << 20


def count_products(dag: ComputeDAG, names: Iterable[str]) -> int | None:
    """Return how many products every program makes for the operations that are sums of products.

    None where conditions decide what is needed, other than those of padding and of gaps between
    the elements of an input.
    """
    needed = _needed(dag)
    if any(has_branch(op) and not _is_understood(dag, op) for op in dag.ops):
        return None
    ops = [dag.by_name[name] for name in names if name in needed]
    counts = [_count(dag, op) for op in ops if _is_sum_of_products(op)]
    return None if None in counts else sum(count or 0 for count in counts)


def _needed(dag: ComputeDAG) -> set[str]:
    """The operations whose every element is needed: outputs, and what is read as a whole."""
    needed: set[str] = set()
    for op in reversed(dag.ops):
        readers = [dag.by_name[name] for name in dag.read_by[op.name] if name in needed]
        if dag.is_output(op.name) or any(_reads_whole(dag, reader, op) for reader in readers):
            needed.add(op.name)
    return needed


def _reads_whole(dag: ComputeDAG, reader: Op, op: Op) -> bool:
    """Whether a read goes from end to end of each dimension, along an axis of its own."""
    extents = reader.extents()
    for access in dag.reads[reader.name][op.name]:
        axes = [next(iter(affine_variables(index)), "") for index in access]
        if len(set(axes)) < len(axes) or access != tuple(map(variable, axes)):
            continue
        if all(extents[axis] == size for axis, size in zip(axes, op.shape, strict=True)):
            return True
    return False


def _is_sum_of_products(op: Op) -> bool:
    """Whether it adds products of two elements, another pair in each iteration."""
    if op.reducer is None or op.reducer.name != "sum" or len(op.body) != 1:
        return False
    body = op.body[0]
    if not (isinstance(body, BinaryOp) and body.op == "*"):
        return False
    if _element(body.a) is None or _element(body.b) is None:
        return False
    axes = {name for name, extent in op.extents().items() if extent > 1}
    return axes <= set(expr_variables(body))


def _element(e: Expr) -> tuple[tuple[Affine, ...], Read] | None:
    """The element that a value is, and where; a constant elsewhere. None if it is anything else."""
    match e:
        case Read():
            return (), e
        case Select(conditions, Read() as read, Const()):
            return conditions, read
        case _:
            return None


def _is_understood(dag: ComputeDAG, op: Op) -> bool:
    """Whether its conditions say where a sum has a product, or what such a sum reads is no zero."""
    if _is_sum_of_products(op):
        return True
    found = _element(op.body[0]) if len(op.body) == 1 and op.reducer is None else None
    if found is None or not dag.by_name[found[1].op].is_placeholder:
        return False
    return all(_is_sum_of_products(dag.by_name[name]) for name in dag.read_by[op.name])


def _count(dag: ComputeDAG, op: Op) -> int | None:
    """How many iterations multiply two elements; None where data, or too many axes, decide that."""
    body, extents = op.body[0], {name: int(extent) for name, extent in op.extents().items()}
    assert isinstance(body, BinaryOp), f"'{op.name}' is no sum of products"
    conditions = [*_conditions(dag, body.a), *_conditions(dag, body.b)]
    groups = _connected(conditions)
    free = prod(extent for name, extent in extents.items() if not any(name in g for g in groups))
    counts = [_points(extents, names, group) for names, group in groups.items()]
    return None if None in counts else free * prod(count or 0 for count in counts)


def _conditions(dag: ComputeDAG, e: Expr) -> tuple[Affine, ...]:
    """Where an operand is an element of an input, or computed; padding looked through."""
    found = _element(e)
    assert found is not None, "an operand is an element"
    conditions, read = found
    producer = dag.by_name[read.op]
    if not has_branch(producer):
        return conditions
    inner = _element(producer.body[0])
    behind = dict(zip(producer.axes, read.indices, strict=True))
    return (*conditions, *(substitute(c, behind) for c in (inner[0] if inner else ())))


def _connected(conditions: Iterable[Affine]) -> Mapping[frozenset[str], list[Affine]]:
    """The conditions by the axes that they, and those that share an axis with them, are about."""
    groups: dict[frozenset[str], list[Affine]] = {}
    for condition in conditions:
        names, together = frozenset(affine_variables(condition)), [condition]
        for others in [known for known in groups if known & names]:
            names, together = names | others, [*groups.pop(others), *together]
        groups.setdefault(names, []).extend(together)
    return groups


def _points(
    extents: Mapping[str, int], names: frozenset[str], conditions: Iterable[Affine]
) -> int | None:
    """At how many values of these axes all conditions hold; None if that is not known."""
    if prod(extents[name] for name in names) > _MOST_POINTS:
        return None
    grid = np.ix_(*(np.arange(extents[name]) for name in names))
    point = dict(zip(names, grid, strict=True))
    holds = np.ones([extents[name] for name in names], np.bool_)
    for condition in conditions:
        value = evaluate(condition, point)
        if value is None:
            return None
        holds &= value >= 0
    return int(np.count_nonzero(holds))
