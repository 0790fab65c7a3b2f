"""How good programs are that nobody measured: `python -m bench.prediction`.

The program of a search without a single trial, timed in turns with that of a whole search. Bar: a
geometric mean of 70 % of the tuned speed over the suite. With `--database` whole searches are kept
there, so that programs without trials can be compared again without a search; with `--search` they
are only made. `--compare` adds the programs of the prior alone and of other degrees of caution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from tensorc.driver.compile import compile_state
from tensorc.driver.tune import tune
from tensorc.measure.records import Database
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.search.cost_model import Estimate
from tensorc.search.evolution import foresee
from tensorc.search.pretrained import Pretrained, estimates
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target

BAR = 70.0
SHIPPED = "without trials"
TUNED = "tuned"
CAUTIONS = (0.0, 2.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """How programs are found.

    Attributes:
        threads: Cores of the programs.
        seconds: Of a whole search.
        seed: Of everything random.
        database: Where whole searches are kept; None to search each time.
        compare: Whether other estimates are timed too.
    """

    threads: int = 1
    seconds: float = 20.0
    seed: int = 0
    database: Path | None = None
    compare: bool = False


def searched(case: Case, setting: Setting, trials: int | None) -> State:
    """Tune a case: from nothing, or as it was tuned before."""
    target = Target("llvm", num_cores=setting.threads)
    task = SearchTask(of_case(case).dag, target, case.weights)
    database = setting.database if trials is None else None
    if database is not None:
        with Database(database) as records:
            key = task.dag.structural_hash(task.constants)
            known = records.best(key, target)
        if known is not None:
            return replay(task.dag, known.steps)
    return tune(
        task.dag,
        target,
        trials=10**6 if trials is None else trials,
        time_budget=setting.seconds if trials is None else None,
        seed=setting.seed,
        constants=case.weights,
        database=database,
    ).state


def others(target: Target) -> dict[str, Estimate]:
    """The estimates that are compared with the one that ships."""
    known = estimates(target)
    found = {"prior": known[-1]}
    if isinstance(known[0], Pretrained):
        for caution in CAUTIONS:
            found[f"caution {caution:g}"] = replace(known[0], caution=caution)
    return found


def foreseen(case: Case, estimate: Estimate, setting: Setting) -> State:
    """The program that an estimate likes best."""
    target = Target("llvm", num_cores=setting.threads)
    task = SearchTask(of_case(case).dag, target, case.weights)
    spaces = [Space(task, sketch) for sketch in generate_sketches(task)]
    (best,) = foresee(spaces, {}, estimate, 1, np.random.default_rng(setting.seed))
    return replay(task.dag, spaces[best.space].steps(best.row))


def shares(case: Case, setting: Setting) -> Mapping[str, float]:
    """Return the speeds without trials, in percent of the tuned speed."""
    target = Target("llvm", num_cores=setting.threads)
    arrays = map(aligned, case.inputs(np.random.default_rng(setting.seed)))
    inputs = dict(zip((a.name for a in case.arguments), arrays, strict=True))
    constants = {name: inputs[name] for name in case.weights}
    free = tuple(array for name, array in inputs.items() if name not in constants)
    states = {SHIPPED: searched(case, setting, 0), TUNED: searched(case, setting, None)}
    if setting.compare:
        for name, estimate in others(target).items():
            states[name] = foreseen(case, estimate, setting)
    turns = {
        name: kernel_turn(compile_state(state, target, constants=constants), free)
        for name, state in states.items()
    }
    timings = compete(turns)
    best = timings[TUNED].best
    return {name: 100 * best / timings[name].best for name in states if name != TUNED}


def measure(cases: Sequence[Case], setting: Setting) -> Iterator[Figure]:
    """Yield every figure."""
    found: dict[str, list[float]] = {}
    for case in cases:
        for name, share in shares(case, setting).items():
            found.setdefault(name, []).append(share)
            yield Figure(f"{case.name} {name}", share, "% of tuned")
    for name, values in found.items():
        mean = geometric_mean(values)
        if mean is not None:
            bar = BAR if name == SHIPPED else None
            yield Figure(f"{name}, mean of {len(values)}", mean, "% of tuned", at_least=bar)


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--shape", type=click.IntRange(1, 4), help="Only shape number 1 … 4.")
@click.option("--threads", default=1, show_default=True)
@click.option("--time-budget", default=20.0, show_default=True, help="Seconds of a whole search.")
@click.option("--seed", default=0, show_default=True)
@click.option("--database", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--search", "only", is_flag=True, help="Search into the database, compare nothing.")
@click.option("--compare", is_flag=True, help="Time the programs of other estimates too.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(
    cases: tuple[str, ...],
    shape: int | None,
    threads: int,
    time_budget: float,
    seed: int,
    database: Path | None,
    only: bool,
    compare: bool,
    report: Path | None,
) -> None:
    """Print how fast programs are without trials; CASES are of the suite, such as GMM or GMM.3."""
    chosen = chosen_cases(cases, shape, (1,))
    setting = Setting(threads, time_budget, seed, database, compare)
    if only:
        for case in chosen:
            searched(case, setting, None)
        return
    publish(measure(chosen, setting), report)


if __name__ == "__main__":
    main()
