"""Buffers that a wrong kernel cannot write past unnoticed, and a process's last words."""

from __future__ import annotations

import math
import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tensorc.runtime.arrays import Array
from tensorc.runtime.native import NativeLibrary, load_sources
from tensorc.support.errors import MeasureError

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that were overwritten around a buffer.

    Attributes:
        nbytes: How many.
        offset: Where the first of them lies, from the start of the buffer.
    """

    nbytes: int
    offset: int


@cache
def isolate_library() -> NativeLibrary:
    """Return the C part of isolation, compiled if need be.

    Raises:
        BuildError: The C compiler fails, or the cache directory cannot be written.
        MissingDependencyError: There is no C compiler.
    """
    return load_sources("isolate", [_HERE / "isolate.c"], _HERE / "isolate.h")


class GuardedBuffer:
    """Memory between pages that must not be touched; it starts at a cache line.

    Attributes:
        nbytes: Its size.
        pointer: Its start, as a C pointer.
    """

    def __init__(self, nbytes: int, number: int) -> None:
        """Reserve memory.

        Args:
            nbytes: Its size.
            number: What the buffer is called in the report of a crash.

        Raises:
            MeasureError: There is not enough memory.
        """
        self.nbytes = nbytes
        self._native = isolate_library()
        self.pointer = self._native.lib.tensorc_guarded(nbytes, number)
        if self.pointer == self._native.ffi.NULL:
            raise MeasureError(f"Cannot reserve a buffer: there are no {nbytes} bytes of memory.")

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return the memory as an array; it lives no longer than the buffer."""
        count = math.prod(shape)
        if not count:
            return np.empty(shape, dtype)
        memory = self._native.ffi.buffer(self.pointer, count * dtype.itemsize)
        return np.frombuffer(memory, np.uint8).view(dtype).reshape(shape)

    def protect(self) -> None:
        """Let writes fault from now on.

        Raises:
            MeasureError: The system refuses.
        """
        if self._native.lib.tensorc_guarded_read_only(self.pointer):
            raise MeasureError("Cannot protect an input: the system refused to make it read-only.")

    def damage(self) -> Damage | None:
        """Return what was overwritten around the buffer, None if nothing was."""
        offset = self._native.ffi.new("int64_t *")
        nbytes = self._native.lib.tensorc_guarded_damage(self.pointer, self.nbytes, offset)
        return Damage(nbytes, offset[0]) if nbytes else None

    def release(self) -> None:
        """Give the memory back; arrays over it must not be used any more."""
        self._native.lib.tensorc_guarded_free(self.pointer)


def report_crashes(descriptor: int) -> None:
    """Let this process send a message in the format of `channel` when it crashes.

    Raises:
        MeasureError: The system refuses.
    """
    if isolate_library().lib.tensorc_report_crashes(descriptor):
        raise MeasureError("Cannot watch for crashes: the system refused the signal handlers.")


def signal_with_parent(number: signal.Signals) -> None:
    """Let the system signal this process when the thread that started it ends (Linux only)."""
    isolate_library().lib.tensorc_signal_with_parent(number)


def end_with_parent(parent: int) -> None:
    """Let this process end when the one that started it, which has this number, does (Linux only).

    Raises:
        SystemExit: That one has ended already.
    """
    signal_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)
