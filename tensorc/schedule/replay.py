"""Steps applied to states.

One replay serves three uses: with no columns it gives a sketch, whose undecided sizes are
`open.OPEN`; with arrays the state of a whole population; with ints one concrete state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, assert_never

from tensorc.arith.sizes import Size
from tensorc.schedule.annotate import annotate, mark, pragma, storage_align
from tensorc.schedule.cache import cache_read, cache_write, fresh_stage
from tensorc.schedule.location import compute_at, compute_inline, compute_root, locate
from tensorc.schedule.loops import (
    follow_fused_split_lengths,
    follow_split_lengths,
    fuse,
    reorder,
    split,
)
from tensorc.schedule.open import OPEN
from tensorc.schedule.reduction import rfactor
from tensorc.schedule.state import State
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    CacheWriteStep,
    Col,
    ComputeAtStep,
    ComputeInlineStep,
    ComputeRootStep,
    FollowFusedSplitStep,
    FollowSplitStep,
    FuseStep,
    Length,
    LocateStep,
    MarkStep,
    PragmaStep,
    ReorderStep,
    RfactorStep,
    SplitStep,
    Step,
    StorageAlignStep,
)
from tensorc.te.dag import ComputeDAG

# One value (int, NumPy integer or array) for each decision column; None while they are open.
Columns: TypeAlias = Sequence[Any] | None


def initial_state(dag: ComputeDAG) -> State:
    """The state before any step: every stage at the root, one loop for each axis."""
    return State(dag, {op.name: fresh_stage(op) for op in dag.ops if not op.is_placeholder})


def replay(dag: ComputeDAG, steps: Iterable[Step], columns: Columns = ()) -> State:
    """Apply steps to the initial state."""
    state = initial_state(dag)
    for step in steps:
        state = apply_step(state, step, columns)
    return state


def apply_step(state: State, step: Step, columns: Columns = None) -> State:
    """Apply one step, whose `Col`s stand for `columns`, or for open sizes without them.

    Raises:
        ScheduleError: if the step is illegal in this state.
    """
    lengths = _lengths(state, step, columns)
    new = _apply(state, step, lengths, columns)
    return State(new.dag, new.stages, (*state.steps, step), (*state.lengths, lengths))


def resolve(length: Length, columns: Columns) -> Size:
    """The size that stands for a length; NumPy integers become ints."""
    if not isinstance(length, Col):
        return length
    if columns is None:
        size: Size = OPEN
        return size
    value = columns[length.index]
    return value if getattr(value, "ndim", 0) else _as_int(value)


def _as_int(value: Any) -> Size:
    size: Size = value if value is OPEN else int(value)
    return size


def _lengths(state: State, step: Step, columns: Columns) -> tuple[Size, ...]:
    """The inner lengths of a step that splits, nothing for others."""
    match step:
        case SplitStep(_, _, lengths):
            return tuple([resolve(length, columns) for length in lengths])
        case FollowSplitStep():
            return follow_split_lengths(state, step)
        case FollowFusedSplitStep():
            return follow_fused_split_lengths(state, step)
        case _:
            return ()


def _apply(state: State, step: Step, lengths: tuple[Size, ...], columns: Columns) -> State:
    match step:
        case SplitStep() | FollowSplitStep() | FollowFusedSplitStep():
            return split(state, step.stage, step.iterator, lengths)
        case FuseStep(stage, iterators):
            return fuse(state, stage, iterators)
        case ReorderStep(stage, order):
            return reorder(state, stage, order)
        case AnnotationStep(stage, iterator, annotation):
            return annotate(state, stage, iterator, annotation)
        case PragmaStep(stage, iterator, key, value):
            return pragma(state, stage, iterator, key, value)
        case MarkStep(stage, what, amount):
            return mark(state, stage, what, resolve(amount, columns))
        case StorageAlignStep(stage, axis, factor, offset):
            return storage_align(state, stage, axis, factor, offset)
        case _:
            return _apply_structural(state, step, columns)


def _apply_structural(
    state: State,
    step: ComputeAtStep
    | ComputeInlineStep
    | ComputeRootStep
    | LocateStep
    | CacheReadStep
    | CacheWriteStep
    | RfactorStep,
    columns: Columns,
) -> State:
    """Apply a step that moves or adds stages."""
    match step:
        case ComputeAtStep(stage, target, iterator):
            return compute_at(state, stage, target, iterator)
        case ComputeInlineStep(stage):
            return compute_inline(state, stage)
        case ComputeRootStep(stage):
            return compute_root(state, stage)
        case LocateStep(stage, target, level, limit):
            return locate(state, stage, target, resolve(level, columns), limit)
        case CacheReadStep(stage, scope, readers, layout):
            factor = 1 if layout is None else resolve(layout.factor, columns)
            return cache_read(state, stage, scope, readers, layout, factor)
        case CacheWriteStep(stage, scope):
            return cache_write(state, stage, scope)
        case RfactorStep(stage, iterator, axis):
            return rfactor(state, stage, iterator, axis)
        case _:
            assert_never(step)
