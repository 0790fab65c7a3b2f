"""Copy an operand into the order in which a register tile reads it.

Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorc.arith.sizes import Size
from tensorc.ir.affine import Affine, affine_variables, variable
from tensorc.schedule.access import accesses
from tensorc.schedule.steps import CacheReadStep, Col, Layout
from tensorc.space.constants import constant_ops
from tensorc.space.decisions import Tile
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import is_compute, readers
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

    where `t` is the length of the vector loop. Where the copy is made is decided later. Of what is
    constant a copy costs nothing: there is one for each reader, along the rows of its tile if not
    along its vectors.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to what one tiled stage reads again and again, in rows far apart or across rows.

        Computed rows are read in place: to copy them gains nothing on the mean, and costs trials.
        """
        if stage in constant_ops(task, draft.state.dag):
            panels = _constant_panels(draft, stage)
            surely = any(panel.is_vector for panel in panels)
            unsure = Condition.APPLY if panels else Condition.SKIP
            return Condition.APPLY_AND_SKIP_REST if surely else unsure
        panel = _panel(draft, stage)
        op = draft.op(stage)
        if panel is None:
            return Condition.SKIP
        chosen = panel.tile.role == "across" and panel.dimension != len(op.shape) - 1
        if not chosen and _reuse(draft, stage) < _LEAST_REUSE:
            return Condition.SKIP
        if panel.dimension != len(op.shape) - 1:
            return Condition.APPLY_AND_SKIP_REST  # without it every vector is gathered
        near = op.shape[-1] * op.dtype.itemsize <= _NEAR_ROWS
        return Condition.SKIP if near or is_compute(draft, stage) else Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Add the copies, and visit again what they are of: it may be computed in one of them."""
        if stage in constant_ops(task, draft.state.dag):
            panels = _constant_panels(draft, stage)
        else:
            panels = [panel for panel in [_panel(draft, stage)] if panel is not None]
        packed = draft
        for panel in panels:
            layout = _layout(draft, stage, panel)
            packed = packed.do(CacheReadStep(stage, "global", (panel.reader,), layout))
        return [(packed, stage)]


@dataclass(frozen=True, slots=True)
class _Panel:
    """A way to pack: the dimension of the operand along which the tile of a reader walks."""

    reader: str
    dimension: int
    tile: Tile
    is_vector: bool


def _panel(draft: Draft, stage: str) -> _Panel | None:
    """The dimension that the vector axis of the only reader walks, and nothing else."""
    found = readers(draft, stage)
    panel = _panel_of(draft, stage, found[0]) if len(found) == 1 else None
    return panel if panel is not None and panel.is_vector else None


def _constant_panels(draft: Draft, stage: str) -> list[_Panel]:
    """The panels of every reader that has one."""
    found = [_panel_of(draft, stage, reader) for reader in readers(draft, stage)]
    return [panel for panel in found if panel is not None]


def _panel_of(draft: Draft, stage: str, reader: str) -> _Panel | None:
    """The panel for a tiled reader: along its vectors, or else along rows of its tile."""
    if len(draft.op(stage).dtypes) > 1 or reader not in draft.state.dag.read_by[stage]:
        return None
    tiles = register_tiles(draft, reader)
    vector, places = vector_tile(tiles), accesses(draft.state, reader)[stage]
    if vector is None or len(places) != 1 or not draft.op(reader).reduce_axes:
        return None
    for tile in (vector, *(t for t in reversed(tiles) if t != vector and t.extent > 1)):
        dimension = _walked(places[0], tile.iterator)
        if dimension is not None:
            return _Panel(reader, dimension, tile, is_vector=tile == vector)
    return None


def _layout(draft: Draft, stage: str, panel: _Panel) -> Layout:
    """Panels outside, what reductions walk in the order of their loops, then a panel's row."""
    (indices,) = accesses(draft.state, panel.reader)[stage]
    reduce_axes = [axis for axis, _ in draft.op(panel.reader).reduce_axes]
    others = [d for d in range(len(indices)) if d != panel.dimension]
    depth = {
        d: min(
            (reduce_axes.index(v) for v in affine_variables(indices[d]) if v in reduce_axes),
            default=-1,
        )
        for d in others
    }
    outer = [d for d in others if depth[d] < 0]
    inner = sorted((d for d in others if depth[d] >= 0), key=lambda d: depth[d])
    tile = panel.tile
    return Layout(
        panel.dimension,
        Col(tile.first + tile.count - 1),
        (*outer, panel.dimension, *inner, len(indices)),
    )


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
