"""Copy an operand into the order in which a register tile reads it (Goto, "Anatomy of GEMM")."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorc.arith.sizes import Size
from tensorc.ir.affine import Affine, affine_variables, variable
from tensorc.schedule.access import accesses
from tensorc.schedule.steps import CacheReadStep, Col, Layout
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import readers
from tensorc.space.population import register_tiles, vector_tile
from tensorc.space.task import SearchTask

# How often each element of the copy has to be read for the copy to pay.
_LEAST_REUSE = 16
# Rows this close are fetched well enough without a copy, in bytes.
_NEAR_ROWS = 512


@dataclass(frozen=True, slots=True)
class PackOperand:
    """Give the operand that is read along the vector axis a layout of panels, one vector tile wide.

    Before:  C(i, j) += A(i, k)*B(k, j)
    After:   B.global(jo, k, ji) = B(k, jo*t + ji)
             C(i, j) += A(i, k)*B.global(j//t, k, j%t)

    where `t` is the length of the vector loop. Where the copy is made is decided later.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to inputs that one tiled stage reads again and again, in rows far apart."""
        place = _panel(draft, stage)
        if place is None or _reuse(draft, stage) < _LEAST_REUSE:
            return Condition.SKIP
        op = draft.op(stage)
        if place != len(op.shape) - 1:
            return Condition.APPLY_AND_SKIP_REST  # without it every vector is gathered
        near = op.shape[-1] * op.dtype.itemsize <= _NEAR_ROWS
        return Condition.SKIP if near else Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Add the copy."""
        (reader,) = readers(draft, stage)
        tile = vector_tile(register_tiles(draft, reader))
        dimension = _panel(draft, stage)
        assert tile is not None
        assert dimension is not None
        (indices,) = accesses(draft.state, reader)[stage]
        spatial = set(draft.op(reader).axes)
        others = [d for d in range(len(indices)) if d != dimension]
        outer = [d for d in others if set(affine_variables(indices[d])) <= spatial]
        inner = [d for d in others if d not in outer]
        layout = Layout(
            dimension,
            Col(tile.first + tile.count - 1),
            (*outer, dimension, *inner, len(indices)),
        )
        packed = draft.do(CacheReadStep(stage, "global", (reader,), layout))
        return [(packed, draft.before(stage))]


def _panel(draft: Draft, stage: str) -> int | None:
    """The dimension of an input that a tiled reader's vector axis walks, and nothing else."""
    if stage in draft.state.stages or len(draft.op(stage).dtypes) > 1:
        return None
    found = readers(draft, stage)
    if len(found) != 1 or found[0] not in draft.state.dag.read_by[stage]:
        return None
    tile = vector_tile(register_tiles(draft, found[0]))
    places = accesses(draft.state, found[0])[stage]
    if tile is None or len(places) != 1 or not draft.op(found[0]).reduce_axes:
        return None
    return _walked(places[0], tile.iterator)


def _walked(indices: tuple[Affine, ...], axis: str) -> int | None:
    walked = [d for d, index in enumerate(indices) if axis in set(affine_variables(index))]
    if len(walked) != 1 or indices[walked[0]] != variable(axis):
        return None
    return walked[0]


def _reuse(draft: Draft, stage: str) -> Size:
    """How often each element is read: the product of the axes that do not move it."""
    (reader,) = readers(draft, stage)
    (indices,) = accesses(draft.state, reader)[stage]
    used = {name for index in indices for name in affine_variables(index)}
    op = draft.op(reader)
    return math.prod(e for a, e in zip(op.axes, op.shape, strict=True) if a not in used)
