"""Sketches: the loop structures that a program may have, with open sizes.

>>> from tensorc import te
>>> A = te.placeholder((8, 8), name="A")
>>> B = te.compute((8, 8), lambda i, j: A[i, j] + 1.0, name="B")
>>> len(generate_sketches([A, B], target="llvm -num-cores=4"))
1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorc.schedule.printer import print_state
from tensorc.schedule.state import State
from tensorc.schedule.steps import Step
from tensorc.space.decisions import Decision
from tensorc.space.draft import Condition, Draft, SketchRule, first_draft
from tensorc.space.rules.rule_sets import RULE_SETS
from tensorc.space.selection import Trail, select
from tensorc.space.task import SearchTask
from tensorc.support.errors import ScheduleError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.tensor import Tensor

# Sketches of one task at most.
MOST_SKETCHES = 64

Rules: TypeAlias = str | SketchRule | Sequence["str | SketchRule"]


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """A loop structure whose sizes are decided later; `str` shows the loops, `?` for open sizes.

    Attributes:
        state: The loops, with open sizes.
        decisions: What each column of a decision row means.
        width: The number of columns.
    """

    state: State
    decisions: tuple[Decision, ...] = ()
    width: int = 0

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that make it, with `Col`s for open sizes."""
        return self.state.steps

    def __str__(self) -> str:
        return print_state(self.state)


def generate_sketches(
    task: SearchTask | ComputeDAG | Sequence[Tensor],
    target: Target | str = "llvm",
    rules: Rules = "default",
    limit: int = MOST_SKETCHES,
) -> tuple[Sketch, ...]:
    """Return the sketches that the rules derive, in Ansor's order.

    Args:
        task: A task, or the computation as tensors or as a DAG.
        target: The machine, where `task` does not say it.
        rules: The name of a rule set (`ansor` is the paper's, `default` has more), or rules and
            names of rule sets: rules of your own come first, whatever the order.
        limit: How many at most. Of more, those stay that decide like stages alike, and together
            they have every alternative of every stage (see `space.selection`).

    Raises:
        ScheduleError: There is no such rule set.
        TEError: The tensors are no valid computation.
        TargetError: The target is unknown, or a field of it is impossible.
    """
    task = SearchTask.of(task, target)
    tried = tuple(_listed(task, rules))
    todo = [_Branch(first_draft(task), task.dag.ops[-1].name)]
    done: list[_Branch] = []
    while todo:
        later: list[_Branch] = []
        for branch in todo:
            if branch.stage is None:
                done.append(branch)
            else:
                later += _expand(task, branch, branch.stage, tried)
        todo = _bounded(later, limit)
    return tuple(
        Sketch(branch.draft.state, branch.draft.decisions, branch.draft.width)
        for branch in _bounded(done, limit)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Branch:
    """A draft, the stage to visit next (None at the end), and how it came about."""

    draft: Draft
    stage: str | None
    trail: Trail = ()


def _bounded(branches: list[_Branch], limit: int) -> list[_Branch]:
    return [branches[number] for number in select([b.trail for b in branches], limit)]


def _expand(
    task: SearchTask, branch: _Branch, stage: str, rules: Sequence[SketchRule]
) -> Iterator[_Branch]:
    for which, rule in enumerate(rules):
        condition = rule.meets(task, branch.draft, stage)
        if condition is not Condition.SKIP:
            for number, (draft, following) in enumerate(rule.apply(task, branch.draft, stage)):
                yield _Branch(draft, following, (*branch.trail, (stage, (which, number))))
        if condition is Condition.APPLY_AND_SKIP_REST:
            break


def _listed(task: SearchTask, rules: Rules) -> Iterator[SketchRule]:
    """All rules in the order in which they are tried: the user's, then those of sets."""
    given = [rules] if isinstance(rules, str) or not isinstance(rules, Sequence) else list(rules)
    yield from (rule for rule in given if not isinstance(rule, str))
    for name in given:
        if not isinstance(name, str):
            continue
        if name not in RULE_SETS:
            known = ", ".join(f"'{known}'" for known in RULE_SETS)
            raise ScheduleError(f"Unknown rule set '{name}': expected one of {known}.")
        yield from RULE_SETS[name].gpu if task.target.is_gpu else RULE_SETS[name].cpu
