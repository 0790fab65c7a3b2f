"""Tile a reduction across rows, although it reads nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorc.ir.affine import affine_variables
from tensorc.lower.lanes import lanes_of
from tensorc.schedule.access import accesses
from tensorc.schedule.stage import IterKind
from tensorc.schedule.steps import ComputeAtStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_compute, matched_consumer, needs_tiling
from tensorc.space.rules.multi_level_tiling import follow_tiling, tile
from tensorc.space.strides import read_strides, walks_rows
from tensorc.space.task import SearchTask

_STRUCTURE = "SRSRS"


@dataclass(frozen=True, slots=True)
class TileReduction:
    """Put several terms of several elements, a vector wide, inside the other loops.

    Before:  for c (0,1024)                After:  for c.0
               for r (0,4096)                        for r.0
                 S(c) += A(r, c)                       for c.1
                                                         for r.1
                                                           vectorize c.2
                                                             S(c) += A(r, c)

    Rows are then read as long as they are near, and running values stay in registers for several
    terms. Axes that no window slides along stay outside.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to reductions without reuse whose last axis is walked in small steps."""
        if not is_compute(draft, stage) or not has_reduce(draft, stage):
            return Condition.SKIP
        state = draft.stage(stage)
        if needs_tiling(draft, stage) or state.relations or state.cache_of is not None:
            return Condition.SKIP
        op = draft.op(stage)
        last = op.axes[-1] if op.axes else None
        if last is None or op.shape[-1] == 1 or not walks_rows(draft.state, stage, last):
            return Condition.SKIP
        return Condition.SKIP if _is_a_stream(task, draft, stage) else Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Tile it, in the loops of an element-wise consumer if it has one."""
        consumer = matched_consumer(draft, stage)
        outside = _still_axes(draft, stage) if consumer is None else ()
        tiled, splits = tile(draft, stage, _STRUCTURE, outside)
        if consumer is not None:
            tiled = follow_tiling(tiled, consumer, splits, 1)
            at = tiled.stage(consumer).iterators[len(splits) - 1].name
            tiled = tiled.do(ComputeAtStep(stage, consumer, at))
        return [(tiled, draft.before(stage))]


def _is_a_stream(task: SearchTask, draft: Draft, stage: str) -> bool:
    """Whether it sums up short rows that follow each other in memory, element behind element.

    Sums of a row are then in registers as they are, and nothing is near but what is read next.
    """
    op = draft.op(stage)
    *outer, row = op.axes
    *others, (term, terms) = op.reduce_axes
    room = lanes_of(op, task.target) * task.target.vector_registers // 2
    if others or not outer or not isinstance(terms, int) or op.shape[-1] > room:
        return False
    places = [read_strides(draft.state, stage, axis) for axis in (row, term, *outer)]
    for along, behind, *apart in zip(*places, strict=True):
        if (along, behind) not in ((1, op.shape[-1]), (1, 0)):
            return False
        block = terms * op.shape[-1] if behind else op.shape[-1]
        if not all(isinstance(s, int) and (s == 0 or s >= block) for s in apart):
            return False
    return True


def _still_axes(draft: Draft, stage: str) -> Sequence[str]:
    """The axes but the last that share no dimension of a read with a reduction."""
    moving = {i.name for i in draft.iterators(stage, IterKind.REDUCE)}
    slid = {
        name
        for places in accesses(draft.state, stage).values()
        for indices in places
        for index in indices
        if moving & set(affine_variables(index))
        for name in affine_variables(index)
    }
    return [axis for axis in draft.op(stage).axes[:-1] if axis not in slid]
