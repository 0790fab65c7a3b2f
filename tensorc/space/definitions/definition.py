"""Which definitions of a computation take part in a search: its own, and those of rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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

    Those of the least error come first. Rules are applied to what rules have made, too: errors add
    up, and names are joined. Several stages with several algorithms each multiply: those with the
    fewest operations are kept, each found by applying rules to the ones kept before. Fewer
    operations are not what every rule is for, so each combination of rules has its turn.

    Args:
        dag: The computation.
        rules: The rules.
        tolerance: The greatest error allowed.
        target: The machine.
    """
    tried = tuple(rules)
    found: dict[str, Definition] = {}
    waiting = _Waiting()
    waiting.add(frozenset(), Definition(GIVEN, dag))
    for kinds, way in waiting.turns():
        if found.setdefault(way.dag.structural_hash(), way) is not way:
            continue
        if len(found) == _MOST_DEFINITIONS:
            break
        for rule in tried:
            for new in _applied(way, rule, tolerance, target):
                waiting.add(kinds | {type(rule)}, new)
    return tuple(sorted(found.values(), key=lambda way: way.error))


def _applied(
    old: Definition, rule: DefinitionRule, tolerance: float, target: Target
) -> Iterator[Definition]:
    for new in rule.apply(old.dag, tolerance - old.error, target):
        name = new.name if old.name == GIVEN else f"{old.name}, {new.name}"
        if old.error + new.error <= tolerance:
            yield Definition(name, new.dag, old.error + new.error)


@dataclass(slots=True)
class _Waiting:
    """Definitions in a line for each combination of the rules that made them.

    In a line those with the fewest operations come first, then those of the least error.
    """

    _lines: dict[frozenset[type], list[tuple[float, float, int, Definition]]] = field(
        default_factory=dict
    )
    _numbers: Iterator[int] = field(default_factory=count)  # what was added first comes first

    def add(self, kinds: frozenset[type], way: Definition) -> None:
        """Put a definition into the line of these kinds of rules."""
        line = self._lines.setdefault(kinds, [])
        heappush(line, (way.dag.flops(), way.error, next(self._numbers), way))

    def turns(self) -> Iterator[tuple[frozenset[type], Definition]]:
        """Take out one of each line in turn, with what is added meanwhile, until none is left."""
        while any(self._lines.values()):
            for kinds, line in list(self._lines.items()):
                if line:
                    yield kinds, heappop(line)[-1]
