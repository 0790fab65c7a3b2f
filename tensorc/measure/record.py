"""What is kept of a measured candidate, and of the computation it is of."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tensorc.schedule.json import steps_from_json, steps_to_json
from tensorc.schedule.steps import Step
from tensorc.support.errors import RecordError, TargetError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

NO_ERROR: Final = "NONE"
# What the records of final rounds had as their phase before they had a field of their own.
_FINAL_PHASE: Final = "confirm"


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A tuned computation as the database knows it.

    Attributes:
        hash: The structural hash of the DAG, which tells what inputs are constant.
        name: Words for a reader, such as `C2D(56, 56, 64, 64, 1, 1, 0)`.
        flops: Floating-point operations of one run.
        dag: The DAG as `ComputeDAG.to_json` gave it.
    """

    hash: str
    name: str
    flops: float
    dag: str

    @classmethod
    def of(cls, dag: ComputeDAG, name: str, constants: Sequence[str] = ()) -> TaskInfo:
        """Describe a DAG some of whose inputs may be the same in every call."""
        key = dag.structural_hash(constants)
        return cls(key, name, float(dag.flops()), json.dumps(dag.to_json()))

    @property
    def constants(self) -> tuple[str, ...]:
        """The inputs that are the same in every call, by name."""
        _, _, places = self.hash.partition("+")
        params = ComputeDAG.from_json(json.loads(self.dag)).params if places else ()
        return tuple(params[int(place)][0] for place in places.split(",") if place)


@dataclass(frozen=True, slots=True)
class Record:
    """One measured candidate.

    Attributes:
        task: The structural hash of the computation.
        target: The machine it was built for and measured on.
        steps: The concrete schedule.
        latencies: Seconds of a run, one for each window; empty after an error.
        error: `NONE`, or the kind of error.
        phase: Where the error was met, such as `build` or `run`; empty without one.
        message: The full text of the error.
        build_seconds: Time spent building.
        run_seconds: Time spent running.
        confidence: Relative spread of the windows; 0 is certain.
        timestamp: Seconds since the epoch.
        finals: Which final rounds of its database it was measured in, counted from 1; 0 for a
            trial. Those of final rounds are no trials when the run is resumed.
    """

    task: str
    target: Target
    steps: tuple[Step, ...]
    latencies: tuple[float, ...] = ()
    error: str = NO_ERROR
    phase: str = ""
    message: str = ""
    build_seconds: float = 0.0
    run_seconds: float = 0.0
    confidence: float = 0.0
    timestamp: float = field(default_factory=time.time)
    finals: int = 0

    @property
    def is_final(self) -> bool:
        """Whether it was measured in the final rounds of a run."""
        return self.finals > 0

    @property
    def latency(self) -> float | None:
        """Seconds of the fastest window; None after an error."""
        return min(self.latencies) if self.latencies and self.error == NO_ERROR else None

    @property
    def error_kind(self) -> str:
        """The kind of error, by the name that a measurement has for it."""
        return self.error

    def to_json(self) -> dict[str, object]:
        """Return every field as JSON values."""
        return {
            "task": self.task,
            "target": self.target.to_json(),
            "steps": steps_to_json(self.steps),
            "latencies": list(self.latencies),
            "error": self.error,
            "phase": self.phase,
            "message": self.message,
            "build_seconds": self.build_seconds,
            "run_seconds": self.run_seconds,
            "confidence": self.confidence,
            "timestamp": self.timestamp,
            "is_final": self.finals,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Record:
        """Return the record of which `to_json` gave `data`.

        Raises:
            RecordError: A field is missing or of another kind.
        """
        try:
            target, steps, latencies = data["target"], data["steps"], data["latencies"]
            if not (isinstance(target, dict) and isinstance(steps, list)):
                raise RecordError("Bad record: expected 'target' an object and 'steps' a list.")
            if not isinstance(latencies, list):
                raise RecordError("Bad record: expected 'latencies' to be a list of seconds.")
            phase = str(data["phase"])
            was_final = phase == _FINAL_PHASE
            return cls(
                task=str(data["task"]),
                target=Target.from_json(target),
                steps=steps_from_json(steps),
                latencies=tuple(float(x) for x in latencies),
                error=str(data["error"]),
                phase="" if was_final else phase,
                message=str(data["message"]),
                build_seconds=number(data["build_seconds"]),
                run_seconds=number(data["run_seconds"]),
                confidence=number(data["confidence"]),
                timestamp=number(data["timestamp"]),
                finals=int(was_final or number(data.get("is_final", 0))),
            )
        except (KeyError, TypeError, ValueError, TargetError) as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError(f"Bad record: a field is missing or malformed, {error!r}.") from error


def target_key(target: Target) -> str:
    """What two targets must have in common for a record of one to serve the other."""
    return f"{target.kind}/{target.cpu}/{target.vector_bytes}B/{target.num_cores}"


def number(value: object) -> float:
    """Return a JSON number as a float.

    Raises:
        RecordError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordError(f"Bad record: expected a number, got '{value}'.")
    return float(value)
