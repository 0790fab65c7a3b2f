"""What a search proposes, measures and writes down where a computation has several definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensorc.driver.compile import DatabaseLike, in_names_of
from tensorc.measure.record import Record, TaskInfo
from tensorc.measure.records import Database
from tensorc.measure.result import MeasureInput, MeasureResult
from tensorc.space.decisions import Rows
from tensorc.space.definitions.definition import GIVEN, Definition
from tensorc.space.sketch import Rules, generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask

Measure = Callable[[Sequence[MeasureInput]], Iterable[MeasureResult]]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of one sketch; what the rows of a space stand for knows its definition.

    Attributes:
        space: The candidates as schedules.
        key: The key of the task that measures them.
    """

    space: Space
    key: str

    @classmethod
    def of(cls, task: SearchTask, rules: Rules) -> Iterator[Candidates]:
        """Yield the candidates of each sketch of a task."""
        for sketch in generate_sketches(task, rules=rules):
            yield cls(Space(task, sketch), task.dag.structural_hash(task.constants))

    def steps(self, row: Rows) -> MeasureInput:
        """The candidate that a row stands for."""
        return MeasureInput(self.space.steps(row), self.key)

    def row(self, candidate: MeasureInput) -> Rows | None:
        """The row of a candidate, None if it is not one of this space."""
        return self.space.row(candidate.steps) if candidate.task == self.key else None

    def size(self) -> float:
        """About how many rows there are."""
        return self.space.size()

    def sample(self, count: int, rng: np.random.Generator) -> Rows:
        """Draw rows."""
        return self.space.sample(count, rng)

    def mutate(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Change one decision of each row."""
        return self.space.mutate(rows, rng)

    def crossover(self, first: Rows, second: Rows, rng: np.random.Generator) -> Rows:
        """Take each decision from one of two parents."""
        return self.space.crossover(first, second, rng)

    def keys(self, rows: Rows) -> Rows:
        """Equal numbers for rows of equal schedules, different ones for others."""
        return self.space.keys(rows)

    def features(self, rows: Rows) -> NDArray[np.float32]:
        """The features of every statement: float32, rows × statements × features."""
        return self.space.features(rows)


class RunRecords:
    """The part of a database that concerns one run; nothing if there is no database.

    A record's steps belong to the DAG of its definition: it is kept under the hash of that DAG.
    """

    def __init__(
        self,
        database: Database | None,
        task: SearchTask,
        definitions: Sequence[Definition],
        name: str,
    ) -> None:
        """Name the definitions for readers of the database, and number the final rounds.

        Raises:
            RecordError: The database cannot be read.
        """
        self._database, self._target = database, task.target
        self._tasks: dict[str, tuple[Definition, TaskInfo]] = {}
        for way in definitions:
            words = name or ", ".join(way.dag.outputs)
            words = words if way.name == GIVEN else f"{words} as {way.name}"
            info = TaskInfo.of(way.dag, words, task.constants)
            self._tasks[info.hash] = way, info
        self._finals = 1
        if database is not None:
            self._finals += database.last_finals(tuple(self._tasks), task.target)

    @classmethod
    def open(
        cls,
        stack: ExitStack,
        database: DatabaseLike | None,
        task: SearchTask,
        definitions: Sequence[Definition],
        name: str,
    ) -> RunRecords:
        """Open a database given by path for as long as the stack lasts.

        Raises:
            RecordError: The database cannot be opened or read.
        """
        if database is not None and not isinstance(database, Database):
            database = stack.enter_context(Database(database))
        return cls(database, task, definitions, name)

    def earlier(self) -> Iterator[tuple[MeasureInput, Record]]:
        """The trials of earlier runs on a target like this one, in order.

        Raises:
            RecordError: The database cannot be read.
        """
        if self._database is None:
            return
        for record in self._database.records(tuple(self._tasks), self._target):
            if not record.is_final:
                way, _ = self._tasks[record.task]
                steps = in_names_of(way.dag, record, self._database)
                yield MeasureInput(steps, record.task), record

    def add(self, candidate: MeasureInput, result: MeasureResult, *, is_final: bool) -> None:
        """Write a result down.

        Raises:
            RecordError: The database cannot be written.
        """
        if self._database is None:
            return
        _, info = self._tasks[candidate.task or ""]
        record = Record(
            task=info.hash,
            target=self._target,
            steps=candidate.steps,
            latencies=tuple(result.latencies),
            error=result.error_kind,
            phase=result.phase,
            message=result.message,
            build_seconds=result.build_seconds,
            run_seconds=result.run_seconds,
            confidence=result.confidence,
            timestamp=result.timestamp,
            finals=self._finals if is_final else 0,
        )
        self._database.append(info, [record])


class Watched:
    """Measures, writes each result down as it comes, and remembers the first of each error."""

    def __init__(self, measure: Measure, records: RunRecords, *, is_final: bool = False) -> None:
        """Begin without errors."""
        self._measure, self._records, self._is_final = measure, records, is_final
        self.first_messages: dict[str, str] = {}

    def __call__(self, batch: Sequence[MeasureInput]) -> Iterator[MeasureResult]:
        """Measure candidates in order."""
        for candidate, result in zip(batch, self._measure(batch), strict=True):
            if result.latency is None:
                self.first_messages.setdefault(result.error_kind, result.message)
            self._records.add(candidate, result, is_final=self._is_final)
            yield result
