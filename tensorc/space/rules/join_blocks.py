"""Write whole blocks of what is read by blocks."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import AnnotationStep, ComputeInlineStep, ReorderStep, SplitStep
from tensorc.space.blocks import blocks_of
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_compute, matched_consumer
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class JoinBlocks:
    """Put the elements of a block, a vector wide, inside the loops over blocks, and unroll them.

    Before:  for h (0,56)                        After:  for h.0.0, h.0.1
               for c (0,64)                                for c.0
                 O(h, c) = T(h % 4, h // 4, c)               unroll h.1 (0,4)
                                                               vectorize c.1
                                                                 O(h, c) = T(h % 4, h // 4, c)

    What a block is made of is then computed right before it, and steps `h.0.0` of several blocks
    are what a stage further up may be computed for (`population.annotate`). An element-wise
    consumer that sums nothing is tiled in place of the stage, which is inlined into it.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to stages that read by blocks along other axes than that of their vectors."""
        if not is_compute(draft, stage) or has_reduce(draft, stage):
            return Condition.SKIP
        op, blocks = draft.op(stage), blocks_of(draft, stage)
        if not blocks or op.axes[-1] in blocks or len(op.body) > 1:
            return Condition.SKIP
        return Condition.SKIP if draft.stage(stage).relations else Condition.APPLY_AND_SKIP_REST

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Split, unroll, reorder."""
        blocks, consumer = blocks_of(draft, stage), matched_consumer(draft, stage)
        if consumer is None or has_reduce(draft, consumer):
            return [(_tiled(draft, stage, blocks), draft.before(stage))]
        renamed = dict(zip(draft.op(stage).axes, draft.op(consumer).axes, strict=True))
        joined = draft.do(ComputeInlineStep(stage))
        there = {renamed[axis]: length for axis, length in blocks.items()}
        return [(_tiled(joined, consumer, there), draft.before(stage))]


def _tiled(draft: Draft, stage: str, blocks: dict[str, int]) -> Draft:
    op = draft.op(stage)
    outer: list[str] = []
    inner: list[str] = []
    open_end = True
    for axis, extent in zip(op.axes[:-1], op.shape[:-1], strict=True):
        if axis not in blocks:
            outer.append(axis)
            continue
        draft = draft.do(
            SplitStep(stage, axis, (blocks[axis],)),
            AnnotationStep(stage, f"{axis}.1", Annotation.UNROLL),
        )
        inner.append(f"{axis}.1")
        if open_end and extent > blocks[axis]:
            draft = draft.tile(stage, f"{axis}.0", 1, "blocks")
            outer += [f"{axis}.0.0", f"{axis}.0.1"]
            open_end = False
        else:
            outer.append(f"{axis}.0")
    last = op.axes[-1]
    draft = draft.tile(stage, last, 1)
    order = (*outer, f"{last}.0", f"{last}.1", *inner)
    return draft.do(ReorderStep(stage, order))
