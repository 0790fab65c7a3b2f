"""What is measured, and what comes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum

from tensorc.runtime.artifact import Artifact
from tensorc.schedule.steps import Step


class ErrorKind(Enum):
    """What went wrong with a candidate; the values are what records hold."""

    NONE = "NONE"
    INSTANTIATION_ERROR = "INSTANTIATION_ERROR"
    BUILD_ERROR = "BUILD_ERROR"
    BUILD_TIMEOUT = "BUILD_TIMEOUT"
    RUNTIME_CRASH = "RUNTIME_CRASH"
    RUN_TIMEOUT = "RUN_TIMEOUT"
    WRONG_ANSWER = "WRONG_ANSWER"
    OUT_OF_BOUNDS_WRITE = "OUT_OF_BOUNDS_WRITE"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class MeasureInput:
    """One candidate.

    Attributes:
        steps: Its schedule, concrete steps only.
        task: Key of its task; may be left out if the measurer has one task only.
        artifact: Code that is measured as it is, instead of what the steps give.
    """

    steps: tuple[Step, ...] = ()
    task: str | None = None
    artifact: Artifact | None = None


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """What came of one candidate.

    Attributes:
        latencies: Seconds of a run, one for each window; empty after an error.
        error: What went wrong.
        message: The full text of the error; empty without one.
        phase: Where it went wrong: 'replay', 'lower', 'build', 'load', 'run', 'check'; empty
            without an error.
        build_seconds: Time from steps to code.
        run_seconds: Time in the process that runs, checks included.
        confidence: How far the median window lies above the fastest, as a fraction: 0 is certain,
            1 or more is a single or a cut-off measurement, or chaos.
        timestamp: Seconds since the epoch.
    """

    latencies: tuple[float, ...] = ()
    error: ErrorKind = ErrorKind.NONE
    message: str = ""
    phase: str = ""
    build_seconds: float = 0.0
    run_seconds: float = 0.0
    confidence: float = 1.0
    timestamp: float = field(default_factory=time.time)

    @property
    def latency(self) -> float | None:
        """Seconds of the fastest window; None after an error."""
        return min(self.latencies) if self.latencies else None

    @property
    def error_kind(self) -> str:
        """The kind of error as text, `NONE` without one."""
        return self.error.value
