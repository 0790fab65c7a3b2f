"""Leave stages that depend on constants only where they are: they run once, before all calls."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.space.constants import constant_ops
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import is_compute
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class KeepConstant:
    """Neither inline nor tile a stage that costs nothing: its place is the root."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to computed stages that read constants only."""
        kept = is_compute(draft, stage) and stage in constant_ops(task, draft.state.dag)
        return Condition.APPLY_AND_SKIP_REST if kept else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Go on."""
        return [(draft, draft.before(stage))]
