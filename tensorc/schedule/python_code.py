"""Schedules as Python: the calls of `Schedule` that make the same steps."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import assert_never

from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    CacheWriteStep,
    ComputeAtStep,
    ComputeInlineStep,
    ComputeRootStep,
    FollowFusedSplitStep,
    FollowSplitStep,
    FuseStep,
    Layout,
    LocateStep,
    MarkStep,
    PragmaStep,
    ReorderStep,
    RfactorStep,
    SplitStep,
    Step,
    StorageAlignStep,
)
from tensorc.support.errors import ScheduleError


def python_code(steps: Iterable[Step], name: str = "s", program: str = "program") -> str:
    """A `Schedule` called `name` of the tensors or the DAG `program`, and a call for each step.

    Raises:
        ScheduleError: a step is of a sketch, with open decisions.
    """
    calls = "".join(f"{name}.{_call(step)}\n" for step in steps)
    return f"{name} = Schedule({program})\n{calls}"


def _call(step: Step) -> str:
    match step:
        case SplitStep(stage, iterator, lengths):
            return _spelled("split", stage, iterator, list(lengths))
        case FollowSplitStep(stage, iterator, source, parts):
            return _spelled("follow_split", stage, iterator, source, parts)
        case FollowFusedSplitStep(stage, iterator, sources, level, factor):
            return _spelled("follow_fused_split", stage, iterator, list(sources), level, factor)
        case FuseStep(stage, iterators):
            return _spelled("fuse", stage, *iterators)
        case ReorderStep(stage, order):
            return _spelled("reorder", stage, *order)
        case AnnotationStep(stage, iterator, annotation):
            return _annotation(stage, iterator, annotation)
        case PragmaStep(stage, iterator, key, value):
            return _spelled("pragma", stage, iterator, key, value)
        case StorageAlignStep(stage, axis, factor, offset):
            return _spelled("storage_align", stage, axis, factor, offset)
        case _:
            return _structural(step)


def _structural(
    step: ComputeAtStep
    | ComputeInlineStep
    | ComputeRootStep
    | CacheReadStep
    | CacheWriteStep
    | RfactorStep
    | LocateStep
    | MarkStep,
) -> str:
    match step:
        case ComputeAtStep(stage, target, iterator):
            return _spelled("compute_at", stage, target, iterator)
        case ComputeInlineStep(stage):
            return _spelled("compute_inline", stage)
        case ComputeRootStep(stage):
            return _spelled("compute_root", stage)
        case CacheReadStep(stage, scope, readers, None):
            return _spelled("cache_read", stage, scope, list(readers))
        case CacheReadStep(stage, scope, readers, Layout(dim, factor, order)):
            return _spelled("cache_read", stage, scope, list(readers), (dim, factor, order))
        case CacheWriteStep(stage, scope):
            return _spelled("cache_write", stage, scope)
        case RfactorStep(stage, iterator, axis):
            return _spelled("rfactor", stage, iterator, axis)
        case LocateStep() | MarkStep():
            raise ScheduleError(f"Cannot spell a step of a sketch: '{step}'.")
        case CacheReadStep():
            raise AssertionError(step)
        case _:
            assert_never(step)


def _annotation(stage: str, iterator: str, annotation: Annotation) -> str:
    match annotation:
        case Annotation.PARALLEL | Annotation.VECTORIZE | Annotation.UNROLL:
            return _spelled(annotation.value, stage, iterator)
        case Annotation.NONE:
            return _spelled("serial", stage, iterator)
        case _:
            return _spelled("bind", stage, iterator, annotation.value)


def _spelled(method: str, *arguments: object) -> str:
    return f"{method}({', '.join(map(_literal, arguments))})"


def _literal(value: object) -> str:
    match value:
        case str():
            return json.dumps(value)
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case _:
            return repr(value)
