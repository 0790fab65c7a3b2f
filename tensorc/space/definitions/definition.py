"""Which definitions of a computation take part in a search: its own, and those of rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Final, Protocol

from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

GIVEN: Final = "as given"
# Allows what direct sums in float32 lose by rounding, and no more.
DEFAULT_TOLERANCE: Final = 1e-5
# Several stages with several algorithms each multiply, and a search has to measure all.
_MOST_DEFINITIONS: Final = 9


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One way to define a computation.

    Attributes:
        name: What it is called in results.
        dag: The computation; its parameters are those of every other definition.
        error: By how much the stages that are computed differently may differ from those of the
            computation as it was given, relative to the largest magnitude of each; 0 for that one
            itself. What follows such a stage may enlarge it, or make it smaller.
    """

    name: str
    dag: ComputeDAG
    error: float = 0.0


class DefinitionRule(Protocol):
    """A way to compute the same differently, for instance by another algorithm for a stage."""

    def apply(self, dag: ComputeDAG, tolerance: float, target: Target) -> Iterable[Definition]:
        """Return definitions with the same parameters, each with the error it adds.

        Those whose error is above `tolerance`, or that do not pay on the machine, are of no use and
        may be left out.
        """
        ...


def definitions_of(
    dag: ComputeDAG, rules: Iterable[DefinitionRule], tolerance: float, target: Target
) -> tuple[Definition, ...]:
    """Return the computation as it is given, and what rules make of it within the tolerance.

    Rules are applied to what rules have made, too: errors add up, and names are joined. Several
    stages with several algorithms each multiply: the definitions of the least error are kept, and
    since no rule lowers the error, rules are applied to those only.

    Args:
        dag: The computation.
        rules: The rules.
        tolerance: The greatest error allowed.
        target: The machine.
    """
    tried = tuple(rules)
    numbers = count()  # of equal errors, what was made first comes first
    found: dict[str, Definition] = {}
    todo = [(0.0, next(numbers), Definition(GIVEN, dag))]
    while todo and len(found) < _MOST_DEFINITIONS:
        *_, least = heappop(todo)
        key = least.dag.structural_hash()
        if key not in found:
            found[key] = least
            for new in _applied(least, tried, tolerance, target):
                heappush(todo, (new.error, next(numbers), new))
    return tuple(found.values())


def _applied(
    old: Definition, rules: Sequence[DefinitionRule], tolerance: float, target: Target
) -> Iterator[Definition]:
    for rule in rules:
        for new in rule.apply(old.dag, tolerance - old.error, target):
            name = new.name if old.name == GIVEN else f"{old.name}, {new.name}"
            if old.error + new.error <= tolerance:
                yield Definition(name, new.dag, old.error + new.error)
