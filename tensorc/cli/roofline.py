"""What the machine could do with a case at best: its multiply-adds, and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from kernels_ref.suite import FLOAT32_BYTES, Case
from tensorc.runtime.machine import LevelFigures, MachineFigures, measure_machine
from tensorc.support import host


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What limits a case that only moves its data.

    Attributes:
        level: The name of the cache its data sits in, or 'memory'.
        bandwidth: Bytes a second, reads and writes in the proportion of the case.
    """

    level: str
    bandwidth: float


def measure(threads: int) -> MachineFigures:
    """Measure the machine with so many threads; takes about a second."""
    return measure_machine(threads)


def ceiling(case: Case, machine: MachineFigures) -> Ceiling:
    """Return the bandwidth of the level that holds the data of a case."""
    level = _level(case.bytes, machine)
    written = FLOAT32_BYTES * prod(case.output_shape)
    seconds = (case.bytes - written) / level.read + written / level.write
    return Ceiling(level.name, case.bytes / seconds)


def _level(nbytes: int, machine: MachineFigures) -> LevelFigures:
    """The nearest level that holds so many bytes; each thread has caches of its own but the L3."""
    caches = host.caches()
    sizes = {
        "L1": caches.l1 * machine.threads,
        "L2": caches.l2 * machine.threads,
        "L3": caches.l3,
    }
    for level in machine.levels:
        if nbytes <= sizes.get(level.name, nbytes):
            return level
    return machine.levels[-1]
