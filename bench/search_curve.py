"""Best latency against trials and seconds, beside MetaSchedule: `python -m bench.search_curve`.

Both search from nothing on the same number of threads, one after the other; in the end both best
programs and ours of each moment are known, and the two programs are timed in turns. Bar: what
MetaSchedule has after its whole run, ours has after 5 s. MetaSchedule takes minutes a case and is
left out where TVM is not installed; its searches are kept in the cache folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from bench.report import Figure, publish
from kernels_ref.suite import Case
from tensorc.cli import bench_chart, figures
from tensorc.cli.peers import choose
from tensorc.cli.peers.with_metaschedule import MetaSchedulePeer, curve, search
from tensorc.cli.race import TUNED, Budget, meet
from tensorc.cli.workload import of_case, parse_case
from tensorc.driver.tune import tune
from tensorc.support.optional import optional_import
from tensorc.target import Target

CASES = ("GMM.3", "LIN.1", "C2D.2", "C2D.3")
TRIALS = (1, 8, 16, 32, 64, 128, 200, 400, 1000)
SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 240.0)
METASCHEDULE = "metaschedule"

History = Sequence[tuple[int, float, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """How a search went.

    Attributes:
        case: The case.
        searcher: Who searched.
        history: (trial, elapsed seconds, best latency so far).
        latency: Seconds of the best program, timed in turns with the other's.
    """

    case: str
    searcher: str
    history: tuple[tuple[int, float, float], ...]
    latency: float

    def at_trial(self, trial: int) -> float | None:
        """Return the best latency after so many trials."""
        return min((best for count, _, best in self.history if count <= trial), default=None)

    def at_second(self, second: float) -> float | None:
        """Return the best latency after so many seconds."""
        return min((best for _, spent, best in self.history if spent <= second), default=None)

    def seconds_to(self, latency: float) -> float:
        """Return the seconds after which a latency was reached; infinity if it never was."""
        reached = (spent for _, spent, best in self.history if best <= latency)
        return min(reached, default=float("inf"))


def curves(case: Case, threads: int, seconds: float, trials: int, seed: int) -> list[Curve]:
    """Search with both, ours first."""
    workload, weights = of_case(case), case.weights
    result = tune(
        workload.dag,
        Target("llvm", num_cores=threads),
        trials=10**6,
        time_budget=seconds,
        seed=seed,
        constants=weights,
    )
    others = []
    if METASCHEDULE in choose.installed(slow=True):
        others.append(MetaSchedulePeer(threads, trials))
    outcome = meet(result, case, Budget(0, None, seed), tuple(others))
    ours = Curve(case.name, "tensorc", result.history, outcome.timings[TUNED].best)
    if not others:
        return [ours]
    history = curve(search(case, threads, trials, constant_weights=True))
    best = outcome.timings[METASCHEDULE].best
    return [ours, Curve(case.name, METASCHEDULE, tuple(history), best)]


def judged(found: Sequence[Curve]) -> Iterator[Figure]:
    """Yield the figures of one case."""
    ours, *others = found
    yield Figure(f"{ours.case}: our best", 1e6 * ours.latency, "µs")
    for other in others:
        target = other.latency
        yield Figure(f"{ours.case}: {other.searcher}'s best", 1e6 * target, "µs")
        yield Figure(f"{ours.case}: its time", other.history[-1][1], "s")
        yield Figure(f"{ours.case}: reached by ours", ours.seconds_to(target), "s", at_most=5)
        ratio = target / ours.latency
        yield Figure(f"{ours.case}: ratio in the end", ratio, "times", at_least=1)


def show(found: Sequence[Curve]) -> None:
    """Print the curves of one case."""
    for title, points in (("trials", TRIALS), ("seconds", SECONDS)):
        click.echo(f"{found[0].case} after {title:8}" + "".join(f"{p:>10g}" for p in points))
        for one in found:
            if title == "trials":
                best = [one.at_trial(trial) for trial in TRIALS]
            else:
                best = [one.at_second(second) for second in SECONDS]
            cells = "".join(f"{figures.seconds(latency):>10}" for latency in best)
            click.echo(f"  {one.searcher:24}{cells}")


def draw(path: Path, found: Sequence[Sequence[Curve]]) -> None:
    """Draw the curves against trials and against seconds.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    figure = optional_import("matplotlib.figure", extra="bench", purpose="drawing charts")
    picture = figure.Figure(figsize=(4 * len(found), 5), layout="constrained")
    grid: Any = picture.subplots(2, len(found), squeeze=False)
    for column, pair in enumerate(found):
        for row, (title, place) in enumerate((("trials", 0), ("seconds", 1))):
            axes = grid[row][column]
            for one in pair:
                xs = [point[place] for point in one.history]
                ys = [1e6 * point[2] for point in one.history]
                axes.step(xs, ys, where="post", label=one.searcher)
            axes.set(xscale="log", yscale="log", xlabel=title, ylabel="µs", title=pair[0].case)
            axes.legend()
    bench_chart.write(path, picture, "Best latency against trials and seconds")


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--threads", default=1, show_default=True)
@click.option("--time-budget", default=60.0, show_default=True, help="Seconds of our search.")
@click.option("--trials", default=200, show_default=True, help="Of MetaSchedule.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--curves", "dump", type=click.Path(dir_okay=False, path_type=Path))
def main(
    cases: tuple[str, ...],
    threads: int,
    time_budget: float,
    trials: int,
    seed: int,
    report: Path | None,
    chart: Path | None,
    dump: Path | None,
) -> None:
    """Print how fast searches get better; CASES are of the suite, such as GMM.3."""
    found = []
    for name in cases or CASES:
        found.append(curves(parse_case(name), threads, time_budget, trials, seed))
        show(found[-1])
    if dump is not None:
        dump.write_text(json.dumps([[asdict(one) for one in pair] for pair in found]) + "\n")
    try:
        publish([figure for pair in found for figure in judged(pair)], report)
    finally:  # a missed bar is no reason not to draw
        if chart is not None:
            draw(chart, found)


if __name__ == "__main__":
    main()
