"""Read the transposed tensor itself instead of a copy of it."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.ir.affine import Affine, affine_variables, variable
from tensorc.ir.expr import Read
from tensorc.schedule.access import accesses
from tensorc.schedule.steps import ComputeInlineStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_compute, readers
from tensorc.space.population import register_tiles, vector_tile
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class InlineTransposition:
    """Inline a stage that only permutes axes, where that leaves the reader's vectors contiguous."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to bare reads whose one consumer is tiled for registers."""
        if not is_compute(draft, stage) or has_reduce(draft, stage):
            return Condition.SKIP
        dag, found = draft.state.dag, readers(draft, stage)
        if dag.is_output(stage) or dag.is_strictly_inlineable(stage) or len(found) != 1:
            return Condition.SKIP
        source = _source_axes(draft, stage)
        tile = vector_tile(register_tiles(draft, found[0]))
        if source is None or tile is None:
            return Condition.SKIP
        walked = _walked_axes(draft, stage, found[0], tile.iterator)
        return Condition.APPLY if walked <= {source[-1]} else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Inline it."""
        return [(draft.do(ComputeInlineStep(stage)), draft.before(stage))]


def _source_axes(draft: Draft, stage: str) -> tuple[str, ...] | None:
    """The axis that walks each dimension of what a stage copies; None if it does anything else."""
    op = draft.op(stage)
    if len(op.body) != 1 or not isinstance(op.body[0], Read) or not op.body[0].indices:
        return None
    axes = tuple(_axis(index) for index in op.body[0].indices)
    known = tuple(axis for axis in axes if axis is not None)
    return known if len(set(known)) == len(axes) else None


def _axis(index: Affine) -> str | None:
    names = tuple(affine_variables(index))
    return names[0] if len(names) == 1 and index == variable(names[0]) else None


def _walked_axes(draft: Draft, stage: str, reader: str, iterator: str) -> set[str]:
    """The axes of a stage along which an iterator of its reader walks."""
    return {
        axis
        for indices in accesses(draft.state, reader)[stage]
        for axis, index in zip(draft.op(stage).axes, indices, strict=True)
        if iterator in affine_variables(index)
    }
