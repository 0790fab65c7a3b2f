"""One case of the suite: tune it, check it, and time it beside its naive form and the peers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from kernels_ref.array import Array
from kernels_ref.suite import Case
from tensorc.cli import figures
from tensorc.cli.contest import Timing, Turn, compete, from_python
from tensorc.cli.peers.peer import Peer
from tensorc.cli.roofline import Ceiling, ceiling, is_memory_bound
from tensorc.cli.verdict import difference, mismatches
from tensorc.cli.workload import Workload, of_case
from tensorc.driver.compile import compile_state
from tensorc.driver.tune import TuneResult, tune
from tensorc.runtime.arrays import empty
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.machine import fma_peak
from tensorc.runtime.profiler import ProfileOptions, profile
from tensorc.space.default_schedule import default_schedule
from tensorc.space.definitions.definition import DEFAULT_TOLERANCE, GIVEN
from tensorc.target import Target

NAIVE: Final = "naive"
TUNED: Final = "tuned"
CALLED: Final = "called"
OURS: Final = (NAIVE, TUNED, CALLED)

View = Callable[[Workload], AbstractContextManager[Callable[[Any], None]]]
"""Shows the progress of a search for as long as the context lasts."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much searching a case is worth.

    Attributes:
        trials: Candidates to measure; None for no limit.
        time_budget: Seconds of searching; None for no limit.
        seed: Of everything random.
        database: Where records are read from and kept; None for nowhere.
        constant_weights: Whether the weights of a case are the same in every call, for everybody.
        tolerance: The error allowed to our kernels, relative to the largest value of the result.
    """

    trials: int | None
    time_budget: float | None
    seed: int = 0
    database: Path | None = None
    constant_weights: bool = True
    tolerance: float = DEFAULT_TOLERANCE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case.

    Attributes:
        case: The case.
        timings: Seconds of each contestant: `NAIVE` and `TUNED`, timed from outside Python, then
            `CALLED`, the tuned kernel as Python calls it, and the peers, called likewise.
        errors: Largest difference of each contestant from the reference, relative to the largest
            value of the reference.
        wrong: For each contestant that differs by more than rounding explains: where, and how.
        peak: GFLOP/s of multiply-adds on the threads used, measured at the same time.
        ceiling: The bandwidth that a case has for its data; None if computing takes longer.
        variants: Which of its ways a peer took.
        definition: By which definition of the case the tuned kernel computes it.
        trials: Candidates that were measured.
        seconds: How long the search took.
        stopped: Why it ended.
        failures: How many candidates failed, by kind, and the first message of each kind.
        history: (trial, elapsed seconds, best latency so far), one for each improvement.
        rejection_rate: Share of the search's candidates that broke a constraint; none was measured.
    """

    case: Case
    timings: dict[str, Timing]
    errors: dict[str, float]
    wrong: dict[str, str]
    peak: float
    ceiling: Ceiling | None = None
    variants: dict[str, str] = field(default_factory=dict)
    definition: str = GIVEN
    trials: int = 0
    seconds: float = 0.0
    stopped: str = ""
    failures: tuple[tuple[str, int, str], ...] = ()
    history: tuple[tuple[int, float, float], ...] = field(default=(), repr=False)
    rejection_rate: float = 0.0

    @property
    def speed(self) -> float:
        """GFLOP/s of the tuned kernel."""
        return figures.rate(self.case.flops, self.timings[TUNED].best) or 0.0

    @property
    def bandwidth(self) -> float:
        """GB/s of compulsory traffic of the tuned kernel."""
        return figures.rate(self.case.bytes, self.timings[TUNED].best) or 0.0

    @property
    def best_peer(self) -> str | None:
        """The fastest peer whose result is right; None if there is none."""
        right = [name for name in self.timings if name not in OURS and name not in self.wrong]
        return min(right, key=lambda name: self.timings[name].best, default=None)

    def ratio(self, name: str) -> float | None:
        """How many times as long as the tuned kernel a contestant takes; None if it is absent.

        What is called from Python is compared with the tuned kernel called from Python.
        """
        timing = self.timings.get(name)
        if timing is None:
            return None
        ours = TUNED if name in OURS else CALLED
        return timing.best / self.timings.get(ours, self.timings[TUNED]).best


def race(
    case: Case, target: Target, budget: Budget, peers: tuple[Peer, ...], view: View
) -> Outcome:
    """Tune a case and time everybody.

    Raises:
        TensorcError: The case does not compile, or the search cannot be run.
    """
    workload = of_case(case)
    constants = case.weights if budget.constant_weights else ()
    start = time.perf_counter()
    with view(workload) as callback:
        result = tune(
            workload.dag,
            target,
            trials=budget.trials,
            time_budget=budget.time_budget,
            seed=budget.seed,
            database=budget.database,
            name=workload.name,
            callbacks=(callback,),
            constants=constants,
            tolerance=budget.tolerance,
        )
    return meet(result, case, budget, peers, time.perf_counter() - start)


def meet(
    result: TuneResult, case: Case, budget: Budget, peers: tuple[Peer, ...], seconds: float = 0.0
) -> Outcome:
    """Time what a search found beside its naive form and the peers.

    Raises:
        TensorcError: The case does not compile.
    """
    target = result.target
    inputs = tuple(map(aligned, case.inputs(np.random.default_rng(budget.seed))))
    names = [argument.name for argument in case.arguments]
    weights = frozenset(case.weights if budget.constant_weights else ())
    bound = {n: array for n, array in zip(names, inputs, strict=True) if n in weights}
    free = tuple(array for n, array in zip(names, inputs, strict=True) if n not in weights)
    given = of_case(case).dag
    allowed = 0.0 if result.definition == GIVEN else budget.tolerance
    naive = compile_state(default_schedule(given, target), target, constants=bound)
    kernels = {NAIVE: naive, TUNED: result.compile(constants=bound)}
    prepared = {
        peer.name: ready for peer in peers if (ready := peer.prepare(case, inputs, weights))
    }
    results = {name: kernel(*free) for name, kernel in kernels.items()}
    results |= {name: ready.result() for name, ready in prepared.items()}
    expected = case.reference(*inputs)
    turns = {name: kernel_turn(kernel, free) for name, kernel in kernels.items()}
    turns[CALLED] = from_python(_call(kernels[TUNED], free))
    turns |= {name: from_python(ready.run) for name, ready in prepared.items()}
    return Outcome(
        case=case,
        timings=compete(turns),
        errors={name: difference(result, expected) for name, result in results.items()},
        wrong=mismatches(given, results, expected, allowed),
        peak=measured_peak(target.num_cores),
        ceiling=ceiling(case, target.num_cores) if is_memory_bound(case) else None,
        variants={name: ready.variant for name, ready in prepared.items()},
        definition=result.definition,
        trials=result.trials,
        seconds=seconds,
        stopped=result.stopped,
        failures=failures_of(result),
        history=tuple(result.history),
        rejection_rate=result.rejection_rate,
    )


def aligned(array: Array) -> Array:
    """Return a copy that begins at a cache line, as the arrays of most libraries do.

    NumPy's begin 16 bytes behind one, by chance or not, which costs whoever reads them up to 5 %.
    """
    copy = empty(array.shape, array.dtype, array.nbytes)
    copy[...] = array
    return copy


def failures_of(result: TuneResult) -> tuple[tuple[str, int, str], ...]:
    """Return each kind of error of a search, how often it came, and its first message."""
    return tuple(
        (kind, count, result.first_messages.get(kind, "")) for kind, count in result.errors
    )


def measured_peak(threads: int) -> float:
    """Measure what the machine can do in multiply-adds, in GFLOP/s of float32.

    Raises:
        MeasureError: The system gives no such number of threads.
    """
    return fma_peak(threads) / 1e9


def kernel_turn(kernel: CompiledFunction, inputs: tuple[Array, ...]) -> Turn:
    """Return the turn of a kernel that is timed from outside Python."""

    def turn(seconds: float) -> float:
        return profile(kernel, *inputs, options=ProfileOptions(budget=seconds)).seconds

    return turn


def _call(kernel: CompiledFunction, inputs: tuple[Array, ...]) -> Callable[[], object]:
    """A call into an array that is there already, as ONNX Runtime and OpenVINO have it."""
    output = kernel(*inputs)
    return lambda: kernel(*inputs, out=output)
