"""What the machine could do with a case at best, where moving its data is what takes the time.

Williams, Waterman and Patterson 2009, "Roofline".
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from kernels_ref.suite import FLOAT32_BYTES, Case
from tensorc.runtime.machine import bandwidth
from tensorc.support import host

# A case that does fewer operations for each byte than the machine can do while it moves a byte
# from memory is bound by memory: there the share of peak says little and the GB/s much.
MEMORY_BOUND_INTENSITY: Final = 6.0
_ROUNDS: Final = 3
_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What limits a case that only moves its data.

    Attributes:
        level: The name of the cache that its data fits in, or 'memory'.
        bandwidth: Bytes a second over as much data, reads and writes as the case has them.
    """

    level: str
    bandwidth: float


def is_memory_bound(case: Case) -> bool:
    """Say whether moving the data takes longer than computing with it, at best."""
    return case.flops / case.bytes < MEMORY_BOUND_INTENSITY


def ceiling(case: Case, threads: int) -> Ceiling:
    """Measure how fast so many threads move as many bytes as a case has.

    Raises:
        MeasureError: The system gives no such memory or number of threads.
    """
    mine = max(FLOAT32_BYTES, case.bytes // threads)
    read, write = (
        max(bandwidth(mine, threads, traffic, seconds=_SECONDS) for _ in range(_ROUNDS))
        for traffic in ("read", "write")
    )
    written = FLOAT32_BYTES * prod(case.output_shape)
    seconds = (case.bytes - written) / read + written / write
    return Ceiling(level(case.bytes, threads), case.bytes / seconds)


def level(nbytes: int, threads: int) -> str:
    """Return the nearest cache that holds so many bytes; only the last one is shared."""
    caches = host.caches()
    sizes = (("L1", caches.l1 * threads), ("L2", caches.l2 * threads), ("L3", caches.l3))
    return next((name for name, size in sizes if nbytes <= size), "memory")
