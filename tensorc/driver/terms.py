"""How many products of two elements a program has to make: none where padding puts a zero."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Final

import numpy as np

from tensorc.arith.affine import Env, atom_interval, interval, substitute
from tensorc.ir.affine import (
    Affine,
    Atom,
    FloorDiv,
    FloorMod,
    add,
    affine_variables,
    variable,
)
from tensorc.ir.expr import BinaryOp, Const, Expr, Read, Select
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
    counts = []
    for op in [dag.by_name[name] for name in names if name in needed]:
        if factors := _factors(dag, op):
            a, b = factors
            counts.append(_count(op, (*a.conditions, *b.conditions)))
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
    factors, extents = _factors(dag, reader), reader.extents()
    if factors and any(element.conditions for element in factors):
        return False  # where one factor is a zero, the other is not needed
    for access in dag.reads[reader.name][op.name]:
        axes = [next(iter(affine_variables(index)), "") for index in access]
        if len(set(axes)) < len(axes) or access != tuple(map(variable, axes)):
            continue
        if all(extents[axis] == size for axis, size in zip(axes, op.shape, strict=True)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Element:
    """An element that a value is where these affines are not negative; elsewhere it is constant."""

    conditions: tuple[Affine, ...]
    read: Read


def _factors(dag: ComputeDAG, op: Op) -> tuple[_Element, _Element] | None:
    """The elements whose products are added up; None unless they are others in each iteration.

    Elements of what is computed count as different values.
    """
    if op.reducer is None or op.reducer.name != "sum" or len(op.body) != 1:
        return None
    body = op.body[0]
    if not (isinstance(body, BinaryOp) and body.op == "*"):
        return None
    a, b = _unpadded(dag, body.a), _unpadded(dag, body.b)
    if a is None or b is None or not _is_another_in_each_iteration(op, a, b):
        return None
    return a, b


def _element(e: Expr) -> _Element | None:
    """The element that a value is; None if it is anything else."""
    match e:
        case Read():
            return _Element((), e)
        case Select(conditions, Read() as read, Const()):
            return _Element(conditions, read)
        case _:
            return None


def _unpadded(dag: ComputeDAG, e: Expr) -> _Element | None:
    """The element that a value is, looked for behind padding; None if it is anything else."""
    found = _element(e)
    if found is None:
        return None
    producer = dag.by_name[found.read.op]
    inner = _element(producer.body[0]) if has_branch(producer) and not producer.reducer else None
    if inner is None:
        return found
    behind = dict(zip(producer.axes, found.read.indices, strict=True))
    conditions, indices = (
        tuple(substitute(a, behind) for a in affines)
        for affines in (inner.conditions, inner.read.indices)
    )
    return _Element((*found.conditions, *conditions), replace(inner.read, indices=indices))


def _is_another_in_each_iteration(op: Op, a: _Element, b: _Element) -> bool:
    """Whether the places of two elements tell, where there are such, which iteration it is."""
    if a.read.op == b.read.op and a.read != b.read:
        return False  # it may be that the two change places
    env = {name: (0, int(extent) - 1) for name, extent in op.extents().items()}
    # What is not negative and never positive is zero.
    zeros = [c for c in (*a.conditions, *b.conditions) if interval(c, env)[1] == 0]
    given = [*a.read.indices, *b.read.indices, *zeros]
    given += [relation for affine in given for relation in _relations(affine)]
    known: set[Atom] = set()
    while new := {atom for affine in given for atom in _digits(affine, known, env)}:
        known |= new
    return all(name in known for name, (low, high) in env.items() if low < high)


def _relations(a: Affine) -> Iterator[Affine]:
    """What is zero: a dividend less what quotient and remainder make, for those of an affine."""
    for atom, _ in a.terms:
        if isinstance(atom, FloorDiv | FloorMod):
            inner, divisor = atom.affine, atom.divisor
            parts = ((FloorDiv(inner, divisor), -divisor), (FloorMod(inner, divisor), -1))
            yield add(inner, Affine(0, parts))
            yield from _relations(inner)


def _digits(a: Affine, known: Container[Atom], env: Env) -> list[Atom]:
    """The atoms that are not yet known if the value of an affine tells them, as it does digits."""
    left = [(atom, abs(c)) for atom, c in a.terms if atom not in known]
    reach = 0
    for atom, weight in sorted(left, key=lambda term: term[1]):
        if weight <= reach:
            return []
        low, high = atom_interval(atom, env)
        reach += weight * (high - low)
    return [atom for atom, _ in left]


def _is_understood(dag: ComputeDAG, op: Op) -> bool:
    """Whether its conditions say where a sum has a product, or what such a sum reads is no zero."""
    if _factors(dag, op):
        return True
    found = _element(op.body[0]) if len(op.body) == 1 and op.reducer is None else None
    if found is None or not dag.by_name[found.read.op].is_placeholder:
        return False
    return all(_factors(dag, dag.by_name[name]) for name in dag.read_by[op.name])


def _count(op: Op, conditions: Iterable[Affine]) -> int | None:
    """How many iterations meet conditions; None where data, or too many axes, decide that."""
    extents = {name: int(extent) for name, extent in op.extents().items()}
    groups = _connected(conditions)
    free = prod(extent for name, extent in extents.items() if not any(name in g for g in groups))
    counts = [_points(extents, names, group) for names, group in groups.items()]
    return None if None in counts else free * prod(count or 0 for count in counts)


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
    axes = sorted(names)
    grid = np.ix_(*(np.arange(extents[name]) for name in axes))
    point = dict(zip(axes, grid, strict=True))
    holds = np.ones([extents[name] for name in axes], np.bool_)
    for condition in conditions:
        value = evaluate(condition, point)
        if value is None:
            return None
        holds &= value >= 0
    return int(np.count_nonzero(holds))
