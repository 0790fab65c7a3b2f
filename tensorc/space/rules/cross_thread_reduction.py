"""Reduce with all threads of a block."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import AnnotationStep, ComputeAtStep, FollowSplitStep, SplitStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import is_cached, is_compute, needs_tiling, single_consumer, volume
from tensorc.space.rules.add_rfactor import fuse_reduction
from tensorc.space.task import SearchTask

_THREADS = (32, 64, 128, 256, 512, 1024)


def thread_counts(task: SearchTask) -> tuple[int, ...]:
    """Numbers of threads to choose from."""
    most = task.target.max_threads_per_block
    return tuple(count for count in _THREADS if count <= most) or (most,)


@dataclass(frozen=True, slots=True)
class CrossThreadReduction:
    """Bind the inner part of the fused reduction to threads, inside the consumer if that fits."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply where the reduction offers more parallelism than the elements do."""
        if not is_compute(draft, stage) or is_cached(draft, stage):
            return Condition.SKIP
        elements, terms = volume(draft, stage)
        if needs_tiling(draft, stage):
            wanted = elements <= task.target.max_threads_per_block and elements < terms
        else:
            wanted = terms > 1 and terms > task.target.warp_size
        return Condition.APPLY if wanted else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Split by the number of threads: the consumer's, or one of its own."""
        fused, name = fuse_reduction(draft, stage)
        target = single_consumer(fused, stage)
        common = 0
        if target is not None and not needs_tiling(fused, target):
            common = fused.state.dag.num_common_outer_iterators(stage, target)
        if target is None or common == 0:
            chosen, count = fused.choose(stage, "threads", thread_counts(task))
            made = chosen.do(SplitStep(stage, name, (count,)))
        else:
            split, source = _thread_split(task, fused, target)
            at = split.stage(target).iterators[common - 1].name
            made = split.do(
                ComputeAtStep(stage, target, at), FollowSplitStep(stage, name, source, 1)
            )
        bound = made.do(AnnotationStep(stage, f"{name}.1", Annotation.THREAD_X))
        return [(bound, draft.before(stage))]


def _thread_split(task: SearchTask, draft: Draft, target: str) -> tuple[Draft, int]:
    """The step that splits the target by the number of threads, made if there is none yet."""
    for number, step in enumerate(draft.state.steps):
        if isinstance(step, SplitStep) and step.stage == target:
            return draft, number
    last = draft.stage(target).iterators[-1].name
    chosen, count = draft.choose(target, "threads", thread_counts(task))
    split = chosen.do(SplitStep(target, last, (count,)))
    source = len(split.state.steps) - 1
    return split.do(AnnotationStep(target, f"{last}.1", Annotation.THREAD_X)), source
