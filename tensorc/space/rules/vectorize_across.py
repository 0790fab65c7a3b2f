"""Put vectors along another axis than the last, where the last one leaves most lanes empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from tensorc.lower.lanes import lanes_of
from tensorc.schedule.access import accesses
from tensorc.schedule.steps import ComputeAtStep
from tensorc.space.constants import constant_ops
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_cached, matched_consumer, needs_tiling
from tensorc.space.rules.multi_level_tiling import follow_tiling, tile
from tensorc.space.rules.split_phases import phases_of, tile_phases
from tensorc.space.strides import Walk, conditional_axes, walk_along
from tensorc.space.task import SearchTask

# The share of lanes at work from which on another axis is not looked for.
_ENOUGH = 0.75
# Another axis has to keep so many times as many lanes at work.
_GAIN = 1.5
# The level of a consumer's tiles that the stage is computed in.
_LEVEL = 2


@dataclass(frozen=True, slots=True)
class VectorizeAcross:
    """Tile a stage with the vector loop along an axis that fills vectors.

    Before:  for h, w, c (0,3)         After:  for tiles of h, w, c
               for k                             for k
                 C(h, w, c) += A(h, w, k)*B(k, c)  unroll h.3, c.3
                                                     vectorize w.3
                                                       C(h, w, c) += A(h, w, k)*B(k, c)

    Accumulators lie across the rows of the output, to which they are written lane by lane, once
    for all terms. What is not contiguous along the axis is packed by other rules.

    Attributes:
        structure: The levels of the tiles, as in `MultiLevelTiling`.
    """

    structure: str

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to reductions with reuse whose last axis leaves lanes empty, if another does not.

        A local copy has no use: the accumulators are one, and are copied out as they are.
        """
        if not needs_tiling(draft, stage) or is_cached(draft, stage):
            return Condition.SKIP
        if not has_reduce(draft, stage):
            return Condition.SKIP
        return Condition.SKIP if _axis(task, draft, stage) is None else Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Tile it, inside its phases or in the tiles of an element-wise consumer if it has any."""
        axis = _axis(task, draft, stage)
        if phases_of(draft, stage):
            return [(tile_phases(draft, stage, self.structure, axis), draft.before(stage))]
        tiled, splits = tile(draft, stage, self.structure, across=axis)
        consumer = matched_consumer(draft, stage)
        if consumer is not None:
            tiled = follow_tiling(tiled, consumer, splits, _LEVEL)
            tiles = sum(source is not None for source in splits) * _LEVEL
            at = tiled.stage(consumer).iterators[tiles - 1].name
            tiled = tiled.do(ComputeAtStep(stage, consumer, at))
        return [(tiled, draft.before(stage))]


def _axis(task: SearchTask, draft: Draft, stage: str) -> str | None:
    """The axis to vectorise: full vectors, little to pack, and far inside, in this order."""
    op = draft.op(stage)
    lanes = lanes_of(op, task.target)
    phases = phases_of(draft, stage)
    extents = {
        axis: -(-extent // phases.get(axis, 1))
        for axis, extent in zip(op.axes, op.shape, strict=True)
        if isinstance(extent, int) and extent > 1
    }
    if len(extents) < 2 or len(extents) < sum(1 for e in op.shape if not _is_one(e)):
        return None
    *others, last = extents
    now = lane_use(extents[last], lanes)
    if now >= _ENOUGH:
        return None
    fixed = conditional_axes(draft.state, stage) - set(phases)
    found = [
        (min(use, _ENOUGH), -cost, place, axis)
        for place, axis in enumerate(others)
        if (use := lane_use(extents[axis], lanes)) >= now * _GAIN
        and axis not in fixed
        and (cost := _to_pack(task, draft, stage, axis, phases.get(axis, 1))) is not None
    ]
    return max(found)[-1] if found else None


def _is_one(extent: object) -> bool:
    return isinstance(extent, int) and extent == 1


def lane_use(extent: int, lanes: int) -> float:
    """The share of lanes at work along an axis, whose tail is done in ever shorter vectors."""
    whole, rest = divmod(extent, lanes)
    return extent / (lanes * (whole + rest.bit_count()))


def _to_pack(task: SearchTask, draft: Draft, stage: str, axis: str, phases: int) -> int | None:
    """Elements that have to be packed for vectors along an axis; None if that cannot be done."""
    constant = constant_ops(task, draft.state.dag)
    total = 0
    for producer, walks in _walks(draft, stage, axis, phases):
        shape = draft.op(producer).shape
        for walk in walks:
            if walk is None or walk.step < 0 or not all(isinstance(n, int) for n in shape):
                return None
        packed = any(is_far(walk, len(shape)) for walk in walks if walk is not None)
        if packed and len(walks) > 1:
            return None
        if packed and producer not in constant:
            total += prod(n for n in shape if isinstance(n, int))
    return total


def _walks(
    draft: Draft, stage: str, axis: str, phases: int
) -> Iterator[tuple[str, list[Walk | None]]]:
    for producer, places in accesses(draft.state, stage).items():
        yield producer, [walk_along(indices, axis, phases) for indices in places]


def is_far(walk: Walk, rank: int) -> bool:
    """Whether neighbours along an axis are not neighbours in storage."""
    return walk.step > 1 or (walk.step == 1 and walk.dimension != rank - 1)
