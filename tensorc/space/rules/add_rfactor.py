"""Split a long reduction into independent partial ones."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.state import IterKind
from tensorc.schedule.steps import FuseStep, ReorderStep, RfactorStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import is_cached, is_compute, needs_tiling, volume
from tensorc.space.task import SearchTask

# A stage with more elements than this for each core has enough parallel work of its own.
_ELEMENTS_PER_CORE = 16


def fuse_reduction(draft: Draft, stage: str) -> tuple[Draft, str]:
    """Fuse all reduction loops; return the name of the fused one."""
    names = tuple(i.name for i in draft.iterators(stage, IterKind.REDUCE))
    if len(names) == 1:
        return draft, names[0]
    fused = draft.do(FuseStep(stage, names))
    return fused, fused.iterators(stage, IterKind.REDUCE)[0].name


@dataclass(frozen=True, slots=True)
class AddRfactor:
    """Make the outer or the inner part of the fused reduction an axis of a new stage `C.rf`.

    The outer part is for cores, the inner part, put innermost, for vector lanes.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply where the reduction offers more parallelism than the elements do."""
        if not is_compute(draft, stage) or is_cached(draft, stage):
            return Condition.SKIP
        elements, terms = volume(draft, stage)
        cores = task.target.num_cores
        if needs_tiling(draft, stage):
            wanted = elements <= terms and elements <= cores * _ELEMENTS_PER_CORE
        else:
            wanted = terms > 1 and terms > cores
        return Condition.APPLY if wanted else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Fuse, split, and factor either part; neither stage is tiled."""
        fused, name = fuse_reduction(draft, stage)
        split = fused.tile(stage, name, 1, "factor")
        axis = len(split.iterators(stage, IterKind.SPATIAL))
        partial = f"{stage}.rf"
        outer = split.do(RfactorStep(stage, f"{name}.0", axis))
        inner = split.do(RfactorStep(stage, f"{name}.1", axis))
        factor = inner.stage(partial).names()[axis]
        rest = tuple(n for n in inner.stage(partial).names() if n != factor)
        inner = inner.do(ReorderStep(partial, (*rest, factor)))
        return [(made, made.before(partial)) for made in (outer, inner)]
