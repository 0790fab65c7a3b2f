"""Compute cheap stages in their readers (Ansor, OSDI'20, section 4.1, rule 2)."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.steps import ComputeInlineStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import inline_wanted
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class AlwaysInline:
    """Inline every stage that is no output, does not reduce and is cheap (on a GPU: any)."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to what is worth inlining, and then nothing else."""
        wanted = inline_wanted(task, draft, stage)
        return Condition.APPLY_AND_SKIP_REST if wanted else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Inline it."""
        return [(draft.do(ComputeInlineStep(stage)), draft.before(stage))]
