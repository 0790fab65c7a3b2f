"""Kinds of values that options take."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from tensorc.space.definitions.definition import DEFAULT_TOLERANCE
from tensorc.support import host, options
from tensorc.support.errors import TargetError
from tensorc.target import CPU_KINDS, Target

FILE: Final = click.Path(dir_okay=False, path_type=Path)
EXISTING_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
# What a search measures for which no end is given.
DEFAULT_TRIALS: Final = 64
TOLERANCE: Final = click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=DEFAULT_TOLERANCE,
    show_default=True,
    help="Error allowed, relative to the largest value: other algorithms within it may be chosen.",
)


def as_target(ctx: click.Context, param: click.Parameter, value: str) -> Target:
    """Read a target for CPUs: 'llvm', 'c', or with fields, as in 'llvm -vector-bytes=32'.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        target = Target.parse(value)
    except TargetError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    if target.kind not in CPU_KINDS:
        expected = ", ".join(CPU_KINDS)
        raise click.BadParameter(f"expected one of {expected}, got '{target.kind}'.", ctx, param)
    return target


def ensure_writable(path: Path | None) -> None:
    """Refuse a file that cannot be written now, and not after an hour of measuring.

    Raises:
        click.FileError: It cannot be opened for writing.
    """
    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        raise click.FileError(str(path), error.strerror or "") from error


def trial_limit(
    trials: int | None, time_budget: float | None, early_stopping: int | None
) -> int | None:
    """Return what `--trials` says; without it no limit, unless nothing else ends the search."""
    if trials is None and time_budget is None and early_stopping is None:
        return DEFAULT_TRIALS
    return trials


def thread_count(threads: int | None) -> int:
    """Return what `--threads` says; else TENSORC_NUM_THREADS, else the cores that may be used.

    Raises:
        OptionError: `TENSORC_NUM_THREADS` is no number of threads.
    """
    return threads or options.NUM_THREADS.get() or host.usable_cores()
