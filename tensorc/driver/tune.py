"""Search for the fastest schedule of a computation, by measuring."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tensorc.driver.compile import (
    Computation,
    DatabaseLike,
    by_name,
    compile_state,
    in_names_of,
    names_of,
)
from tensorc.measure.measurer import Measurer
from tensorc.measure.options import MeasureOptions
from tensorc.measure.record import Record, TaskInfo
from tensorc.measure.records import Database
from tensorc.measure.reference import make_task
from tensorc.measure.result import MeasureInput, MeasureResult
from tensorc.measure.task import MeasureTask
from tensorc.runtime.arrays import Array
from tensorc.runtime.function import CompiledFunction
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.schedule.steps import Step
from tensorc.search.cost_model import CostModel, best_available
from tensorc.search.evolution import EvolutionOptions
from tensorc.search.prior import Prior
from tensorc.search.tuner import Callback, Search, Steps, TuneOptions
from tensorc.space.default_schedule import default_schedule
from tensorc.space.sketch import Rules, generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.tensor import Tensor

# The fastest few are measured again at the end: the minimum of hundreds of noisy figures flatters.
FINALISTS = 4
FINAL_ROUNDS = 3
# The default schedule is left out of them if it is so many times slower than the best.
HOPELESS = 2.0

# Inputs that are constant, by tensor or name, with their data or without.
Constants: TypeAlias = Mapping[Tensor | str, Array] | Sequence[Tensor | str]
Measure = Callable[[Sequence[Steps]], Iterable[MeasureResult]]


@dataclass(frozen=True, slots=True, eq=False)
class TuneResult:
    """What a tuning run found.

    Attributes:
        best_latency: Seconds of the best program, measured again at the end of the run.
        steps: Its schedule; that of the default schedule if nothing better was found.
        default_latency: Seconds of the program that nobody tuned.
        history: (trial, elapsed seconds, best latency so far), one for each improvement.
        trials: How many candidates were measured, those of an earlier run included.
        errors: How many of them failed, by kind of error, most frequent first.
        first_messages: For each kind of error the text of its first occurrence.
        stopped: Why the run ended.
        seconds: How long it took.
        dag: The computation.
        target: What it was tuned for.
        constants: The data of inputs that are constant, by name, where it was given.
    """

    best_latency: float
    steps: Steps = field(repr=False)
    default_latency: float
    history: tuple[tuple[int, float, float], ...] = field(repr=False)
    trials: int
    errors: tuple[tuple[str, int], ...]
    first_messages: Mapping[str, str] = field(repr=False)
    stopped: str
    seconds: float
    dag: ComputeDAG = field(repr=False)
    target: Target = field(repr=False)
    constants: Mapping[str, Array] = field(repr=False, default_factory=dict)

    @property
    def state(self) -> State:
        """The best program's state."""
        return replay(self.dag, self.steps)

    def compile(
        self, *, name: str = "kernel", constants: Mapping[str, Array] | None = None
    ) -> CompiledFunction:
        """Compile the best program, with the constants given here or to `tune`."""
        bound = self.constants if constants is None else constants
        return compile_state(self.state, self.target, constants=bound, name=name)


def tune(
    tensors: Computation,
    target: Target | str = "llvm",
    *,
    trials: int | None = 64,
    time_budget: float | None = None,
    seed: int = 0,
    database: DatabaseLike | None = None,
    early_stopping: int | None = None,
    rules: Rules = "default",
    name: str = "",
    callbacks: Sequence[Callback] = (),
    inputs: Mapping[str, Array] | None = None,
    outputs: Mapping[str, Array] | None = None,
    constants: Constants = (),
    measure: Measure | None = None,
    model: CostModel | None = None,
    evolution: EvolutionOptions | None = None,
) -> TuneResult:
    """Tune a computation; the result is never without a valid program.

    The default schedule competes with the fastest few at the end. An interrupt (Ctrl-C) ends the
    run and keeps the best. With a database a run that was cut off is continued, and `trials`
    counts those of the earlier runs too.

    Args:
        tensors: The inputs and outputs in call order, or a `ComputeDAG`.
        target: The backend and machine.
        trials: Candidates to measure in all; None for no limit.
        time_budget: Seconds for the search; None for no limit. The final measurements come on top.
        seed: Of everything random, a non-negative number.
        database: Where records are kept, a path or an open `Database`.
        early_stopping: Stop after so many trials without a better one.
        rules: The rule set, 'default' or 'ansor', or a tuple of names and rules of one's own.
        name: What records call the computation; its outputs if empty.
        callbacks: Called with a `search.tuner.Progress` after each measurement.
        inputs: Data to measure with, by name; random where left out.
        outputs: The right outputs for it, by name; those of the untuned program if left out.
        constants: Inputs that are the same in every call, by tensor or name, with or without data.
            What depends on them only is not timed: `compile` computes it once.
        measure: Measures schedules in order, instead of the isolated measurer.
        model: The cost model; XGBoost on top of an analytic estimate, or random where that is not
            installed.
        evolution: Sizes of the search.

    Raises:
        TEError: The tensors are no valid computation.
        OptionError: A limit or the seed is negative, or nothing ends the run.
        MeasureError: Measuring itself is impossible.
        RecordError: The database cannot be used.
    """
    begun = time.monotonic()
    dag, machine = ComputeDAG.of(tensors), Target.of(target)
    options = TuneOptions(
        trials, time_budget, seed, early_stopping, evolution=evolution or EvolutionOptions()
    )
    data = by_name(tensors, dag, constants) if isinstance(constants, Mapping) else {}
    what = SearchTask(dag, machine, tuple(names_of(tensors, dag, constants)))
    default = default_schedule(dag, machine)
    with ExitStack() as stack:
        records = _Records.open(stack, database, what, name)
        task = make_task(
            dag,
            machine,
            state=default,
            inputs={**(inputs or {}), **data},
            outputs=outputs,
            constants=what.constants,
            seed=seed,
        )
        quick = measure or _isolated(stack.enter_context(Measurer(task)), task)
        watched = _Watched(quick, records)
        estimate = Prior.of(machine) if model is None else None
        generator = np.random.default_rng(seed)
        search = Search(
            [Space(what, sketch) for sketch in generate_sketches(what, rules=rules)],
            model or best_available(generator, machine.num_cores, estimate),
            watched,
            options,
            task.key,
            callbacks,
            estimate=estimate,
        )
        search.resume(records.earlier())
        search.run()
        # The finalists are built as `compile` builds, not as quickly as possible.
        full = MeasureOptions(fast=False, cut_factor=0)
        thorough = measure or _isolated(stack.enter_context(Measurer(task, full)), task)
        confirm = _Watched(thorough, records, is_final=True)
        steps, latency = _final(search, confirm, default, task)
    return TuneResult(
        best_latency=latency,
        steps=steps,
        default_latency=task.naive_seconds,
        history=tuple(search.history),
        trials=len(search.trials),
        errors=search.errors(),
        first_messages=watched.first_messages,
        stopped=search.stopped,
        seconds=time.monotonic() - begun,
        dag=dag,
        target=machine,
        constants=data,
    )


class _Records:
    """The part of a database that concerns one run; nothing if there is no database."""

    def __init__(self, database: Database | None, task: SearchTask, name: str) -> None:
        self._database, self._dag, self._target = database, task.dag, task.target
        self._info = TaskInfo.of(task.dag, name or ", ".join(task.dag.outputs), task.constants)

    @classmethod
    def open(
        cls, stack: ExitStack, database: DatabaseLike | None, task: SearchTask, name: str
    ) -> _Records:
        if database is not None and not isinstance(database, Database):
            database = stack.enter_context(Database(database))
        return cls(database, task, name)

    def earlier(self) -> Iterator[tuple[Steps, Record]]:
        """The trials of earlier runs on a target like this one, in order."""
        if self._database is None:
            return
        for record in self._database.records(self._info.hash, self._target):
            if not record.is_final:
                yield in_names_of(self._dag, record, self._database), record

    def add(self, steps: Steps, result: MeasureResult, *, is_final: bool) -> None:
        if self._database is None:
            return
        record = Record(
            task=self._info.hash,
            target=self._target,
            steps=steps,
            latencies=tuple(result.latencies),
            error=result.error_kind,
            phase=result.phase,
            message=result.message,
            build_seconds=result.build_seconds,
            run_seconds=result.run_seconds,
            confidence=result.confidence,
            timestamp=result.timestamp,
            is_final=is_final,
        )
        self._database.append(self._info, [record])


class _Watched:
    """Measures, writes each result down as it comes, and remembers the first of each error."""

    def __init__(self, measure: Measure, records: _Records, *, is_final: bool = False) -> None:
        self._measure, self._records, self._is_final = measure, records, is_final
        self.first_messages: dict[str, str] = {}

    def __call__(self, batch: Sequence[Steps]) -> Iterator[MeasureResult]:
        for steps, result in zip(batch, self._measure(batch), strict=True):
            if result.latency is None:
                self.first_messages.setdefault(result.error_kind, result.message)
            self._records.add(steps, result, is_final=self._is_final)
            yield result


def _isolated(measurer: Measurer, task: MeasureTask) -> Measure:
    def measure(batch: Sequence[Steps]) -> Iterator[MeasureResult]:
        return measurer.stream([MeasureInput(steps, task.key) for steps in batch])

    return measure


def _final(
    search: Search, watched: _Watched, default: State, task: MeasureTask
) -> tuple[tuple[Step, ...], float]:
    """Measure the fastest few again, in turns, and return the winner and its latency.

    The default schedule takes part unless it is hopelessly slow.
    """
    finalists = [trial.steps for trial in search.fastest(FINALISTS)]
    first = search.best
    known = {} if first is None else {first.steps: first.latency or task.naive_seconds}
    if first is None or task.naive_seconds < HOPELESS * (first.latency or task.naive_seconds):
        finalists.append(default.steps)
    figures: dict[Steps, list[float]] = {steps: [] for steps in finalists}
    try:
        if search.stopped != "interrupted":
            order = list(itertools.chain.from_iterable([finalists] * FINAL_ROUNDS))
            for steps, result in zip(order, watched(order), strict=True):
                if result.latency is not None:
                    figures[steps].append(result.latency)
    except KeyboardInterrupt:
        search.stopped = "interrupted"
    measured = {steps: min(values) for steps, values in figures.items() if values}
    candidates = measured or known or {default.steps: task.naive_seconds}
    best = min(candidates, key=lambda steps: candidates[steps])
    return best, candidates[best]
