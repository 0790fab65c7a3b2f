"""Records as lines of JSON: to keep them under version control, or to take them elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tensorc.measure.record import Record, TaskInfo, number
from tensorc.measure.records import Database
from tensorc.support.errors import RecordError, TensorcError
from tensorc.te.dag import ComputeDAG


def export_lines(database: Database, path: str | Path) -> int:
    """Write every task and record as JSON lines; return how many records.

    Raises:
        RecordError: The file cannot be written, or the database not read.
    """
    count = 0
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            for info in database.tasks():
                fields = {"hash": info.hash, "name": info.name, "flops": info.flops}
                print(json.dumps({"task": {**fields, "dag": info.dag}}), file=file)
            for record in database.records():
                print(json.dumps({"record": record.to_json()}), file=file)
                count += 1
    except OSError as error:
        raise RecordError(f"Cannot write '{path}': {error.strerror}.") from error
    return count


def import_lines(database: Database, path: str | Path) -> int:
    """Add what `export_lines` wrote, all or nothing; return how many records.

    Raises:
        RecordError: The file cannot be read, a line of it is not such a line, or the database
            cannot be written.
    """
    infos: dict[str, TaskInfo] = {}
    records: dict[str, list[Record]] = {}
    for place, line in enumerate(_lines(path), 1):
        entry = _entry(line, f"line {place} of '{path}'")
        if isinstance(entry, TaskInfo):
            infos[entry.hash] = entry
        elif entry.task not in infos:
            raise RecordError(f"Bad line {place} of '{path}': its task was not given before.")
        else:
            records.setdefault(entry.task, []).append(entry)
    with database.transaction():
        for task, info in infos.items():
            database.append(info, records.get(task, ()))
    return sum(map(len, records.values()))


def _lines(path: str | Path) -> Iterator[str]:
    try:
        with Path(path).open(encoding="utf-8") as file:
            yield from (line for line in file if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"Cannot read '{path}': {error}.") from error


def _entry(line: str, place: str) -> TaskInfo | Record:
    try:
        match json.loads(line):
            case {"task": {"hash": str(key), "name": str(name), "flops": flops, "dag": str(dag)}}:
                ComputeDAG.from_json(json.loads(dag))
                return TaskInfo(key, name, number(flops), dag)
            case {"record": dict(record)}:
                return Record.from_json(record)
            case _:
                raise RecordError(f"Bad {place}: expected a task or a record.")
    except (ValueError, TensorcError) as error:
        raise RecordError(f"Bad {place}: {error}") from error
