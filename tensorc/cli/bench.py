"""`tensorc bench`: tuned kernels beside the naive schedule, NumPy and other libraries."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from kernels_ref import extra, suite
from kernels_ref.suite import Case, cases
from tensorc import __version__
from tensorc.cli import bench_chart, progress
from tensorc.cli.apart import all_apart
from tensorc.cli.bench_table import BEST, BenchTable, mean, ratio_to
from tensorc.cli.parameters import FILE, TOLERANCE, as_target, ensure_writable, thread_count
from tensorc.cli.peers import choose
from tensorc.cli.peers.peer import Peer
from tensorc.cli.race import NAIVE, Budget, Outcome, measured_peak, race
from tensorc.cli.workload import Workload
from tensorc.support import host
from tensorc.support.errors import RecordError, TensorcError
from tensorc.target import Target

# Half of the minute in which a first result is promised; the other half is for slow machines.
DEFAULT_SECONDS: Final = 30.0
# What a search that was interrupted says of its end: it keeps the best and does not raise.
INTERRUPTED: Final = "interrupted"
SUITES: Final = {
    "ansor": suite.WORKLOADS,
    "extra": extra.WORKLOADS,
    "all": (*suite.WORKLOADS, *extra.WORKLOADS),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What a run of the bench is asked for; it may be sent to another process.

    Attributes:
        cases: What is tuned.
        target: For which machine, with how many threads.
        budget: How long.
        vs: The peers, as `--vs` names them.
        report: Where everything is written that was measured.
        chart: Where it is drawn.
    """

    cases: tuple[Case, ...]
    target: Target
    budget: Budget
    vs: str | None
    report: Path | None
    chart: Path | None

    def on(self, threads: int) -> Order:
        """Return the order for so many threads."""
        return replace(self, target=replace(self.target, num_cores=threads))

    def with_own_files(self) -> Order:
        """Return the order with files that have its number of threads in their names."""
        files, end = (self.report, self.chart), f"-{self.target.num_cores}t"
        report, chart = (file and file.with_stem(file.stem + end) for file in files)
        return replace(self, report=report, chart=chart)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of the bench does."""

    cases: tuple[Case, ...]
    target: Target
    budget: Budget
    peers: tuple[Peer, ...]


@click.command()
@click.argument("op", nargs=-1)
@click.option(
    "--suite",
    "which",
    type=click.Choice(list(SUITES)),
    default="ansor",
    show_default=True,
    help="What to run where no OP is named.",
)
@click.option("--shape", type=click.IntRange(1, 4), help="Only shape number 1 … 4.")
@click.option(
    "--batch", type=click.IntRange(1), multiple=True, default=(1,), help="Batch size; repeatable."
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    help="Candidates to measure for each case, at most; without, as many as time allows.",
)
@click.option(
    "--time-budget",
    type=click.FloatRange(0),
    default=DEFAULT_SECONDS,
    show_default=True,
    help="Seconds of search for each case; less where nothing gets better, without --trials.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    multiple=True,
    help="For our kernels and for the peers; repeatable. Each number has a process of its own, as "
    "some libraries take theirs once, and files of its own: FILE-1t.json, FILE-2t.json.",
)
@click.option(
    "--target", callback=as_target, default="llvm", show_default=True, help="'llvm' or 'c'."
)
@click.option(
    "--vs",
    help="Peers, with commas: numpy, torch; 'none'; 'best': those installed, the default, but not "
    "those that compile or search for long: 'inductor' and 'metaschedule'; 'all': these, too.",
)
@click.option(
    "--constant-weights/--given-weights",
    default=True,
    show_default=True,
    help="Whether weights are the same in every call, for our kernels and for the peers.",
)
@TOLERANCE
@click.option("--seed", default=0, show_default=True, help="Of everything random.")
@click.option("--json", "report", type=FILE, help="Write everything that was measured here.")
@click.option("--chart", type=FILE, help="Draw it here: .png, .svg, .pdf or .html.")
@click.option("--database", type=FILE, help="Keep records here, and go on from them.")
def bench(
    op: tuple[str, ...],
    which: str,
    shape: int | None,
    batch: tuple[int, ...],
    trials: int | None,
    time_budget: float,
    threads: tuple[int, ...],
    target: Target,
    vs: str | None,
    constant_weights: bool,
    tolerance: float,
    seed: int,
    report: Path | None,
    chart: Path | None,
    database: Path | None,
) -> None:
    """Tune cases of the suite and time them beside other libraries.

    OP is a workload of the suite, such as GMM, or a case, such as GMM.3; without one the whole
    suite is run.
    """
    asked = tuple(dict.fromkeys(threads)) or (thread_count(None),)
    budget = Budget(trials, time_budget, seed, database, constant_weights, tolerance)
    order = Order(chosen_cases(op, shape, batch, which), target, budget, vs, report, chart)
    orders = [order.on(count) for count in asked]
    if len(orders) > 1:
        orders = [one.with_own_files() for one in orders]
    for one in orders:
        ensure_writable(one.report)
        ensure_writable(one.chart)
    peer_names(vs)
    good = all_apart(execute, orders) if len(orders) > 1 else execute(orders[0])
    if not good:
        raise click.exceptions.Exit(1)


def execute(order: Order) -> bool:
    """Tune and time; return whether every case compiled and is right.

    Raises:
        RecordError: The database cannot be used.
        MissingDependencyError: A peer was asked for that is not installed.
        MeasureError: The machine does not have the threads.
    """
    cores = order.target.num_cores
    peers = chosen_peers(order.vs, cores)
    plan = Plan(order.cases, order.target, order.budget, peers)
    peak = measured_peak(cores)

    def note(outcomes: list[Outcome], failures: dict[str, str]) -> None:
        if order.report is not None:
            write_report(order.report, plan, peak, outcomes, failures)

    outcomes, failures = run(plan, peak, progress.standard_console(), note)
    if order.chart is not None and outcomes:
        names = [peer.name for peer in plan.peers]
        bench_chart.draw(order.chart, outcomes, names, _introduction(plan, peak))
    return not failures and not any(outcome.wrong for outcome in outcomes)


def chosen_cases(
    specs: Sequence[str], shape: int | None, batch: tuple[int, ...], which: str = "ansor"
) -> tuple[Case, ...]:
    """Return the cases that `GMM`, `GMM.3` and the options select; of a whole suite without any.

    Raises:
        click.UsageError: There is no such workload or shape.
    """
    found: list[Case] = []
    for spec in specs or [workload.code for workload in SUITES[which]]:
        code, _, index = spec.partition(".")
        if index and not index.isdigit():
            raise click.UsageError(f"Expected a case such as 'GMM.3', got '{spec}'.")
        try:
            number = int(index) if index else shape
            found += cases(code.upper(), number, batch, SUITES["all"])
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    return tuple(dict.fromkeys(found))


def peer_names(vs: str | None) -> tuple[str, ...]:
    """Return the names of the peers of `--vs`; without it of those that prepare a case quickly.

    Raises:
        click.UsageError: There is no such peer.
    """
    if vs in (None, "best", "all"):
        return choose.installed(slow=vs == "all")
    names = tuple(
        name.strip().lower() for name in (vs or "").split(",") if name.strip() not in ("", "none")
    )
    unknown = [name for name in names if name not in choose.NAMES]
    if unknown:
        known = ", ".join(f"'{name}'" for name in choose.NAMES)
        raise click.UsageError(f"There is no peer '{unknown[0]}': expected some of {known}.")
    return names


def chosen_peers(vs: str | None, threads: int) -> tuple[Peer, ...]:
    """Return the peers of `--vs`, with so many threads each.

    Raises:
        click.UsageError: There is no such peer.
        MissingDependencyError: A peer was asked for that is not installed.
    """
    return choose.load(peer_names(vs), threads)


def run(
    plan: Plan,
    peak: float,
    console: Console,
    note: Callable[[list[Outcome], dict[str, str]], None],
) -> tuple[list[Outcome], dict[str, str]]:
    """Run every case, print and note each as it is done; return outcomes, and failures by case.

    A case that fails does not end the run; an interrupt does, and keeps what is done.

    Raises:
        RecordError: The database cannot be used.
    """
    _print(console, _introduction(plan, peak))
    table = BenchTable(tuple(peer.name for peer in plan.peers))
    _print(console, table.header(), style="bold")
    outcomes: list[Outcome] = []
    failures: dict[str, str] = {}
    try:
        for case in plan.cases:
            try:
                outcome = race(
                    case, plan.target, plan.budget, plan.peers, _view(plan, peak, console)
                )
            except RecordError:
                raise  # the same for every case
            except TensorcError as error:
                failures[case.name] = str(error)
                _print(console, f"{case.name:9} failed: {error}", style="red")
                note(outcomes, failures)
                continue
            outcomes.append(outcome)
            note(outcomes, failures)
            _print_outcome(console, table, outcome)
            if outcome.stopped == INTERRUPTED:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        _print(console, "Interrupted: the cases above are done.", style="red")
    if outcomes:
        for line in table.footer(outcomes):
            _print(console, line, style="bold")
        _print(console, table.legend(), style="dim")
    return outcomes, failures


def write_report(
    path: Path,
    plan: Plan,
    peak: float,
    outcomes: Sequence[Outcome],
    failures: dict[str, str],
) -> None:
    """Write everything that was measured as JSON."""
    names = (NAIVE, *(peer.name for peer in plan.peers), BEST)
    codes = dict.fromkeys(outcome.case.workload.code for outcome in outcomes)
    data = {
        "tensorc": __version__,
        "machine": {
            "cpu": host.cpu_model(),
            "system": platform.platform(),
            "gflops": peak,
        },
        "target": plan.target.to_json(),
        "budget": {**asdict(plan.budget), "database": str(plan.budget.database or "")},
        "peers": {peer.name: peer.version for peer in plan.peers},
        "cases": [_as_json(outcome) for outcome in outcomes],
        "failures": failures,
        "geometric_means": {name: mean(outcomes, name) for name in names},
        "best_peer_by_operator": {
            code: mean([o for o in outcomes if o.case.workload.code == code], BEST)
            for code in codes
        },
    }
    path.write_text(json.dumps(data, indent=1) + "\n")


def _as_json(outcome: Outcome) -> dict[str, object]:
    case, limit = outcome.case, outcome.ceiling
    data = asdict(outcome)
    data["case"] = case.name
    return {
        **data,
        "shape": list(case.shape),
        "flops": case.flops,
        "bytes": case.bytes,
        "gflops": outcome.speed,
        "gbytes": outcome.bandwidth,
        "share_of_peak": outcome.speed / outcome.peak,
        "share_of_bandwidth": 1e9 * outcome.bandwidth / limit.bandwidth if limit else None,
        "best_peer": outcome.best_peer,
        "ratio_to_best_peer": ratio_to(outcome, BEST),
        "ratios": {name: outcome.ratio(name) for name in outcome.timings},
    }


def _view(
    plan: Plan, peak: float, console: Console
) -> Callable[[Workload], AbstractContextManager[Callable[[Any], None]]]:
    def view(workload: Workload) -> AbstractContextManager[Callable[[Any], None]]:
        seconds = plan.budget.time_budget
        subject = progress.Subject(workload.name, workload.flops, peak, seconds)
        return progress.view(subject, console)

    return view


def _introduction(plan: Plan, peak: float) -> str:
    threads = plan.target.num_cores
    against = ", ".join(f"{peer.name} {peer.version}" for peer in plan.peers) or "no peers"
    return (
        f"{host.cpu_model()}, {threads} thread{'s' if threads > 1 else ''}, "
        f"{peak:.1f} GFLOP/s at best; target {plan.target.kind}; against {against}"
    )


def _print_outcome(console: Console, table: BenchTable, outcome: Outcome) -> None:
    _print(console, table.row(outcome))
    for name, mismatch in outcome.wrong.items():
        _print(console, f"  {name} is wrong: {mismatch}.", style="red")
    for kind, count, message in outcome.failures:
        progress.print_errors(console, ((kind, count),), {kind: message})


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
