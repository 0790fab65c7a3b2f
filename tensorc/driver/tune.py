"""Search for the fastest schedule of a computation, by measuring."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from tensorc.driver.candidates import Measure, RunRecords, Watched
from tensorc.driver.compile import Computation, DatabaseLike, compile_state
from tensorc.driver.final_rounds import CONTESTANTS, FinalRounds
from tensorc.driver.instruments import Instruments
from tensorc.driver.problem import Constants, Problem
from tensorc.runtime.arrays import Array
from tensorc.runtime.function import CompiledFunction
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.schedule.steps import Step
from tensorc.search.cost_model import CostModel, Estimate, best_available
from tensorc.search.evolution import EvolutionOptions
from tensorc.search.pretrained import estimates
from tensorc.search.tuner import Callback, Search, TuneOptions
from tensorc.space.definitions.definition import (
    DEFAULT_TOLERANCE,
    GIVEN,
    DefinitionRule,
)
from tensorc.space.definitions.rules import DEFINITION_RULES
from tensorc.space.sketch import Rules
from tensorc.space.space import Rejections
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

# Seconds of the final rounds for each second of the search, and for a short one; building them may
# take as long.
FINAL_SHARE = 0.15
FINAL_SECONDS = 0.5


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
            top: some 15 % of it, and at most as much for building them, unless twice the fastest
            two takes longer.
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
    sizes = evolution or EvolutionOptions()
    options = TuneOptions(trials, time_budget, seed, early_stopping, evolution=sizes)
    problem = Problem.of(tensors, target, constants, definitions, tolerance)
    machine = problem.task.target
    if known is None:
        known = () if model is not None else estimates(machine)
    with ExitStack() as stack:
        ways = tuple(problem.definitions.values())
        records = RunRecords.open(stack, database, problem.task, ways, name)
        tasks = problem.measured(inputs or {}, outputs, seed)
        tools = (
            Instruments.open(stack, tasks, CONTESTANTS)
            if measure is None
            else Instruments.of(measure)
        )
        watched = Watched(tools.quick, records)
        spaces = problem.spaces(rules)
        search = Search(
            spaces,
            model or best_available(np.random.default_rng(seed), machine.num_cores, known),
            watched,
            options,
            tasks[0].key,
            callbacks,
            estimate=next(iter(known), None),
            limit=problem.limit() if measure is None else None,
            confirm=tools.quick,
            groups=problem.groups(spaces),
        )
        search.resume(records.earlier())
        search.run()
        seconds = max(FINAL_SHARE * (time.monotonic() - begun), FINAL_SECONDS)
        final = Watched(tools.thorough, records, is_final=True)
        hints, naive_seconds = rules != "ansor", tasks[0].naive_seconds
        rounds = FinalRounds(problem, search, final, tools.build, naive_seconds, hints)
        best, latency = rounds.winner(seconds)
    winner = problem.definition(best)
    return TuneResult(
        best_latency=latency,
        steps=best.steps,
        default_latency=tasks[0].naive_seconds,
        history=tuple(search.history),
        trials=len(search.trials),
        errors=search.errors(),
        first_messages=watched.first_messages,
        stopped=search.stopped,
        seconds=time.monotonic() - begun,
        dag=winner.dag,
        target=machine,
        constants=problem.constants,
        rejection_rate=Rejections.total(one.space.rejections for one in spaces).rate,
        definition=winner.name,
    )
