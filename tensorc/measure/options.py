"""How candidates are measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from tensorc.runtime.profiler import ProfileOptions
from tensorc.support import host


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """How candidates are measured.

    Attributes:
        builders: Processes that build; None for one for each core.
        fast: Build in half the time, with a code generator that does a little less.
        build_limit: Seconds after which a build is given up.
        run_limit: Seconds after which a run is given up; None to derive it from the naive program.
        naive_factor: The derived limit in multiples of the naive program's time.
        least_limit: The derived limit is no less than so many seconds.
        cut_factor: A candidate so many times slower than the best so far is clearly slow: its
            timing ends as for `contender_factor`, and without a window if a single call is longer
            than one and the core had time to wake up; 0 for none.
        contender_factor: A candidate so many times slower than the best so far is of no interest:
            once a few windows have shown it, and the last was not the fastest, its timing ends; 0
            to time each until windows agree. Its figure is too high only if each of these windows
            was disturbed.
        kept: How many built candidates are kept, so that they need not be built again.
        overlap: Whether to build while a candidate runs; None to do so if cores are left for it,
            as long as that is quicker than building on all cores in between.
        profile: How a candidate is timed.
    """

    builders: int | None = None
    fast: bool = True
    build_limit: float = 20.0
    run_limit: float | None = None
    naive_factor: float = 10.0
    least_limit: float = 1.0
    cut_factor: float = 4.0
    contender_factor: float = 1.25
    kept: int = 0
    overlap: bool | None = None
    profile: ProfileOptions = field(
        default_factory=lambda: ProfileOptions(
            budget=0.04, min_windows=5, max_windows=40, agreeing=3, tolerance=0.02
        )
    )

    def builder_count(self) -> int:
        """How many processes build."""
        return self.builders or host.usable_cores()

    def builders_beside(self, threads: int) -> int:
        """How many of them may build while a candidate runs on so many threads."""
        if self.overlap is False:
            return 0
        left = min(self.builder_count(), host.usable_cores() - threads)
        return max(left, 1 if self.overlap else 0)

    def overlaps(self, threads: int, build: float = 0.0, run: float = 0.0) -> bool:
        """Whether to build while a candidate runs on so many threads.

        Args:
            threads: Cores that a candidate needs.
            build: Seconds that a candidate takes to build.
            run: Seconds that it takes to run; 0 for either if it is not known yet.
        """
        beside = self.builders_beside(threads)
        if self.overlap is not None or not beside:
            return beside > 0
        in_turns = build / self.builder_count() + run
        return not (build and run) or max(build / beside, run) <= in_turns

    def run_limit_for(self, naive_seconds: float) -> float:
        """Seconds after which a run is given up: two calls, the timing, the checks."""
        if self.run_limit is not None:
            return self.run_limit
        return max(self.least_limit, self.naive_factor * naive_seconds) + self.profile.budget
