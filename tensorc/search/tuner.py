"""The tuning loop of one task: propose, measure, learn, until something says stop.

Everything random in round `r` comes from one generator made of the seed and `r`, and round `r`
knows the measurements of the rounds before it only. So the same seed with the same measurements
gives the same candidates, and a run that is resumed from its records is the run that was never
interrupted.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Protocol, TypeAlias

import numpy as np

from tensorc.search.cost_model import CostModel, Estimate, Sample
from tensorc.search.evolution import (
    Candidate,
    EvolutionOptions,
    Measured,
    Rows,
    Space,
    foresee,
)
from tensorc.search.heats import propose_to_all
from tensorc.support.errors import OptionError

# What a space makes of a row and a machine measures: a schedule, or one of a certain definition.
# The search compares it and nothing else.
Steps: TypeAlias = Any


class Outcome(Protocol):
    """What is needed of a measurement."""

    @property
    def latency(self) -> float | None:
        """Seconds; None for a candidate that failed."""
        ...

    @property
    def error_kind(self) -> str:
        """The kind of error, `NONE` without one."""
        ...


class TunedSpace(Space, Protocol):
    """A space whose rows stand for schedules."""

    def steps(self, row: Rows) -> Steps:
        """Return the concrete schedule of a row."""
        ...

    def row(self, steps: Steps) -> Rows | None:
        """Return the row of a schedule, None if it is not one of this space."""
        ...


Measure = Callable[[Sequence[Steps]], Iterable[Outcome]]
# How near to the machine's limit the search ends.
NEAR = 0.03
# What counts as a gain; without one for so many trials, and for half of all, the run has settled.
GAIN = 0.01
SETTLED = 128
# How often the best is measured again before it is believed to be at the limit.
_CONFIRMATIONS = 3


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """When to stop, and how to search.

    Attributes:
        trials: Candidates to measure in all, those of an earlier run included; None for no limit.
        time_budget: Seconds after which nothing more is measured; None for no limit. Where it is
            the only limit, the run also ends when nothing gets better: no gain of more than 1 % in
            128 trials and in half of all trials, and none that the model expects.
        seed: Of everything random.
        early_stopping: Stop after so many trials without a better one; None for never.
        round_size: Candidates of a round.
        evolution: The options of the search itself.

    Raises:
        OptionError: A number is negative, or nothing ends the run.
    """

    trials: int | None = 64
    time_budget: float | None = None
    seed: int = 0
    early_stopping: int | None = None
    round_size: int = 24
    evolution: EvolutionOptions = field(default_factory=EvolutionOptions)

    def __post_init__(self) -> None:
        for name in ("trials", "time_budget", "seed", "early_stopping"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise OptionError(f"Cannot tune: expected '{name}' of at least 0, got {value}.")
        if self.trials is None and self.time_budget is None and self.early_stopping is None:
            raise OptionError(
                "Cannot tune without end: expected 'trials', 'time_budget' or 'early_stopping'."
            )

    @property
    def may_settle(self) -> bool:
        """Whether the run ends when nothing gets better."""
        return self.trials is None and self.early_stopping is None

    def room(self, measured: int) -> float:
        """Return how many more candidates may be measured; infinity without a limit."""
        return math.inf if self.trials is None else self.trials - measured


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One measured candidate of a run.

    Attributes:
        steps: Its schedule.
        latency: Seconds; None if it failed.
        error: The kind of error, `NONE` without one.
        space: The number of the sketch it came from, None if of none of them.
        row: Its row in that space.
        key: The key of that row.
    """

    steps: Steps
    latency: float | None
    error: str
    space: int | None = None
    row: Rows | None = None
    key: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What callbacks are told after each measurement.

    Attributes:
        trials: Measured so far, those of an earlier run included.
        total: How many are wanted; None for no limit.
        elapsed: Seconds since the run began.
        best: Latency of the best in seconds; None while there is none.
        errors: How many failed, by kind.
    """

    trials: int
    total: int | None
    elapsed: float
    best: float | None
    errors: tuple[tuple[str, int], ...]


Callback = Callable[[Progress], None]


@dataclass(slots=True)
class Search:
    """A run of the tuning loop.

    Attributes:
        spaces: One for each sketch.
        model: What scores candidates; it is trained before each round.
        measure: Measures schedules and yields the outcomes in their order.
        options: When to stop, and how to search.
        estimate: What ranks candidates until the model is trained; None for nothing.
        limit: Measures the machine now and returns the seconds that no program can beat; None if
            that is not known.
        confirm: Measures schedules again that are no trials; None to do so by `measure`.
        groups: The definition that each space is of, by number; they share the rounds.
        task: A name for the samples of the model.
        callbacks: Called after each measurement.
        trials: What was measured, in order; begin with those of an earlier run.
        history: (trial, elapsed seconds, best latency so far), one for each improvement.
        stopped: Why the run ended.
    """

    spaces: Sequence[TunedSpace]
    model: CostModel
    measure: Measure
    options: TuneOptions
    task: str = ""
    callbacks: Sequence[Callback] = ()
    trials: list[Trial] = field(default_factory=list)
    history: list[tuple[int, float, float]] = field(default_factory=list)
    stopped: str = ""
    estimate: Estimate | None = None
    limit: Callable[[], float] | None = None
    confirm: Measure | None = None
    groups: Sequence[int] = ()
    _begun: float = 0.0
    _limit: float = 0.0
    _doubted: Steps | None = None
    _gain: tuple[int, float] = (0, math.inf)
    _expects_gain: bool = True
    _best: Trial | None = None
    _errors: Counter[str] = field(default_factory=Counter)
    _samples: list[Sample | None] = field(default_factory=list)

    def resume(self, earlier: Iterable[tuple[Steps, Outcome]]) -> None:
        """Take over the measurements of an earlier run."""
        for steps, outcome in earlier:
            trial = Trial(steps, outcome.latency, outcome.error_kind)
            for number, space in enumerate(self.spaces):
                row = space.row(steps)
                if row is not None:
                    key = int(space.keys(row[None])[0])
                    trial = replace(trial, space=number, row=row, key=key)
                    break
            self._add(trial)

    def run(self) -> None:
        """Go on until the trials or the time are used up, or nothing is left or gets better.

        A keyboard interrupt ends the run like any other reason: what was measured is kept.
        """
        self._begun = time.monotonic()
        try:
            self._limit = self.limit() if self.limit is not None else 0.0
            while not self._finished():
                if not self._round():
                    self.stopped = "every candidate has been measured"
        except KeyboardInterrupt:
            self.stopped = "interrupted"

    @property
    def best(self) -> Trial | None:
        """The fastest correct candidate so far."""
        return self._best

    def fastest(self, count: int) -> list[Trial]:
        """The fastest correct candidates, distinct, fastest first."""
        good = sorted(
            (t for t in self.trials if t.latency is not None), key=lambda t: t.latency or 0.0
        )
        distinct: dict[Steps, Trial] = {}
        for trial in good:
            distinct.setdefault(trial.steps, trial)
        return list(distinct.values())[:count]

    def foreseen(self, count: int) -> list[tuple[Steps, float]]:
        """What the estimate likes best, with its scores, best first; nothing is measured."""
        if self.estimate is None:
            return []
        rng = np.random.default_rng(self.options.seed)
        found = foresee(self.spaces, {}, self.estimate, count, rng, self.options.evolution)
        return [(self.spaces[c.space].steps(c.row), c.score) for c in found]

    def _finished(self) -> bool:
        options = self.options
        if self.stopped:
            return True
        if options.room(len(self.trials)) <= 0:
            self.stopped = "all trials are done"
        elif self._out_of_time():
            self.stopped = "the time is used up"
        elif options.early_stopping is not None and self._stale() >= options.early_stopping:
            self.stopped = f"nothing better in {options.early_stopping} trials"
        elif options.may_settle and self._has_settled():
            self.stopped = f"nothing {GAIN:.0%} better in {len(self.trials) - self._gain[0]} trials"
        elif self._is_at_the_limit():
            self.stopped = f"within {NEAR:.0%} of the machine's limit"
        return bool(self.stopped)

    def _out_of_time(self) -> bool:
        budget = self.options.time_budget
        return budget is not None and time.monotonic() - self._begun >= budget

    def _stale(self) -> int:
        """Trials since the best one."""
        return len(self.trials) - (self.history[-1][0] if self.history else 0)

    def _has_settled(self) -> bool:
        """Whether nothing got better for long, and the model expects nothing better."""
        count = len(self.trials)
        return not self._expects_gain and count - self._gain[0] >= max(SETTLED, count / 2)

    def _is_at_the_limit(self) -> bool:
        """Whether the best is so near that no other can be much better, and not by luck."""
        best = self._best
        if self.limit is None or best is None or best.steps == self._doubted:
            return False
        if (best.latency or math.inf) > (1.0 + NEAR) * self._limit:
            return False
        again = (self.confirm or self.measure)([best.steps] * _CONFIRMATIONS)
        figures = [outcome.latency for outcome in again if outcome.latency is not None]
        self._limit = self.limit()
        if len(figures) == _CONFIRMATIONS and median(figures) <= (1.0 + NEAR) * self._limit:
            return True
        self._doubted = best.steps
        return False

    def _near(self, done: int, count: int) -> int:
        """How many of a round's candidates are to be neighbours of the best: those at the end."""
        options, share = self.options, self.options.evolution.descent_share
        if options.trials is not None:
            last = round((1.0 - share) * options.trials)
            if done + count > last:
                return min(done + count - last, count)
        if options.time_budget is None or not self._begun:
            return 0
        late = time.monotonic() - self._begun >= (1.0 - share) * options.time_budget
        return count if late else 0

    def _expect(self, chosen: Sequence[Candidate]) -> None:
        """Note whether the model expects one of those chosen to be better than the best."""
        best = self._best
        wanted = [(c.space, c.row) for c in chosen if not math.isnan(c.score)]
        if not self.model.is_trained or best is None or best.space is None or not wanted:
            self._expects_gain = True
            return
        # By score and not by promise: there is always something uncertain.
        known, *hoped = self._scores([(best.space, _row(best)), *wanted])
        self._expects_gain = max(hoped) > known + GAIN * abs(known)

    def _scores(self, rows: Sequence[tuple[int, Rows]]) -> list[float]:
        """What the model says of rows of spaces, asked once for each space."""
        scores = [0.0] * len(rows)
        for number, space in enumerate(self.spaces):
            mine = [i for i, (other, _) in enumerate(rows) if other == number]
            if mine:
                said = self.model.predict(space.features(np.stack([rows[i][1] for i in mine])))
                for i, score in zip(mine, said, strict=True):
                    scores[i] = float(score)
        return scores

    def _round(self) -> bool:
        """Propose and measure one round, or what an earlier run left of it; False if empty."""
        number, done = divmod(len(self.trials), self.options.round_size)
        rng = np.random.default_rng([self.options.seed, number])
        before = self.trials[: len(self.trials) - done]
        self.model.update(self._learnt(len(before)))
        count = int(min(self.options.round_size, self.options.room(len(before))))
        chosen = propose_to_all(
            self.spaces,
            self.groups or [0] * len(self.spaces),
            self._known(before),
            self.model,
            count,
            rng,
            number,
            self.options.evolution,
            self.estimate,
            self._near(len(before), count),
        )
        if self.options.may_settle:
            self._expect(chosen)
        present = {(t.space, t.key) for t in self.trials[len(before) :]}
        chosen = [c for c in chosen if (c.space, c.key) not in present]
        chosen = chosen[: int(min(len(chosen), self.options.room(len(self.trials))))]
        schedules = [self.spaces[c.space].steps(c.row) for c in chosen]
        outcomes = self.measure(schedules)
        for candidate, steps, outcome in zip(chosen, schedules, outcomes, strict=False):
            self._add(
                Trial(
                    steps,
                    outcome.latency,
                    outcome.error_kind,
                    candidate.space,
                    candidate.row,
                    candidate.key,
                )
            )
            if self._out_of_time():
                break
        return bool(chosen)

    def _add(self, trial: Trial) -> None:
        self.trials.append(trial)
        elapsed = time.monotonic() - self._begun if self._begun else 0.0
        if trial.latency is None:
            self._errors[trial.error] += 1
        elif self._best is None or trial.latency < (self._best.latency or 0.0):
            self._best = trial
            self.history.append((len(self.trials), elapsed, trial.latency))
            if trial.latency < (1.0 - GAIN) * self._gain[1]:
                self._gain = len(self.trials), trial.latency
        if self._begun:
            self._tell(elapsed)

    def _tell(self, elapsed: float) -> None:
        latency = None if self._best is None else self._best.latency
        progress = Progress(len(self.trials), self.options.trials, elapsed, latency, self.errors())
        for callback in self.callbacks:
            callback(progress)

    def errors(self) -> tuple[tuple[str, int], ...]:
        """How many candidates failed, by kind, most frequent first."""
        return tuple(sorted(self._errors.items(), key=lambda item: (-item[1], item[0])))

    def _learnt(self, count: int) -> list[Sample]:
        """The training set of the first `count` trials; features are computed once for each."""
        new = self.trials[len(self._samples) : count]
        samples: list[Sample | None] = [None] * len(new)
        for number, space in enumerate(self.spaces):
            mine = [i for i, t in enumerate(new) if t.space == number and t.row is not None]
            if not mine:
                continue
            features = space.features(np.stack([_row(new[i]) for i in mine]))
            for i, values in zip(mine, features, strict=True):
                latency = new[i].latency
                samples[i] = Sample(self.task, values, np.inf if latency is None else latency)
        self._samples += samples
        return [s for s in self._samples[:count] if s is not None]

    def _known(self, trials: Sequence[Trial]) -> dict[int, Measured]:
        known: dict[int, Measured] = {}
        for number in range(len(self.spaces)):
            mine = [t for t in trials if t.space == number and t.row is not None]
            good = sorted(
                (t for t in mine if t.latency is not None), key=lambda t: t.latency or 0.0
            )
            best = np.stack([_row(t) for t in good]) if good else np.empty((0, 0), np.int64)
            latency = (good[0].latency if good else None) or np.inf
            known[number] = Measured(frozenset(t.key for t in mine), best, latency)
        return known


def _row(trial: Trial) -> Rows:
    assert trial.row is not None
    return trial.row
