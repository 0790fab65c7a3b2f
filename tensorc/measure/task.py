"""What a measurer has to know about a computation, once, before its candidates come."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorc.ir.dtype import as_dtype
from tensorc.measure.compare import Tolerance
from tensorc.runtime.arrays import Array, numpy_dtype
from tensorc.runtime.artifact import Param
from tensorc.support.errors import MeasureError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

_PAGE = mmap.PAGESIZE


@dataclass(frozen=True, slots=True, eq=False)
class MeasureTask:
    """A computation with inputs and the outputs that are right for them.

    Attributes:
        key: What candidates call it.
        params: The parameters of its kernels in call order.
        arrays: The inputs, and the right outputs, in the same order; contiguous.
        tolerances: For each parameter; those of inputs are not used.
        target: What to build for, and with how many threads to run.
        naive_seconds: Time of the program that nobody tuned; the time limit is a multiple of it.
        dag: The computation; None if only finished artifacts are measured.
        constants: The inputs that are the same in every call, by name: what depends on them only is
            computed before the timing begins.

    Raises:
        MeasureError: An array is not contiguous, or of another dtype or shape than its parameter.
    """

    key: str
    params: tuple[Param, ...]
    arrays: tuple[Array, ...]
    tolerances: tuple[Tolerance, ...]
    target: Target
    naive_seconds: float
    dag: ComputeDAG | None = None
    constants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for param, array in zip(self.params, self.arrays, strict=True):
            dtype = numpy_dtype(param.dtype)
            if array.shape != param.shape or array.dtype != dtype or not array.flags.c_contiguous:
                raise MeasureError(
                    f"Bad array for '{param.name}' of task '{self.key}': expected a contiguous one "
                    f"of dtype '{dtype}' and shape {param.shape}, "
                    f"got dtype '{array.dtype}' and shape {array.shape}."
                )

    def run_header(self) -> dict[str, Any]:
        """What the process that runs has to know, ready for JSON; the arrays are in the file."""
        return {
            "op": "task",
            "task": self.key,
            "params": [[p.name, list(p.shape), p.dtype.name, p.is_output] for p in self.params],
            "tolerances": [[t.relative, t.of_largest] for t in self.tolerances],
            "threads": self.target.num_cores,
        }

    def build_header(self) -> dict[str, Any]:
        """What a process that builds has to know, ready for JSON."""
        return {
            "op": "task",
            "task": self.key,
            "dag": json.dumps(self.dag.to_json()) if self.dag is not None else None,
            "target": self.target.to_json(),
            "constants": list(self.constants),
        }


@dataclass(frozen=True, slots=True, eq=False)
class RunTask:
    """A task as the process that runs has it; the arrays lie in shared memory."""

    params: tuple[Param, ...]
    arrays: tuple[Array, ...]
    tolerances: tuple[Tolerance, ...]
    threads: int

    @classmethod
    def receive(cls, header: Mapping[str, Any], file: int) -> RunTask:
        """Return the task of which `run_header` and `write_arrays` came; closes the file."""
        params = tuple(
            Param(name, tuple(shape), as_dtype(dtype), is_output)
            for name, shape, dtype, is_output in header["params"]
        )
        arrays = read_arrays(file, params)
        os.close(file)
        tolerances = tuple(Tolerance(*numbers) for numbers in header["tolerances"])
        return cls(params, arrays, tolerances, header["threads"])


def write_arrays(arrays: Sequence[Array]) -> int:
    """Put arrays, each from a page boundary on, into a file that has no name; return its number.

    In memory where the system has that, so that several processes can share it without copies, and
    sealed, so that none can change it.
    """
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("tensorc", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile() as unnamed:
            file = os.dup(unnamed.fileno())
    position = 0
    for array in arrays:
        if array.nbytes:
            _write_all(file, array.reshape(-1).view(np.uint8).data, position)
        position += _pages(array.nbytes)
    os.truncate(file, max(position, _PAGE))
    if hasattr(os, "memfd_create"):
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)
    return file


def read_arrays(file: int, params: Sequence[Param]) -> tuple[Array, ...]:
    """Return the arrays of such a file; they cannot be written."""
    memory = mmap.mmap(file, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    arrays, position = [], 0
    for param in params:
        block = np.frombuffer(memory, np.uint8, param.nbytes, position)
        arrays.append(block.view(numpy_dtype(param.dtype)).reshape(param.shape))
        position += _pages(param.nbytes)
    return tuple(arrays)


def _write_all(file: int, data: memoryview, position: int) -> None:
    """One write may take less than all: Linux ends it at 2 GiB."""
    while data:
        written = os.pwrite(file, data, position)
        data, position = data[written:], position + written


def _pages(nbytes: int) -> int:
    return -(-nbytes // _PAGE) * _PAGE
