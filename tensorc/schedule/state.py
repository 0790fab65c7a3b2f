"""What a schedule is: an immutable state of stages, each a flat tuple of iterators.

A stage is computed at the root, inlined into its readers, or at an iterator of another stage,
referred to by (stage, iterator) name. Sizes are ints, or arrays for a whole population.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.arith.sizes import Size
from tensorc.schedule.stage import Stage
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
