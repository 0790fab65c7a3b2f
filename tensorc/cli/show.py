"""`tensorc show`: a program in each of its forms, from the expression to the generated code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from tensorc.cli import figures
from tensorc.cli.log import entries
from tensorc.cli.parameters import EXISTING_FILE, TOLERANCE, as_target
from tensorc.cli.workload import parse
from tensorc.driver.compile import best_record, compile_state
from tensorc.ir.func import PrimFunc
from tensorc.ir.printer import print_func
from tensorc.lower.pipeline import stages
from tensorc.measure.record import NO_ERROR, Record
from tensorc.measure.records import Database
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.printer import print_state
from tensorc.schedule.python_code import python_code
from tensorc.schedule.replay import initial_state, replay
from tensorc.schedule.state import State
from tensorc.schedule.steps import Step
from tensorc.space.default_schedule import default_schedule
from tensorc.space.definitions.definition import definitions_of
from tensorc.space.definitions.rules import DEFINITION_RULES
from tensorc.space.features.names import FEATURE_NAMES
from tensorc.space.features.population import features as statement_features
from tensorc.space.sketch import generate_sketches
from tensorc.support.errors import ScheduleError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG


@dataclass(frozen=True, slots=True)
class Subject:
    """What is shown.

    Attributes:
        title: What it is, and where its schedule is from.
        dag: The computation.
        state: The schedule, applied; of a schedule that is refused, the plain loops.
        steps: The schedule.
        target: The machine.
        note: What else is known of it: a record's figures and the text of its error.
    """

    title: str
    dag: ComputeDAG
    state: State
    steps: tuple[Step, ...]
    target: Target
    note: str = ""


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("workload", required=False)
@click.argument("arguments", nargs=-1)
@click.option(
    "--target", callback=as_target, default="llvm", show_default=True, help="'llvm', 'c', 'python'."
)
@click.option("--database", type=EXISTING_FILE, help="Records to take the schedule from.")
@click.option("--explain", type=click.IntRange(1), help="A record of the database, by its number.")
@TOLERANCE
@click.option("--expression", is_flag=True, help="The tensor expressions.")
@click.option("--sketches", is_flag=True, help="Every loop structure the search may choose.")
@click.option("--rules", default="default", show_default=True, help="Sketch rules, or 'ansor'.")
@click.option("--schedule", is_flag=True, help="The loops, and the schedule as Python code.")
@click.option("--ir", is_flag=True, help="The loop IR after each pass.")
@click.option("--source", is_flag=True, help="The generated code.")
@click.option("--features", is_flag=True, help="What the cost model sees of each statement.")
def show(
    workload: str | None,
    arguments: tuple[str, ...],
    target: Target,
    database: Path | None,
    explain: int | None,
    tolerance: float,
    expression: bool,
    sketches: bool,
    rules: str,
    schedule: bool,
    ir: bool,
    source: bool,
    features: bool,
) -> None:
    """Show WORKLOAD in its forms; without options, its expression, loops and schedule.

    WORKLOAD is a case of the suite (GMM.3) or a function that returns its tensors
    (kernels.py:matmul), called with ARGUMENTS. The schedule is the best record of --database, or
    the default one. `--database FILE --explain NUMBER` shows a record, whole, with its error.
    """
    subject = _subject(workload, arguments, target, database, explain, tolerance)
    wanted = {
        "expression": expression,
        "sketches": sketches,
        "schedule": schedule,
        "ir": ir,
        "source": source,
        "features": features,
    }
    if not any(wanted.values()):
        wanted |= {"expression": explain is None, "schedule": True}
    click.echo(f"# {subject.title}")
    if subject.note:
        click.echo(subject.note)
    for text in _parts(subject, wanted, rules):
        click.echo(f"\n{text}")


def _subject(
    workload: str | None,
    arguments: tuple[str, ...],
    target: Target,
    database: Path | None,
    explain: int | None,
    tolerance: float,
) -> Subject:
    if explain is not None:
        if database is None:
            raise click.UsageError("--explain needs --database.")
        return _of_record(database, explain)
    if workload is None:
        raise click.UsageError("Expected a WORKLOAD, or --database and --explain.")
    subject = parse(workload, arguments)
    ways = definitions_of(subject.dag, DEFINITION_RULES, tolerance, target)
    found = best_record(ways, target, database)
    if found is None:
        dag, state = subject.dag, default_schedule(subject.dag, target)
        origin = "default schedule" if database is None else f"no record in '{database}': default"
    else:
        (dag, _), state, origin = found, replay(*found), f"best record of '{database}'"
    return Subject(f"{subject.name}, {origin}", dag, state, state.steps, target)


def _of_record(path: Path, number: int) -> Subject:
    with Database(path, read_only=True) as database:
        found = next((entry for entry in entries(database) if entry.number == number), None)
    if found is None:
        raise click.UsageError(f"There is no record number {number} in '{path}'.")
    record = found.record
    dag = ComputeDAG.from_json(json.loads(found.task.dag))
    title = f"record {number} of '{path}': {found.task.name}"
    note = _note(record, found.task.flops)
    try:
        state = replay(dag, record.steps)
    except ScheduleError as error:
        state, note = initial_state(dag), f"{note}\nThe schedule is refused: {error}"
    return Subject(title, dag, state, record.steps, record.target, note)


def _note(record: Record, flops: float) -> str:
    """A record's figures, and all that is known of its error."""
    lines = [f"target  {record.target}", f"build   {figures.seconds(record.build_seconds)}"]
    if record.error != NO_ERROR:
        phase = f" in phase '{record.phase}'" if record.phase else ""
        return "\n".join([*lines, f"error   {record.error}{phase}", record.message.rstrip()])
    speed = figures.rate(flops, record.latency)
    lines.append(
        f"latency {figures.seconds(record.latency)}"
        + (f", {figures.digits(speed)} GFLOP/s" if speed else "")
    )
    windows = ", ".join(map(figures.seconds, record.latencies))
    return "\n".join([*lines, f"windows {windows}"])


def _parts(subject: Subject, wanted: dict[str, bool], rules: str) -> Iterator[str]:
    """The forms that are wanted, each with a title, from the expression to the code."""
    if wanted["expression"]:
        yield f"## Expression\n{subject.dag}"
    if wanted["sketches"]:
        yield from _sketches(subject, rules)
    if wanted["schedule"]:
        yield f"## Loops\n{print_state(subject.state)}"
        yield f"## Schedule\n{python_code(subject.steps)}"
    if wanted["ir"]:
        yield from _stages(subject)
    if wanted["source"]:
        function = compile_state(subject.state, subject.target)
        yield f"## Source ({subject.target.kind})\n{function.source()}"
    if wanted["features"]:
        yield from _features(subject)


def _stages(subject: Subject) -> Iterator[str]:
    before: PrimFunc | None = None
    for name, func in stages(subject.state, subject.target, "kernel"):
        text = "(unchanged)" if func is before else print_func(func).rstrip()
        yield f"## IR after {name}\n{text}"
        before = func


def _sketches(subject: Subject, rules: str) -> Iterator[str]:
    found = generate_sketches(subject.dag, subject.target, rules)
    yield f"## Sketches: {len(found)} by the rules '{rules}'"
    for number, sketch in enumerate(found, 1):
        yield f"### Sketch {number}, {sketch.width} decisions\n{sketch}"


def _features(subject: Subject) -> Iterator[str]:
    """A line for each feature that is not 0 everywhere, a column for each statement."""
    bounds = Bounds(subject.state)
    (logarithms,) = statement_features(subject.state, subject.target, bounds=bounds)
    values = np.exp2(logarithms.astype(np.float64)) - 1
    lines = [f"{'feature':26}" + "".join(f"{name[-18:]:>20}" for name in bounds.order)]
    for name, column in zip(FEATURE_NAMES, values.T, strict=True):
        if column.any():
            lines.append(f"{name:26}" + "".join(f"{value:20.4g}" for value in column))
    yield "## Features (the cost model takes log2(x + 1) of them)\n" + "\n".join(lines)
