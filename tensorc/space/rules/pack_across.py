"""Copy what is read across its rows so that vectors along the chosen axis are contiguous."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.ir.affine import affine_variables, variable
from tensorc.schedule.access import accesses
from tensorc.schedule.stage import SplitRelation
from tensorc.schedule.steps import CacheReadStep, ComputeInlineStep, Layout
from tensorc.space.decisions import Tile
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import has_reduce, is_compute, readers
from tensorc.space.population import register_tiles, vector_tile
from tensorc.space.rules.vectorize_across import is_far
from tensorc.space.strides import Walk, walk_along
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class PackAcross:
    """Give what a tiled stage reads in steps along its vectors a layout with that axis last.

    Before:  C(h, w, c) += A(h, 2*w + r, k)*B(r, k, c)             vectors along w
    After:   A.global(h, k, w%2, w//2) = A(h, w, k)
             C(h, w, c) += A.global(h, k, r%2, w + r//2)*B(r, k, c)

    A stage that only this copy needs, such as padding, is computed in it. Where the copy is made
    is decided later. Operands of a matrix product are left to `PackOperand`, which makes panels.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to what a stage with vectors across its rows cannot load as vectors."""
        return Condition.SKIP if _crossed(draft, stage) is None else Condition.APPLY_AND_SKIP_REST

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Add the copy, and inline what it copies, or visit that again."""
        crossed = _crossed(draft, stage)
        assert crossed is not None
        packed = draft.do(
            CacheReadStep(stage, "global", (crossed.reader,), _layout(draft, crossed))
        )
        if not is_compute(draft, stage):
            return [(packed, packed.before(stage))]
        if has_reduce(draft, stage) or len(draft.op(stage).body) > 1:
            return [(packed, stage)]
        if draft.state.dag.is_output(stage) or len(readers(draft, stage)) > 1:
            return [(packed, stage)]
        return [(packed.do(ComputeInlineStep(stage)), packed.before(stage))]


@dataclass(frozen=True, slots=True)
class _Crossed:
    """A read in steps along the vectors of its reader."""

    stage: str
    reader: str
    walk: Walk


def _crossed(draft: Draft, stage: str) -> _Crossed | None:
    """The read to pack for; None if there is none, or one that `PackOperand` packs."""
    op = draft.op(stage)
    for reader in readers(draft, stage) if len(op.dtypes) == 1 else ():
        vector = vector_tile(register_tiles(draft, reader))
        if vector is None or vector.role != "across":
            continue
        places = accesses(draft.state, reader).get(stage, ())
        if reader not in draft.state.dag.read_by[stage] or len(places) != 1:
            continue
        axis, _, phase = vector.iterator.partition(".")
        walk = walk_along(places[0], axis, _phases(draft, vector) if phase else 1)
        if walk is None or not is_far(walk, len(op.shape)):
            continue
        if is_compute(draft, stage) or places[0][walk.dimension] != variable(axis):
            return _Crossed(stage, reader, walk)
    return None


def _phases(draft: Draft, vector: Tile) -> int:
    """Into how many phases the axis was split that the vectors lie along."""
    axis = vector.iterator.partition(".")[0]
    for relation in draft.stage(vector.stage).relations:
        if isinstance(relation, SplitRelation) and relation.parent == axis:
            length = relation.lengths[0]
            assert isinstance(length, int), f"'{axis}' is split by an open length"
            return length
    return 1


def _layout(draft: Draft, crossed: _Crossed) -> Layout:
    """What reductions do not walk, what they walk in the order of their loops, then the vectors."""
    (indices,) = accesses(draft.state, crossed.reader)[crossed.stage]
    reduce_axes = [axis for axis, _ in draft.op(crossed.reader).reduce_axes]
    depth = {
        d: min(
            (reduce_axes.index(v) for v in affine_variables(index) if v in reduce_axes),
            default=-1,
        )
        for d, index in enumerate(indices)
        if d != crossed.walk.dimension
    }
    others = sorted(depth, key=lambda d: depth[d])
    dimension = crossed.walk.dimension
    return Layout(dimension, crossed.walk.step, (*others, len(indices), dimension))
