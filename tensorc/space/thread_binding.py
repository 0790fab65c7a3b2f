"""Population rules of a GPU: which loops are blocks and threads, and how far loops are unrolled."""

from __future__ import annotations

from tensorc.schedule.stage import Annotation, At, IterKind, Root
from tensorc.schedule.steps import (
    AnnotationStep,
    FollowFusedSplitStep,
    FuseStep,
    MarkStep,
    SplitStep,
)
from tensorc.space.draft import Draft
from tensorc.space.inquiries import crosses_threads, has_reduce
from tensorc.space.population import live_stages, register_tiles
from tensorc.space.rules.cross_thread_reduction import thread_counts
from tensorc.space.task import SearchTask

UNROLL_STEPS = (0, 16, 64, 512, 1024)
# Elements that a thread copies to shared memory at once.
_FETCH_WIDTHS = (1, 2, 4)
# The outer spatial levels of a tiled stage, outermost first.
_LEVELS = (Annotation.BLOCK_X, Annotation.VTHREAD, Annotation.THREAD_X)
_THREAD_LEVEL = 1


def bind_threads(task: SearchTask, draft: Draft) -> Draft:
    """Bind the loops of every stage, consumers first, and append the unrolling choices."""
    names = live_stages(draft)
    tiled = _tiled_roots(draft, names)
    for name in reversed(names):
        stage = draft.stage(name)
        if stage.scope == "shared":
            draft = _cooperative_fetch(draft, name)
        elif not isinstance(stage.location, Root):
            continue
        elif crosses_threads(draft, name):
            draft = _bind_fused(draft, name, _leading(draft, name), Annotation.BLOCK_X)
        elif name in tiled:
            draft = _bind_levels(draft, name, tiled[name])
        else:
            draft = _bind_untiled(task, draft, name)
    for name in names:
        if has_reduce(draft, name):
            draft, steps = draft.choose(name, "unroll", UNROLL_STEPS)
            draft = draft.do(MarkStep(name, "unroll", steps))
    return draft


def _tiled_roots(draft: Draft, names: list[str]) -> dict[str, int]:
    """The root stages with tiles, their own or those of a stage inside, and loops of a level."""
    roots: dict[str, int] = {}
    for name in names:
        location = draft.stage(name).location
        tiles = len(register_tiles(draft, name))
        if tiles:
            roots[location.target if isinstance(location, At) else name] = tiles
    return roots


def _leading(draft: Draft, name: str) -> tuple[str, ...]:
    """The outer spatial loops that are free, up to where other stages are computed."""
    names: list[str] = []
    for i in draft.stage(name).iterators:
        if i.kind is IterKind.REDUCE or i.annotation is not Annotation.NONE:
            break
        names.append(i.name)
    inside = [
        names.index(other.location.iterator) + 1
        for other in draft.state.stages.values()
        if isinstance(other.location, At)
        and other.location.target == name
        and other.location.iterator in names
    ]
    return tuple(names[: max(inside)] if inside else names)


def _bind_fused(draft: Draft, name: str, loops: tuple[str, ...], word: Annotation) -> Draft:
    if not loops:
        return draft
    draft, fused = _fuse(draft, name, loops)
    return draft.do(AnnotationStep(name, fused, word))


def _fuse(draft: Draft, name: str, loops: tuple[str, ...]) -> tuple[Draft, str]:
    """Fuse loops if there are several; return the name of the result."""
    if len(loops) == 1:
        return draft, loops[0]
    place = draft.stage(name).names().index(loops[0])
    draft = draft.do(FuseStep(name, loops))
    return draft, draft.stage(name).names()[place]


def _bind_levels(draft: Draft, name: str, count: int) -> Draft:
    for level, word in enumerate(_LEVELS):
        loops = draft.stage(name).names()[level : level + count]
        draft = _bind_fused(draft, name, loops, word)
    return draft


def _bind_untiled(task: SearchTask, draft: Draft, name: str) -> Draft:
    if any(i.annotation is Annotation.THREAD_X for i in draft.stage(name).iterators):
        return draft
    loops = _leading(draft, name)
    if not loops:
        return draft
    draft, fused = _fuse(draft, name, loops)
    draft, count = draft.choose(name, "threads", thread_counts(task))
    return draft.do(
        SplitStep(name, fused, (count,)),
        AnnotationStep(name, f"{fused}.0", Annotation.BLOCK_X),
        AnnotationStep(name, f"{fused}.1", Annotation.THREAD_X),
    )


def _cooperative_fetch(draft: Draft, name: str) -> Draft:
    """All threads of the block copy, each several elements next to each other at once."""
    location = draft.stage(name).location
    assert isinstance(location, At)
    sources = tuple(
        number
        for number, step in enumerate(draft.state.steps)
        if isinstance(step, SplitStep)
        and step.stage == location.target
        and len(step.lengths) == len(_LEVELS) + 1
    )
    draft, fused = _fuse(draft, name, draft.stage(name).names())
    draft, width = draft.choose(name, "vector", _FETCH_WIDTHS)
    draft = draft.do(SplitStep(name, fused, (width,)))
    if sources:
        draft = draft.do(
            FollowFusedSplitStep(name, f"{fused}.0", sources, _THREAD_LEVEL),
            AnnotationStep(name, f"{fused}.0.1", Annotation.THREAD_X),
        )
    return draft.do(AnnotationStep(name, f"{fused}.1", Annotation.VECTORIZE))
