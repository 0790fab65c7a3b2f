"""Copies of tensors: computed into first (`cache_write`), or to be read from (`cache_read`)."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from tensorc.arith.sizes import Size
from tensorc.ir.expr import Expr, Read
from tensorc.ir.visit import rewrite_expr
from tensorc.schedule.layout import check_layout, packed_indices, packed_op, plain_copy
from tensorc.schedule.location import attached, check_attachments
from tensorc.schedule.lookup import find_stage, quoted
from tensorc.schedule.stage import (
    Annotation,
    At,
    AtLevel,
    Iterator,
    IterKind,
    Location,
    Root,
    Stage,
    StageScope,
)
from tensorc.schedule.state import State
from tensorc.schedule.steps import Layout
from tensorc.support.errors import ScheduleError
from tensorc.te.op import Op

ROOT = Root()


def fresh_stage(op: Op, location: Location = ROOT) -> Stage:
    """The stage of an operation before anything is done to it: one loop for each axis."""
    spatial = [Iterator(axis, IterKind.SPATIAL) for axis in op.axes]
    reduction = [Iterator(axis, IterKind.REDUCE) for axis, _ in op.reduce_axes]
    return Stage(op.name, tuple(spatial + reduction), location=location)


def _check_scope(scope: str, deed: str) -> None:
    scopes = get_args(StageScope)
    if scope not in scopes:
        raise ScheduleError(f"Cannot {deed}: expected one of {quoted(scopes)}.")


def cache_write(state: State, name: str, scope: StageScope) -> State:
    """Compute a stage into `name.scope` first; the stage itself becomes a copy of that.

    Before:  C(i, j) += A(i, k)*B(k, j)      After:  C.local(i, j) += A(i, k)*B(k, j)
                                                     C(i, j) = C.local(i, j)

    Raises:
        ScheduleError: there is no such stage or scope, or something was done to its loops already.
    """
    deed = f"cache the writes of '{name}' in scope '{scope}'"
    _check_scope(scope, deed)
    stage = find_stage(state, name, deed)
    op = state.dag.by_name[name]
    if stage.names() != tuple(op.extents()) or stage.relations or is_annotated(stage):
        raise ScheduleError(f"Cannot {deed}: its loops are scheduled already; do this first.")
    refuse_guests(state, name, deed)
    cache = replace(op, name=free_name(state, name, scope))
    copy = plain_copy(cache, name, op.axes)
    inner = replace(fresh_stage(cache, beside(stage)), scope=scope, cache_of=name)
    outer = replace(fresh_stage(copy, stage.location), scope=stage.scope, cache_of=stage.cache_of)
    result = replace_op(state, name, (cache, copy), (inner, outer))
    check_attachments(result, deed)
    return result


def cache_read(
    state: State,
    name: str,
    scope: StageScope,
    readers: tuple[str, ...],
    layout: Layout | None = None,
    factor: Size = 1,
) -> State:
    """Insert a copy of a tensor that `readers` read instead; `factor` is the layout's, resolved.

    Before:  C(i, j) += A(i, k)*B(k, j)      After:  B.local(ax0, ax1) = B(ax0, ax1)
                                                     C(i, j) += A(i, k)*B.local(k, j)

    The copy of an attached stage is computed where that is, any other at the root.

    Raises:
        ScheduleError: there is no such tensor or scope, the readers are not its own, or the layout
            does not fit.
    """
    deed = f"cache '{name}' in scope '{scope}' for {quoted(readers)}"
    _check_scope(scope, deed)
    op = state.dag.by_name.get(name)
    if op is None:
        known = quoted(state.dag.by_name)
        raise ScheduleError(f"Cannot {deed}: expected one of {known}, got '{name}'.")
    direct = state.dag.read_by[name]
    if not readers or len(set(readers)) < len(readers) or not set(readers) <= set(direct):
        raise ScheduleError(
            f"Cannot {deed}: expected some of its direct readers {quoted(direct)}, each once."
        )
    new = free_name(state, name, scope)
    if layout is None:
        cache = plain_copy(op, new, tuple(f"ax{d}" for d in range(len(op.shape))))
    else:
        check_layout(layout, op, factor, deed)
        cache = packed_op(op, new, layout, factor)
    redirected = _redirect(state, readers, (name, new), layout, factor)
    source = state.stages.get(name)
    location = ROOT if source is None else beside(source)
    stage = replace(fresh_stage(cache, location), scope=scope, cache_of=name)
    result = replace_op(redirected, name, (op, cache), (stage,))
    check_attachments(result, deed)
    return result


def _redirect(
    state: State,
    readers: tuple[str, ...],
    names: tuple[str, str],
    layout: Layout | None,
    factor: Size,
) -> State:
    """Let `readers` read the second name in place of the first."""
    old, new = names

    def rule(e: Expr) -> Expr | None:
        if not isinstance(e, Read) or e.op != old:
            return None
        indices = e.indices if layout is None else packed_indices(e.indices, layout, factor)
        return Read(new, indices, e.dtype, e.output)

    ops = tuple(
        replace(op, body=tuple(rewrite_expr(e, rule) for e in op.body))
        if op.name in readers
        else op
        for op in state.dag.ops
    )
    return State(state.dag.with_ops(ops), state.stages, state.steps, state.lengths)


def replace_op(state: State, name: str, ops: tuple[Op, ...], stages: tuple[Stage, ...]) -> State:
    """Put operations in the place of one, and stages in the order of operations."""
    new_ops: list[Op] = []
    for op in state.dag.ops:
        if op.name == name:
            new_ops.extend(ops)
        else:
            new_ops.append(op)
    known = state.stages | {s.name: s for s in stages}
    ordered = {op.name: known[op.name] for op in new_ops if op.name in known}
    return State(state.dag.with_ops(tuple(new_ops)), ordered, state.steps, state.lengths)


def free_name(state: State, name: str, suffix: str) -> str:
    """`name.suffix`, with as many `.d` (for duplicate) between as make it new."""
    base = name
    while f"{base}.{suffix}" in state.dag.by_name:
        base = f"{base}.d"
    return f"{base}.{suffix}"


def beside(stage: Stage) -> Location:
    """Where a stage derived from this one goes: into the same loop if it is in one."""
    return stage.location if isinstance(stage.location, (At, AtLevel)) else ROOT


def is_annotated(stage: Stage) -> bool:
    """Whether anything was said about the loops or the storage of a stage."""
    annotated = any(i.annotation is not Annotation.NONE for i in stage.iterators)
    return bool(annotated or stage.pragmas or stage.marks or stage.storage_align)


def refuse_guests(state: State, name: str, deed: str) -> None:
    """Refuse to rebuild a stage that others are computed inside.

    Raises:
        ScheduleError: others are computed inside.
    """
    guests = attached(state, name)
    if guests:
        raise ScheduleError(f"Cannot {deed}: {quoted(guests)} computed inside it; do this first.")
