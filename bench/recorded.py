"""Records as a model sees them: features and seconds of the candidates of each task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensorc.measure.record import Record, TaskInfo
from tensorc.measure.records import Database
from tensorc.schedule.replay import replay
from tensorc.space.features.names import FEATURE_NAMES
from tensorc.space.features.program import program_features
from tensorc.space.task import SearchTask
from tensorc.support.errors import TensorcError
from tensorc.te.dag import ComputeDAG


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The measured candidates of one task.

    Attributes:
        name: What records call the task.
        threads: How many cores its programs used.
        features: Candidates × statements × features; zeros fill up those with fewer statements.
        seconds: Of each candidate.
    """

    name: str
    threads: int
    features: NDArray[np.float32]
    seconds: NDArray[np.float64]

    @property
    def operator(self) -> str:
        """The code of the operator, as the suite has it."""
        return self.name.split(".")[0].split("(")[0]


def groups(paths: Iterable[Path]) -> Iterator[Group]:
    """Yield the tasks of databases.

    Candidates that failed are left out, and those that no longer replay; of several measurements
    of one program the fastest counts.
    """
    for path in paths:
        with Database(path, read_only=True) as database:
            for info in database.tasks():
                by_threads: dict[int, list[Record]] = {}
                for record in database.records(info.hash):
                    if record.latency is not None and not record.target.is_gpu:
                        by_threads.setdefault(record.target.num_cores, []).append(record)
                for threads, records in by_threads.items():
                    group = _group(info, threads, records)
                    if group is not None:
                        yield group


def _group(info: TaskInfo, threads: int, records: Sequence[Record]) -> Group | None:
    dag = ComputeDAG.from_json(json.loads(info.dag))
    task = SearchTask(dag, records[0].target, info.constants)
    fastest: dict[object, Record] = {}
    for record in sorted(records, key=lambda r: r.latency or 0.0):
        fastest.setdefault(record.steps, record)
    rows, seconds = [], []
    for record in fastest.values():
        try:
            row = program_features(task, replay(dag, record.steps))
        except (TensorcError, KeyError, ValueError, IndexError):
            continue  # of an earlier space
        rows.append(row)
        seconds.append(record.latency or 0.0)
    if not rows:
        return None
    most = max(len(row) for row in rows)
    filled = np.zeros((len(rows), most, len(FEATURE_NAMES)), np.float32)
    for number, row in enumerate(rows):
        filled[number, : len(row)] = row
    return Group(info.name, threads, filled, np.array(seconds))
