"""What the search costs beside the kernels it measures: `python -m bench.search_overhead`.

Bars: features and scores of 60,000 candidates a second for the sketch of a matrix product and of
20,000 for every workload of the suite; 5 ms of Python from steps to text and 20 ms for the whole
compilation of a candidate (medians, matrix product); 15 measured candidates a second, end to end,
of a kernel of 100 µs; and no candidate that cannot be compiled.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np

from bench.report import Figure, publish
from kernels_ref.suite import CODES, cases
from tensorc import te
from tensorc.cli.workload import of_case
from tensorc.codegen.llvm import emit_llvm
from tensorc.driver.tune import tune
from tensorc.lower.pipeline import lower
from tensorc.measure.build_worker import collect_rarely
from tensorc.runtime.artifact import Artifact
from tensorc.runtime.build import build
from tensorc.schedule.replay import replay
from tensorc.schedule.steps import Step
from tensorc.search.cost_model import Sample, XGBCostModel
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Rejections, Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

POPULATION = 2048
REPEATS = 7
TRAINING = 64


def main_dag() -> ComputeDAG:
    """The matrix product of GMM.3, 512³."""
    return of_case(cases("GMM", 3, (1,))[0]).dag


def small_matmul() -> ComputeDAG:
    """A matrix product of which a good kernel takes about 100 µs on one core."""
    rows, columns, depth = 192, 192, 128
    A = te.placeholder((rows, depth), name="A")
    B = te.placeholder((depth, columns), name="B")
    k = te.reduce_axis((0, depth), name="k")
    C = te.compute((rows, columns), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    return ComputeDAG.from_tensors([A, B, C])


@dataclass(frozen=True, slots=True)
class ScoringSpeed:
    """How fast candidates are described and scored.

    Attributes:
        slowest: Candidates a second of the slowest sketch, with a population of its own.
        split: Candidates a second with one population for all sketches, as in a search.
        rejected: Share of the rows made by sampling, mutation and crossover that was not valid.
    """

    slowest: float
    split: float
    rejected: float


def scoring_speed(task: SearchTask) -> ScoringSpeed:
    """Measure features and scores of every sketch of a task."""
    rng = np.random.default_rng(0)
    spaces = [Space(task, sketch) for sketch in generate_sketches(task)]
    share = POPULATION // len(spaces)
    alone = [POPULATION / _scoring_seconds(space, POPULATION, rng) for space in spaces]
    together = sum(_scoring_seconds(space, share, rng) for space in spaces)
    for space in spaces:
        rows = space.sample(POPULATION, rng)
        space.crossover(space.mutate(rows, rng), rows, rng)
    rejected = Rejections.total(space.rejections for space in spaces).rate
    return ScoringSpeed(min(alone), share * len(spaces) / together, rejected)


def _scoring_seconds(space: Space, count: int, rng: np.random.Generator) -> float:
    rows = space.sample(count, rng)
    model = XGBCostModel(rng)
    known = space.features(rows[:TRAINING])
    latencies = rng.random(len(known)) + 0.1
    model.update([Sample("task", f, t) for f, t in zip(known, latencies, strict=True)])
    return fastest(lambda: model.predict(space.features(rows)))


def fastest(run: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few runs."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@dataclass(frozen=True, slots=True)
class CompileTimes:
    """Median seconds of a candidate's compilation.

    Attributes:
        text: From steps to LLVM's text, on the clock.
        text_cpu: The same of processor time, which other programs do not lengthen.
        whole: From steps to machine code, on the clock.
        whole_cpu: The same of processor time.
        failed: How many candidates could not be compiled.
    """

    text: float
    text_cpu: float
    whole: float
    whole_cpu: float
    failed: int


def compile_times(dag: ComputeDAG, target: Target, count: int) -> CompileTimes:
    """Compile random candidates, as a worker that builds does."""
    collect_rarely()
    rng = np.random.default_rng(0)
    task = SearchTask(dag, target)
    spaces = [Space(task, sketch) for sketch in generate_sketches(task)]
    text: list[tuple[float, float]] = []
    whole: list[tuple[float, float]] = []
    for number in range(count):
        space = spaces[number % len(spaces)]
        steps = space.steps(space.sample(1, rng)[0])
        try:
            text.append(timed(partial(to_text, dag, steps, target)))
            whole.append(timed(partial(to_code, dag, steps, target)))
        except Exception as error:  # whatever it is, it is a candidate that should not be proposed
            click.echo(f"candidate {number}: {type(error).__name__}: {error}")
    clock, cpu = map(statistics.median, zip(*text, strict=True))
    whole_clock, whole_cpu = map(statistics.median, zip(*whole, strict=True))
    return CompileTimes(clock, cpu, whole_clock, whole_cpu, count - len(whole))


def to_text(dag: ComputeDAG, steps: Sequence[Step], target: Target) -> str:
    """Take a schedule to LLVM's text."""
    return emit_llvm(lower(replay(dag, steps), target), target)


def to_code(dag: ComputeDAG, steps: Sequence[Step], target: Target) -> Artifact:
    """Take a schedule to machine code, as the search does."""
    return build(lower(replay(dag, steps), target), target, fast=True)


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds on the clock and of processor time that one run takes."""
    start, cpu = time.perf_counter(), time.thread_time()
    run()
    return time.perf_counter() - start, time.thread_time() - cpu


def measured_rate(trials: int) -> tuple[float, float, int]:
    """Return measured candidates a second, the best latency, and how many failed."""
    start = time.perf_counter()
    result = tune(small_matmul(), Target("llvm", num_cores=1), trials=trials)
    seconds = time.perf_counter() - start
    return result.trials / seconds, result.best_latency, sum(n for _, n in result.errors)


def measure(count: int, trials: int) -> Iterator[Figure]:
    """Yield every figure."""
    target = Target("llvm")
    for code in CODES:
        task = SearchTask(of_case(cases(code, 3, (1,))[0]).dag, target)
        speed = scoring_speed(task)
        bar = 60_000 if code == "GMM" else 20_000
        yield Figure(f"{code}: features and scores", speed.slowest, "candidates/s", at_least=bar)
        yield Figure(f"{code}: one population for all sketches", speed.split, "candidates/s")
        yield Figure(f"{code}: rows rejected", 100 * speed.rejected, "%")
    times = compile_times(main_dag(), target, count)
    yield Figure("matmul: steps to text, median", 1e3 * times.text, "ms", at_most=5)
    yield Figure("matmul: steps to text, processor time", 1e3 * times.text_cpu, "ms")
    yield Figure("matmul: whole compilation, median", 1e3 * times.whole, "ms", at_most=20)
    yield Figure("matmul: whole compilation, processor time", 1e3 * times.whole_cpu, "ms")
    rate, best, wrong = measured_rate(trials)
    yield Figure("matmul 192×192×128: measured candidates", rate, "1/s", at_least=15)
    yield Figure("matmul 192×192×128: best kernel", 1e6 * best, "µs")
    yield Figure("invalid candidates", times.failed + wrong, at_most=0)


@click.command()
@click.option("--candidates", default=64, show_default=True, help="Candidates to compile.")
@click.option("--trials", default=128, show_default=True, help="Candidates to measure.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(candidates: int, trials: int, report: Path | None) -> None:
    """Print what the search costs against the bars."""
    publish(measure(candidates, trials), report)


if __name__ == "__main__":
    main()
