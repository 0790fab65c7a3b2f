"""From how a worker process ended to what was wrong with its candidate."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

from tensorc.measure.process import signal_name
from tensorc.measure.result import ErrorKind, MeasureResult
from tensorc.runtime.artifact import Param

_SOMEWHERE = -1
# Buffers that are no parameters of the computation.
_OTHERS = {-2: "the workspace", -3: "what was made of constants"}


def crash_result(
    status: int, words: Mapping[str, Any] | None, params: Sequence[Param], printed: str
) -> MeasureResult:
    """Say why the process that runs candidates died.

    Args:
        status: Its status, negative for a signal.
        words: What it sent while crashing, if it could.
        params: The parameters of the kernel.
        printed: The end of what it printed.
    """
    if status == -signal.SIGALRM:
        return MeasureResult(
            error=ErrorKind.RUN_TIMEOUT, message="The kernel did not return.", phase="run"
        )
    if words is not None and words["buffer"] != _SOMEWHERE:
        return _bounds_result(words, params, signal_name(status))
    place = f" at address {words['address']:#x}" if words is not None else ""
    said = f" It printed: {printed}" if printed else ""
    message = f"The kernel crashed the process that ran it: {signal_name(status)}{place}.{said}"
    return MeasureResult(error=ErrorKind.RUNTIME_CRASH, message=message, phase="run")


def is_conclusive(words: Mapping[str, Any] | None) -> bool:
    """Say whether the candidate itself is shown to be at fault, not one that ran before it."""
    return words is not None and words["buffer"] != _SOMEWHERE


def build_crash_result(status: int, printed: str) -> MeasureResult:
    """Say why a process that builds died."""
    said = f" It printed: {printed}" if printed else ""
    message = f"The process that built the candidate died: {signal_name(status)}.{said}"
    return MeasureResult(error=ErrorKind.BUILD_ERROR, message=message, phase="build")


def timeout_result(
    kind: ErrorKind, phase: str, limit: float, naive_seconds: float | None = None
) -> MeasureResult:
    """Say that a candidate was given up, and what the limit comes from."""
    naive = "" if naive_seconds is None else f"; the naive program takes {naive_seconds:.3g} s"
    message = f"The candidate was given up in the phase '{phase}' after {limit:.3g} s{naive}."
    return MeasureResult(error=kind, message=message, phase=phase)


def _bounds_result(
    words: Mapping[str, Any], params: Sequence[Param], died_of: str
) -> MeasureResult:
    number, offset = words["buffer"], words["offset"]
    nbytes = params[number].nbytes if number >= 0 else None
    name = f"'{params[number].name}'" if number >= 0 else _OTHERS[number]
    if offset < 0:
        place = f"{-offset} bytes before the start of {name}"
    elif nbytes is not None and offset < nbytes:
        place = f"the input {name}"
    else:
        place = f"behind the end of {name}, {offset} bytes from its start"
    if words["write"] == 1:
        kind, deed = ErrorKind.OUT_OF_BOUNDS_WRITE, "wrote to"
    else:
        kind, deed = ErrorKind.RUNTIME_CRASH, "read" if words["write"] == 0 else "touched"
    return MeasureResult(error=kind, message=f"The kernel {deed} {place}: {died_of}.", phase="run")
