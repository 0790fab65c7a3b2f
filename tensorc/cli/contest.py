"""Time several contestants fairly: in turns, in one process, and by their fastest windows.

A shared machine is fast and slow by turns. Whoever is timed in one stretch meets one of the two;
in a round-robin everybody meets both, and the minimum over rounds is the machine at its best. There
are rounds until nobody gets faster any more.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# Calls that are quicker are timed several at once, so that reading the clock does not count.
_WINDOW_SECONDS: Final = 2e-4
# Other libraries' threads spin for a while after a call; they shall be asleep before the next turn.
_PAUSE_SECONDS: Final = 4e-3
_BUSY_SHARE: Final = 0.1
_MOST_PAUSES: Final = 60

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
        rounds: How often everybody has a turn, at least.
        most_rounds: How often at most.
        turn: Seconds of a turn.
        patience: Who has used so many seconds gets no further turn.
        quiet: The contest ends after so many rounds in which nobody got faster,
        gain: that is, by more than this share.
    """

    rounds: int = 6
    most_rounds: int = 18
    turn: float = 0.02
    patience: float = 2.0
    quiet: int = 3
    gain: float = 0.01


def compete(contestants: Mapping[str, Turn], limits: Limits = Limits()) -> dict[str, Timing]:
    """Time every contestant, in turns; each round begins with another one."""
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    used = dict.fromkeys(names, 0.0)
    for number in range(max(limits.rounds, limits.most_rounds)):
        playing = [seconds[name] for name in names if used[name] < limits.patience]
        if number >= limits.rounds and all(_settled(samples, limits) for samples in playing):
            break
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            if used[name] >= limits.patience:
                continue
            pause()
            start = time.perf_counter()
            seconds[name].append(contestants[name](limits.turn))
            used[name] += time.perf_counter() - start
    return {
        name: Timing(min(samples), statistics.median(samples), len(samples))
        for name, samples in seconds.items()
    }


def pause() -> None:
    """Sleep until the other threads of this process do, or for a quarter of a second."""
    for _ in range(_MOST_PAUSES):
        used = time.process_time()
        time.sleep(_PAUSE_SECONDS)
        if time.process_time() - used < _BUSY_SHARE * _PAUSE_SECONDS:
            return


def _settled(samples: Sequence[float], limits: Limits) -> bool:
    """Whether the last rounds brought no better time."""
    earlier, last = samples[: -limits.quiet], samples[-limits.quiet :]
    return bool(earlier) and min(last) > (1 - limits.gain) * min(earlier)


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
