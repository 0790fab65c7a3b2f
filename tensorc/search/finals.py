"""The final rounds: which of the fastest few is the fastest?

The best figure of hundreds is mostly a lucky one, so the fastest few are measured again, in turns
and in rounds. A round measures each of them once, in the reverse order of the round before, so that
a machine that slows down meanwhile is unfair to none.

They come in the order of promise: those for whom the first round has no time left do not take part.

After each round but the first few the logarithms of the figures (`measure.noise.steady`) are
compared. The statistic is how far one is behind the leader over the standard error of that,
`noise · √(2 / rounds)`; the noise of one figure is estimated from all repetitions so far. Who is
`SIGNIFICANT` such errors behind drops out. The rounds go on until one is left, until those left are
the same for all practical purposes, or until the bounds are reached. Then the leader wins,
significant or not: it was better over all its measurements.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tensorc.measure.noise import noise, steady
from tensorc.search.tuner import Measure, Steps

# Standard errors. More than the 2 of a single test, for there is one after every round.
SIGNIFICANT = 3.0
# Standard errors within which the true difference is, for the test of being the same.
_SURE = 2.0
# A machine cannot be told to be less noisy than this from a few figures.
_LEAST_NOISE = 0.002
# Who takes part in any case.
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class FinalOptions:
    """How long the final rounds may go on.

    Attributes:
        least: Rounds in any case.
        enough: Rounds in which all take part, if there is time: one that was disturbed twice in two
            rounds would be out for ever.
        most: Rounds at most.
        seconds: The first round ends after so many, if two have been measured; and no round begins
            that would end later, the least ones apart.
        negligible: Differences of this fraction do not matter.
    """

    least: int = 2
    enough: int = 4
    most: int = 12
    seconds: float = math.inf
    negligible: float = 0.005


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the final rounds say.

    Attributes:
        winner: The schedule of the fastest.
        latency: Its seconds.
        rounds: How often it was measured.
        noise: The standard deviation of one figure, as a fraction; None if it is not known.
        is_certain: Whether everybody else is significantly slower.
    """

    winner: Steps
    latency: float
    rounds: int
    noise: float | None
    is_certain: bool


@dataclass(slots=True)
class Finals:
    """The final rounds of some schedules.

    Attributes:
        measure: Measures schedules and yields the outcomes in their order.
        options: How long it may go on.
        clock: Seconds since any moment.
        failed: Who failed in them.
    """

    measure: Measure
    options: FinalOptions = field(default_factory=FinalOptions)
    clock: Callable[[], float] = time.monotonic
    _figures: dict[Steps, list[float]] = field(default_factory=dict)
    _left: list[Steps] = field(default_factory=list)
    failed: set[Steps] = field(default_factory=set)

    def run(self, finalists: Sequence[Steps]) -> None:
        """Measure until it is clear who is the fastest, or the bounds are reached.

        Args:
            finalists: Who takes part, the most promising first.
        """
        self._figures = {steps: [] for steps in finalists}
        self._left = list(self._figures)
        end = self.clock() + self.options.seconds
        for number in range(1, self.options.most + 1):
            each = self._round(end if number == 1 else math.inf)
            if not self._left:
                break
            late = self.clock() + each * len(self._left) > end
            if number < self.options.enough and not late:
                continue
            self._drop()
            late = self.clock() + each * len(self._left) > end
            if number >= self.options.least and (late or self._is_decided()):
                break

    def verdict(self) -> Verdict | None:
        """Return what has been found out so far; None if nobody was measured without an error."""
        measured = [s for s in self._left if self._figures[s] and s not in self.failed]
        if not measured:
            return None
        winner = min(measured, key=lambda steps: steady(self._figures[steps]))
        mine = self._figures[winner]
        return Verdict(winner, steady(mine), len(mine), self._noise(), len(self._left) == 1)

    def _round(self, end: float) -> float:
        """Measure everybody once; return the seconds for each. Who fails is out.

        At the end of the time those who have not been measured are out too, but for the first few.
        """
        begun = self.clock()
        good: list[Steps] = []
        asked = 0
        for steps, outcome in zip(self._left, self.measure(self._left), strict=True):
            asked += 1
            if outcome.latency is None:
                self.failed.add(steps)
            else:
                self._figures[steps].append(outcome.latency)
                good.append(steps)
            if self.clock() >= end and len(good) >= _FEWEST:
                break
        self._left = good[::-1]
        return (self.clock() - begun) / max(asked, 1)

    def _drop(self) -> None:
        error = self._standard_error()
        if error is None:
            return
        behind = self._behind()
        self._left = [steps for steps in self._left if behind[steps] < SIGNIFICANT * error]

    def _is_decided(self) -> bool:
        """Whether one is left, or those that are left are practically the same."""
        error = self._standard_error()
        if len(self._left) <= 1 or error is None:
            return len(self._left) <= 1
        return max(self._behind().values()) + _SURE * error <= self.options.negligible

    def _behind(self) -> dict[Steps, float]:
        """How much slower than the fastest each of those left is: logarithms of ratios."""
        logs = {s: math.log(max(steady(self._figures[s]), 1e-12)) for s in self._left}
        least = min(logs.values())
        return {steps: value - least for steps, value in logs.items()}

    def _noise(self) -> float | None:
        return noise(list(self._figures.values()))

    def _standard_error(self) -> float | None:
        """The standard error of a difference; None as long as nothing was measured twice."""
        found = self._noise()
        if found is None:
            return None
        rounds = min(len(self._figures[steps]) for steps in self._left)
        return max(found, _LEAST_NOISE) * math.sqrt(2.0 / rounds)
