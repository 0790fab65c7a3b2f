"""What sketch rules ask about a stage."""

from __future__ import annotations

import math

from tensorc.arith.sizes import Size
from tensorc.schedule.access import consumers
from tensorc.schedule.stage import Annotation, At, AtLevel, IterKind, Root
from tensorc.space.draft import Draft
from tensorc.space.task import SearchTask
from tensorc.te.dag import CONST_TENSOR_INDICES


def is_compute(draft: Draft, stage: str) -> bool:
    """Whether it is computed, and not an input."""
    return stage in draft.state.stages


def has_reduce(draft: Draft, stage: str) -> bool:
    """Whether it has reduction loops."""
    return any(i.kind is IterKind.REDUCE for i in draft.stage(stage).iterators)


def is_cached(draft: Draft, stage: str) -> bool:
    """Whether it is the half of a cache_write that computes."""
    original = draft.stage(stage).cache_of
    return original is not None and stage in draft.state.dag.reads[original]


def needs_tiling(draft: Draft, stage: str) -> bool:
    """Whether it reuses what it reads along several axes."""
    return is_compute(draft, stage) and draft.state.dag.needs_multi_level_tiling(stage)


def readers(draft: Draft, stage: str) -> tuple[str, ...]:
    """The stages that read it, also through inlined ones."""
    return tuple(consumers(draft.state, stage))


def matched_consumer(draft: Draft, stage: str) -> str | None:
    """The only consumer, if it walks the same elements in order and not both of them reduce.

    An output has none: it is computed as a whole, and cannot be taken over. Nor is there one that
    another rule has tiled already: it cannot follow the stage's tiles.
    """
    found = readers(draft, stage)
    if draft.state.dag.is_output(stage) or len(found) != 1:
        return None
    if not draft.state.dag.elementwise_match(stage, found[0]):
        return None
    if draft.stage(found[0]).relations:
        return None
    return None if has_reduce(draft, stage) and has_reduce(draft, found[0]) else found[0]


def single_consumer(draft: Draft, stage: str) -> str | None:
    """The only consumer, or the stage that several consumers are all computed in."""
    found = readers(draft, stage)
    if len(found) <= 1:
        return found[0] if found else None
    homes = {home(draft, name) for name in found}
    return homes.pop() if len(homes) == 1 else None


def home(draft: Draft, stage: str) -> str:
    """The stage that it is computed in, itself if it is computed at the root."""
    location = draft.stage(stage).location
    return location.target if isinstance(location, At | AtLevel) else stage


def is_at_root(draft: Draft, stage: str) -> bool:
    """Whether it is computed at the root, and nowhere else."""
    return isinstance(draft.stage(stage).location, Root)


def inline_wanted(task: SearchTask, draft: Draft, stage: str) -> bool:
    """Whether to compute it in its readers: cheap on a CPU, anything but a reduction on a GPU."""
    dag = draft.state.dag
    if not is_compute(draft, stage) or dag.is_output(stage) or has_reduce(draft, stage):
        return False
    if len(draft.op(stage).body) > 1:
        return False
    return task.target.is_gpu or dag.is_strictly_inlineable(stage)


def volume(draft: Draft, stage: str) -> tuple[Size, Size]:
    """The numbers of its elements and of the terms of each."""
    op = draft.op(stage)
    return math.prod(op.shape), math.prod(extent for _, extent in op.reduce_axes)


def const_axes(draft: Draft, stage: str) -> tuple[str, ...]:
    """The axes that index constant matrices, as its attribute says."""
    value = draft.op(stage).attr(CONST_TENSOR_INDICES)
    return value if isinstance(value, tuple) else ()


def sums_constants_only(draft: Draft, stage: str) -> bool:
    """Whether all axes that it reduces index constant matrices, or it reduces none."""
    marked = const_axes(draft, stage)
    return all(axis in marked for axis, _ in draft.op(stage).reduce_axes)


def crosses_threads(draft: Draft, stage: str) -> bool:
    """Whether it, or a stage computed in it, reduces over the threads of a block."""
    group = [
        name
        for name, other in draft.state.stages.items()
        if name == stage or (isinstance(other.location, At) and other.location.target == stage)
    ]
    return any(
        i.annotation is Annotation.THREAD_X and i.kind is IterKind.REDUCE
        for name in group
        for i in draft.stage(name).iterators
    )
