"""When candidates may be built, and when they may run: at the same time, or in turns.

While a candidate runs, only as many builders work as there are cores left beside it. So each change
waits for what is under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tensorc.measure.options import MeasureOptions

# Candidates built before running, where the two must not overlap; and how long what was decided is
# kept where they do.
BLOCK: Final = 8


@dataclass(slots=True)
class Spent:
    """Seconds that candidates took."""

    total: float = 0.0
    count: int = 0

    @property
    def mean(self) -> float:
        """Of one candidate; 0 while too few are known."""
        return self.total / self.count if self.count >= BLOCK else 0.0

    def add(self, seconds: float) -> None:
        """Count one more candidate."""
        self.total += seconds
        self.count += 1


@dataclass(frozen=True, slots=True)
class Work:
    """Where candidates are.

    Attributes:
        to_build: How many wait to be built.
        to_run: How many are built and wait to run.
        is_building: Whether a builder has any.
        is_running: Whether the runner has any.
    """

    to_build: int
    to_run: int
    is_building: bool
    is_running: bool


class _Phase(Enum):
    BOTH = "both"
    BUILD = "build"
    RUN = "run"


class Turns:
    """Decides what may begin.

    Attributes:
        built: Seconds that builds took.
        ran: Seconds that runs took.
    """

    def __init__(self, options: MeasureOptions, threads: int) -> None:
        """Begin with nothing built and nothing known.

        Args:
            options: How to measure.
            threads: Cores that a candidate needs.
        """
        self.built = Spent()
        self.ran = Spent()
        self._options = options
        self._threads = threads
        self._decided = 0
        self._phase = self._first()

    def advance(self, work: Work) -> tuple[int, bool]:
        """Return how many builders may be given candidates now, and whether the runner may.

        What is returned for `work` always lets something begin, or waits for what is under way.
        """
        if self._phase is _Phase.BOTH and self.ran.count >= self._decided + BLOCK:
            # No builder has to be waited for: those that work leave the runner its cores.
            self._phase = _Phase.RUN if self._first() is _Phase.BUILD else _Phase.BOTH
        if self._phase is _Phase.RUN and not work.is_running and not work.to_run:
            self._phase = self._first()
        if self._phase is _Phase.BUILD and _is_block(work):
            if work.is_building:
                return 0, False
            self._phase = _Phase.RUN
        match self._phase:
            case _Phase.BOTH:
                return self._options.builders_beside(self._threads), True
            case _Phase.BUILD:
                return self._options.builder_count(), False
            case _Phase.RUN:
                return 0, True

    def _first(self) -> _Phase:
        """Decide anew."""
        self._decided = self.ran.count
        overlap = self._options.overlaps(self._threads, self.built.mean, self.ran.mean)
        return _Phase.BOTH if overlap else _Phase.BUILD


def _is_block(work: Work) -> bool:
    """Whether it is time to run what has been built."""
    return work.to_run >= BLOCK or (work.to_run > 0 and not work.to_build)
