"""Compute the padding of a convolution in the convolution itself."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.ir.affine import affine_variables
from tensorc.ir.expr import Call, Select, Where
from tensorc.ir.visit import walk_expr
from tensorc.schedule.access import accesses
from tensorc.schedule.steps import ComputeInlineStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_compute, readers
from tensorc.space.population import register_tiles, vector_tile
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class InlinePadding:
    """Inline a stage that selects between its input and a constant, by conditions on axes.

    Terms of the border are then left out instead of multiplied by zero, and no padded copy is
    written; the register tile comes in more versions.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to element-wise stages whose one consumer is tiled for registers."""
        if not is_compute(draft, stage) or has_reduce(draft, stage):
            return Condition.SKIP
        found = readers(draft, stage)
        if draft.state.dag.is_output(stage) or len(found) != 1:
            return Condition.SKIP
        padded = _padded_axes(draft, stage)
        if not padded or _splits_vectors(draft, stage, found[0], padded):
            return Condition.SKIP
        return Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Inline it."""
        return [(draft.do(ComputeInlineStep(stage)), draft.before(stage))]


def _padded_axes(draft: Draft, stage: str) -> frozenset[str]:
    """The axes it selects by the ranges of; none if it does anything else that is dear."""
    op = draft.op(stage)
    nodes = [e for value in op.body for e in walk_expr(value)]
    if len(op.body) > 1 or any(isinstance(e, Call | Where) for e in nodes):
        return frozenset()
    conditions = [c for e in nodes if isinstance(e, Select) for c in e.conditions]
    if not all(len(c.terms) == 1 and c.terms[0][0] in op.axes for c in conditions):
        return frozenset()
    return frozenset(axis for c in conditions for axis in affine_variables(c))


def _splits_vectors(draft: Draft, stage: str, reader: str, padded: frozenset[str]) -> bool:
    """Whether a border would cut through the reader's vectors, or it has no register tile."""
    tile = vector_tile(register_tiles(draft, reader))
    if tile is None:
        return True
    return any(
        axis in padded and tile.iterator in affine_variables(index)
        for indices in accesses(draft.state, reader)[stage]
        for axis, index in zip(draft.op(stage).axes, indices, strict=True)
    )
