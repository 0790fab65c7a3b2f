"""The bars of library speed, read from reports of `tensorc bench`: `python -m bench.bars`.

    tensorc bench --suite all --threads 1 --time-budget 60 --json one.json
    tensorc bench --suite all --threads 2 --time-budget 60 --json two.json
    python -m bench.bars one.json two.json

Whatever the reports hold is judged. "Ratio" is how many times as long the fastest peer takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench.report import Figure, publish
from tensorc.cli.figures import geometric_mean

DIRECT = ("C1D", "C2D", "C3D", "GRP", "DIL")
VECTOR = ("NRM", "SFM", "LNM", "BGE", "SUM", "TRN")
SHARES = {
    "GMM.3.b1": 92.0, "GMM.4.b1": 92.0, "MAT.1.b1": 92.0,
    "LIN.1.b1": 90.0, "LIN.2.b1": 90.0, "LIN.3.b1": 90.0,
}  # fmt: skip
ODD = "MAT.2.b1"
ROW = "GMV.1.b1"
# Kernels shorter than this are not asked to scale.
SCALING_SECONDS = 200e-6
SUITE_CODES = (*DIRECT, "GMM", "DEP", "T2D", "CAP", "NRM", "SFM", "CBR", "TBG")
METASCHEDULE = "metaschedule"


@dataclass(frozen=True, slots=True)
class Result:
    """One case of a report.

    Attributes:
        name: The case.
        threads: On how many threads.
        seconds: Of the tuned kernel.
        share: Percent of the multiply-add peak.
        traffic: Percent of the bandwidth for its data; None if computing takes longer.
        level: The cache that holds the data; empty likewise.
        ratio: Of the best peer; None without peers.
        ratios: Of each contestant.
    """

    name: str
    threads: int
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

    @classmethod
    def of(cls, case: Mapping[str, Any], threads: int) -> Result:
        """Read a case of a report."""
        traffic, ceiling = case["share_of_bandwidth"], case.get("ceiling")
        return cls(
            case["case"],
            threads,
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
        results += [Result.of(case, threads) for case in data["cases"]]
    return results


def bars(results: Sequence[Result]) -> Iterator[Figure]:
    """Yield every figure that the results allow."""
    for threads in sorted({result.threads for result in results}):
        mine = [result for result in results if result.threads == threads]
        named = f", {threads} thread{'s' if threads > 1 else ''}"
        yield from _shares([r for r in mine if threads == 1], named)
        yield from _ratios(mine, named)
        yield from _means(mine, named)
        yield from _metaschedule(mine, named)
    yield from _scaling(results)


def _shares(results: Sequence[Result], named: str) -> Iterator[Figure]:
    for result in results:
        if result.name in SHARES:
            bar = SHARES[result.name]
            yield Figure(f"{result.name}{named}", result.share, "% of peak", at_least=bar)
        elif result.name == ROW and result.traffic is not None:
            unit = f"% of {result.level}"
            yield Figure(f"{result.name}{named}", result.traffic, unit, at_least=90)
        elif result.code in VECTOR and result.level == "memory" and result.traffic is not None:
            yield Figure(f"{result.name}{named}", result.traffic, "% of memory")


def _ratios(results: Sequence[Result], named: str) -> Iterator[Figure]:
    """What is asked of each case."""
    for result in results:
        bar = _least_ratio(result)
        if bar is not None and result.ratio is not None:
            yield Figure(f"{result.name}{named}, ratio", result.ratio, "times", at_least=bar)


def _least_ratio(result: Result) -> float | None:
    if result.name in (*SHARES, ODD, ROW) or result.code in VECTOR:
        return 1.0
    return {"DEP": 1.5, "CAP": 2.0, **dict.fromkeys(DIRECT, 0.97)}.get(result.code)


def _means(results: Sequence[Result], named: str) -> Iterator[Figure]:
    groups: tuple[tuple[str, Callable[[Result], bool], float], ...] = (
        ("direct convolutions", lambda r: r.code in DIRECT, 1.05),
        ("T2D", lambda r: r.code == "T2D", 1.2),
        ("whole suite", lambda r: r.code in SUITE_CODES, 1.2),
    )
    for title, belongs, bar in groups:
        ratios = [r.ratio for r in results if belongs(r) and r.ratio is not None]
        mean = geometric_mean(ratios)
        if mean is not None:
            name = f"{title}{named}, mean ratio of {len(ratios)}"
            yield Figure(name, mean, "times", at_least=bar)


def _metaschedule(results: Sequence[Result], named: str) -> Iterator[Figure]:
    ratios = [r.ratios[METASCHEDULE] for r in results if METASCHEDULE in r.ratios]
    mean = geometric_mean(ratios)
    if mean is not None:
        name = f"MetaSchedule{named}"
        yield Figure(f"{name}, mean ratio of {len(ratios)}", mean, "times", at_least=1.3)
        yield Figure(f"{name}, least ratio", min(ratios), "times", at_least=1.0)


def _scaling(results: Sequence[Result]) -> Iterator[Figure]:
    one = {result.name: result.seconds for result in results if result.threads == 1}
    for result in results:
        alone = one.get(result.name, 0.0)
        if result.threads == 2 and alone > SCALING_SECONDS and result.traffic is None:
            name = f"{result.name}, 2 threads against 1"
            yield Figure(name, alone / result.seconds, "times", at_least=1.85)


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path))
def main(reports: tuple[Path, ...], output: Path | None) -> None:
    """Judge REPORTS, which `tensorc bench --json` has written."""
    publish(bars(read(reports)), output)


if __name__ == "__main__":
    main()
