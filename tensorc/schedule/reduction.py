"""Factorisation of reductions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tensorc.arith.affine import substitute_expr
from tensorc.arith.sizes import Size
from tensorc.ir.affine import Affine, add, scale, variable
from tensorc.ir.expr import Expr, Read, Select
from tensorc.schedule.cache import (
    beside,
    free_name,
    fresh_stage,
    is_annotated,
    refuse_guests,
    replace_op,
)
from tensorc.schedule.location import check_attachments
from tensorc.schedule.lookup import find_iterator, find_stage
from tensorc.schedule.open import OPEN
from tensorc.schedule.relations import axis_values, extents
from tensorc.schedule.stage import IterKind, Relation, SplitRelation, Stage
from tensorc.schedule.state import State
from tensorc.support.errors import ScheduleError
from tensorc.te.op import Op


def rfactor(state: State, name: str, iterator: str, axis: int) -> State:
    """Turn a reduction iterator into spatial axis number `axis` of a new stage `name.rf`.

    Before, k split by 16:  C(i) += A(i, k.0*16 + k.1)
    After, of k.1 at 1:     C.rf(i, k.1) += A(i, k.0*16 + k.1)
                            C(i) += C.rf(i, k.1)

    Partial results that no term of the original reduction falls to are the reducer's identity.

    Raises:
        ScheduleError: it walks no reduction, there is no such axis, or something was done to the
            loops already.
    """
    deed = f"rfactor '{iterator}' of stage '{name}'"
    stage = find_stage(state, name, deed)
    op = state.dag.by_name[name]
    position = find_iterator(stage, iterator, deed)
    _check_factorable(state, stage, op, deed)
    if stage.iterators[position].kind is not IterKind.REDUCE:
        raise ScheduleError(f"Cannot {deed}: it does not walk a reduction.")
    if not 0 <= axis <= len(op.axes):
        raise ScheduleError(f"Cannot {deed}: expected axis 0 to {len(op.axes)}, got {axis}.")
    sizes = extents(stage.relations, op.extents())
    partial = _partial_op(op, stage, sizes, (iterator, axis), free_name(state, name, "rf"))
    reads: tuple[Expr, ...] = tuple(
        Read(partial.name, tuple(map(variable, partial.axes)), dtype, output)
        for output, dtype in enumerate(op.dtypes)
    )
    final = replace(op, reduce_axes=((iterator, sizes[iterator]),), body=reads, attrs=(), tag="")
    stages = (
        fresh_stage(partial, beside(stage)),
        replace(fresh_stage(final, stage.location), scope=stage.scope, cache_of=stage.cache_of),
    )
    result = replace_op(state, name, (partial, final), stages)
    check_attachments(result, deed)
    return result


def _check_factorable(state: State, stage: Stage, op: Op, deed: str) -> None:
    kept = {i.name for i in stage.iterators if i.kind is IterKind.SPATIAL}
    if kept != set(op.axes):
        raise ScheduleError(f"Cannot {deed}: its spatial loops are split or fused already.")
    if is_annotated(stage):
        raise ScheduleError(f"Cannot {deed}: its loops are annotated already; do this first.")
    refuse_guests(state, stage.name, deed)


def _partial_op(
    op: Op, stage: Stage, sizes: Mapping[str, Size], factor: tuple[str, int], name: str
) -> Op:
    """The operation whose extra axis is the factored iterator."""
    iterator, at = factor
    loops = [i.name for i in stage.iterators if i.kind is IterKind.REDUCE]
    values = axis_values(stage.relations, sizes, loops)
    mapping = {axis: values[axis] for axis, _ in op.reduce_axes if axis not in loops}
    body = [substitute_expr(value, mapping) for value in op.body]
    conditions = _overruns(stage.relations, sizes, values)
    if conditions:
        assert op.reducer is not None
        identity = op.reducer.identity
        body = [Select(conditions, e, i) for e, i in zip(body, identity, strict=True)]
    return replace(
        op,
        name=name,
        shape=(*op.shape[:at], sizes[iterator], *op.shape[at:]),
        axes=(*op.axes[:at], iterator, *op.axes[at:]),
        reduce_axes=tuple((n, sizes[n]) for n in loops if n != iterator),
        reducer=op.reducer,
        body=tuple(body),
    )


def _overruns(
    relations: Sequence[Relation], sizes: Mapping[str, Size], values: Mapping[str, Affine]
) -> tuple[Affine, ...]:
    """Conditions that keep splits that do not divide within what they split."""
    conditions = []
    for relation in relations:
        if isinstance(relation, SplitRelation):
            covered: Size = 1
            for part in relation.parts:
                covered = covered * sizes[part]
            size = sizes[relation.parent]
            if covered is not OPEN and size is not OPEN and _differ(covered, size):
                conditions.append(add(Affine(size - 1), scale(values[relation.parent], -1)))
    return tuple(conditions)


def _differ(a: Size, b: Size) -> bool:
    """Whether two sizes differ, for any candidate."""
    return bool(np.any(a != b))
