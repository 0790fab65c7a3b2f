"""Does the pretrained model ever lose to the untrained search? `python -m bench.guard`.

Random shapes that nothing was trained on are tuned twice from the same seed, with the model and
with the prior alone; the best programs after so many trials are timed in turns. Bars, for each
number of trials: a geometric mean of 1, and no case below 0.95. A case below it is tuned again from
five other seeds, for searches are lucky or not; it is lost if the mean of all six is below the bar.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from bench.random_shapes import drawn
from bench.report import Figure, publish
from kernels_ref.suite import Case
from tensorc.cli.contest import compete
from tensorc.cli.figures import geometric_mean
from tensorc.cli.race import aligned, kernel_turn
from tensorc.cli.workload import of_case
from tensorc.driver.compile import compile_state
from tensorc.driver.tune import tune
from tensorc.measure.records import Database
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.search.cost_model import Estimate
from tensorc.search.pretrained import estimates
from tensorc.space.default_schedule import default_schedule
from tensorc.target import Target

MEAN_BAR = 1.0
LEAST_BAR = 0.95
TRIALS = (8, 24, 64)
# Seeds that a case is tried with again if it seems to lose.
_AGAIN = 5


def best_after(
    case: Case, known: Sequence[Estimate], target: Target, trials: Sequence[int], seed: int
) -> dict[int, State]:
    """Tune a case; return the best program after each number of trials."""
    dag = of_case(case).dag
    with tempfile.TemporaryDirectory() as folder, Database(Path(folder) / "a.db") as database:
        tune(
            dag,
            target,
            trials=max(trials),
            seed=seed,
            constants=case.weights,
            database=database,
            known=known,
        )
        records = [record for record in database.records() if not record.is_final]
    found = {}
    for count in trials:
        good = [record for record in records[:count] if record.latency is not None]
        best = min(good, key=lambda record: record.latency or 0.0, default=None)
        usual = default_schedule(dag, target)
        found[count] = usual if best is None else replay(dag, best.steps)
    return found


def ratios(case: Case, threads: int, trials: Sequence[int], seed: int) -> dict[int, float]:
    """How many times as fast the programs of the search with the model are."""
    target = Target("llvm", num_cores=threads)
    known = estimates(target)
    arrays = map(aligned, case.inputs(np.random.default_rng(seed)))
    inputs = dict(zip((a.name for a in case.arguments), arrays, strict=True))
    constants = {name: inputs[name] for name in case.weights}
    free = tuple(array for name, array in inputs.items() if name not in constants)
    turns = {
        f"{name} {count}": kernel_turn(compile_state(state, target, constants=constants), free)
        for name, part in (("with", known), ("without", known[-1:]))
        for count, state in best_after(case, part, target, trials, seed).items()
    }
    timings = compete(turns)
    return {n: timings[f"without {n}"].best / timings[f"with {n}"].best for n in trials}


def judged(case: Case, threads: int, trials: Sequence[int], seed: int) -> Mapping[int, float]:
    """The ratios; where one is too low, their means with those of other seeds."""
    found = ratios(case, threads, trials, seed)
    if min(found.values()) >= LEAST_BAR:
        return found
    runs = [found, *(ratios(case, threads, trials, seed + 1 + k) for k in range(_AGAIN))]
    return {n: float(np.exp(np.mean([np.log(run[n]) for run in runs]))) for n in trials}


def measure(
    cases: Sequence[Case], threads: int, trials: Sequence[int], seed: int, seconds: float
) -> Iterator[Figure]:
    """Yield every figure."""
    begun = time.monotonic()
    found: dict[int, list[float]] = {count: [] for count in trials}
    for case in cases:
        if time.monotonic() - begun > seconds:
            break
        name = f"{case.workload.code}{case.shape}".replace(" ", "")
        for count, ratio in judged(case, threads, trials, seed).items():
            found[count].append(ratio)
            title = f"{name} after {count}"
            yield Figure(title, ratio, "times", at_least=LEAST_BAR)
    for count, values in found.items():
        mean = geometric_mean(values)
        if mean is not None:
            title = f"after {count} trials, mean of {len(values)}"
            yield Figure(title, mean, "times", at_least=MEAN_BAR)


@click.command()
@click.option("--cases", "count", default=34, show_default=True)
@click.option("--first", default=0, show_default=True, help="The case to begin with.")
@click.option("--shapes", default=1, show_default=True, help="The seed of the shapes.")
@click.option("--seed", default=0, show_default=True, help="The seed of the searches.")
@click.option("--threads", default=1, show_default=True)
@click.option("--time-budget", default=3600.0, show_default=True, help="Seconds for all.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(
    count: int,
    first: int,
    shapes: int,
    seed: int,
    threads: int,
    time_budget: float,
    report: Path | None,
) -> None:
    """Compare searches with and without the pretrained model."""
    chosen = drawn(count, shapes)[first:]
    publish(measure(chosen, threads, TRIALS, seed, time_budget), report)


if __name__ == "__main__":
    main()
