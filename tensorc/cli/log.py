"""`tensorc log`: what a database of measurements holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from tensorc.cli import figures
from tensorc.cli.parameters import EXISTING_FILE, FILE
from tensorc.cli.progress import standard_console
from tensorc.measure import record_lines
from tensorc.measure.record import NO_ERROR, Record, TaskInfo, target_key
from tensorc.measure.records import Database
from tensorc.schedule.python_code import python_code


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, its number in the database (from 1, in the order of measurement) and its task."""

    number: int
    record: Record
    task: TaskInfo


def entries(database: Database) -> Iterator[Entry]:
    """Yield all records of a database, in the order of measurement.

    Raises:
        RecordError: The database cannot be read, or a record of it is damaged.
    """
    tasks = {task.hash: task for task in database.tasks()}
    for number, record in enumerate(database.records(), 1):
        yield Entry(number, record, tasks[record.task])


@click.group()
def log() -> None:
    """Read, export and import measurement records."""


@log.command(name="list")
@click.argument("file", type=EXISTING_FILE)
@click.option("--task", default="", help="Only tasks whose name or hash contains this.")
@click.option("--errors", is_flag=True, help="Only candidates that failed.")
@click.option("--limit", default=40, show_default=True, help="The last so many; 0 for all.")
def list_records(file: Path, task: str, errors: bool, limit: int) -> None:
    """List the records of a database.

    `tensorc show --database FILE --explain NUMBER` shows one of them whole.
    """
    with Database(file, read_only=True) as database:
        found = [
            entry
            for entry in entries(database)
            if _is_of(entry.task, task) and (entry.record.error != NO_ERROR or not errors)
        ]
    table = _table("number", "task", "target", "latency", "GFLOP/s", "when", "error")
    for entry in found[-limit:] if limit else found:
        record = entry.record
        table.add_row(
            str(entry.number),
            entry.task.name,
            target_key(record.target),
            figures.seconds(record.latency),
            _speed(entry.task, record.latency),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(record.timestamp)),
            Text(_error(record), style="red"),
        )
    standard_console().print(table)
    if limit and len(found) > limit:
        click.echo(f"The last {limit} of {len(found)} records; --limit 0 lists all.")


@log.command()
@click.argument("file", type=EXISTING_FILE)
@click.option("--task", default="", help="Only tasks whose name or hash contains this.")
@click.option("--python", is_flag=True, help="Print the schedules as Python code.")
def best(file: Path, task: str, python: bool) -> None:
    """Print the fastest record of each task and target."""
    with Database(file, read_only=True) as database:
        fastest = [entry for entry in _fastest(database) if _is_of(entry.task, task)]
    table = _table("number", "task", "target", "latency", "GFLOP/s", "windows' spread")
    for entry in fastest:
        record = entry.record
        table.add_row(
            str(entry.number),
            entry.task.name,
            target_key(record.target),
            figures.seconds(record.latency),
            _speed(entry.task, record.latency),
            f"{100 * record.confidence:.1f}%",
        )
    standard_console().print(table)
    for entry in fastest if python else ():
        click.echo(f"\n# {entry.task.name} on {target_key(entry.record.target)}")
        click.echo(python_code(entry.record.steps))


@log.command()
@click.argument("file", type=EXISTING_FILE)
@click.argument("lines", type=FILE)
def export(file: Path, lines: Path) -> None:
    """Write a database as JSON lines."""
    with Database(file, read_only=True) as database:
        count = record_lines.export_lines(database, lines)
    click.echo(f"Wrote {count} records to '{lines}'.")


@log.command(name="import")
@click.argument("file", type=FILE)
@click.argument("lines", type=EXISTING_FILE)
def import_lines(file: Path, lines: Path) -> None:
    """Add JSON lines to a database, which is made if there is none."""
    with Database(file) as database:
        count = record_lines.import_lines(database, lines)
    click.echo(f"Added {count} records to '{file}'.")


@log.command()
@click.argument("file", type=EXISTING_FILE)
def stats(file: Path) -> None:
    """Count records and errors of each task and target."""
    with Database(file, read_only=True) as database:
        counted = database.stats()
    table = _table("task", "target", "records", "best", "GFLOP/s", "errors")
    for row in counted:
        table.add_row(
            row.info.name,
            row.target,
            str(row.records),
            figures.seconds(row.best),
            _speed(row.info, row.best),
            Text(", ".join(f"{kind} {count}" for kind, count in row.errors), style="red"),
        )
    standard_console().print(table)


def _fastest(database: Database) -> list[Entry]:
    """The fastest entry of each task and target, in the order in which they came up."""
    fastest: dict[tuple[str, str], Entry] = {}
    for entry in entries(database):
        latency = entry.record.latency
        if latency is None:
            continue
        key = (entry.record.task, target_key(entry.record.target))
        before = fastest.get(key)
        if before is None or latency < (before.record.latency or 0.0):
            fastest[key] = entry
    return list(fastest.values())


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = column in ("number", "latency", "GFLOP/s", "records", "best")
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table


def _is_of(task: TaskInfo, wanted: str) -> bool:
    return wanted in task.name or wanted in task.hash


def _speed(task: TaskInfo, latency: float | None) -> str:
    speed = figures.rate(task.flops, latency)
    return figures.digits(speed) if speed else "–"


def _error(record: Record) -> str:
    if record.error == NO_ERROR:
        return ""
    first = next(iter(record.message.strip().splitlines()), "")
    return f"{record.error} in {record.phase}: {first}" if record.phase else record.error
