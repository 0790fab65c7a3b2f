"""Tile a stage and compute it inside the tiles of its element-wise consumer.

Ansor, OSDI'20, section 4.1, rule 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.schedule.steps import ComputeAtStep
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import is_cached, matched_consumer, needs_tiling
from tensorc.space.rules.multi_level_tiling import follow_tiling, tile
from tensorc.space.task import SearchTask


@dataclass(frozen=True, slots=True)
class MultiLevelTilingWithFusion:
    """Tile a stage, let its element-wise consumer follow, and attach it there.

    Attributes:
        structure: The levels, outermost first: `S` for all spatial loops, `R` for all reductions.
        levels: The consumer's tile levels to attach to, a sketch for each.
        always: Whether never to go on without fusion.
    """

    structure: str
    levels: tuple[int, ...]
    always: bool

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to stages with reuse and an element-wise consumer."""
        if not needs_tiling(draft, stage):
            return Condition.SKIP
        consumer = matched_consumer(draft, stage)
        if consumer is None or draft.stage(consumer).scope == "shared":
            return Condition.SKIP
        fused_only = self.always or is_cached(draft, stage)
        return Condition.APPLY_AND_SKIP_REST if fused_only else Condition.APPLY

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Tile, follow, attach."""
        consumer = matched_consumer(draft, stage)
        assert consumer is not None
        tiled, splits = tile(draft, stage, self.structure)
        made: Expansion = []
        for level in self.levels:
            followed = follow_tiling(tiled, consumer, splits, level)
            tiles = sum(source is not None for source in splits) * level
            at = followed.stage(consumer).iterators[tiles - 1].name
            made.append((followed.do(ComputeAtStep(stage, consumer, at)), draft.before(stage)))
        return made
