"""What is seen while a search runs: a live line on a terminal, now and then a plain one elsewhere.

GMM.3.b1(512,512,512)  38/64  best 2.98 ms  90.1 GFLOP/s  91% of peak  ETA 9.1 s
  2 failed: RUN_TIMEOUT 1, WRONG_ANSWER 1
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tensorc.cli import figures

if TYPE_CHECKING:
    from tensorc.search.tuner import Progress

_PLAIN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is being tuned.

    Attributes:
        name: What it is called.
        flops: Floating-point operations of one run; 0 if that says nothing.
        peak: GFLOP/s that the machine can do; None if not measured.
        time_budget: Seconds after which the search ends; None for no limit.
    """

    name: str
    flops: float
    peak: float | None = None
    time_budget: float | None = None


def line(subject: Subject, progress: Progress, left: float | None) -> str:
    """Write how far a search is, and that it takes `left` more seconds."""
    speed = figures.rate(subject.flops, progress.best)
    parts = [
        subject.name,
        str(progress.trials) if progress.total is None else f"{progress.trials}/{progress.total}",
        f"best {figures.seconds(progress.best)}",
    ]
    if speed:
        parts.append(f"{figures.digits(speed)} GFLOP/s")
    if speed and subject.peak:
        parts.append(f"{figures.percent(speed, subject.peak)} of peak")
    parts.append(f"ETA {figures.seconds(left)}")
    return "  ".join(parts)


@dataclass(slots=True)
class Clock:
    """Estimates when a search ends.

    What came before the first measurement of this run (trials of an earlier run, the making of the
    first candidates) says nothing of the pace.
    """

    time_budget: float | None = None
    _first: Progress | None = field(default=None, init=False)

    def left(self, progress: Progress) -> float | None:
        """Return the seconds until all trials are done or the time is used up; None if unknown."""
        self._first = self._first or progress
        trials = progress.trials - self._first.trials
        pace = (progress.elapsed - self._first.elapsed) / trials if trials else None
        by_trials = None
        if pace is not None and progress.total is not None:
            by_trials = pace * (progress.total - progress.trials)
        if self.time_budget is None:
            return by_trials
        by_time = max(0.0, self.time_budget - progress.elapsed)
        return by_time if by_trials is None else min(by_trials, by_time)


def histogram(errors: Sequence[tuple[str, int]]) -> str:
    """Write how many candidates failed, by kind; empty if none did."""
    if not errors:
        return ""
    kinds = ", ".join(f"{kind} {count}" for kind, count in errors)
    return f"{sum(count for _, count in errors)} failed: {kinds}"


@dataclass(slots=True)
class PlainView:
    """Lines for a file or a pipe: the first measurement, then one every ten seconds."""

    subject: Subject
    console: Console
    interval: float = _PLAIN_SECONDS
    clock: Clock = field(default_factory=Clock)
    _next: float = field(default=0.0, init=False)

    def __call__(self, progress: Progress) -> None:
        """Print a line if it is time for one."""
        left, now = self.clock.left(progress), time.monotonic()
        if now < self._next and progress.trials != progress.total:
            return
        self._next = now + self.interval
        failed = histogram(progress.errors)
        text = line(self.subject, progress, left)
        self.console.print(Text(f"{text}  {failed}" if failed else text), soft_wrap=True)


@dataclass(slots=True)
class LiveView:
    """A line and a bar that are redrawn, and are gone at the end."""

    subject: Subject
    live: Live
    clock: Clock = field(default_factory=Clock)

    def __call__(self, progress: Progress) -> None:
        """Redraw."""
        left = self.clock.left(progress)
        foot = Table.grid(padding=(0, 2))
        foot.add_row(
            ProgressBar(progress.total or None, progress.trials, width=24),
            Text(histogram(progress.errors), style="red"),
        )
        self.live.update(Group(Text(line(self.subject, progress, left)), foot))


@contextmanager
def view(subject: Subject, console: Console) -> Iterator[PlainView | LiveView]:
    """Show the progress of a search for as long as the context lasts; a callback of `tune`."""
    clock = Clock(subject.time_budget)
    if not console.is_terminal:
        yield PlainView(subject, console, clock=clock)
        return
    waiting = Text(f"{subject.name}  compiling the first candidates …")
    with Live(waiting, console=console, transient=True, refresh_per_second=8) as live:
        yield LiveView(subject, live, clock)


def print_errors(
    console: Console, errors: Sequence[tuple[str, int]], messages: Mapping[str, str]
) -> None:
    """Print each kind of error with how often it came and the first message of its kind."""
    for kind, count in errors:
        first = messages.get(kind, "").strip().splitlines()
        text = f"  {count}× {kind}" + (f": {first[0]}" if first else "")
        console.print(Text(text, style="red"), soft_wrap=True)


def standard_console() -> Console:
    """Return the console of standard output; lines for a file or a pipe may be long."""
    console = Console(file=sys.stdout, highlight=False)
    return console if console.is_terminal else Console(file=sys.stdout, highlight=False, width=200)
