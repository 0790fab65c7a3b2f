"""What a tuning run is about: a computation, by each of its definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tensorc.driver.candidates import Candidates
from tensorc.driver.compile import Computation, by_name, names_of
from tensorc.driver.limits import compute_limit
from tensorc.measure.reference import make_alternative, make_task
from tensorc.measure.result import MeasureInput
from tensorc.measure.task import MeasureTask
from tensorc.runtime.arrays import Array
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.space.default_schedule import default_schedule
from tensorc.space.definitions.definition import Definition, DefinitionRule, definitions_of
from tensorc.space.sketch import Rules
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.tensor import Tensor

# Inputs that are constant, by tensor or name, with their data or without.
Constants: TypeAlias = Mapping[Tensor | str, Array] | Sequence[Tensor | str]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A computation to be tuned, by each of its definitions.

    Attributes:
        task: The computation as it was given, its target, and which inputs are constant.
        definitions: How it may be computed, as given first, by the key of the task that measures
            candidates of each.
        tolerance: How far those of other definitions may be off.
        default: The schedule of the program that nobody tuned, which is as given.
        constants: The data of inputs that are constant, by name, where it is known.
    """

    task: SearchTask
    definitions: Mapping[str, Definition]
    tolerance: float
    default: State
    constants: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        tensors: Computation,
        target: Target | str,
        constants: Constants,
        rules: Sequence[DefinitionRule],
        tolerance: float,
    ) -> Problem:
        """Return the problem of tensors, with the definitions that rules make of them.

        Raises:
            TEError: The tensors are no valid computation, or a constant is none of its inputs.
        """
        dag, machine = ComputeDAG.of(tensors), Target.of(target)
        data = by_name(tensors, dag, constants) if isinstance(constants, Mapping) else {}
        task = SearchTask(dag, machine, tuple(names_of(tensors, dag, constants)))
        ways = definitions_of(dag, rules, tolerance, machine)
        by_key = {way.dag.structural_hash(task.constants): way for way in ways}
        return cls(task, by_key, tolerance, default_schedule(dag, machine), data)

    def measured(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array] | None, seed: int
    ) -> list[MeasureTask]:
        """Return the tasks that measure candidates of each definition, with data and right results.

        Args:
            inputs: Data to measure with, by name; random where left out.
            outputs: The right outputs for it; those of the default schedule if None.
            seed: Of the random data.

        Raises:
            MeasureError: An array does not fit.
        """
        given = make_task(
            self.task.dag,
            self.task.target,
            state=self.default,
            inputs={**inputs, **self.constants},
            outputs=outputs,
            constants=self.task.constants,
            seed=seed,
        )
        _, *others = self.definitions.values()
        return [given, *(make_alternative(given, way.dag, self.tolerance) for way in others)]

    def spaces(self, rules: Rules) -> list[Candidates]:
        """Return the candidates of each sketch of each definition."""
        return [
            candidates
            for way in self.definitions.values()
            for candidates in Candidates.of(replace(self.task, dag=way.dag), rules)
        ]

    def groups(self, spaces: Sequence[Candidates]) -> list[int]:
        """Return the number of the definition that each space is of."""
        keys = list(self.definitions)
        return [keys.index(space.key) for space in spaces]

    def definition(self, candidate: MeasureInput) -> Definition:
        """Return the definition that a candidate is of."""
        return self.definitions[candidate.task or ""]

    def state(self, candidate: MeasureInput) -> State:
        """Return the state of a candidate."""
        return replay(self.definition(candidate).dag, candidate.steps)

    def default_candidate(self) -> MeasureInput:
        """Return the default schedule as a candidate."""
        return MeasureInput(self.default.steps, next(iter(self.definitions)))

    def limit(self) -> Callable[[], float] | None:
        """Return what measures the seconds that no program can beat; None if that is not known."""
        return compute_limit(self.task) if len(self.definitions) == 1 else None
