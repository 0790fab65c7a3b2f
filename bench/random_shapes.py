"""Shapes that nobody chose, against the best peer: `python -m bench.random_shapes`.

Cases are drawn by a seed over all operators: odd, prime, tall and flat. Bars: a geometric mean of
1.1 times as fast as the best peer, and none below 0.8.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.report import Figure, publish
from kernels_ref import extra, suite
from kernels_ref.suite import Case, Shape
from tensorc.cli.bench import chosen_peers
from tensorc.cli.bench_table import BEST, BenchTable, ratio_to
from tensorc.cli.figures import geometric_mean
from tensorc.cli.race import Budget, Outcome, race
from tensorc.target import Target

MEAN_BAR = 1.1
LEAST_BAR = 0.8
# What a case should not exceed: it has to be tuned and timed in a minute.
MOST_FLOPS = 1e9

Draw = Callable[[np.random.Generator], Shape]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Sizes for one operator."""

    code: str
    draw: Draw


def size(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw a size, small ones as often as large ones."""
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def _window(rng: np.random.Generator) -> tuple[int, int, int]:
    """Kernel, stride and padding, as networks have them."""
    windows = ((1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1), (5, 1, 2), (5, 2, 2), (7, 2, 3))
    return windows[rng.integers(len(windows))]


def _conv(rank: int) -> Draw:
    def draw(rng: np.random.Generator) -> Shape:
        image = [size(rng, 5, (400, 90, 20)[rank - 1]) for _ in range(rank)]
        return (*image, size(rng, 3, 400), size(rng, 3, 400), *_window(rng))

    return draw


def _grouped(rng: np.random.Generator) -> Shape:
    groups = int(rng.integers(2, 9))
    image = [size(rng, 5, 90) for _ in range(2)]
    channels = [groups * size(rng, 3, 70) for _ in range(2)]
    return (*image, *channels, *_window(rng), 1, groups)


def _dilated(rng: np.random.Generator) -> Shape:
    gap = int(rng.integers(2, 5))
    image = [size(rng, 12, 90) for _ in range(2)]
    return (*image, size(rng, 3, 300), size(rng, 3, 300), 3, 1, gap, gap)


def _depthwise(rng: np.random.Generator) -> Shape:
    return (size(rng, 5, 150), size(rng, 5, 150), size(rng, 8, 1200), 3, int(rng.integers(1, 3)), 1)


def _transposed(rng: np.random.Generator) -> Shape:
    return (size(rng, 3, 40), size(rng, 3, 40), size(rng, 8, 500), size(rng, 3, 300), 4, 2, 1)


def _capsule(rng: np.random.Generator) -> Shape:
    image = [size(rng, 5, 20) for _ in range(2)]
    return (*image, size(rng, 4, 40), size(rng, 4, 40), 3, int(rng.integers(1, 3)), 1)


def _sizes(*limits: tuple[int, int]) -> Draw:
    return lambda rng: tuple(size(rng, low, high) for low, high in limits)


OPERATORS = (
    Drawn("C1D", _conv(1)),
    Drawn("C2D", _conv(2)),
    Drawn("C3D", _conv(3)),
    Drawn("GMM", _sizes((7, 1500), (7, 1500), (7, 1500))),
    Drawn("GRP", _grouped),
    Drawn("DIL", _dilated),
    Drawn("DEP", _depthwise),
    Drawn("T2D", _transposed),
    Drawn("CAP", _capsule),
    Drawn("NRM", _sizes((40, 3000), (40, 2000))),
    Drawn("SFM", _sizes((20, 3000), (20, 3000))),
    Drawn("CBR", _conv(2)),
    Drawn("TBG", _sizes((20, 300), (2, 20), (20, 150))),
    Drawn("LIN", _sizes((1, 400), (50, 4000), (50, 4000))),
    Drawn("LNM", _sizes((8, 2000), (50, 2000))),
    Drawn("BGE", _sizes((8, 2000), (50, 4000))),
    Drawn("TRN", lambda rng: (size(rng, 30, 3000), size(rng, 30, 3000), 1)),
)


def drawn(count: int, seed: int) -> list[Case]:
    """Return cases, the operators in turns; the same for the same seed."""
    rng = np.random.default_rng(seed)
    workloads = {w.code: w for w in (*suite.WORKLOADS, *extra.WORKLOADS)}
    cases: list[Case] = []
    while len(cases) < count:
        operator = OPERATORS[len(cases) % len(OPERATORS)]
        shape = operator.draw(rng)
        case = Case(replace(workloads[operator.code], shapes=(shape,)), 1, 1)
        if case.flops <= MOST_FLOPS and min(case.output_shape) > 0:
            cases.append(case)
    return cases


def judged(outcomes: Sequence[Outcome]) -> Iterator[Figure]:
    """Yield the figures."""
    found = [(o, ratio) for o in outcomes if (ratio := ratio_to(o, BEST)) is not None]
    ratios = [ratio for _, ratio in found]
    mean = geometric_mean(ratios)
    if mean is None:
        return
    yield Figure(f"mean ratio of {len(ratios)} cases", mean, "times", at_least=MEAN_BAR)
    worst, least = min(found, key=lambda pair: pair[1])
    name = f"least ratio: {worst.case.workload.code} {worst.case.shape}"
    yield Figure(name, least, "times", at_least=LEAST_BAR)
    yield Figure("wrong results", sum(len(o.wrong) for o in outcomes), at_most=0)


def _row(outcome: Outcome) -> dict[str, Any]:
    best = {name: timing.best for name, timing in outcome.timings.items()}
    return {
        "code": outcome.case.workload.code,
        "shape": outcome.case.shape,
        "seconds": best,
        "best_peer": outcome.best_peer,
        "ratio": ratio_to(outcome, BEST),
    }


@click.command()
@click.option("--cases", "count", default=40, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--time-budget", default=20.0, show_default=True, help="Seconds of search a case.")
@click.option("--vs", help="Peers, as for `tensorc bench`.")
@click.option(
    "--rows", type=click.Path(dir_okay=False, path_type=Path), help="Every case, as JSON."
)
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(
    count: int,
    seed: int,
    threads: int,
    time_budget: float,
    vs: str | None,
    rows: Path | None,
    report: Path | None,
) -> None:
    """Tune random cases and print how they compare."""
    peers = chosen_peers(vs, threads)
    table = BenchTable(tuple(peer.name for peer in peers))
    click.echo(table.header())
    target, budget = Target("llvm", num_cores=threads), Budget(10**6, time_budget, seed)
    outcomes = []
    for case in drawn(count, seed):
        outcomes.append(race(case, target, budget, peers, lambda _: nullcontext(lambda _: None)))
        click.echo(table.row(outcomes[-1]))
        if rows is not None:
            rows.write_text(json.dumps([_row(outcome) for outcome in outcomes], indent=1) + "\n")
    publish(judged(outcomes), report)


if __name__ == "__main__":
    main()
