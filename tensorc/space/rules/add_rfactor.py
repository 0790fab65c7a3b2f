"""Split a long reduction into independent partial ones (Ansor, OSDI'20, section 4.1, rule 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from tensorc.lower.lanes import lanes_of
from tensorc.schedule.stage import Annotation, IterKind
from tensorc.schedule.steps import (
    AnnotationStep,
    ComputeAtStep,
    FuseStep,
    ReorderStep,
    RfactorStep,
)
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_cached, is_compute, needs_tiling, volume
from tensorc.space.strides import conditional_axes, read_strides, walks_rows
from tensorc.space.task import SearchTask

# What is made an axis of a new stage.
_Part: TypeAlias = Literal["outer", "inner", "both", "rows", "columns"]

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

    The outer part is for cores, the inner part, put innermost, for vector lanes. Of three parts
    the outer and the inner one may be axes of two stages, for cores and lanes at a time:

    Before:  for k                    After:  for k.0
               C() += A(k)                      for k.1
                                                  for k.2
                                                    C.rf.rf(k.0, k.2) += A(…)
                                              for k.0
                                                for k.2
                                                  C.rf(k.0) += C.rf.rf(k.0, k.2)
                                              for k.0
                                                C() += C.rf(k.0)

    Where short rows are summed up, element by element, several of them fill the lanes: the inner
    part is then fused with the last axis.

    Attributes:
        wanted: Only what has a use: the outer part where the elements cannot keep the cores busy,
            the inner part where neighbours are summed up, and then nothing without it if no other
            axis walks along rows.
        least: Of fewer terms in all cores take no shares: they are summed up before another core
            has begun.
    """

    wanted: bool = False
    least: int = 1 << 13

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
        if not wanted or not self._parts(task, draft, stage):
            return Condition.SKIP
        only = self.wanted and _needs_lanes(task, draft, stage)
        return Condition.APPLY_AND_SKIP_REST if only else Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Fuse, split, and factor what is wanted; none of the stages is tiled."""
        return [_FACTORED[part](draft, stage) for part in self._parts(task, draft, stage)]

    def _parts(self, task: SearchTask, draft: Draft, stage: str) -> tuple[_Part, ...]:
        """What is worth a sketch."""
        if not self.wanted:
            return "outer", "inner"
        elements, terms = volume(draft, stage)
        cores = task.target.num_cores
        few = not isinstance(elements, int) or elements <= cores * _ELEMENTS_PER_CORE
        shared = cores > 1 and few and elements * terms >= self.least
        inside: tuple[_Part, ...] = ("inner",) if _sums_neighbours(draft, stage) else ()
        if not shared:
            return inside
        if _sums_short_rows(task, draft, stage):
            return ("rows", *inside)
        if _sums_rows_only(draft, stage):
            return "both", *inside
        op = draft.op(stage)
        beside = bool(op.axes) and walks_rows(draft.state, stage, op.axes[-1])
        return ("columns" if beside else "outer", *inside)


def _outer(draft: Draft, stage: str) -> tuple[Draft, str | None]:
    fused, name = fuse_reduction(draft, stage)
    axis = len(fused.iterators(stage, IterKind.SPATIAL))
    made = fused.tile(stage, name, 1, "factor").do(RfactorStep(stage, f"{name}.0", axis))
    return made, made.before(f"{stage}.rf")


def _inner(draft: Draft, stage: str) -> tuple[Draft, str | None]:
    fused, name = fuse_reduction(draft, stage)
    made = _lanes(fused.tile(stage, name, 1, "factor"), stage, f"{name}.1")
    return made, made.before(f"{stage}.rf")


def _both(draft: Draft, stage: str) -> tuple[Draft, str | None]:
    fused, name = fuse_reduction(draft, stage)
    axis = len(fused.iterators(stage, IterKind.SPATIAL))
    split = fused.tile(stage, name, 2, "shares").do(RfactorStep(stage, f"{name}.0", axis))
    made = _lanes(split, f"{stage}.rf", f"{name}.2")
    return made, made.before(f"{stage}.rf.rf")


def _rows(draft: Draft, stage: str) -> tuple[Draft, str | None]:
    """Shares of cores, in each of which the sums of several rows are behind each other."""
    op = draft.op(stage)
    *outer, last = op.axes
    fused, name = fuse_reduction(draft, stage)
    split = fused.tile(stage, name, 2, "shares", row=int(op.shape[-1]))
    share, terms, rows = f"{name}.0", f"{name}.1", f"{name}.2"
    combined, partial = f"{stage}.rf", f"{stage}.rf.rf"
    made = split.do(
        RfactorStep(stage, share, 0),
        RfactorStep(combined, rows, len(op.axes)),
        ReorderStep(partial, (share, *outer, terms, rows, last)),
        FuseStep(partial, (rows, last)),
        ReorderStep(combined, (share, *outer, rows, last)),
        ReorderStep(stage, (*outer, share, last)),
        ComputeAtStep(partial, combined, outer[-1] if outer else share),
    )
    lanes = made.stage(partial).names()[-1]
    return made.do(AnnotationStep(partial, lanes, Annotation.VECTORIZE)), made.before(partial)


def _columns(draft: Draft, stage: str) -> tuple[Draft, str | None]:
    """Shares of cores, with the last axis innermost as it was."""
    *outer, last = draft.op(stage).axes
    fused, name = fuse_reduction(draft, stage)
    made = fused.tile(stage, name, 1, "shares").do(
        RfactorStep(stage, f"{name}.0", 0),
        ReorderStep(stage, (*outer, f"{name}.0", last)),
    )
    return made, made.before(f"{stage}.rf")


def _lanes(draft: Draft, stage: str, factor: str) -> Draft:
    """Factor an iterator and put it innermost."""
    axis, partial = len(draft.iterators(stage, IterKind.SPATIAL)), f"{stage}.rf"
    made = draft.do(RfactorStep(stage, factor, axis))
    rest = tuple(n for n in made.stage(partial).names() if n != factor)
    return made.do(ReorderStep(partial, (*rest, factor)))


_Factor: TypeAlias = Callable[[Draft, str], tuple[Draft, str | None]]
_FACTORED: Final[Mapping[_Part, _Factor]] = MappingProxyType(
    {"outer": _outer, "inner": _inner, "both": _both, "rows": _rows, "columns": _columns}
)


def _sums_neighbours(draft: Draft, stage: str) -> bool:
    """Whether the innermost reduction walks along rows."""
    axes = draft.op(stage).reduce_axes
    wide = [name for name, extent in axes if not isinstance(extent, int) or extent > 1]
    return bool(wide) and walks_rows(draft.state, stage, wide[-1])


def _sums_rows_only(draft: Draft, stage: str) -> bool:
    """Whether all that is read along the innermost reduction is read along rows."""
    axes = draft.op(stage).reduce_axes
    wide = [name for name, extent in axes if not isinstance(extent, int) or extent > 1]
    strides = read_strides(draft.state, stage, wide[-1]) if wide else []
    near = [isinstance(s, int) and abs(s) <= 1 for s in strides]
    return _sums_neighbours(draft, stage) and all(near)


def _sums_short_rows(task: SearchTask, draft: Draft, stage: str) -> bool:
    """Whether rows of a few vectors at most are summed up that follow each other in memory."""
    op = draft.op(stage)
    if needs_tiling(draft, stage) or not op.axes or len(op.body) > 1:
        return False
    length, most = op.shape[-1], _VECTORS * lanes_of(op, task.target)
    if not isinstance(length, int) or not 1 < length <= most:
        return False
    if conditional_axes(draft.state, stage):
        return False
    axes = [*op.reduce_axes, (op.axes[-1], length)]
    strides = [read_strides(draft.state, stage, axis) for axis, _ in axes]
    return bool(strides[0]) and all(
        isinstance(x, int) and isinstance(y, int) and x == y * extent
        for outer, inner, (_, extent) in zip(strides, strides[1:], axes[1:], strict=False)
        for x, y in zip(outer, inner, strict=True)
    )


def _needs_lanes(task: SearchTask, draft: Draft, stage: str) -> bool:
    """Whether nothing but the reduction offers vectors, and enough of them."""
    op = draft.op(stage)
    _, terms = volume(draft, stage)
    lanes = lanes_of(op, task.target)
    if not isinstance(terms, int) or (terms % lanes and terms < _VECTORS * lanes):
        return False
    across = any(walks_rows(draft.state, stage, axis) for axis in op.axes)
    return not across and not needs_tiling(draft, stage) and _sums_neighbours(draft, stage)
