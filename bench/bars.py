"""The bars of library speed, read from reports of `tensorc bench`: `python -m bench.bars`.

    tensorc bench --suite all --threads 1 --threads 2 --time-budget 60 --json direct.json
    tensorc bench --suite all --threads 1 --tolerance 1e-3 --time-budget 60 --json winograd.json
    python -m bench.bars direct-1t.json direct-2t.json winograd.json

Whatever the reports hold is judged; of a bar for which they have no case it is said that it was not
measured. "Ratio" is how many times as long the fastest peer takes. Reports whose tolerance allows
more than rounding are judged by the bars for that, and not as direct ones. Out of cache, at
bandwidth is at least 80 % of what plain reads and writes of as much data had in the same run. Bars
of other things than these kernels are with `bench.prediction`, `random_shapes`, `search_curve` and
`runtime`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench.report import Figure, publish
from kernels_ref import extra, suite
from tensorc.cli.figures import geometric_mean
from tensorc.space.definitions.definition import DEFAULT_TOLERANCE

DIRECT = ("C1D", "C2D", "C3D", "GRP", "DIL")
WINDOWS = ("C2D", "GRP", "DIL", "CBR")
VECTOR = ("NRM", "SFM", "LNM", "BGE", "SUM", "TRN")
SHARES = {
    "GMM.3.b1": 92.0, "GMM.4.b1": 92.0, "MAT.1.b1": 92.0,
    "LIN.1.b1": 90.0, "LIN.2.b1": 90.0, "LIN.3.b1": 90.0,
}  # fmt: skip
ODD = "MAT.2.b1"
ROW = "GMV.1.b1"
MEMORY = "memory"
AT_BANDWIDTH = 80.0
# What is asked of each case of an operator.
RATIOS = {
    **dict.fromkeys(DIRECT, 0.97),
    "DEP": 1.5,
    "CAP": 2.0,
    **dict.fromkeys(VECTOR, 1.0),
}
# Kernels shorter than this are not asked to scale.
SCALING_SECONDS = 200e-6
SUITE_CODES = (*DIRECT, "GMM", "DEP", "T2D", "CAP", "NRM", "SFM", "CBR", "TBG")
METASCHEDULE = "metaschedule"
_SIZES = {w.code: (w.sizes, w.shapes) for w in (*suite.WORKLOADS, *extra.WORKLOADS)}


@dataclass(frozen=True, slots=True)
class Result:
    """One case of a report.

    Attributes:
        name: The case.
        threads: On how many threads.
        loose: Whether algorithms were allowed that round more than direct ones.
        seconds: Of the tuned kernel.
        share: Percent of the multiply-add peak.
        traffic: Percent of the bandwidth for its data; None if computing takes longer.
        level: The cache that holds the data; empty likewise.
        ratio: Of the best peer; None without peers.
        ratios: Of each contestant.
    """

    name: str
    threads: int
    loose: bool
    seconds: float
    share: float
    traffic: float | None
    level: str
    ratio: float | None
    ratios: Mapping[str, float]

    @property
    def code(self) -> str:
        """The operator."""
        return self.name.partition(".")[0]

    @property
    def is_window(self) -> bool:
        """Whether it is a convolution by windows of 3×3 that are next to each other."""
        if self.code not in WINDOWS:
            return False
        names, shapes = _SIZES[self.code]
        shape = dict(zip(names, shapes[int(self.name.split(".")[1]) - 1], strict=True))
        return (shape["kernel"], shape["stride"]) == (3, 1)

    @classmethod
    def of(cls, case: Mapping[str, Any], threads: int, tolerance: float) -> Result:
        """Read a case of a report."""
        traffic, ceiling = case["share_of_bandwidth"], case.get("ceiling")
        return cls(
            case["case"],
            threads,
            tolerance > DEFAULT_TOLERANCE,
            case["timings"]["tuned"]["best"],
            100 * case["share_of_peak"],
            None if traffic is None else 100 * traffic,
            ceiling["level"] if ceiling else "",
            case["ratio_to_best_peer"],
            case["ratios"],
        )


def read(paths: Iterable[Path]) -> list[Result]:
    """Return the cases of reports."""
    results = []
    for path in paths:
        data = json.loads(path.read_text())
        threads = data["target"]["num_cores"]
        tolerance = data.get("budget", {}).get("tolerance", DEFAULT_TOLERANCE)
        results += [Result.of(case, threads, tolerance) for case in data["cases"]]
    return results


def bars(results: Sequence[Result]) -> Iterator[Figure]:
    """Yield every figure, those of bars that were not measured without a value."""
    direct = [result for result in results if not result.loose]
    for threads in sorted({1, 2} | {result.threads for result in direct}):
        mine = [result for result in direct if result.threads == threads]
        named = f", {threads} thread{'s' if threads > 1 else ''}"
        if threads == 1:
            yield from _shares(mine, named)
        yield from _traffic(mine, named)
        yield from _ratios(mine, named)
        yield from _means(mine, named)
        yield from _metaschedule(mine, named)
    yield from _scaling(direct)
    loose = [result for result in results if result.loose]
    for threads in sorted({1} | {result.threads for result in loose}):
        mine = [result for result in loose if result.threads == threads]
        yield from _windows(mine, f", tolerant, {threads} thread{'s' if threads > 1 else ''}")


def _each(
    group: str, title: str, unit: str, bar: float, found: Sequence[tuple[str, float | None]]
) -> Iterator[Figure]:
    """Yield the figures of a group's cases; if there is none, one without a value."""
    measured = [(name, value) for name, value in found if value is not None]
    for name, value in measured or ((group, None),):
        yield Figure(f"{name}{title}", value, unit, at_least=bar)


def _shares(results: Sequence[Result], named: str) -> Iterator[Figure]:
    by_name = {result.name: result for result in results}
    for name, bar in SHARES.items():
        share = by_name[name].share if name in by_name else None
        yield Figure(f"{name}{named}", share, "% of peak", at_least=bar)
    row = by_name.get(ROW)
    unit = f"% of {row.level or 'peak'}" if row else "% of bandwidth"
    yield Figure(f"{ROW}{named}", row.traffic if row else None, unit, at_least=90)


def _traffic(results: Sequence[Result], named: str) -> Iterator[Figure]:
    """What is bound by memory: judged out of cache, told elsewhere."""
    bound = [r for r in results if r.code in VECTOR and r.traffic is not None]
    for result in bound:
        if result.level != MEMORY:
            yield Figure(f"{result.name}{named}", result.traffic, f"% of {result.level}")
    far = [(r.name, r.traffic) for r in bound if r.level == MEMORY]
    yield from _each("vectors out of cache", named, f"% of {MEMORY}", AT_BANDWIDTH, far)


def _ratios(results: Sequence[Result], named: str) -> Iterator[Figure]:
    """What is asked of each case."""
    groups = [(name, 1.0) for name in (*SHARES, ODD, ROW)] + list(RATIOS.items())
    for group, bar in groups:
        mine = [(r.name, r.ratio) for r in results if group in (r.name, r.code)]
        yield from _each(group, f"{named}, ratio", "times", bar, mine)


def _mean(title: str, named: str, bar: float, results: Iterable[Result]) -> Figure:
    ratios = [result.ratio for result in results if result.ratio is not None]
    name = f"{title}{named}, mean ratio of {len(ratios)}"
    return Figure(name, geometric_mean(ratios), "times", at_least=bar)


def _means(results: Sequence[Result], named: str) -> Iterator[Figure]:
    groups: tuple[tuple[str, Callable[[Result], bool], float], ...] = (
        ("direct convolutions", lambda r: r.code in DIRECT, 1.05),
        ("T2D", lambda r: r.code == "T2D", 1.2),
        ("whole suite", lambda r: r.code in SUITE_CODES, 1.2),
    )
    for title, belongs, bar in groups:
        yield _mean(title, named, bar, filter(belongs, results))


def _windows(results: Sequence[Result], named: str) -> Iterator[Figure]:
    """What is asked where Winograd's algorithm is allowed."""
    windows = [(r.name, r.ratio) for r in results if r.is_window]
    yield from _each("3×3 of stride 1", f"{named}, ratio", "times", 1.3, windows)
    capsules = [(r.name, r.ratio) for r in results if r.code == "CAP"]
    yield from _each("CAP", f"{named}, ratio", "times", 2.0, capsules)
    yield _mean("T2D", named, 1.2, [r for r in results if r.code == "T2D"])


def _metaschedule(results: Sequence[Result], named: str) -> Iterator[Figure]:
    ratios = [r.ratios[METASCHEDULE] for r in results if METASCHEDULE in r.ratios]
    name = f"MetaSchedule{named}"
    title = f"{name}, mean ratio of {len(ratios)}"
    yield Figure(title, geometric_mean(ratios), "times", at_least=1.3)
    yield Figure(f"{name}, least ratio", min(ratios, default=None), "times", at_least=1.0)


def _scaling(results: Sequence[Result]) -> Iterator[Figure]:
    one = {result.name: result.seconds for result in results if result.threads == 1}
    shared = [
        (result.name, one[result.name] / result.seconds)
        for result in results
        if result.threads == 2
        and one.get(result.name, 0.0) > SCALING_SECONDS
        and result.traffic is None
    ]
    yield from _each("long kernels", ", 2 threads against 1", "times", 1.85, shared)


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path))
def main(reports: tuple[Path, ...], output: Path | None) -> None:
    """Judge REPORTS, which `tensorc bench --json` has written."""
    publish(bars(read(reports)), output)


if __name__ == "__main__":
    main()
