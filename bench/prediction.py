"""How good programs are that nobody measured: `python -m bench.prediction`.

The program of a search without a single trial, timed in turns with that of a whole search. Bar: a
geometric mean of 70 % of the tuned speed over the suite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from bench.report import Figure, publish
from kernels_ref.suite import Case
from tensorc.cli.bench import chosen_cases
from tensorc.cli.contest import compete
from tensorc.cli.figures import geometric_mean
from tensorc.cli.race import aligned, kernel_turn
from tensorc.cli.workload import of_case
from tensorc.driver.tune import TuneResult, tune
from tensorc.target import Target

BAR = 70.0


def searched(case: Case, threads: int, trials: int, seconds: float | None, seed: int) -> TuneResult:
    """Tune a case from nothing."""
    target = Target("llvm", num_cores=threads)
    constants = case.weights
    return tune(
        of_case(case).dag,
        target,
        trials=trials,
        time_budget=seconds,
        seed=seed,
        constants=constants,
    )


def share(case: Case, threads: int, seconds: float, seed: int) -> float:
    """Return the speed without trials, in percent of the tuned speed."""
    arrays = map(aligned, case.inputs(np.random.default_rng(seed)))
    inputs = dict(zip((a.name for a in case.arguments), arrays, strict=True))
    constants = {name: inputs[name] for name in case.weights}
    free = tuple(array for name, array in inputs.items() if name not in constants)
    results = {
        "none": searched(case, threads, 0, None, seed),
        "tuned": searched(case, threads, 10**6, seconds, seed),
    }
    turns = {
        name: kernel_turn(result.compile(constants=constants), free)
        for name, result in results.items()
    }
    timings = compete(turns)
    return 100 * timings["tuned"].best / timings["none"].best


def measure(cases: Sequence[Case], threads: int, seconds: float, seed: int) -> Iterator[Figure]:
    """Yield every figure."""
    shares = []
    for case in cases:
        shares.append(share(case, threads, seconds, seed))
        yield Figure(f"{case.name} without trials", shares[-1], "% of tuned")
    mean = geometric_mean(shares)
    if mean is not None:
        yield Figure(f"geometric mean of {len(shares)}", mean, "% of tuned", at_least=BAR)


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--shape", type=click.IntRange(1, 4), help="Only shape number 1 … 4.")
@click.option("--threads", default=1, show_default=True)
@click.option("--time-budget", default=20.0, show_default=True, help="Seconds of a whole search.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(
    cases: tuple[str, ...],
    shape: int | None,
    threads: int,
    time_budget: float,
    seed: int,
    report: Path | None,
) -> None:
    """Print how fast programs are without trials; CASES are of the suite, such as GMM or GMM.3."""
    chosen = chosen_cases(cases, shape, (1,))
    publish(measure(chosen, threads, time_budget, seed), report)


if __name__ == "__main__":
    main()
