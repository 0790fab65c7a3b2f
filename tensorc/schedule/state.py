"""What a schedule is: an immutable state of stages, each a flat tuple of iterators.

A stage is computed at the root, inlined into its readers, or at an iterator of another stage,
referred to by (stage, iterator) name. Sizes are ints, or arrays for a whole population.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorc.arith.sizes import Size
from tensorc.schedule.stage import (
    BLOCKS,
    THREADS,
    Annotation,
    At,
    AtLevel,
    FuseRelation,
    Inlined,
    Iterator,
    IterKind,
    Location,
    MarkKind,
    Relation,
    Root,
    SplitRelation,
    Stage,
    StageScope,
)
from tensorc.support.errors import ScheduleError

if TYPE_CHECKING:
    from tensorc.schedule.steps import Step
    from tensorc.te.dag import ComputeDAG


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A DAG, a stage for each of its compute operations (by name), and the steps that made it.

    `dag` is the current DAG: caches and rfactor add operations. `lengths` holds the resolved split
    lengths of each step (empty for other steps), which following splits refer to. Equality of
    schedules is equality of their steps.
    """

    dag: ComputeDAG
    stages: dict[str, Stage]
    steps: tuple[Step, ...] = ()
    lengths: tuple[tuple[Size, ...], ...] = ()

    def __getitem__(self, name: str) -> Stage:
        """The stage of that name."""
        return self.stages[name]

    def with_stage(self, stage: Stage) -> State:
        """The state with one stage replaced."""
        return State(self.dag, {**self.stages, stage.name: stage}, self.steps, self.lengths)


def find_stage(state: State, name: str, deed: str) -> Stage:
    """The stage of that name; `deed` says in an error what could not be done."""
    found = state.stages.get(name)
    if found is None:
        what = "a placeholder" if name in state.dag.by_name else "not a stage"
        raise ScheduleError(
            f"Cannot {deed}: '{name}' is {what}; expected one of {quoted(state.stages)}."
        )
    return found


def find_iterator(stage: Stage, name: str, deed: str) -> int:
    """The position of an iterator of a stage."""
    for position, iterator in enumerate(stage.iterators):
        if iterator.name == name:
            return position
    raise ScheduleError(
        f"Cannot {deed}: stage '{stage.name}' has no iterator '{name}'; "
        f"expected one of {quoted(stage.names())}."
    )


def quoted(names: Iterable[str]) -> str:
    """Names for an error message."""
    listed = [f"'{n}'" for n in names]
    return ", ".join(listed) if listed else "none"


__all__ = [
    "BLOCKS",
    "THREADS",
    "Annotation",
    "At",
    "AtLevel",
    "FuseRelation",
    "Inlined",
    "IterKind",
    "Iterator",
    "Location",
    "MarkKind",
    "Relation",
    "Root",
    "SplitRelation",
    "Stage",
    "StageScope",
    "State",
    "find_iterator",
    "find_stage",
    "quoted",
]
