"""Copy what a tiled stage reads to shared memory."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.stage import IterKind
from tensorc.schedule.steps import CacheReadStep, ComputeAtStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import crosses_threads, needs_tiling, readers
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class AddCacheRead:
    """Copy what one step of the outer reduction needs of a tensor, all threads together."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to what a single tiled stage reads directly and without a reduction of threads."""
        found = readers(draft, stage)
        if len(found) != 1 or not needs_tiling(draft, found[0]):
            return Condition.SKIP
        direct = found[0] in draft.state.dag.read_by[stage]
        if not direct or crosses_threads(draft, found[0]):
            return Condition.SKIP
        return Condition.APPLY_AND_SKIP_REST

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Attach the copy to the last loop of the outermost reduction tile; visit `stage` again."""
        (reader,) = readers(draft, stage)
        outer = [i.name for i in draft.iterators(reader, IterKind.REDUCE) if i.name.endswith(".0")]
        copied = draft.do(
            CacheReadStep(stage, "shared", (reader,)),
            ComputeAtStep(f"{stage}.shared", reader, outer[-1]),
        )
        return [(copied, stage)]
