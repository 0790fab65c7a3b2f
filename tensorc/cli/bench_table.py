"""The table of `tensorc bench`: a row as soon as its case is done, geometric means at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kernels_ref.suite import Case
from tensorc.cli import figures
from tensorc.cli.race import NAIVE, TUNED, Outcome

_NUMBER_WIDTH: Final = 8
_RATIO_WIDTH: Final = 8
# A case that does fewer operations for each byte than the machine can do while it moves a byte
# from memory is bound by memory: there the share of peak says little and the GB/s much.
MEMORY_BOUND_INTENSITY: Final = 6.0


def is_memory_bound(case: Case) -> bool:
    """Say whether moving the data takes longer than computing with it, at best."""
    return case.flops / case.bytes < MEMORY_BOUND_INTENSITY


@dataclass(frozen=True, slots=True)
class BenchTable:
    """Rows of one width.

    Attributes:
        peers: The names of the peers, one column each.
    """

    peers: tuple[str, ...]

    def header(self) -> str:
        """Return the line above the rows."""
        contestants = (NAIVE, TUNED, *self.peers)
        cells = [f"{'case':9}"]
        for name in contestants:
            width = _NUMBER_WIDTH + (0 if name == TUNED else _RATIO_WIDTH)
            cells.append(f"{name:>{width}}")
        cells += [f"{'GFLOP/s':>8}", f"{'% peak':>6}", f"{'GB/s':>6}", f"{'error':>7}", "shape"]
        return " ".join(cells)

    def row(self, outcome: Outcome) -> str:
        """Return the line of one case."""
        case = outcome.case
        cells = [f"{case.name:9}"]
        for name in (NAIVE, TUNED, *self.peers):
            cells.append(_time_cell(outcome, name))
        bound = is_memory_bound(case)
        cells += [
            f"{figures.digits(outcome.speed):>8}",
            f"{figures.percent(outcome.speed, outcome.peak):>6}",
            f"{figures.digits(outcome.bandwidth) if bound else '':>6}",
            f"{outcome.errors[TUNED]:>7.0e}",
            figures.shape(case.shape),
        ]
        return " ".join(cells)

    def footer(self, outcomes: Sequence[Outcome]) -> str:
        """Return the line of geometric means."""
        cells = [f"{'geo. mean':9}"]
        for name in (NAIVE, TUNED, *self.peers):
            blank = " " * _NUMBER_WIDTH
            cells.append(blank if name == TUNED else blank + _ratio_cell(mean(outcomes, name)))
        shares = [o.speed / o.peak for o in outcomes if not is_memory_bound(o.case)]
        share = figures.geometric_mean(shares)
        cells += [" " * 8, f"{figures.percent(share, 1.0):>6}"]
        return " ".join(cells)

    def legend(self) -> str:
        """Return what the columns mean."""
        return (
            "n× is how many times as long as the tuned kernel it takes; % peak is of the "
            "multiply-adds measured in this run, and may pass 100 where a kernel skips padding; "
            "its mean leaves out the cases bound by memory (those with GB/s); error is the "
            "largest difference relative to the largest value of the reference."
        )


def mean(outcomes: Sequence[Outcome], name: str) -> float | None:
    """Return the geometric mean of a contestant's ratios to the tuned kernels."""
    return figures.geometric_mean(
        ratio for outcome in outcomes if (ratio := outcome.ratio(name)) is not None
    )


def _time_cell(outcome: Outcome, name: str) -> str:
    timing = outcome.timings.get(name)
    cell = f"{figures.seconds(timing.best if timing else None):>{_NUMBER_WIDTH}}"
    return cell if name == TUNED else cell + _ratio_cell(outcome.ratio(name))


def _ratio_cell(value: float | None) -> str:
    return f"{figures.ratio(value):>{_RATIO_WIDTH}}"
