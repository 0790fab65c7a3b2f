"""Which rules of the default set are behind the schedule of a seed: `python -m tests.fuzz.rules`.

Prints for each rule how many of the seeds it is behind, with the first of them, and a few seeds
that have every rule behind them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from typing import Any
from unittest.mock import patch

from bench.fuzz import Subject, draw
from tensorc.schedule.steps import Step
from tensorc.space.rules.rule_sets import RULE_SETS
from tensorc.space.sketch import Sketch, generate_sketches
from tensorc.space.task import SearchTask
from tests.fuzz import schedules

NAMES = tuple(type(rule).__name__ for rule in RULE_SETS["default"].cpu)


def traced(seed: int) -> tuple[Subject, frozenset[str]]:
    """Draw a seed; return it with the names of the rules that its sketch is made by."""
    made: list[tuple[str, tuple[Step, ...]]] = []
    sketches: list[Sketch] = []

    def generate(*given: Any, rules: str, **more: Any) -> tuple[Sketch, ...]:
        made.clear()
        found = real_generate(*given, rules=rules, **more)
        if rules != "default":
            made.clear()
        return found

    def space(task: Any, sketch: Sketch) -> Any:
        sketches.append(sketch)
        return real_space(task, sketch)

    real_generate, real_space = schedules.generate_sketches, schedules.Space
    with ExitStack() as stack:
        for rule in {type(rule) for rule in RULE_SETS["default"].cpu}:
            noting = _noting(rule.__name__, rule.apply, made)
            stack.enter_context(patch.object(rule, "apply", noting))
        stack.enter_context(patch.object(schedules, "generate_sketches", generate))
        stack.enter_context(patch.object(schedules, "Space", space))
        subject = draw(seed)
    steps = sketches[0].steps if sketches else ()
    return subject, frozenset(name for name, begin in made if steps[: len(begin)] == begin)


def reachable(seed: int) -> frozenset[str]:
    """The names of the rules that any sketch of a seed's program is made by."""
    subject = draw(seed)
    made: list[tuple[str, tuple[Step, ...]]] = []
    task = SearchTask(subject.example.dag, subject.target, tuple(sorted(subject.constants)))
    with ExitStack() as stack:
        for rule in {type(rule) for rule in RULE_SETS["default"].cpu}:
            noting = _noting(rule.__name__, rule.apply, made)
            stack.enter_context(patch.object(rule, "apply", noting))
        sketches = generate_sketches(task)
    ends = [sketch.steps for sketch in sketches]
    return frozenset(n for n, begin in made if any(e[: len(begin)] == begin for e in ends))


def _noting(
    name: str, apply: Callable[..., Any], made: list[tuple[str, tuple[Step, ...]]]
) -> Callable[..., Any]:
    def noting(*given: Any) -> Iterator[Any]:
        for draft, following in apply(*given):
            made.append((name, draft.state.steps))
            yield draft, following

    return noting


def cover(behind: Mapping[int, frozenset[str]]) -> list[int]:
    """A few seeds that have every rule behind them that any has, the first of those that add most.

    >>> cover({3: frozenset("a"), 5: frozenset("ab"), 7: frozenset("bc")})
    [5, 7]
    """
    left = set().union(*behind.values())
    chosen = []
    while left:
        best = max(behind, key=lambda seed: len(behind[seed] & left))
        chosen.append(best)
        left -= behind[best]
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    behind = {seed: traced(seed)[1] for seed in seeds}
    counts = Counter(chain.from_iterable(behind.values()))
    for name in sorted(NAMES, key=lambda name: counts[name]):
        print(f"{counts[name]:6} {name:36} {[s for s in seeds if name in behind[s]][:8]}")
    print(f"together: {cover(behind)}")


if __name__ == "__main__":
    main()
