"""Every case of the suite against `kernels_ref`, under many schedules: `python -m bench.agreement`.

Each case is compiled for each target under the default schedule and under random schedules of the
search space, run, and compared with NumPy. At batch 16 two random schedules are tried, and cases
of more than 2 GFLOP are left out. Each case runs in a process of its own, so that a crash is a
result and not the end; `--case C2D.3 --jobs 1` looks at one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from bench.report import Figure, publish
from kernels_ref.suite import CODES, Case, cases
from tensorc.cli.verdict import difference, mismatches
from tensorc.cli.workload import of_case, parse_case
from tensorc.driver.compile import compile_state
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.space.default_schedule import default_schedule
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.support.errors import TensorcError
from tensorc.target import Target

LARGE_BATCH = 16
LARGE_BATCH_SCHEDULES = 2
LARGE_BATCH_FLOPS = 2e9
CASE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """A case on one target.

    Attributes:
        case: The name of the case.
        target: The kind of target.
        schedules: How many schedules ran, the default one included.
        error: Largest difference from the reference, relative to its largest value.
        failures: What went wrong, each with its schedule's number; 0 is the default one.
    """

    case: str
    target: str
    schedules: int
    error: float
    failures: tuple[str, ...]


def random_states(task: SearchTask, count: int, rng: np.random.Generator) -> Iterator[State]:
    """Yield concrete schedules drawn from all sketches in turn."""
    spaces = [Space(task, sketch) for sketch in generate_sketches(task)]
    for number in range(count):
        space = spaces[number % len(spaces)]
        yield replay(task.dag, space.steps(space.sample(1, rng)[0]))


def check(case: Case, kind: str, schedules: int, seed: int) -> Agreement:
    """Compile and run a case under the default and under random schedules."""
    target = Target(kind)
    dag = of_case(case).dag
    rng = np.random.default_rng(seed)
    inputs = case.inputs(rng)
    expected = case.reference(*inputs)
    states = [default_schedule(dag, target)]
    states += random_states(SearchTask(dag, target), schedules, rng)
    worst, failures = 0.0, []
    for number, state in enumerate(states):
        try:
            result = compile_state(state, target)(*inputs)
        except TensorcError as problem:
            failures.append(f"{number}: {type(problem).__name__}: {problem}")
            continue
        worst = max(worst, difference(result, expected))
        wrong = mismatches(dag, {str(number): result}, expected)
        failures += [f"{name}: {text}" for name, text in wrong.items()]
    return Agreement(case.name, kind, len(states), worst, tuple(failures))


def check_apart(case: Case, kind: str, schedules: int, seed: int) -> Agreement:
    """Do `check` in a process of its own."""
    command = [sys.executable, "-m", "bench.agreement", "--case", case.name, "--target", kind]
    command += ["--schedules", str(schedules), "--seed", str(seed), "--here"]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=CASE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Agreement(case.name, kind, 0, 0.0, (f"no end after {CASE_SECONDS:.0f} s",))
    if run.returncode != 0:
        last = next(iter(run.stderr.strip().splitlines()[-1:]), "")
        return Agreement(case.name, kind, 0, 0.0, (f"exit code {run.returncode}: {last}",))
    data = json.loads(run.stdout)
    return Agreement(**{**data, "failures": tuple(data["failures"])})


def selected(batches: Sequence[int], codes: Sequence[str], names: Sequence[str]) -> list[Case]:
    """Return the cases that the options name, all of the suite without any."""
    if names:
        return [parse_case(name) for name in names]
    return [
        case
        for code in codes or CODES
        for case in cases(code, batch=tuple(batches))
        if case.batch < LARGE_BATCH or case.flops < LARGE_BATCH_FLOPS
    ]


@click.command()
@click.option("--op", multiple=True, help="Only this workload, such as GMM; repeatable.")
@click.option("--case", "names", multiple=True, help="Only this case, such as GMM.3.b16.")
@click.option("--batch", multiple=True, default=(1, LARGE_BATCH), show_default=True)
@click.option("--target", "targets", multiple=True, default=("llvm", "c"), show_default=True)
@click.option("--schedules", default=20, show_default=True, help="Random schedules of each case.")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Cases at a time.")
@click.option("--here", is_flag=True, help="Check one case in this process; print JSON.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(
    op: tuple[str, ...],
    names: tuple[str, ...],
    batch: tuple[int, ...],
    targets: tuple[str, ...],
    schedules: int,
    seed: int,
    jobs: int,
    here: bool,
    report: Path | None,
) -> None:
    """Compare the suite with NumPy under the default and under random schedules."""
    chosen = selected(batch, op, names)
    if here:
        click.echo(json.dumps(asdict(check(chosen[0], targets[0], schedules, seed))))
        return
    work = [
        (
            case,
            kind,
            schedules if case.batch < LARGE_BATCH else min(schedules, LARGE_BATCH_SCHEDULES),
        )
        for case in chosen
        for kind in targets
    ]
    results = []
    with ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(lambda item: check_apart(item[0], item[1], item[2], seed), work):
            results.append(result)
            click.echo(_line(result))
    publish(_figures(results), report)


def _line(result: Agreement) -> str:
    text = (
        f"{result.case:10} {result.target:5} {result.schedules:3} schedules {result.error:8.1e}  "
    )
    if not result.failures:
        return text + "ok"
    more = len(result.failures) - 1
    return text + result.failures[0] + (f" (and {more} more)" if more else "")


def _figures(results: Sequence[Agreement]) -> list[Figure]:
    failures = sum(len(result.failures) for result in results)
    worst = max((result.error for result in results), default=0.0)
    return [
        Figure("programs run", sum(result.schedules for result in results)),
        Figure("programs that failed or disagree", failures, at_most=0),
        Figure("largest difference", worst, "of the largest value"),
    ]


if __name__ == "__main__":
    main()
