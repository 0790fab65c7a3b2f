"""Compute the padding of a convolution in the convolution itself."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.ir.affine import affine_variables
from tensorc.ir.expr import Call, Select, Where
from tensorc.ir.visit import walk_expr
from tensorc.schedule.steps import ComputeInlineStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_compute, readers
from tensorc.space.population import register_tiles
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
        if not register_tiles(draft, found[0]) or not _pads(draft, stage):
            return Condition.SKIP
        return Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Inline it."""
        return [(draft.do(ComputeInlineStep(stage)), draft.before(stage))]


def _pads(draft: Draft, stage: str) -> bool:
    """Whether it selects by ranges of its axes, and computes nothing that is dear."""
    op = draft.op(stage)
    nodes = [e for value in op.body for e in walk_expr(value)]
    if len(op.body) > 1 or any(isinstance(e, Call | Where) for e in nodes):
        return False
    conditions = [c for e in nodes if isinstance(e, Select) for c in e.conditions]
    simple = all(len(c.terms) == 1 and c.terms[0][0] in op.axes for c in conditions)
    return bool(conditions) and simple and all(set(affine_variables(c)) for c in conditions)
