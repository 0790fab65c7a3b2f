"""What the process does that runs candidates, which may crash, hang, or write anywhere.

A task comes once, with a file that all runners share; its inputs are copied into guarded memory
that cannot be written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tensorc.measure.channel import Message
from tensorc.measure.compare import Reference
from tensorc.measure.isolate import GuardedBuffer
from tensorc.measure.task import RunTask
from tensorc.measure.worker import failure
from tensorc.runtime.arrays import Array, kernel_ffi, numpy_dtype
from tensorc.runtime.artifact import Artifact, Param
from tensorc.runtime.library import Kernel, PythonKernel, load
from tensorc.runtime.profiler import ProfileOptions, Timing, time_kernel
from tensorc.support.errors import BuildError, MissingDependencyError, TensorcError

_WORKSPACE = -2
_RESULT = -3  # what a prologue made of constants
# A session of its own gets a scheduling group of its own; a little precedence for the group keeps
# other programs on the machine from showing in the times. Only root may; others do without.
_GROUP_PRIORITY = "-10"
# How much slower than the later ones a first call may be, on cold caches and new pages.
_COLD = 3.0
# A long kernel is called so many times, unless that takes too long: seconds.
_CALLS, _LONG = 4.0, 0.4
# One that has taken this share of the cut-off is called no more often than it takes to be sure.
_SLOW = 0.5
_NOT_WRITTEN = 0xFF  # NaN as a float
_NOT_WRITTEN_INTEGER = 0xA5


class CandidateError(Exception):
    """What a candidate did wrong: the kind of error, the phase, the text."""

    def __init__(self, kind: str, phase: str, message: str) -> None:
        """Keep the parts of the answer."""
        super().__init__(message)
        self.answer = {"error": kind, "phase": phase, "message": message}


@dataclass(frozen=True, slots=True)
class _Operand:
    """Guarded memory of one parameter."""

    buffer: GuardedBuffer
    array: Array

    @classmethod
    def reserve(cls, param: Param, number: int) -> _Operand:
        buffer = GuardedBuffer(param.nbytes, number)
        return cls(buffer, buffer.array(param.shape, numpy_dtype(param.dtype)))


@dataclass(frozen=True, slots=True)
class _Operands:
    """The operands of a kernel in call order, for C and for the oracle."""

    pointers: Any
    arrays: list[Array]

    @classmethod
    def of(cls, operands: Sequence[_Operand]) -> _Operands:
        pointers = kernel_ffi().new("void *[]", max(1, len(operands)))
        for place, operand in enumerate(operands):
            pointers[place] = operand.buffer.pointer
        return cls(pointers, [operand.array for operand in operands])


class Bench:
    """Buffers of one task, in which its candidates run one after another."""

    def __init__(self, task: RunTask) -> None:
        """Place the inputs, write-protected, and reserve the outputs.

        Raises:
            MeasureError: There is not enough memory, or it cannot be protected.
        """
        self.task = task
        self._operands = [_Operand.reserve(p, i) for i, p in enumerate(task.params)]
        self._buffers = [operand.buffer for operand in self._operands]
        self._arrays = [operand.array for operand in self._operands]
        self._references = [
            (index, Reference(task.arrays[index], task.tolerances[index]))
            for index, param in enumerate(task.params)
            if param.is_output
        ]
        self._results: dict[str, _Operand] = {}
        self._workspace: GuardedBuffer | None = None
        for index, (param, buffer) in enumerate(zip(task.params, self._buffers, strict=True)):
            if not param.is_output:
                self._arrays[index][...] = task.arrays[index]
                buffer.protect()

    def run(self, artifact: Artifact, options: ProfileOptions) -> Timing:
        """Check a candidate, then time it.

        Raises:
            CandidateError: It is wrong, does not load, or returns an error.
            MeasureError: There is not enough memory for what the kernel needs besides.
        """
        kernel = _loaded(artifact)
        operands = self._prepare(artifact)
        self._forget_outputs()
        first = self._call(kernel, operands)
        self._check()
        if isinstance(kernel, PythonKernel):  # the oracle: one call is all the timing it gets
            return Timing(first, first, 1.0, (first,), 1, False, {})
        if 0 < options.cutoff < first / _COLD and first > options.budget:
            return Timing(first, first, 1.0, (first,), 1, True, {})
        calls = 1.0 if 0 < _SLOW * options.cutoff < first else _CALLS
        options = replace(options, budget=max(options.budget, min(calls * first, _LONG)))
        workspace = self._reserve(artifact.workspace_size(self.task.threads))
        try:
            timing = time_kernel(
                kernel.address, operands.pointers, workspace, self.task.threads, options
            )
        except TensorcError as error:
            raise CandidateError("RUNTIME_CRASH", "run", str(error)) from error
        self._check()
        return timing

    def release(self) -> None:
        """Give all memory back."""
        self._forget_results()
        for buffer in self._buffers:
            buffer.release()
        if self._workspace is not None:
            self._workspace.release()

    def _prepare(self, artifact: Artifact) -> _Operands:
        """What the kernel takes; where it has a prologue, that has run and what it made is kept."""
        self._forget_results()
        places = dict(zip((p.name for p in self.task.params), self._operands, strict=True))
        if artifact.prologue is None:
            return _Operands.of(self._operands)
        for param in artifact.results:
            places[param.name] = _Operand.reserve(param, _RESULT)
            self._results[param.name] = places[param.name]
        early = _Operands.of([places[p.name] for p in artifact.prologue.params])
        self._call(_loaded(artifact.prologue), early)
        for result in self._results.values():
            result.buffer.protect()
        return _Operands.of([places[p.name] for p in artifact.params])

    def _call(self, kernel: Kernel, operands: _Operands) -> float:
        """Run a kernel once; return the seconds."""
        if isinstance(kernel, PythonKernel):
            start = time.perf_counter()
            kernel.call(operands.arrays)
            return time.perf_counter() - start
        workspace = self._reserve(kernel.artifact.workspace_size(self.task.threads))
        extra = (self.task.threads,) if kernel.artifact.is_parallel else ()
        start = time.perf_counter()
        status = kernel.call(operands.pointers, workspace, *extra)
        seconds = time.perf_counter() - start
        if status:
            raise CandidateError(
                "RUNTIME_CRASH", "run", f"The kernel failed: expected status 0, got {status}."
            )
        return seconds

    def _forget_results(self) -> None:
        """Give back what the prologue of an earlier candidate made."""
        for result in self._results.values():
            result.buffer.release()
        self._results = {}

    def _forget_outputs(self) -> None:
        """Fill outputs with what no right candidate leaves there."""
        for param, array in zip(self.task.params, self._arrays, strict=True):
            if param.is_output and array.size:
                fill = _NOT_WRITTEN if param.dtype.is_float else _NOT_WRITTEN_INTEGER
                array.reshape(-1).view(np.uint8)[...] = fill

    def _check(self) -> None:
        for param, buffer in zip(self.task.params, self._buffers, strict=True):
            self._check_bounds(buffer, f"'{param.name}'")
        for name, result in self._results.items():
            self._check_bounds(result.buffer, f"'{name}'")
        if self._workspace is not None:
            self._check_bounds(self._workspace, "the workspace")
        for index, reference in self._references:
            if mismatch := reference.compare(self._arrays[index]):
                name = self.task.params[index].name
                raise CandidateError("WRONG_ANSWER", "check", f"In output '{name}', {mismatch}.")

    def _check_bounds(self, buffer: GuardedBuffer, name: str) -> None:
        if damage := buffer.damage():
            place = (
                f"{-damage.offset} bytes before the start"
                if damage.offset < 0
                else f"{damage.offset - buffer.nbytes} bytes behind the end"
            )
            raise CandidateError(
                "OUT_OF_BOUNDS_WRITE",
                "check",
                f"The kernel wrote {damage.nbytes} bytes outside of {name}, "
                f"the first of them {place}.",
            )

    def _reserve(self, nbytes: int) -> Any:
        """A workspace of that size, guarded like the rest."""
        if not nbytes:
            return kernel_ffi().NULL
        if self._workspace is None or self._workspace.nbytes != nbytes:
            if self._workspace is not None:
                self._workspace.release()
            self._workspace = GuardedBuffer(nbytes, _WORKSPACE)
        return self._workspace.pointer


class Runner:
    """Answers messages; keeps the buffers of the task that ran last."""

    def __init__(self) -> None:
        """Begin without tasks."""
        _take_precedence()
        self._tasks: dict[str, RunTask] = {}
        self._bench: Bench | None = None

    def __call__(self, message: Message) -> tuple[Mapping[str, Any], bytes]:
        """Take over a task, or run a candidate."""
        header = message.header
        if header["op"] == "task":
            (file,) = message.files
            self._tasks[header["task"]] = RunTask.receive(header, file)
            return {}, b""
        start = time.perf_counter()
        answer = self._run(header, message.data)
        return {**answer, "run_seconds": time.perf_counter() - start}, b""

    def _run(self, header: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        try:
            bench = self._bench_for(self._tasks[header["task"]])
            artifact = Artifact.from_header(header["artifact"], data)
            timing = bench.run(artifact, ProfileOptions(**header["profile"]))
        except CandidateError as candidate:
            # Who wrote outside of one buffer may have written anywhere: go on in a new process.
            leaving = candidate.answer["error"] == "OUT_OF_BOUNDS_WRITE"
            return {**candidate.answer, "leaving": leaving}
        except Exception as error:  # a candidate may break anything, and must not stop the search
            return failure("UNKNOWN", "run", error)
        return {"error": "NONE", "latencies": timing.samples, "confidence": timing.spread}

    def _bench_for(self, task: RunTask) -> Bench:
        if self._bench is None or self._bench.task is not task:
            if self._bench is not None:
                self._bench.release()
            self._bench = Bench(task)
        return self._bench


def _loaded(artifact: Artifact) -> Kernel:
    try:
        return load(artifact)
    except (BuildError, MissingDependencyError) as error:
        raise CandidateError("BUILD_ERROR", "load", str(error)) from error


def _take_precedence() -> None:
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(_GROUP_PRIORITY)
