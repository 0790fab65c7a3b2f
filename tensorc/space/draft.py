"""A sketch while rules are at work on it, and what a rule is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeAlias

from tensorc.schedule.relations import extents
from tensorc.schedule.replay import apply_step, initial_state
from tensorc.schedule.stage import Iterator, IterKind, Stage
from tensorc.schedule.state import State
from tensorc.schedule.steps import Col, SplitStep, Step
from tensorc.space.decisions import Choice, ChoiceKind, Decision, Tile, TileRole
from tensorc.space.task import SearchTask
from tensorc.te.op import Op


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A state with open sizes, and the decisions that will close them.

    Attributes:
        state: The loops so far.
        decisions: What each column means.
        width: The number of columns.
    """

    state: State
    decisions: tuple[Decision, ...] = ()
    width: int = 0

    def do(self, *steps: Step) -> Draft:
        """Apply steps; `Col`s in them stay open."""
        state = self.state
        for step in steps:
            state = apply_step(state, step)
        return replace(self, state=state)

    def tile(
        self, stage: str, iterator: str, count: int, role: TileRole = "levels", row: int = 1
    ) -> Draft:
        """Split an iterator into `count + 1` loops whose lengths are decisions."""
        kind = next(i.kind for i in self.stage(stage).iterators if i.name == iterator)
        extent = extents(self.stage(stage).relations, self.op(stage).extents())[iterator]
        assert isinstance(extent, int), f"'{iterator}' of '{stage}' has no fixed extent"
        # Of no iterations there are no lengths to choose from; one will do.
        tile = Tile(stage, iterator, kind, max(extent, 1), self.width, count, role, row)
        columns = tuple(Col(self.width + k) for k in range(count))
        grown = replace(self, decisions=(*self.decisions, tile), width=self.width + count)
        return grown.do(SplitStep(stage, iterator, columns))

    def choose(
        self, stage: str, what: ChoiceKind, options: Sequence[int]
    ) -> tuple[Draft, Col | int]:
        """Add a column with a value out of `options`; a single option is the value itself."""
        if len(options) == 1:
            return self, options[0]
        choice = Choice(stage, what, self.width, tuple(options))
        grown = replace(self, decisions=(*self.decisions, choice), width=self.width + 1)
        return grown, Col(self.width)

    def op(self, stage: str) -> Op:
        """The operation that a stage computes."""
        return self.state.dag.by_name[stage]

    def stage(self, stage: str) -> Stage:
        """The stage of that name."""
        return self.state.stages[stage]

    def iterators(self, stage: str, kind: IterKind) -> tuple[Iterator, ...]:
        """The iterators of one kind, outermost first."""
        return tuple(i for i in self.stage(stage).iterators if i.kind is kind)

    def before(self, stage: str) -> str | None:
        """The name of the operation in front of one; None for the first."""
        names = [op.name for op in self.state.dag.ops]
        position = names.index(stage)
        return names[position - 1] if position else None


def first_draft(task: SearchTask) -> Draft:
    """The untouched loops of a task."""
    return Draft(initial_state(task.dag))


class Condition(Enum):
    """Whether a rule applies to a stage, and whether later rules are then tried."""

    SKIP = "skip"
    APPLY = "apply"
    APPLY_AND_SKIP_REST = "apply and skip rest"


# What a rule makes of a draft: new drafts, each with the operation visited next, None for the end.
Expansion: TypeAlias = list[tuple[Draft, str | None]]


class SketchRule(Protocol):
    """A way to go on with a draft at one stage, for instance to tile it or to leave it alone.

    Operations are visited from the last to the first, placeholders included, and every rule that
    applies is followed, until one of them forbids the rest.
    """

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        """Whether the rule applies to the operation `stage`."""
        ...

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        """Return the drafts it makes; `draft.before(stage)` is usually the next to visit."""
        ...
