"""Compute the input of a stage with constant matrices right before its unrolled loops."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import ComputeAtStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import const_axes, inline_wanted, readers
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class SpecialComputeLocation:
    """Attach instead of inlining, so that the unrolled loops do not compute it again (GPU)."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to what would be inlined into a stage with constant matrices."""
        if not inline_wanted(task, draft, stage) or not draft.state.dag.reads[stage]:
            return Condition.SKIP
        found = readers(draft, stage)
        if len(found) != 1 or not const_axes(draft, found[0]):
            return Condition.SKIP
        return Condition.APPLY_AND_SKIP_REST

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Attach it to the last loop that is not unrolled."""
        (reader,) = readers(draft, stage)
        loops = draft.stage(reader).iterators
        unrolled = next(k for k, i in enumerate(loops) if i.annotation is Annotation.UNROLL)
        attached = draft.do(ComputeAtStep(stage, reader, loops[unrolled - 1].name))
        return [(attached, draft.before(stage))]
