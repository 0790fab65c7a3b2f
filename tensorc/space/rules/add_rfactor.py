"""Split a long reduction into independent partial ones (Ansor, OSDI'20, section 4.1, rule 6)."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.lower.lanes import lanes_of
from tensorc.schedule.stage import IterKind
from tensorc.schedule.steps import FuseStep, ReorderStep, RfactorStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_cached, is_compute, needs_tiling, volume
from tensorc.space.strides import walks_rows
from tensorc.space.task import SearchTask

# From so many vectors on, terms that are left over do not count.
_VECTORS = 4
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

    Attributes:
        wanted: Only what has a use: the outer part where the elements cannot keep the cores busy,
            the inner part where neighbours are summed up, and then nothing without it if no other
            axis walks along rows.
    """

    wanted: bool = False

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply where the reduction offers more parallelism than the elements do."""
        if not is_compute(draft, stage) or is_cached(draft, stage) or not has_reduce(draft, stage):
            return Condition.SKIP
        elements, terms = volume(draft, stage)
        cores = task.target.num_cores
        if needs_tiling(draft, stage):
            wanted = elements <= terms and elements <= cores * _ELEMENTS_PER_CORE
        else:
            wanted = terms > 1 and terms > cores
        if not wanted or (self.wanted and not any(self._parts(task, draft, stage))):
            return Condition.SKIP
        only = self.wanted and _needs_lanes(task, draft, stage)
        return Condition.APPLY_AND_SKIP_REST if only else Condition.APPLY

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
        parts = zip((outer, inner), self._parts(task, draft, stage), strict=True)
        return [(made, made.before(partial)) for made, useful in parts if useful]

    def _parts(self, task: SearchTask, draft: Draft, stage: str) -> tuple[bool, bool]:
        """Whether the outer part and whether the inner part is worth a sketch."""
        if not self.wanted:
            return True, True
        elements, _ = volume(draft, stage)
        cores = task.target.num_cores
        few = not isinstance(elements, int) or elements <= cores * _ELEMENTS_PER_CORE
        return cores > 1 and few, _sums_neighbours(draft, stage)


def _sums_neighbours(draft: Draft, stage: str) -> bool:
    """Whether the innermost reduction walks along rows."""
    axes = draft.op(stage).reduce_axes
    wide = [name for name, extent in axes if not isinstance(extent, int) or extent > 1]
    return bool(wide) and walks_rows(draft.state, stage, wide[-1])


def _needs_lanes(task: SearchTask, draft: Draft, stage: str) -> bool:
    """Whether nothing but the reduction offers vectors, and enough of them."""
    op = draft.op(stage)
    _, terms = volume(draft, stage)
    lanes = lanes_of(op, task.target)
    if not isinstance(terms, int) or (terms % lanes and terms < _VECTORS * lanes):
        return False
    across = any(walks_rows(draft.state, stage, axis) for axis in op.axes)
    return not across and not needs_tiling(draft, stage) and _sums_neighbours(draft, stage)
