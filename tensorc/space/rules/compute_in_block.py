"""Compute a transform right before the unrolled loops that read it."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import AnnotationStep, ComputeAtStep, ReorderStep
from tensorc.space.blocks import computed_once
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import const_axes, is_compute, readers, sums_constants_only
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class ComputeInBlock:
    """Attach a stage with constant matrices to its reader, whose unrolled loops read all of it.

    Before:  for p, c                  After:  for p
               unroll i (0,4)                    for c.0
                 R(i, p, c) = ...                  unroll i (0,4)
             for p, c                                vectorize c
               unroll j (0,4)                          R(i, p, c) = ...
                 T(j, p, c) = ...R                 unroll j (0,4)
                                                     vectorize c.1
                                                       T(j, p, c) = ...R

    All indices are constants, so that the stage is in registers or next to them. Nothing is
    computed twice.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to unrolled sums, where each step of the reader has elements of its own."""
        if not is_compute(draft, stage) or not const_axes(draft, stage):
            return Condition.SKIP
        if not sums_constants_only(draft, stage):
            return Condition.SKIP
        found = readers(draft, stage)
        if draft.state.dag.is_output(stage) or len(found) != 1:
            return Condition.SKIP
        if len(_around(draft, found[0])) < 2 or not computed_once(draft, stage, found[0]):
            return Condition.SKIP
        return Condition.APPLY_AND_SKIP_REST

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Unroll the marked axes, and attach to the last loop outside of vectors."""
        (reader,) = readers(draft, stage)
        marked = const_axes(draft, stage)
        names = draft.stage(stage).names()
        order = (*(n for n in names if n not in marked), *(n for n in names if n in marked))
        unrolled = (AnnotationStep(stage, n, Annotation.UNROLL) for n in names if n in marked)
        made = draft.do(
            *unrolled,
            ReorderStep(stage, order),
            ComputeAtStep(stage, reader, _around(draft, reader)[-2]),
        )
        return [(made, draft.before(stage))]


def _around(draft: Draft, reader: str) -> list[str]:
    """The loops around a reader's unrolled ones, the vector loop last; none if it has none."""
    loops = draft.stage(reader).iterators
    around = [i.name for i in loops if i.annotation is not Annotation.UNROLL]
    return around if len(around) < len(loops) else []
