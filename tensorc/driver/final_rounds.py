"""The end of a tuning run: the fastest few are measured again, built as `compile` builds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tensorc.driver.candidates import Watched
from tensorc.driver.problem import Problem
from tensorc.measure.result import MeasureInput
from tensorc.schedule.stage import STRENGTH_REDUCTION
from tensorc.schedule.steps import PragmaStep
from tensorc.search.finals import FinalOptions, Finals
from tensorc.search.tuner import Search
from tensorc.space.features.program import program_features
from tensorc.space.hints import hints

# The fastest few are measured again at the end: the minimum of hundreds of noisy figures flatters.
FINALISTS: Final = 4
# So many of them take part with hints to the memory system, of which there are two at most.
_HINTED: Final = 2
# Each of them with two ways of generating code, and the default schedule.
CONTESTANTS: Final = 2 * FINALISTS + 2 * _HINTED + 1
# The default schedule is left out of them if it is so many times slower than the best.
_HOPELESS: Final = 2.0
# How many are built however long it takes.
_FEWEST: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class FinalRounds:
    """Decides which program a run has found.

    Attributes:
        problem: What was searched.
        search: The search, which has ended.
        measure: Measures finalists.
        build: Builds them; what it yields says that one more is built.
        naive_seconds: Seconds of the default schedule.
        hints: Whether the fastest take part with hints to the memory system, too.
    """

    problem: Problem
    search: Search
    measure: Watched
    build: Callable[[Sequence[MeasureInput]], Iterable[object]]
    naive_seconds: float
    hints: bool = True

    def winner(self, seconds: float) -> tuple[MeasureInput, float]:
        """Return the winner and its latency.

        Building takes about so many seconds at most, and then the rounds do. Where nothing was
        measured, the first of the foreseen that is right is the winner, whatever its latency.
        """
        for candidate in [] if self.search.trials else self._foreseen():
            latency = next(iter(self.measure([candidate]))).latency
            if latency is not None:
                return candidate, latency
        finals = Finals(self.measure, FinalOptions(seconds=seconds))
        try:
            if self.search.stopped != "interrupted":
                finals.run(self._built(list(self._contestants()), seconds))
        except KeyboardInterrupt:
            self.search.stopped = "interrupted"
        verdict, best = finals.verdict(), self.search.best
        if verdict is not None:
            return verdict.winner, verdict.latency
        if best is not None and best.steps not in finals.failed:
            return best.steps, best.latency or self.naive_seconds
        return self.problem.default_candidate(), self.naive_seconds

    def _foreseen(self) -> list[MeasureInput]:
        """What is liked more than the default schedule, without measurements; best first."""
        search, problem = self.search, self.problem
        if search.estimate is None or search.stopped == "interrupted":
            return []
        features = program_features(problem.task, problem.default)
        usual = float(search.estimate(features[None])[0])
        return [candidate for candidate, score in search.foreseen(FINALISTS) if score > usual]

    def _built(self, contestants: Sequence[MeasureInput], seconds: float) -> list[MeasureInput]:
        """Build contestants, the first ones first; return those for whom there was time."""
        end = time.monotonic() + seconds
        ready: list[MeasureInput] = []
        for candidate, _ in zip(contestants, self.build(contestants), strict=True):
            ready.append(candidate)
            if time.monotonic() >= end and len(ready) >= _FEWEST:
                break
        return ready

    def _contestants(self) -> Iterator[MeasureInput]:
        """The fastest few, and the default schedule unless it is hopelessly slow; fastest first.

        For LLVM each of the fastest takes part as it is and without strength reduction, the first
        ones with hints to the memory system.
        """
        best, default = self.search.best, self.naive_seconds
        competes = best is None or default < _HOPELESS * (best.latency or default)
        for rank, trial in enumerate(self.search.fastest(FINALISTS)):
            if competes and default < (trial.latency or default):
                yield self.problem.default_candidate()
                competes = False
            yield trial.steps
            if self.hints and rank < _HINTED:
                yield from self._hinted(trial.steps)
            if self.problem.task.target.kind == "llvm":
                yield from self._without_strength_reduction(trial.steps)
        if competes:
            yield self.problem.default_candidate()

    def _hinted(self, candidate: MeasureInput) -> Iterator[MeasureInput]:
        for steps in hints(self.problem.state(candidate), self.problem.task.target):
            yield replace(candidate, steps=(*candidate.steps, *steps))

    def _without_strength_reduction(self, candidate: MeasureInput) -> Iterator[MeasureInput]:
        state = self.problem.state(candidate)
        output = state[state.dag.outputs[0]]
        for first in output.names()[:1]:
            step = PragmaStep(output.name, first, STRENGTH_REDUCTION, 0)
            yield replace(candidate, steps=(*candidate.steps, step))
