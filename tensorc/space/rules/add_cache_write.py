"""Compute into a local copy (Ansor, OSDI'20, section 4.1, rule 5)."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.steps import CacheWriteStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import matched_consumer, needs_tiling
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class AddCacheWrite:
    """Give a tiled stage that nobody can take over a consumer of its own: the copy to its place.

    Attributes:
        always: Whether to do nothing else then (GPU), or also to go on without (CPU).
    """

    always: bool

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to tiled stages without an element-wise consumer."""
        if not needs_tiling(draft, stage) or matched_consumer(draft, stage) is not None:
            return Condition.SKIP
        return Condition.APPLY_AND_SKIP_REST if self.always else Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Add the copy, and go on with the stage that computes."""
        return [(draft.do(CacheWriteStep(stage, "local")), f"{stage}.local")]
