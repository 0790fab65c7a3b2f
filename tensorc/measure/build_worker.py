"""What a process does that turns schedules into code: replay, lower, generate, compile.

A task comes once, as the JSON of its ComputeDAG and target; after that a candidate is only its
steps.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from tensorc.lower.pipeline import lower_split
from tensorc.measure.channel import Message
from tensorc.measure.worker import failure
from tensorc.runtime.build import build
from tensorc.schedule.json import steps_from_json
from tensorc.schedule.replay import replay
from tensorc.support.errors import RecordError, ScheduleError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

# Between two searches for cycles; a candidate makes some ten thousand objects.
_ALLOCATIONS: Final = 200_000


def collect_rarely() -> None:
    """Let Python look for cycles of objects rarely in this process.

    Building makes many small nodes and next to no cycles; looking for them takes a fifth of the
    time from a schedule to text.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)


class Builder:
    """Answers messages; knows the tasks that came so far."""

    def __init__(self) -> None:
        """Begin without tasks."""
        collect_rarely()
        self._tasks: dict[str, tuple[ComputeDAG, Target, list[str]]] = {}

    def __call__(self, message: Message) -> tuple[Mapping[str, Any], bytes]:
        """Take over a task, or build a candidate."""
        header = message.header
        if header["op"] == "task":
            dag = ComputeDAG.from_json(json.loads(header["dag"]))
            target = Target.from_json(header["target"])
            self._tasks[header["task"]] = dag, target, header["constants"]
            return {}, b""
        start = time.perf_counter()
        answer, data = self._build(header)
        return {**answer, "build_seconds": time.perf_counter() - start}, data

    def _build(self, header: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        dag, target, constants = self._tasks[header["task"]]
        phase = "replay"
        try:
            state = replay(dag, steps_from_json(header["steps"]))
            phase = "lower"
            lowered = lower_split(state, target, constants)
            phase = "build"
            built = build(
                lowered.main,
                target,
                fast=header["fast"],
                prologue=lowered.prologue,
                strength_reduction=lowered.strength_reduction,
            )
            artifact = built.renamed(lowered.names)
        except (ScheduleError, RecordError) as error:
            return failure("INSTANTIATION_ERROR", phase, error), b""
        except Exception as error:  # a candidate may break anything, and must not stop the search
            kind = "INSTANTIATION_ERROR" if phase == "replay" else "BUILD_ERROR"
            return failure(kind, phase, error), b""
        return {"error": "NONE", "artifact": artifact.header()}, artifact.data
