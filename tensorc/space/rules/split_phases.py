"""Tile the phases of a strided condition apart, so that no multiplication by its zeros is left."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from tensorc.schedule.steps import SplitStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.features.phases import strided_conditions
from tensorc.space.inquiries import has_reduce, is_cached, needs_tiling
from tensorc.space.rules.multi_level_tiling import tile
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class SplitPhases:
    """Split the axes of a condition "the place is a multiple of `s`" by `s`, and tile the rest.

    Before:  C(h) += (A((h + r)//2) if (h + r)%2 == 0 else 0)*B(r)
    After:   for h.1 (0,2)          the phase
               for h.0.0, h.0.1     tiles of what has this phase
                 for r.1 (0,2)      skipped as a whole unless (h.1 + r.1)%2 == 0
                   for r.0.0, h.0.2, r.0.1, h.0.3

    The loops of the phases are outside of all tiles, so that a register tile has one phase: all of
    its elements need the same terms.

    Attributes:
        structure: The levels of the tiles, as in `MultiLevelTiling`.
    """

    structure: str

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to stages with reuse that add terms at multiples of a stride only."""
        if not needs_tiling(draft, stage) or is_cached(draft, stage):
            return Condition.SKIP
        return Condition.APPLY if phases_of(draft, stage) else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Split, and tile inside the phases."""
        return [(tile_phases(draft, stage, self.structure), draft.before(stage))]


def tile_phases(draft: Draft, stage: str, structure: str, across: str | None = None) -> Draft:
    """Split the axes that have phases, and tile inside; `across` is as in `tile`."""
    phases = phases_of(draft, stage)
    for axis, stride in phases.items():
        draft = draft.do(SplitStep(stage, axis, (stride,)))
    outside = tuple(f"{axis}.1" for axis in phases)
    lanes = f"{across}.0" if across in phases else across
    return tile(draft, stage, structure, outside, lanes)[0]


def phases_of(draft: Draft, stage: str) -> dict[str, int]:
    """The axes that decide whether a place is a multiple of a stride, with that stride.

    There are none unless elements have phases and sum up terms of which each phase has its own.
    """
    found = _phases(draft, stage) if has_reduce(draft, stage) else {}
    spatial = set(draft.op(stage).axes) & set(found)
    return found if spatial and spatial != set(found) else {}


def _phases(draft: Draft, stage: str) -> dict[str, int]:
    op = draft.op(stage)
    extents = op.extents()
    strides: dict[str, int] = {}
    for place, stride in strided_conditions(draft.state, stage):
        for axis, step in place.terms:
            # An axis that is walked in whole strides does not change the phase.
            if not isinstance(axis, str) or gcd(int(step), stride) != 1:
                continue
            extent = extents[axis]
            if isinstance(extent, int) and extent >= stride and axis not in strides:
                strides[axis] = stride
    return {axis: strides[axis] for axis in extents if axis in strides}
