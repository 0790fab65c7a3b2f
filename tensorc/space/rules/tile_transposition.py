"""Tile a stage that reads along other rows than it writes."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import (
    has_reduce,
    inline_wanted,
    is_compute,
    needs_tiling,
    readers,
)
from tensorc.space.rules.multi_level_tiling import tile
from tensorc.space.strides import read_strides
from tensorc.space.task import SearchTask

_STRUCTURE = "SSS"
# The stride from which on neighbours are in different cache lines or nearly so.
_FAR = 8


@dataclass(frozen=True, slots=True)
class TileTransposition:
    """Work in blocks of the two axes that are contiguous, one in the output, one in an input.

    Before:  for i (0,1024)          After:  for i.0, j.0, i.1, j.1
               for j (0,1024)                  unroll i.2
                 B(i, j) = A(j, i)               vectorize j.2
                                                   B(i, j) = A(j, i)

    All of a cache line is used while it is near, and a block is transposed in registers.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to element-wise stages one of whose reads is contiguous along an outer axis.

        A stage that only tiled stages read is better computed, or read in place, by their tiles.
        """
        if not is_compute(draft, stage) or has_reduce(draft, stage):
            return Condition.SKIP
        if draft.stage(stage).relations or inline_wanted(task, draft, stage):
            return Condition.SKIP
        if any(needs_tiling(draft, reader) for reader in readers(draft, stage)):
            return Condition.SKIP
        return Condition.APPLY if _crossing(draft, stage) is not None else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Tile these two axes."""
        axis = _crossing(draft, stage)
        axes = draft.op(stage).axes
        outside = [a for a in axes[:-1] if a != axis]
        return [(tile(draft, stage, _STRUCTURE, outside)[0], draft.before(stage))]


def _crossing(draft: Draft, stage: str) -> str | None:
    """An axis, not the last, along which a read is contiguous that is far apart along the last."""
    op = draft.op(stage)
    if len(op.axes) < 2 or not isinstance(op.shape[-1], int) or op.shape[-1] == 1:
        return None
    along_last = read_strides(draft.state, stage, op.axes[-1])
    for axis, extent in zip(op.axes[:-1], op.shape[:-1], strict=True):
        if not isinstance(extent, int) or extent == 1:
            continue
        steps = read_strides(draft.state, stage, axis)
        for step, far in zip(steps, along_last, strict=True):
            if step == 1 and isinstance(far, int) and abs(far) >= _FAR:
                return axis
    return None
