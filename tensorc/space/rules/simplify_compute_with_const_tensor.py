"""Unroll the axes that index constant matrices, as in the transforms of Winograd's convolution."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import AnnotationStep, ReorderStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import const_axes, is_compute, sums_constants_only
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class SimplifyComputeWithConstTensor:
    """Tile the other axes in two and put the marked axes, unrolled, inside."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to stages with the attribute `auto_scheduler_simplify_const_tensor_indices`.

        A sum over another axis, too, keeps a loop, and is left to the rules for sums.
        """
        if not is_compute(draft, stage) or not const_axes(draft, stage):
            return Condition.SKIP
        whole = sums_constants_only(draft, stage)
        return Condition.APPLY_AND_SKIP_REST if whole else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Split, unroll, reorder."""
        marked = const_axes(draft, stage)
        done, outer, inner = draft, [], []
        for name in draft.stage(stage).names():
            if name in marked:
                done = done.do(AnnotationStep(stage, name, Annotation.UNROLL))
                inner.append(name)
            else:
                done = done.tile(stage, name, 1)
                outer.append(name)
        order = [f"{name}.{level}" for level in (0, 1) for name in outer]
        return [(done.do(ReorderStep(stage, (*order, *inner))), draft.before(stage))]
