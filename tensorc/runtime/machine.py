"""What this machine can do at best, measured: the figures that kernels are held against.

The loops are tensorc's own C: where that cannot be compiled, each measurement raises the errors of
`native.runtime_library`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tensorc.runtime.pool import num_threads, pool_library
from tensorc.support import host
from tensorc.support.errors import MeasureError

Traffic: TypeAlias = Literal["read", "write"]

# Enough, unless twice the last cache is more.
_MOST_MEMORY = 256 << 20


@dataclass(frozen=True, slots=True)
class LevelFigures:
    """One level of the memory, measured.

    Attributes:
        name: 'L1', 'L2', 'L3' or 'memory'.
        nbytes: How much memory the measurement ran over, in each thread.
        read: Bytes in a second that all threads read.
        write: Bytes in a second that all threads write.
        latency: Seconds of a load that depends on the load before it.
    """

    name: str
    nbytes: int
    read: float
    write: float
    latency: float


@dataclass(frozen=True, slots=True)
class MachineFigures:
    """What the machine can do at best with a number of threads.

    Attributes:
        threads: The number of threads.
        fma_float32: Floating-point operations in a second in float32 multiply-adds.
        fma_float64: The same in float64.
        levels: The levels of the memory, nearest first.
    """

    threads: int
    fma_float32: float
    fma_float64: float
    levels: tuple[LevelFigures, ...]


def fma_peak(
    threads: int = 1, dtype: Literal["float32", "float64"] = "float32", *, seconds: float = 0.05
) -> float:
    """Measure the multiply-add peak in floating-point operations a second.

    The figure moves with the clock of the processor: measure it in the same run as the kernel that
    is compared with it.

    Raises:
        MeasureError: The system gives no such number of threads.
    """
    lib = pool_library().lib
    return _checked(lib.tensorc_fma_peak(threads, dtype == "float64", seconds), threads, 0)


def fma_latency(*, seconds: float = 0.05) -> float:
    """Measure the seconds of a float32 multiply-add of vectors that waits for the one before.

    Raises:
        MeasureError: The system refuses the measurement.
    """
    return _checked(pool_library().lib.tensorc_fma_latency(seconds), 1, 0)


def vector_bytes() -> int:
    """Return the width of the vectors that everything here is measured with."""
    return int(pool_library().lib.tensorc_vector_bytes())


def bandwidth(
    nbytes: int, threads: int = 1, traffic: Traffic = "read", *, seconds: float = 0.05
) -> float:
    """Measure the bytes a second that threads move, each over `nbytes` of its own.

    Raises:
        MeasureError: The system gives no such memory or number of threads.
    """
    lib = pool_library().lib
    figure = lib.tensorc_bandwidth(threads, nbytes, traffic == "write", seconds)
    return _checked(figure, threads, nbytes)


def latency(nbytes: int, *, seconds: float = 0.05) -> float:
    """Measure the seconds of a load from `nbytes` of memory, when loads depend on each other.

    Raises:
        MeasureError: The system gives no such memory.
    """
    return _checked(pool_library().lib.tensorc_latency(nbytes, seconds), 1, nbytes)


def measure_machine(threads: int | None = None, *, seconds: float = 0.05) -> MachineFigures:
    """Measure everything; `seconds` for each figure.

    Raises:
        MeasureError: The system gives no such memory or number of threads.
    """
    count = threads or num_threads()
    levels = tuple(
        LevelFigures(
            name,
            nbytes,
            bandwidth(nbytes, count, "read", seconds=seconds),
            bandwidth(nbytes, count, "write", seconds=seconds),
            latency(nbytes, seconds=seconds),
        )
        for name, nbytes in _levels(count)
    )
    return MachineFigures(
        count,
        fma_peak(count, "float32", seconds=seconds),
        fma_peak(count, "float64", seconds=seconds),
        levels,
    )


def bytes_past_caches(threads: int = 1) -> int:
    """Return the bytes, for each thread, that lie well outside of all caches."""
    caches = host.caches()
    last = max(caches.l3, caches.l2, caches.l1)
    return max(32 << 20, 2 * last // threads, min(_MOST_MEMORY, 4 * last // threads))


def _levels(threads: int) -> Iterator[tuple[str, int]]:
    """Sizes that lie well within a level, and well outside the one before."""
    caches = host.caches()
    yield "L1", caches.l1 // 2
    if caches.l2:
        yield "L2", caches.l2 // 2
    if caches.l3:
        yield "L3", max(caches.l2 * 2, caches.l3 // 2 // threads)
    yield "memory", bytes_past_caches(threads)


def _checked(figure: float, threads: int, nbytes: int) -> float:
    if figure <= 0:
        raise MeasureError(
            f"Cannot measure the machine: expected {threads} threads and {nbytes} bytes for each, "
            f"the system refused them."
        )
    return figure
