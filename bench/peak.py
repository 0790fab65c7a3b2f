"""How close tuned kernels come to the machine's peak, each from nothing: `python -m bench.peak`.

Runs `tensorc bench` as its users do, in a process of its own, without records and with an empty
cache, and reads the JSON it writes. Bars: GMM 512³ on one thread within 60 s at 70 % of the
multiply-add peak measured in the same run, two convolutions at 60 %, a depthwise convolution
faster than PyTorch, and two threads 1.8 times as fast as one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench.report import Figure, publish
from tensorc.support import host
from tensorc.support.optional import is_installed

MATMUL = "GMM.3"
CONVOLUTIONS = ("C2D.2", "C2D.3")
DEPTHWISE = "DEP.1"


@dataclass(frozen=True, slots=True)
class Run:
    """One case as `tensorc bench` reports it.

    Attributes:
        seconds: How long the command took, start of the process included.
        share: GFLOP/s of the tuned kernel relative to the multiply-add peak.
        tuned: Seconds of the tuned kernel.
        ratios: How many times as long others take.
    """

    seconds: float
    share: float
    tuned: float
    ratios: dict[str, float]


def bench(case: str, threads: int, time_budget: float, peers: str = "none") -> Run:
    """Run `tensorc bench` on a case, from nothing."""
    with tempfile.TemporaryDirectory(prefix="tensorc-bench-") as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "tensorc", "bench", case, "--json", str(report)]
        command += ["--threads", str(threads), "--time-budget", str(time_budget), "--vs", peers]
        start = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, "TENSORC_CACHE_DIR": folder})
        seconds = time.perf_counter() - start
        data: dict[str, Any] = json.loads(report.read_text())["cases"][0]
    return Run(seconds, data["share_of_peak"], data["timings"]["tuned"]["best"], data["ratios"])


def measure(time_budget: float) -> Iterator[Figure]:
    """Yield every figure."""
    one = {case: bench(case, 1, time_budget) for case in (MATMUL, *CONVOLUTIONS)}
    yield Figure(f"{MATMUL} from nothing", one[MATMUL].seconds, "s", at_most=60)
    yield Figure(f"{MATMUL}, 1 thread", 100 * one[MATMUL].share, "% of peak", at_least=70)
    for case in CONVOLUTIONS:
        yield Figure(f"{case}, 1 thread", 100 * one[case].share, "% of peak", at_least=60)
    if host.usable_cores() > 1:
        for case in (MATMUL, *CONVOLUTIONS):
            two = bench(case, 2, time_budget)
            speedup = one[case].tuned / two.tuned
            yield Figure(f"{case}, 2 threads against 1", speedup, "times", at_least=1.8)
    if is_installed("torch"):
        torch = bench(DEPTHWISE, 1, time_budget, peers="torch").ratios["torch"]
        yield Figure(f"{DEPTHWISE}, 1 thread, torch against tuned", torch, "times", at_least=1)


@click.command()
@click.option("--time-budget", default=30.0, show_default=True, help="Seconds of search a case.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(time_budget: float, report: Path | None) -> None:
    """Print the share of peak of tuned kernels against the bars."""
    publish(measure(time_budget), report)


if __name__ == "__main__":
    main()
