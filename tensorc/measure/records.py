"""Measurement records: an append-only SQLite database.

One row for each measured candidate: which task (the structural hash of its ComputeDAG, which does
not depend on names), which target, the concrete schedule steps as JSON, the latencies, or what
went wrong, where and in which words. Rows are never changed. The database is in write-ahead mode:
several processes may append, and what was committed survives a process that is killed. Nothing
that is stored is ever executed.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tensorc.measure.noise import steady
from tensorc.measure.record import NO_ERROR, Record, TaskInfo, target_key
from tensorc.schedule.json import steps_to_json
from tensorc.schedule.rename import rename_steps
from tensorc.schedule.steps import Step
from tensorc.support.errors import RecordError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

# 1 had the final rounds of a run as a phase, 2 has a column for them.
SCHEMA_VERSION: Final = 2
# "tsrc" in ASCII: marks a SQLite file as ours, so that a foreign one is told from a damaged one.
APPLICATION_ID: Final = 0x74737263
BUSY_SECONDS: Final = 30.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tasks (
    hash TEXT PRIMARY KEY, name TEXT NOT NULL, flops REAL NOT NULL, dag TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY, task TEXT NOT NULL REFERENCES tasks(hash), target_key TEXT NOT NULL,
    target TEXT NOT NULL, steps TEXT NOT NULL, latency REAL, latencies TEXT NOT NULL,
    error TEXT NOT NULL, phase TEXT NOT NULL, message TEXT NOT NULL, build_seconds REAL NOT NULL,
    run_seconds REAL NOT NULL, confidence REAL NOT NULL, timestamp REAL NOT NULL,
    is_final INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS by_task ON records (task, target_key, latency);
"""
_COLUMNS: Final = (
    "task, target, steps, latencies, error, phase, message, build_seconds, run_seconds, "
    "confidence, timestamp, is_final"
)
_TO_VERSION_2: Final = """
ALTER TABLE records ADD COLUMN is_final INTEGER NOT NULL DEFAULT 0;
UPDATE records SET is_final = 1, phase = '' WHERE phase = 'confirm'
"""
# For a database of version 1 that must not be changed: this table comes before the stored one.
_AS_VERSION_2: Final = """
CREATE TEMP VIEW records AS
    SELECT *, phase = 'confirm' AS is_final FROM main.records
"""


@dataclass(frozen=True, slots=True)
class TaskStats:
    """Counts over the records of one task and target.

    Attributes:
        info: The task.
        target: The target's key (see `target_key`).
        records: How many candidates were measured.
        errors: How many of them failed, by kind of error.
        best: Seconds of the best; None if none succeeded.
    """

    info: TaskInfo
    target: str
    records: int
    errors: tuple[tuple[str, int], ...]
    best: float | None


class Database:
    """Records in a file; ':memory:' keeps them in memory. Use as a context manager, or `close`.

    Args:
        path: The file; it is made if it does not exist.
        read_only: Only look; works on files and in folders that cannot be written.

    Raises:
        RecordError: The file is damaged, not a database of tensorc, of a later version, or cannot
            be opened or written.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = str(path)
        with self._explained():
            self._connection = _connect(self.path, read_only)
            try:
                self._check(read_only)
                if not read_only:
                    self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        """Return the database itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Release the file; what was appended is kept."""
        self._connection.close()

    def append(self, info: TaskInfo, records: Iterable[Record]) -> None:
        """Add records of one task, all or none of them.

        The first DAG of a task stays; later records are stored in its names (see
        `schedule.rename`), whatever names `info` has.

        Raises:
            RecordError: The database cannot be written.
        """
        with self.transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO tasks (hash, name, flops, dag) VALUES (?, ?, ?, ?)",
                (info.hash, info.name, info.flops, info.dag),
            )
            stored = self.task(info.hash)
            rows = [_row(_renamed(record, info, stored)) for record in records]
            self._connection.executemany(
                f"INSERT INTO records (target_key, latency, {_COLUMNS}) VALUES "
                f"({', '.join('?' * len(_ROW_FIELDS))})",
                rows,
            )

    def records(
        self, task: str | Sequence[str] | None = None, target: Target | None = None
    ) -> Iterator[Record]:
        """Yield records in the order they were appended, of some tasks and one target if given.

        Raises:
            RecordError: The database cannot be read, or a record of it is damaged.
        """
        where, values = _where(task, target)
        with self._explained():
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM records{where} ORDER BY id", values
            ).fetchall()
        yield from map(_record, rows)

    def best(self, task: str, target: Target) -> Record | None:
        """Return the fastest correct record of a task on a target like this one, None if none.

        Where the last run was finished, its final rounds decide: the minimum of hundreds of noisy
        figures flatters. Who is not in the last of them was given up before. Those of an earlier
        run say nothing here: others took part, and the machine may have been faster.

        Raises:
            RecordError: The database cannot be read, or a record of it is damaged.
        """
        where, values = _where(task, target)
        trials = f"SELECT COALESCE(MAX(id), 0) FROM records{where} AND NOT is_final"
        last = f"SELECT MAX(is_final) FROM records{where}"
        chosen = f"SELECT {_COLUMNS} FROM records{where}"
        with self._explained():
            finals = self._connection.execute(
                f"{chosen} AND is_final AND id > ({trials}) AND is_final = ({last}) ORDER BY id",
                values * 3,
            ).fetchall()
            fastest = self._connection.execute(
                f"{chosen} AND latency IS NOT NULL ORDER BY latency, id LIMIT 1", values
            ).fetchone()
        winner = _winner(map(_record, finals))
        return winner if winner or fastest is None else _record(fastest)

    def last_finals(self, task: str | Sequence[str], target: Target) -> int:
        """Return the number of the last final rounds on a target like this one, 0 if none.

        Raises:
            RecordError: The database cannot be read.
        """
        where, values = _where(task, target)
        with self._explained():
            row = self._connection.execute(
                f"SELECT COALESCE(MAX(is_final), 0) FROM records{where}", values
            ).fetchone()
        return int(row[0])

    def tasks(self) -> tuple[TaskInfo, ...]:
        """Return every task that has been recorded, oldest first.

        Raises:
            RecordError: The database cannot be read.
        """
        with self._explained():
            rows = self._connection.execute(
                "SELECT hash, name, flops, dag FROM tasks ORDER BY rowid"
            ).fetchall()
        return tuple(TaskInfo(*row) for row in rows)

    def task(self, key: str) -> TaskInfo:
        """Return the task of a structural hash.

        Raises:
            RecordError: There is none, or the database cannot be read.
        """
        with self._explained():
            row = self._connection.execute(
                "SELECT hash, name, flops, dag FROM tasks WHERE hash = ?", (key,)
            ).fetchone()
        if row is None:
            raise RecordError(f"No task '{key}' in '{self.path}'.")
        return TaskInfo(*row)

    def stats(self) -> tuple[TaskStats, ...]:
        """Return counts for each task and target.

        Raises:
            RecordError: The database cannot be read.
        """
        infos = {info.hash: info for info in self.tasks()}
        with self._explained():
            groups = self._connection.execute(
                "SELECT task, target_key, COUNT(*), MIN(latency) FROM records "
                "GROUP BY task, target_key ORDER BY MIN(id)"
            ).fetchall()
            kinds = self._connection.execute(
                "SELECT task, target_key, error, COUNT(*) FROM records WHERE error <> ? "
                "GROUP BY task, target_key, error ORDER BY COUNT(*) DESC",
                (NO_ERROR,),
            ).fetchall()
        return tuple(
            TaskStats(
                infos[task],
                key,
                count,
                tuple((error, n) for t, k, error, n in kinds if (t, k) == (task, key)),
                best,
            )
            for task, key, count, best in groups
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is appended within, or, after an error, nothing of it.

        An inner one belongs to the outer one.

        Raises:
            RecordError: The database cannot be written.
        """
        with self._explained():
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _check(self, read_only: bool) -> None:
        application, version = self._pragma("application_id"), self._pragma("user_version")
        tables = self._connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if application != APPLICATION_ID and (tables or read_only):
            raise RecordError(f"Cannot use '{self.path}': it is a database of another program.")
        if read_only and version == 1:
            self._connection.execute(_AS_VERSION_2)
        if version > SCHEMA_VERSION:
            raise RecordError(
                f"Cannot use '{self.path}': expected schema {SCHEMA_VERSION}, got {version}, "
                "written by a later tensorc."
            )

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if self._pragma("application_id") != APPLICATION_ID:
            with self.transaction():
                self._execute_all(_SCHEMA)
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif self._pragma("user_version") < SCHEMA_VERSION:
            with self.transaction():
                if self._pragma("user_version") < SCHEMA_VERSION:  # nobody else was faster
                    self._execute_all(_TO_VERSION_2)
                    self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _execute_all(self, statements: str) -> None:
        for statement in statements.split(";"):
            self._connection.execute(statement)

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RecordError(f"Cannot use the database '{self.path}': {error}.") from error


_ROW_FIELDS: Final = ("target_key", "latency", *_COLUMNS.split(", "))


def _connect(path: str, read_only: bool) -> sqlite3.Connection:
    """Open a connection that commits each statement, unless a transaction was begun."""
    name, is_uri = path, False
    if read_only and path != ":memory:":
        # In a folder that cannot be written, SQLite cannot make the files through which writers
        # and readers of a write-ahead log agree: then nobody writes, and none are needed.
        alone = "" if os.access(Path(path).absolute().parent, os.W_OK) else "&immutable=1"
        name, is_uri = f"{Path(path).absolute().as_uri()}?mode=ro{alone}", True
    return sqlite3.connect(
        name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=is_uri
    )


def _row(record: Record) -> tuple[object, ...]:
    return (
        target_key(record.target),
        record.latency,
        record.task,
        json.dumps(record.target.to_json()),
        json.dumps(steps_to_json(record.steps)),
        json.dumps(record.latencies),
        record.error,
        record.phase,
        record.message,
        record.build_seconds,
        record.run_seconds,
        record.confidence,
        record.timestamp,
        record.finals,
    )


def _winner(finals: Iterable[Record]) -> Record | None:
    """The fastest record of the schedule that won; None if all failed, or there are none."""
    rounds: dict[tuple[Step, ...], list[Record]] = {}
    for record in finals:
        rounds.setdefault(record.steps, []).append(record)
    sound = [mine for mine in rounds.values() if all(r.latency is not None for r in mine)]
    if not sound:
        return None
    # Who lacks more than a round was given up; one, and an interrupt came in between.
    most = max(map(len, sound))
    left = [mine for mine in sound if len(mine) >= most - 1]
    best = min(left, key=lambda mine: steady([r.latency or 0.0 for r in mine]))
    return min(best, key=lambda record: record.latency or 0.0)


def _renamed(record: Record, info: TaskInfo, stored: TaskInfo) -> Record:
    if info.dag == stored.dag:
        return record
    source, target = (ComputeDAG.from_json(json.loads(i.dag)) for i in (info, stored))
    return replace(record, steps=rename_steps(record.steps, source, target))


def _record(row: tuple[object, ...]) -> Record:
    data = dict(zip(_COLUMNS.split(", "), row, strict=True))
    try:
        for name in ("target", "steps", "latencies"):
            data[name] = json.loads(str(data[name]))
    except json.JSONDecodeError as error:
        raise RecordError(f"Bad record of task '{data['task']}': {error}.") from error
    return Record.from_json(data)


def _where(task: str | Sequence[str] | None, target: Target | None) -> tuple[str, tuple[str, ...]]:
    tasks = () if task is None else (task,) if isinstance(task, str) else tuple(task)
    clauses = [] if task is None else [f"task IN ({', '.join('?' * len(tasks))})"]
    clauses += [] if target is None else ["target_key = ?"]
    values = tasks if target is None else (*tasks, target_key(target))
    return (f" WHERE {' AND '.join(clauses)}" if clauses else ""), values
