"""The table of `tensorc bench`: a row as soon as its case is done, geometric means at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kernels_ref.suite import Case
from tensorc.cli import figures
from tensorc.cli.race import NAIVE, TUNED, Outcome
from tensorc.cli.roofline import is_memory_bound
from tensorc.space.definitions.definition import GIVEN

_RATIO_WIDTH: Final = 7
_NAME_WIDTH: Final = 12
# The column of the fastest peer, and what stands for it in `ratio_to`.
BEST: Final = "best peer"
# What a column header leaves of a long name.
_SHORT: Final = {
    "onnxruntime": "ort",
    "metaschedule": "ms",
    "openvino": "ov",
    "inductor": "induct.",
}


@dataclass(frozen=True, slots=True)
class BenchTable:
    """Rows of one width.

    Attributes:
        peers: The names of the peers, one column each.
    """

    peers: tuple[str, ...]

    def header(self) -> str:
        """Return the line above the rows."""
        cells = [f"{'case':9}", f"{NAIVE:>{_RATIO_WIDTH}}", f"{TUNED:>8}"]
        cells += [f"{_SHORT.get(name, name):>{_RATIO_WIDTH}}" for name in self.peers]
        cells += [f"{BEST:<{_NAME_WIDTH}} {'ratio':>{_RATIO_WIDTH}}"] if self.peers else []
        cells += [f"{'GFLOP/s':>7}", f"{'% peak':>6}", f"{'GB/s':>5}", f"{'of':>10}"]
        cells += [f"{'error':>6}", "shape"]
        return " ".join(cells)

    def row(self, outcome: Outcome) -> str:
        """Return the line of one case."""
        case, best = outcome.case, outcome.best_peer
        cells = [
            f"{case.name:9}",
            _ratio_cell(outcome.ratio(NAIVE)),
            f"{figures.seconds(outcome.timings[TUNED].best):>8}",
            *(_ratio_cell(outcome.ratio(name)) for name in self.peers),
        ]
        if self.peers:
            cells += [f"{best or '–':<{_NAME_WIDTH}}", _ratio_cell(ratio_to(outcome, BEST))]
        cells += [
            f"{figures.digits(outcome.speed):>7}",
            f"{figures.percent(outcome.speed, outcome.peak):>6}",
            *self._traffic(outcome),
            f"{outcome.errors[TUNED]:>6.0e}",
            figures.shape(case.shape),
            *([] if outcome.definition == GIVEN else [outcome.definition]),
        ]
        return " ".join(cells)

    def footer(self, outcomes: Sequence[Outcome]) -> Iterator[str]:
        """Yield the lines of geometric means: one for each operator, and that of all."""
        codes = list(dict.fromkeys(outcome.case.workload.code for outcome in outcomes))
        if len(codes) > 1:
            for code in codes:
                yield self._means(code, [o for o in outcomes if o.case.workload.code == code])
        yield self._means("geo. mean", outcomes)

    def legend(self) -> str:
        """Return what the columns mean."""
        return (
            "n× is how many times as long as the tuned kernel it takes (of peers: as the tuned "
            "kernel called from Python, as they are); % peak is of the multiply-adds measured in "
            "this run, and may pass 100 where a kernel skips padding; its mean leaves out the "
            "cases bound by memory, those with GB/s, whose bandwidth is compared with that of "
            "plain reads and writes of as much data; error is the largest difference relative to "
            "the largest value of the reference."
        )

    def _traffic(self, outcome: Outcome) -> tuple[str, str]:
        if not is_memory_bound(outcome.case):
            return " " * 5, " " * 10
        share = ""
        if (limit := outcome.ceiling) is not None:
            share = f"{figures.percent(1e9 * outcome.bandwidth, limit.bandwidth)} {limit.level}"
        return f"{figures.digits(outcome.bandwidth):>5}", f"{share:>10}"

    def _means(self, title: str, outcomes: Sequence[Outcome]) -> str:
        cells = [f"{title:9}", _ratio_cell(mean(outcomes, NAIVE)), " " * 8]
        cells += [_ratio_cell(mean(outcomes, name)) for name in self.peers]
        if self.peers:
            cells += [" " * _NAME_WIDTH, _ratio_cell(mean(outcomes, BEST))]
        shares = [o.speed / o.peak for o in outcomes if not is_memory_bound(o.case)]
        cells += [" " * 7, f"{figures.percent(figures.geometric_mean(shares), 1.0):>6}"]
        return " ".join(cells)


def ratio_to(outcome: Outcome, name: str) -> float | None:
    """Return how many times as long as the tuned kernel a contestant, or the best peer, takes."""
    chosen = outcome.best_peer if name == BEST else name
    return None if chosen is None else outcome.ratio(chosen)


def mean(
    outcomes: Sequence[Outcome], name: str, keep: Callable[[Case], bool] = lambda case: True
) -> float | None:
    """Return the geometric mean of a contestant's ratios to the tuned kernels."""
    return figures.geometric_mean(
        ratio
        for outcome in outcomes
        if keep(outcome.case) and (ratio := ratio_to(outcome, name)) is not None
    )


def _ratio_cell(value: float | None) -> str:
    return f"{figures.ratio(value):>{_RATIO_WIDTH}}"
