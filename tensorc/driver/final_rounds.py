"""The end of a tuning run: the fastest few are measured again, built as `compile` builds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tensorc.driver.candidates import Watched
from tensorc.driver.problem import Problem
from tensorc.measure.result import ErrorKind, MeasureInput, MeasureResult
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
# How many are built however long it takes, so these are different ones.
_FEWEST: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class FinalRounds:
    """Decides which program a run has found.

    Attributes:
        problem: What was searched.
        search: The search, which has ended.
        measure: Measures finalists.
        build: Builds finalists, and takes each when it can begin with it.
        naive_seconds: Seconds of the default schedule.
        hints: Whether the fastest take part with hints to the memory system, too.
    """

    problem: Problem
    search: Search
    measure: Watched
    build: Callable[[Iterable[MeasureInput]], Iterable[MeasureResult]]
    naive_seconds: float
    hints: bool = True

    def winner(self, seconds: float) -> tuple[MeasureInput, float]:
        """Return the winner and its latency.

        Building takes about so many seconds at most, and then the rounds do. Where nothing was
        measured, the first of the foreseen that is right is the winner, whatever its latency.
        """
        finals = Finals(self.measure, FinalOptions(seconds=seconds))
        try:
            for candidate in [] if self.search.trials else self._foreseen():
                latency = next(iter(self.measure([candidate]))).latency
                if latency is not None:
                    return candidate, latency
            if self.search.stopped != "interrupted":
                finals.run(self._built(list(self._contestants()), seconds, finals.failed))
        except KeyboardInterrupt:
            self.search.stopped = "interrupted"
        verdict = finals.verdict()
        if verdict is not None:
            return verdict.winner, verdict.latency
        for trial in self.search.fastest(FINALISTS):
            if trial.steps not in finals.failed:
                return trial.steps, trial.latency or self.naive_seconds
        return self.problem.default_candidate(), self.naive_seconds

    def _foreseen(self) -> list[MeasureInput]:
        """What is liked more than the default schedule, without measurements; best first."""
        search, problem = self.search, self.problem
        if search.estimate is None or search.stopped == "interrupted":
            return []
        features = program_features(problem.task, problem.default)
        usual = float(search.estimate(features[None])[0])
        return [candidate for candidate, score in search.foreseen(FINALISTS) if score > usual]

    def _built(
        self, contestants: Sequence[MeasureInput], seconds: float, failed: set[MeasureInput]
    ) -> list[MeasureInput]:
        """Build contestants, the first ones first; return those for whom there was time.

        What is begun in time is waited for: it would take the time of the rounds otherwise.

        Args:
            contestants: Who is to take part.
            seconds: When no more builds begin, if enough have succeeded.
            failed: Who cannot be built is added to these.
        """
        end = time.monotonic() + seconds
        ready: list[MeasureInput] = []
        done = 0
        while done < len(contestants) and len(ready) < _FEWEST:
            left, needed = contestants[done:], _FEWEST - len(ready)
            begun = (c for n, c in enumerate(left) if n < needed or time.monotonic() < end)
            for candidate, result in zip(left, self.build(begun), strict=False):
                done += 1
                if result.error is ErrorKind.NONE:
                    ready.append(candidate)
                else:
                    failed.add(candidate)
        return ready

    def _contestants(self) -> Iterator[MeasureInput]:
        """The fastest few, and the default schedule unless it is hopelessly slow; fastest first.

        For LLVM each of the fastest takes part as it is and without strength reduction, the first
        ones with hints to the memory system: variants of the first come after the second, for the
        two that there is always time for must not be nearly the same.
        """
        best, default = self.search.best, self.naive_seconds
        fastest = self.search.fastest(FINALISTS)
        plain = [(trial.latency or default, trial.steps) for trial in fastest]
        if best is None or default < _HOPELESS * (best.latency or default):
            plain.append((default, self.problem.default_candidate()))
        plain.sort(key=lambda one: one[0])
        ranked = [steps for _, steps in plain]
        yield from ranked[:_FEWEST]
        searched = [trial.steps for trial in fastest]
        for rank, steps in enumerate(ranked):
            if rank >= _FEWEST:
                yield steps
            if self.hints and steps in searched[:_HINTED]:
                yield from self._hinted(steps)
            if self.problem.task.target.kind == "llvm" and steps in searched:
                yield from self._without_strength_reduction(steps)

    def _hinted(self, candidate: MeasureInput) -> Iterator[MeasureInput]:
        for steps in hints(self.problem.state(candidate), self.problem.task.target):
            yield replace(candidate, steps=(*candidate.steps, *steps))

    def _without_strength_reduction(self, candidate: MeasureInput) -> Iterator[MeasureInput]:
        state = self.problem.state(candidate)
        output = state[state.dag.outputs[0]]
        for first in output.names()[:1]:
            step = PragmaStep(output.name, first, STRENGTH_REDUCTION, 0)
            yield replace(candidate, steps=(*candidate.steps, step))
