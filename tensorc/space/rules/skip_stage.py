"""Leave a stage as it is (Ansor, OSDI'20, section 4.1, rule 1)."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class SkipStage:
    """Go on with the stage before."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to every stage that no earlier rule has claimed."""
        return Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Change nothing."""
        return [(draft, draft.before(stage))]
