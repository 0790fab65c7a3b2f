"""`tensorc tune`: search for the fastest kernel of one program."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from tensorc.cli import figures, progress
from tensorc.cli.parameters import (
    DEFAULT_TRIALS,
    FILE,
    TOLERANCE,
    as_target,
    ensure_writable,
    thread_count,
    trial_limit,
)
from tensorc.cli.race import failures_of, measured_peak
from tensorc.cli.workload import Workload, parse
from tensorc.driver.tune import TuneResult
from tensorc.driver.tune import tune as search
from tensorc.space.definitions.definition import GIVEN
from tensorc.target import Target


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("workload")
@click.argument("arguments", nargs=-1)
@click.option(
    "--target", callback=as_target, default="llvm", show_default=True, help="'llvm' or 'c'."
)
@click.option("--threads", type=click.IntRange(1), help="Cores to use; without, all there are.")
@click.option(
    "--trials",
    type=click.IntRange(1),
    help=f"Candidates to measure; {DEFAULT_TRIALS} where nothing else ends the search.",
)
@click.option("--time-budget", type=click.FloatRange(0), help="Seconds of search at most.")
@click.option("--early-stopping", type=click.IntRange(1), help="Stop after so many without gain.")
@click.option("--rules", default="default", show_default=True, help="Sketch rules, or 'ansor'.")
@TOLERANCE
@click.option("--seed", default=0, show_default=True, help="Of everything random.")
@click.option("--database", type=FILE, help="Keep records here, and go on from them.")
@click.option("--json", "report", type=FILE, help="Write the result and the curve here.")
@click.option("--schedule", "with_schedule", is_flag=True, help="Print the best schedule.")
def tune(
    workload: str,
    arguments: tuple[str, ...],
    target: Target,
    threads: int | None,
    trials: int | None,
    time_budget: float | None,
    early_stopping: int | None,
    rules: str,
    tolerance: float,
    seed: int,
    database: Path | None,
    report: Path | None,
    with_schedule: bool,
) -> None:
    """Search for the fastest kernel of WORKLOAD.

    WORKLOAD is a case of the suite (GMM.3, GMM.3.b16), or a function that returns its tensors,
    inputs and outputs in call order (kernels.py:matmul), called with ARGUMENTS (512 dtype=float16).

    With --time-budget and no --trials, time is the limit: the search then also ends when nothing
    gets better any more.

    With --database a search that was interrupted goes on where it stopped. Ctrl-C ends it and
    keeps the best.
    """
    ensure_writable(report)
    subject = parse(workload, arguments)
    machine = replace(target, num_cores=thread_count(threads)) if threads else target
    console = progress.standard_console()
    peak = measured_peak(machine.num_cores)
    title = progress.Subject(subject.name, subject.flops, peak, time_budget)
    with progress.view(title, console) as callback:
        result = search(
            subject.dag,
            machine,
            trials=trial_limit(trials, time_budget, early_stopping),
            time_budget=time_budget,
            early_stopping=early_stopping,
            rules=rules,
            tolerance=tolerance,
            seed=seed,
            database=database,
            name=subject.name,
            callbacks=(callback,),
        )
    print_result(console, subject, result, peak)
    if with_schedule:
        click.echo(f"\n{result.compile().schedule()}")
    if report is not None:
        write_report(report, subject, machine, result, peak)


def print_result(console: Console, subject: Workload, result: TuneResult, peak: float) -> None:
    """Print what a search found, why it ended, and what went wrong."""
    speed = figures.rate(subject.flops, result.best_latency)
    parts = [f"{subject.name}: {figures.seconds(result.best_latency)}"]
    if speed:
        parts.append(f"{figures.digits(speed)} GFLOP/s, {figures.percent(speed, peak)} of peak")
    ratio = figures.ratio(result.default_latency / result.best_latency)
    naive = figures.seconds(result.default_latency)
    parts.append(f"{ratio} as fast as the default schedule ({naive})")
    console.print(Text(", ".join(parts), style="bold"), soft_wrap=True)
    if result.definition != GIVEN:
        console.print(f"By another algorithm: {result.definition}.", soft_wrap=True)
    rejected = f"{100 * result.rejection_rate:.1f}% of random changes rejected unmeasured"
    counts = f"{result.trials} trials, {len(result.history)} improvements, {rejected}"
    console.print(f"{counts}; ended: {result.stopped}.", soft_wrap=True)
    progress.print_errors(console, result.errors, result.first_messages)


def write_report(
    path: Path, subject: Workload, target: Target, result: TuneResult, peak: float
) -> None:
    """Write the curve and the result as JSON."""
    data = {
        "name": subject.name,
        "flops": subject.flops,
        "target": target.to_json(),
        "best_latency": result.best_latency,
        "default_latency": result.default_latency,
        "peak_gflops": peak,
        "definition": result.definition,
        "trials": result.trials,
        "rejection_rate": result.rejection_rate,
        "stopped": result.stopped,
        "history": [list(point) for point in result.history],
        "failures": [list(failure) for failure in failures_of(result)],
        "schedule": result.compile().schedule(),
    }
    path.write_text(json.dumps(data, indent=1) + "\n")
