"""Tile a stage at several levels, such as "SSRSRS" (Ansor, OSDI'20, section 4.1, rule 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorc.schedule.stage import IterKind
from tensorc.schedule.steps import FollowSplitStep, ReorderStep
from tensorc.space.decisions import TileRole
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.inquiries import needs_tiling
from tensorc.space.task import SearchTask

_KINDS = {"S": IterKind.SPATIAL, "R": IterKind.REDUCE}
_WHOLE = "auto_scheduler_no_split_at_inner"


def tile(
    draft: Draft,
    stage: str,
    structure: str,
    outside: Sequence[str] = (),
    across: str | None = None,
) -> tuple[Draft, tuple[int | None, ...]]:
    """Split every loop as often as its letter occurs and put level inside level.

    Axes of the attribute `auto_scheduler_no_split_at_inner` stay whole in the innermost level,
    loops in `outside` stay whole around the first level of their kind. Vectors lie along the loop
    `across`, if there is one, which is then the innermost.

    Returns:
        The draft, and for each spatial axis the number of the step that split it, None if whole.
    """
    whole = _whole_axes(draft, stage)
    splits: list[int | None] = []
    names: dict[IterKind, list[str]] = {IterKind.SPATIAL: [], IterKind.REDUCE: []}
    inner: dict[IterKind, list[str]] = {IterKind.SPATIAL: [], IterKind.REDUCE: []}
    around: dict[IterKind, list[str]] = {IterKind.SPATIAL: [], IterKind.REDUCE: []}
    for i in draft.stage(stage).iterators:
        if i.name in outside:
            around[i.kind].append(i.name)
            continue
        if i.kind is IterKind.SPATIAL:
            splits.append(None if i.name in whole else len(draft.state.steps))
        if i.name in whole:
            inner[i.kind].append(i.name)
            continue
        names[i.kind].append(i.name)
        letter = "S" if i.kind is IterKind.SPATIAL else "R"
        role: TileRole = "across" if i.name == across else "levels"
        draft = draft.tile(stage, i.name, structure.count(letter) - 1, role)
    order: list[str] = []
    for place, letter in enumerate(structure):
        kind = _KINDS[letter]
        if letter not in structure[:place]:
            order += around[kind]
        if letter not in structure[place + 1 :]:
            order += inner[kind]
        level = names[kind]
        if letter not in structure[place + 1 :]:
            level = sorted(level, key=lambda name: name == across)
        order += [f"{name}.{structure[:place].count(letter)}" for name in level]
    return draft.do(ReorderStep(stage, tuple(order))), tuple(splits)


def follow_tiling(draft: Draft, stage: str, splits: Sequence[int | None], level: int) -> Draft:
    """Tile an element-wise consumer like the outer `level` spatial levels of its producer."""
    split: list[str] = []
    whole: list[str] = []
    for name, source in zip(draft.stage(stage).names(), splits, strict=True):
        if source is None:
            whole.append(name)
        else:
            split.append(name)
            draft = draft.do(FollowSplitStep(stage, name, source, level))
    outer = [f"{name}.{k}" for k in range(level) for name in split]
    inner = [f"{name}.{level}" for name in split]
    return draft.do(ReorderStep(stage, (*outer, *whole, *inner)))


def _whole_axes(draft: Draft, stage: str) -> tuple[str, ...]:
    value = draft.op(stage).attr(_WHOLE)
    return value if isinstance(value, tuple) else ()


@dataclass(frozen=True, slots=True)
class MultiLevelTiling:
    """Tile a stage that reuses its inputs, and leave its consumers alone.

    Attributes:
        structure: The levels, outermost first: `S` for all spatial loops, `R` for all reductions.
    """

    structure: str

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Apply to stages with reuse."""
        tiled = needs_tiling(draft, stage)
        return Condition.APPLY_AND_SKIP_REST if tiled else Condition.SKIP

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Tile it."""
        tiled, _ = tile(draft, stage, self.structure)
        return [(tiled, draft.before(stage))]
