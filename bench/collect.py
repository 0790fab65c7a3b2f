"""Measurements to learn from, of shapes that nobody chose: `python -m bench.collect DATABASE`.

For each random shape some candidates are drawn at random and most are those that an estimate likes
best after an evolution: what is wrong with an estimate shows in what it likes. The estimate is the
one that ships, so that a model is corrected by running this again before it is trained again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from bench.random_shapes import drawn
from kernels_ref.suite import Case
from tensorc.cli.workload import of_case
from tensorc.measure.measurer import Measurer
from tensorc.measure.record import Record, TaskInfo
from tensorc.measure.records import Database
from tensorc.measure.reference import make_task
from tensorc.measure.result import MeasureInput
from tensorc.schedule.steps import Step
from tensorc.search.cost_model import Estimate, RandomCostModel
from tensorc.search.evolution import Candidate, foresee, propose
from tensorc.search.pretrained import estimates
from tensorc.space.default_schedule import default_schedule
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.support.errors import TensorcError
from tensorc.target import Target

# Of the candidates that an evolution leaves, every so many-th is measured, down to half the list.
_LIKED = 4


def candidates(
    spaces: Sequence[Space], estimate: Estimate, count: int, rng: np.random.Generator
) -> list[tuple[Step, ...]]:
    """A quarter at random, a quarter that a first round screens, half that an evolution likes."""
    quarter = max(count // 4, 1)
    unknowing = RandomCostModel(rng)
    random = propose(spaces, {}, unknowing, quarter, rng)
    screened = propose(spaces, {}, unknowing, quarter, rng, estimate=estimate)
    liked = foresee(spaces, {}, estimate, _LIKED * quarter, rng)
    best = liked[:quarter] + liked[quarter :: _LIKED - 1][:quarter]
    chosen: dict[tuple[int, int], Candidate] = {}
    for candidate in (*random, *screened, *best):
        chosen.setdefault((candidate.space, candidate.key), candidate)
    return [spaces[c.space].steps(c.row) for c in chosen.values()]


def measured(case: Case, target: Target, count: int, seed: int, database: Database) -> int:
    """Measure candidates of a case and append the records; return how many."""
    rng = np.random.default_rng(seed)
    workload = of_case(case)
    task = SearchTask(workload.dag, target, case.weights)
    estimate = estimates(target)[0]
    spaces = [Space(task, sketch) for sketch in generate_sketches(task)]
    chosen = candidates(spaces, estimate, count, rng)
    state = default_schedule(workload.dag, target)
    chosen.append(state.steps)
    info = TaskInfo.of(workload.dag, workload.name, task.constants)
    made = make_task(workload.dag, target, state=state, constants=task.constants, seed=seed)
    with Measurer(made) as measurer:
        for steps, result in zip(
            chosen, measurer.stream([MeasureInput(s, made.key) for s in chosen]), strict=True
        ):
            record = Record(
                task=info.hash,
                target=target,
                steps=steps,
                latencies=tuple(result.latencies),
                error=result.error_kind,
                phase=result.phase,
                message=result.message,
                build_seconds=result.build_seconds,
                run_seconds=result.run_seconds,
                confidence=result.confidence,
            )
            database.append(info, [record])
    return len(chosen)


@click.command()
@click.argument("path", metavar="DATABASE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--cases", "count", default=34, show_default=True, help="Cases of a seed.")
@click.option("--first", default=0, show_default=True, help="The case to begin with.")
@click.option("--seed", default=1000, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--candidates", "each", default=40, show_default=True, help="Of each case.")
@click.option("--time-budget", default=120.0, show_default=True, help="Seconds for all.")
def main(
    path: Path,
    count: int,
    first: int,
    seed: int,
    threads: int,
    each: int,
    time_budget: float,
) -> None:
    """Measure candidates of random shapes and append them to DATABASE."""
    begun, target = time.monotonic(), Target("llvm", num_cores=threads)
    with Database(path) as database:
        for number, case in enumerate(drawn(count, seed)):
            if number < first:
                continue
            if time.monotonic() - begun > time_budget:
                click.echo(f"The time is used up: go on with --first {number}.")
                return
            try:
                made = measured(case, target, each, seed + number, database)
            except TensorcError as error:
                click.echo(f"{number} {case.workload.code} {case.shape}: {error}")
                continue
            seconds = time.monotonic() - begun
            click.echo(f"{number} {case.workload.code} {case.shape}: {made}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
