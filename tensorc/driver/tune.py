"""Search for the fastest schedule of a computation, by measuring."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from tensorc.driver.candidates import Candidates, Measure, RunRecords, Watched
from tensorc.driver.compile import (
    Computation,
    DatabaseLike,
    by_name,
    compile_state,
    names_of,
)
from tensorc.driver.limits import compute_limit
from tensorc.measure.measurer import Measurer
from tensorc.measure.options import MeasureOptions
from tensorc.measure.reference import make_alternative, make_task
from tensorc.measure.result import MeasureInput
from tensorc.measure.task import MeasureTask
from tensorc.runtime.arrays import Array
from tensorc.runtime.function import CompiledFunction
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import STRENGTH_REDUCTION
from tensorc.schedule.state import State
from tensorc.schedule.steps import PragmaStep, Step
from tensorc.search.cost_model import CostModel, Estimate, best_available
from tensorc.search.evolution import EvolutionOptions
from tensorc.search.finals import FinalOptions, Finals
from tensorc.search.pretrained import estimates
from tensorc.search.tuner import Callback, Search, TuneOptions
from tensorc.space.default_schedule import default_schedule
from tensorc.space.definitions.definition import (
    DEFAULT_TOLERANCE,
    GIVEN,
    Definition,
    DefinitionRule,
    definitions_of,
)
from tensorc.space.definitions.rules import DEFINITION_RULES
from tensorc.space.features.program import program_features
from tensorc.space.sketch import Rules
from tensorc.space.space import Rejections
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.tensor import Tensor

# The fastest few are measured again at the end: the minimum of hundreds of noisy figures flatters.
FINALISTS = 4
# Each of them with two ways of generating code, and the default schedule.
CONTESTANTS = 2 * FINALISTS + 1
# Seconds of the final rounds for each second of the search, at most.
FINAL_SHARE = 0.15
# The default schedule is left out of them if it is so many times slower than the best.
HOPELESS = 2.0

# Inputs that are constant, by tensor or name, with their data or without.
Constants: TypeAlias = Mapping[Tensor | str, Array] | Sequence[Tensor | str]


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
        dag: The computation, by the definition that won; the schedule is one of it.
        target: What it was tuned for.
        constants: The data of inputs that are constant, by name, where it was given.
        rejection_rate: Share of the candidates made by chance that broke a constraint; those were
            neither described nor proposed.
        definition: The name of the definition that won, `as given` for the computation itself.
    """

    best_latency: float
    steps: tuple[Step, ...] = field(repr=False)
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
    rejection_rate: float = 0.0
    definition: str = GIVEN

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
    tolerance: float = DEFAULT_TOLERANCE,
    definitions: Sequence[DefinitionRule] = DEFINITION_RULES,
    measure: Measure | None = None,
    model: CostModel | None = None,
    evolution: EvolutionOptions | None = None,
    known: Sequence[Estimate] | None = None,
) -> TuneResult:
    """Tune a computation; the result is never without a valid program.

    The default schedule competes with the fastest few at the end. An interrupt (Ctrl-C) ends the
    run and keeps the best. With a database a run that was cut off is continued, and `trials`
    counts those of the earlier runs too.

    Args:
        tensors: The inputs and outputs in call order, or a `ComputeDAG`.
        target: The backend and machine.
        trials: Candidates to measure in all; None for no limit.
        time_budget: Seconds for the search; None for no limit. Where it is the only limit, the
            search ends earlier when nothing gets better (`search.tuner.TuneOptions`); in any case
            it does when the best is within 3 % of what the machine can do. The final rounds come on
            top: some 15 % of it, unless twice the fastest few takes longer.
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
        tolerance: The error allowed, relative to the largest magnitude of the right outputs. Other
            algorithms that are within it are part of the search, and the fastest wins: Winograd's
            for 3x3 convolutions of 64 channels needs about 3e-5 (by tiles of 2x2) or 2e-4 (4x4).
            What direct sums lose by rounding is always allowed. An algorithm's error is that of its
            own stage, which what follows may enlarge; outputs that are then outside of the
            tolerance are refused when measured.
        definitions: The rules that know other algorithms.
        measure: Measures candidates in order, instead of the isolated measurer.
        model: The cost model; XGBoost on top of what is known without measurements, or random where
            that is not installed. Without trials the program that this likes best is the result.
        evolution: Sizes of the search.
        known: What is known without measurements, best first; the pretrained model and the prior if
            left out, nothing beside a `model`.

    Raises:
        TEError: The tensors are no valid computation.
        OptionError: A limit or the seed is negative, or nothing ends the run.
        MeasureError: Measuring itself is impossible.
        RecordError: The database cannot be used.
    """
    begun = time.monotonic()
    dag, machine = ComputeDAG.of(tensors), Target.of(target)
    sizes = evolution or EvolutionOptions()
    options = TuneOptions(trials, time_budget, seed, early_stopping, evolution=sizes)
    data = by_name(tensors, dag, constants) if isinstance(constants, Mapping) else {}
    what = SearchTask(dag, machine, tuple(names_of(tensors, dag, constants)))
    ways = definitions_of(dag, definitions, tolerance, machine)
    default = default_schedule(dag, machine)
    with ExitStack() as stack:
        records = RunRecords.open(stack, database, what, ways, name)
        task = _measured(what, default, {**(inputs or {}), **data}, outputs, seed)
        tasks = [task, *(make_alternative(task, way.dag, tolerance) for way in ways[1:])]
        quick = measure or stack.enter_context(Measurer(tasks)).stream
        watched = Watched(quick, records)
        if known is None:
            known = () if model is not None else estimates(machine)
        spaces = [c for way in ways for c in Candidates.of(replace(what, dag=way.dag), rules)]
        by_key: dict[str | None, Definition] = {t.key: w for t, w in zip(tasks, ways, strict=True)}
        search = Search(
            spaces,
            model or best_available(np.random.default_rng(seed), machine.num_cores, known),
            watched,
            options,
            task.key,
            callbacks,
            estimate=next(iter(known), None),
            limit=compute_limit(what) if measure is None and len(ways) == 1 else None,
            confirm=quick,
            groups=[list(by_key).index(space.key) for space in spaces],
        )
        search.resume(records.earlier())
        search.run()
        thorough = measure or stack.enter_context(_thorough(tasks)).stream
        best, latency = _final(
            search,
            Watched(thorough, records, is_final=True),
            foreseen=[] if search.trials else _foreseen(search, what, default),
            finalists=list(_finalists(search, by_key, machine)),
            default=MeasureInput(default.steps, task.key),
            task=task,
            seconds=FINAL_SHARE * (time.monotonic() - begun),
        )
    winner = by_key[best.task]
    return TuneResult(
        best_latency=latency,
        steps=best.steps,
        default_latency=task.naive_seconds,
        history=tuple(search.history),
        trials=len(search.trials),
        errors=search.errors(),
        first_messages=watched.first_messages,
        stopped=search.stopped,
        seconds=time.monotonic() - begun,
        dag=winner.dag,
        target=machine,
        constants=data,
        rejection_rate=Rejections.total(one.space.rejections for one in spaces).rate,
        definition=winner.name,
    )


def _measured(
    what: SearchTask,
    default: State,
    inputs: Mapping[str, Array],
    outputs: Mapping[str, Array] | None,
    seed: int,
) -> MeasureTask:
    """The task as its candidates are measured: with data, and with right results."""
    return make_task(
        what.dag,
        what.target,
        state=default,
        inputs=inputs,
        outputs=outputs,
        constants=what.constants,
        seed=seed,
    )


def _foreseen(search: Search, task: SearchTask, default: State) -> list[MeasureInput]:
    """What to try where nothing was measured, best first: what is liked more than the default."""
    if search.estimate is None or search.stopped == "interrupted":
        return []
    usual = float(search.estimate(program_features(task, default)[None])[0])
    return [candidate for candidate, score in search.foreseen(FINALISTS) if score > usual]


def _thorough(tasks: Sequence[MeasureTask]) -> Measurer:
    """Measures the finalists, built as `compile` builds, not as quickly as possible."""
    full = MeasureOptions(fast=False, cut_factor=0, contender_factor=0, kept=CONTESTANTS)
    return Measurer(tasks, full)


def _finalists(
    search: Search, definitions: Mapping[str | None, Definition], target: Target
) -> Iterator[MeasureInput]:
    """The fastest few; for LLVM each as it is and without strength reduction."""
    for trial in search.fastest(FINALISTS):
        yield trial.steps
        if target.kind == "llvm":
            state = replay(definitions[trial.steps.task].dag, trial.steps.steps)
            output = state[state.dag.outputs[0]]
            for first in output.names()[:1]:
                step = PragmaStep(output.name, first, STRENGTH_REDUCTION, 0)
                yield replace(trial.steps, steps=(*trial.steps.steps, step))


def _final(
    search: Search,
    watched: Watched,
    *,
    foreseen: Sequence[MeasureInput],
    finalists: Sequence[MeasureInput],
    default: MeasureInput,
    task: MeasureTask,
    seconds: float,
) -> tuple[MeasureInput, float]:
    """Measure the finalists again, in turns, and return the winner and its latency.

    The default schedule takes part unless it is hopelessly slow. Where nothing was measured, the
    first of the foreseen that is right is the winner, whatever its latency.
    """
    for candidate in foreseen:
        latency = next(iter(watched([candidate]))).latency
        if latency is not None:
            return candidate, latency
    first = search.best
    if first is None or task.naive_seconds < HOPELESS * (first.latency or task.naive_seconds):
        finalists = [*finalists, default]
    finals = Finals(watched, FinalOptions(seconds=seconds))
    try:
        if search.stopped != "interrupted":
            finals.run(finalists)
    except KeyboardInterrupt:
        search.stopped = "interrupted"
    verdict = finals.verdict()
    if verdict is not None:
        return verdict.winner, verdict.latency
    if first is not None and first.steps not in finals.failed:
        return first.steps, first.latency or task.naive_seconds
    return default, task.naive_seconds
