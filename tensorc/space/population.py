"""Population rules: choices that leave the loop structure of a sketch as it is.

They are appended to a sketch as steps whose values are columns: where untiled stages are computed,
how many loops run in parallel, how many are vectorised, how far loops are unrolled. Ansor draws
these for each program by itself (OSDI'20, section 4.2; `InitPopulationRule`); here they are columns
like tile lengths.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from tensorc.arith.sizes import Size
from tensorc.schedule.location import attached
from tensorc.schedule.relations import extents
from tensorc.schedule.stage import (
    AUTO_UNROLL,
    VECTOR_REDUCTION,
    Annotation,
    At,
    AtLevel,
    Inlined,
    IterKind,
    Stage,
)
from tensorc.schedule.steps import (
    AnnotationStep,
    LocateStep,
    MarkStep,
    PragmaStep,
    ReorderStep,
)
from tensorc.space.constants import constant_ops
from tensorc.space.decisions import Tile
from tensorc.space.draft import Draft
from tensorc.space.inquiries import has_reduce, readers
from tensorc.space.nests import homes, nest_loops, outer_loops
from tensorc.space.strides import contiguous_run, read_strides, walks_rows
from tensorc.space.task import SearchTask
from tensorc.te.dag import HOLDS_RESULTS

UNROLL_STEPS = (0, 16, 64, 512)
# A stage with fewer operations than this may be faster on one core.
_SERIAL_WORK = 1 << 18
# A loop of fewer iterations is not split between cores.
_LONG = 4096
# Vectors of a register tile that are written out one by one.
_COPY_OUT_STEPS = 32


def annotate(task: SearchTask, draft: Draft) -> Draft:
    """Append the population rules of a CPU."""
    constant = constant_ops(task, draft.state.dag)
    names = [name for name in live_stages(draft) if name not in constant]
    untiled = [name for name in names if not draft.stage(name).relations]
    for name in names:
        draft = _combine_lanes(_vector_tile(task, draft, name), name)
    for name in reversed(names):
        draft = _locate(draft, name, whole=name in untiled)
    for name in names:
        draft = _parallel(task, draft, name)
    for name in names:
        draft = _vectorize(draft, name)
    for name in names:
        if has_reduce(draft, name) and not _combines_partials(draft, name):
            draft, steps = draft.choose(name, "unroll", UNROLL_STEPS)
            draft = draft.do(MarkStep(name, "unroll", steps))
    return draft


def live_stages(draft: Draft) -> list[str]:
    """The stages that are computed, producers first."""
    stages = draft.state.stages
    return [
        op.name
        for op in draft.state.dag.ops
        if op.name in stages and not isinstance(stages[op.name].location, Inlined)
    ]


def register_tiles(draft: Draft, stage: str) -> list[Tile]:
    """The spatial tiles of a stage that is tiled for registers, none if it is not."""
    return [
        d
        for d in draft.decisions
        if isinstance(d, Tile) and d.stage == stage and d.kind is IterKind.SPATIAL and d.count > 1
    ]


def vector_tile(tiles: Iterable[Tile]) -> Tile | None:
    """The tile whose innermost loop is vectorised.

    It is the one that a rule has put across the others, or the last axis that is more than a point.
    """
    last_first = [t for t in reversed(list(tiles)) if t.extent > 1]
    across = (t for t in last_first if t.role == "across")
    return next(across, last_first[0] if last_first else None)


def is_around_unrolled(draft: Draft, tile: Tile) -> bool:
    """Whether a rule has unrolled loops inside this tile, so that one vector is enough."""
    if tile.kind is not IterKind.SPATIAL or tile.count != 1 or tile.role != "levels":
        return False
    iterators = draft.stage(tile.stage).iterators
    return any(i.annotation is Annotation.UNROLL for i in iterators)


def location_limit(draft: Draft, target: str) -> int:
    """How many loops of the target's nest may enclose a producer: none past the outer reduction."""
    stage = draft.stage(target)
    tiled, seen, count = bool(register_tiles(draft, target)), False, 0
    for i in stage.iterators:
        if i.annotation in (Annotation.UNROLL, Annotation.VECTORIZE):
            break
        if i.kind is IterKind.REDUCE:
            if not tiled:
                break
            seen = True
        elif seen:
            break
        count += 1
    if count and count == len(stage.iterators):
        count -= 1  # the innermost loop is for the lanes
    return len(outer_loops(draft.state, target)) + count


def _locate(draft: Draft, name: str, *, whole: bool) -> Draft:
    """A column for the place of a stage: how many loops of a stage that needs it.

    A stage that is not `whole`, but tiled, is computed for a number of blocks at most.
    """
    stage, dag = draft.stage(name), draft.state.dag
    if isinstance(stage.location, At) or dag.is_output(name) or _has_shares(draft, name):
        return draft
    target = common_home(draft, name)
    if target is None:
        return draft
    limit = location_limit(draft, target)
    for reader in readers(draft, name):
        shared = _shared_loops(draft, reader, target)
        limit = limit if shared is None else min(limit, shared)
    if not whole:
        limit = min(limit, _tiled_limit(draft, target))
    if not limit:
        return draft
    # Partial results of lanes are combined at once, so that they stay in registers; where that is
    # in loops of another stage depends on where they are combined.
    combined = name == f"{target}.rf" and _combines_lanes(draft, target)
    fixed = combined or _is_gathered(draft, name, target)
    inside = limit > len(outer_loops(draft.state, target))
    least = limit if fixed and inside else 0
    draft, level = draft.choose(name, "location", range(least, limit + 1))
    return draft.do(LocateStep(name, target, level, limit))


def _is_gathered(draft: Draft, name: str, target: str) -> bool:
    """Whether a stage is computed for one that is made to hold results, such as this, for others.

    Where the place of another reader is open, its own place is too.
    """
    if not draft.op(target).attr(HOLDS_RESULTS):
        return False
    places = [draft.stage(r).location for r in readers(draft, name) if r != target]
    return all(isinstance(p, AtLevel) and isinstance(p.level, int) for p in places)


def _tiled_limit(draft: Draft, target: str) -> int:
    """How many loops may enclose a tiled stage: those over numbers of blocks."""
    joint = {
        (d.stage, f"{d.iterator}.0")
        for d in draft.decisions
        if isinstance(d, Tile) and d.role == "blocks"
    }
    loops = nest_loops(draft.state, target)
    return next((k + 1 for k, loop in enumerate(loops) if loop in joint), 0)


def _combines_lanes(draft: Draft, name: str) -> bool:
    return any(key == VECTOR_REDUCTION for _, key, _ in draft.stage(name).pragmas)


def _combines_partials(draft: Draft, name: str) -> bool:
    """Whether it combines few values: those of vector lanes, or of the shares of cores."""
    partial = f"{name}.rf"
    inside = _has_shares(draft, name) and partial in draft.state.stages
    return inside or _combines_lanes(draft, name) or _has_shares(draft, partial)


def _has_shares(draft: Draft, name: str) -> bool:
    """Whether its elements are the sums of the shares that cores have of a reduction."""
    return any(
        isinstance(d, Tile) and d.role == "shares" and name == f"{d.stage}.rf"
        for d in draft.decisions
    )


def common_home(draft: Draft, name: str) -> str | None:
    """The innermost stage that all readers are, or may be, computed in."""
    chains = [homes(draft.state, reader) for reader in readers(draft, name)]
    shared = [s for s in chains[0] if all(s in chain for chain in chains)] if chains else []
    return shared[0] if shared else None


def _shared_loops(draft: Draft, reader: str, target: str) -> int | None:
    """How many loops of the target's nest are around a reader at most; None if it is the target."""
    if reader == target:
        return None
    around = outer_loops(draft.state, reader)
    nest = nest_loops(draft.state, target)
    return sum(a == b for a, b in zip(around, nest, strict=False))


def _vector_tile(task: SearchTask, draft: Draft, name: str) -> Draft:
    """Fix the loops of the innermost level: unrolled, and the last one vectorised."""
    tiles = register_tiles(draft, name)
    if tiles:
        return _mark_register_tile(draft, name, tiles)
    stage = draft.stage(name)
    unrolled = [i.name for i in stage.iterators if i.annotation is Annotation.UNROLL]
    if unrolled:
        return _vectorize_around(draft, name, unrolled)
    if stage.relations:
        return _vectorize_follower(draft, name)
    if has_reduce(draft, name):
        return _vectorize_reduction(draft, name)
    return _chunk(task, draft, name)


def _combine_lanes(draft: Draft, name: str) -> Draft:
    """Let what combines partial results of vector lanes do so in the lanes of vectors."""
    partial = draft.state.stages.get(f"{name}.rf")
    loops = draft.stage(name).iterators
    if partial is None or not loops or loops[-1].kind is not IterKind.REDUCE:
        return draft
    if partial.iterators[-1].kind is IterKind.REDUCE:
        return draft
    return draft.do(PragmaStep(name, loops[-1].name, VECTOR_REDUCTION, 1))


def _chunk(task: SearchTask, draft: Draft, name: str) -> Draft:
    """Split a long row in two, for cores and for lanes, where there are fewer rows than cores.

    What a single stage reads may be computed in its loops, and is left as it is.
    """
    op, cores = draft.op(name), task.target.num_cores
    wide = [(a, e) for a, e in zip(op.axes, op.shape, strict=True) if _wide(e)]
    if cores == 1 or not wide:
        return draft
    if not draft.state.dag.is_output(name) and len(readers(draft, name)) == 1:
        return draft
    *rows, (axis, extent) = wide
    if not isinstance(extent, int) or extent < _LONG or not prod(e for _, e in rows) < cores:
        return draft
    split = draft.tile(name, axis, 1, "chunk")
    rest = tuple(n for n in split.stage(name).names() if not n.startswith(f"{axis}."))
    return split.do(
        ReorderStep(name, (*rest, f"{axis}.0", f"{axis}.1")),
        AnnotationStep(name, f"{axis}.1", Annotation.VECTORIZE),
    )


def _mark_register_tile(draft: Draft, name: str, tiles: list[Tile]) -> Draft:
    vector = vector_tile(tiles)
    inner = _innermost_level(draft.stage(name))
    for iterator in inner:
        lanes = vector is not None and iterator == f"{vector.iterator}.{vector.count}"
        word = Annotation.VECTORIZE if lanes else Annotation.UNROLL
        draft = draft.do(AnnotationStep(name, iterator, word))
    return draft


def _innermost_level(stage: Stage) -> list[str]:
    """The spatial loops inside the last reduction loop."""
    last = max((k for k, i in enumerate(stage.iterators) if i.kind is IterKind.REDUCE), default=-1)
    if last < 0:  # several levels of spatial loops only: the last of each axis
        axes = {name.split(".")[0] for name in stage.names()}
        return list(stage.names()[-len(axes) :])
    return list(stage.names()[last + 1 :])


def _vectorize_around(draft: Draft, name: str, unrolled: list[str]) -> Draft:
    """Put the innermost loop that is not unrolled inside the unrolled ones, and vectorise it."""
    names = draft.stage(name).names()
    serial = [n for n in names if n not in unrolled]
    if not serial:
        return draft
    lanes = serial[-1]
    order = (*(n for n in names if n != lanes), lanes)
    return draft.do(ReorderStep(name, order), AnnotationStep(name, lanes, Annotation.VECTORIZE))


def _vectorize_reduction(draft: Draft, name: str) -> Draft:
    """Tile an axis that is read along its rows and put the vector loop inside the reduction.

    Before:  for c (0,256)            After:  for c.0 (0,?)
               for r (0,9)                      for r (0,9)
                                                  vectorize c.1 (0,?)
    """
    op = draft.op(name)
    names = draft.stage(name).names()
    if names[: len(op.axes)] != op.axes:
        return _vectorize_last(draft, name)
    axis = next(
        (a for a, e in zip(reversed(op.axes), reversed(op.shape), strict=True) if _wide(e)), None
    )
    if axis is None or not walks_rows(draft.state, name, axis):
        return draft
    if not isinstance(dict(zip(op.axes, op.shape, strict=True))[axis], int):
        return draft
    tiled = draft.tile(name, axis, 1, "lanes")
    spatial = [n for n in names[: len(op.axes)] if n != axis]
    order = (*spatial, f"{axis}.0", *names[len(op.axes) :], f"{axis}.1")
    return tiled.do(
        ReorderStep(name, order), AnnotationStep(name, f"{axis}.1", Annotation.VECTORIZE)
    )


def _vectorize_last(draft: Draft, name: str) -> Draft:
    """Vectorise the spatial loop that a rule has put inside the reduction."""
    last = draft.stage(name).iterators[-1]
    if last.kind is IterKind.REDUCE:
        return draft
    return draft.do(AnnotationStep(name, last.name, Annotation.VECTORIZE))


def _wide(extent: Size) -> bool:
    return not isinstance(extent, int) or extent > 1


def _parallel(task: SearchTask, draft: Draft, name: str) -> Draft:
    """A column for the number of outer loops, fused, that cores share."""
    stage = draft.stage(name)
    if task.target.num_cores == 1 or _is_inside(stage) or _has_shares(draft, f"{name}.rf"):
        return draft
    lead = 0
    for i in stage.iterators:
        if i.kind is IterKind.REDUCE or i.annotation is not Annotation.NONE:
            break
        lead += 1
    for other in draft.state.stages.values():
        if isinstance(other.location, At) and other.location.target == name:
            lead = min(lead, stage.names().index(other.location.iterator) + 1)
    if lead and lead == len(stage.iterators):
        lead -= 1  # the innermost loop is for the lanes
    if lead == 0:
        return draft
    least = 0 if _work(draft, name) < _SERIAL_WORK else 1
    if _has_shares(draft, name):
        least = lead
    draft, count = draft.choose(name, "parallel", range(least, lead + 1))
    return draft.do(MarkStep(name, "parallel", count))


def _is_inside(stage: Stage) -> bool:
    """Whether it is surely computed in loops of another stage."""
    match stage.location:
        case At():
            return True
        case AtLevel(_, level, _):
            return isinstance(level, int) and level > 0
        case _:
            return False


def _work(draft: Draft, name: str) -> float:
    work = 1.0
    for extent in draft.op(name).extents().values():
        work *= extent if isinstance(extent, int) else 1.0
    return work


def _vectorize(draft: Draft, name: str) -> Draft:
    """A column for the number of inner loops, fused, that are vector lanes."""
    stage = draft.stage(name)
    loops = stage.iterators
    if any(i.annotation is not Annotation.NONE for i in loops):
        return draft
    if not loops or loops[-1].kind is IterKind.REDUCE:
        return draft
    strides = read_strides(draft.state, name, draft.op(name).axes[-1])
    even = all(isinstance(s, int) and abs(s) <= 1 for s in strides)
    run = 1
    if even and not isinstance(stage.location, AtLevel) and not attached(draft.state, name):
        run = min(contiguous_run(draft.state, name), max(1, len(loops) - 1))
    options = sorted({1, run}) if even else [0, 1]
    draft, count = draft.choose(name, "vectorize", options)
    return draft.do(MarkStep(name, "vectorize", count))


def _vectorize_follower(draft: Draft, name: str) -> Draft:
    """A stage tiled like its producer: vectorise a row of the tile, write all of a small one out.

    What it reads can only be in registers if every index is a constant.
    """
    inner = None if has_reduce(draft, name) else _last_wide(draft, name)
    if inner is None:
        return draft
    first = draft.stage(name).names()[0]
    return draft.do(
        AnnotationStep(name, inner, Annotation.VECTORIZE),
        PragmaStep(name, first, AUTO_UNROLL, _COPY_OUT_STEPS),
    )


def _last_wide(draft: Draft, name: str) -> str | None:
    """The last loop that runs over more than a point of its axis."""
    sizes = extents(draft.stage(name).relations, draft.op(name).extents())
    wide = [i.name for i in draft.stage(name).iterators if _wide(sizes[i.name])]
    axes = [a for a, e in zip(draft.op(name).axes, draft.op(name).shape, strict=True) if _wide(e)]
    inside = [n for n in wide if axes and n.split(".")[0] == axes[-1]]
    return inside[-1] if inside else None
