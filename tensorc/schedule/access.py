"""Who reads what in a state, seen through inlined stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from tensorc.arith.affine import substitute_expr
from tensorc.ir.affine import Affine
from tensorc.ir.expr import Expr, Read
from tensorc.ir.visit import rewrite_expr, walk_expr
from tensorc.schedule.stage import Inlined
from tensorc.schedule.state import State

Accesses: TypeAlias = dict[str, tuple[tuple[Affine, ...], ...]]


def body_of(state: State, name: str) -> tuple[Expr, ...]:
    """The body of an operation, one expression for each output, inlined producers substituted."""
    op = state.dag.by_name[name]
    if not any(is_inlined(state, producer) for producer in state.dag.reads[name]):
        return op.body

    def inline(e: Expr) -> Expr | None:
        if not isinstance(e, Read) or not is_inlined(state, e.op):
            return None
        producer = state.dag.by_name[e.op]
        value = body_of(state, e.op)[e.output]
        return substitute_expr(value, dict(zip(producer.axes, e.indices, strict=True)))

    return tuple(rewrite_expr(value, inline) for value in op.body)


def accesses(state: State, name: str) -> Accesses:
    """The operations an operation reads, inlined ones looked through, and at which indices."""
    direct: Accesses = state.dag.reads[name]
    if not any(is_inlined(state, producer) for producer in direct):
        return direct
    found: dict[str, list[tuple[Affine, ...]]] = {}
    for value in body_of(state, name):
        for e in walk_expr(value):
            if isinstance(e, Read):
                found.setdefault(e.op, []).append(e.indices)
    return {producer: tuple(indices) for producer, indices in found.items()}


def is_inlined(state: State, name: str) -> bool:
    """Whether that operation is a stage that is inlined."""
    stage = state.stages.get(name)
    return stage is not None and isinstance(stage.location, Inlined)


def consumers(state: State, name: str) -> tuple[str, ...]:
    """The stages that read an operation, those behind inlined stages in place of these.

    Inlining may leave a read out: what chose an element of a stage whose elements are all alike.
    """
    found = tuple(dict.fromkeys(_behind_inlined(state, name)))
    if not state.dag.gathers:
        return found
    return tuple(reader for reader in found if name in accesses(state, reader))


def _behind_inlined(state: State, name: str) -> Iterator[str]:
    for reader in state.dag.read_by[name]:
        if is_inlined(state, reader):
            yield from _behind_inlined(state, reader)
        else:
            yield reader


def producers(state: State, name: str) -> tuple[str, ...]:
    """The operations a stage reads, those behind inlined stages in place of these."""
    return tuple(accesses(state, name))
