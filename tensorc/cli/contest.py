"""Time several contestants fairly: in turns, in one process, and by their fastest windows.

A shared machine is fast and slow by turns. Whoever is timed in one stretch meets one of the two;
in a round-robin everybody meets both, and the minimum over rounds is the machine at its best.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

# Calls that are quicker are timed several at once, so that reading the clock does not count.
_WINDOW_SECONDS: Final = 2e-4
# Other libraries' threads spin for a while after a call; they shall be asleep.
_PAUSE_SECONDS: Final = 5e-3

Turn = Callable[[float], float]
"""Run for about so many seconds; return the seconds of one run, the fastest of them."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one run takes.

    Attributes:
        best: Seconds of the fastest window of all rounds.
        median: Seconds of the median of the rounds' fastest windows.
        rounds: How many rounds there were.
    """

    best: float
    median: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a contest may take.

    Attributes:
        rounds: How often everybody has a turn.
        turn: Seconds of a turn.
        patience: Who has used so many seconds gets no further turn.
    """

    rounds: int = 7
    turn: float = 0.03
    patience: float = 2.0


def compete(contestants: Mapping[str, Turn], limits: Limits = Limits()) -> dict[str, Timing]:
    """Time every contestant, in turns; each round begins with another one."""
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    used = dict.fromkeys(names, 0.0)
    for number in range(limits.rounds):
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            if used[name] >= limits.patience:
                continue
            time.sleep(_PAUSE_SECONDS)
            start = time.perf_counter()
            seconds[name].append(contestants[name](limits.turn))
            used[name] += time.perf_counter() - start
    return {
        name: Timing(min(samples), statistics.median(samples), len(samples))
        for name, samples in seconds.items()
    }


def from_python(run: Callable[[], object]) -> Turn:
    """Return the turn of something that is called from Python: one call to warm up, then calls."""

    def turn(duration: float) -> float:
        clock = time.perf_counter
        start = clock()
        run()
        once = max(clock() - start, 1e-7)
        if once > duration:
            return once
        calls = max(1, int(_WINDOW_SECONDS / once))
        best, end = once, clock() + duration
        while True:
            start = clock()
            for _ in range(calls):
                run()
            stop = clock()
            best = min(best, (stop - start) / calls)
            if stop >= end:
                return best

    return turn
