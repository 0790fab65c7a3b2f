"""The figures of one core that estimates are made from: measured once, and kept.

They are ratios to a multiply-add of full vectors, so that the clock of the moment is no part of
them. A file in the cache directory keeps them, one for each processor and width of vectors; what is
not such a file, or of another version, counts as not measured.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tensorc.runtime.machine import (
    bandwidth,
    bytes_past_caches,
    fma_latency,
    fma_peak,
    vector_bytes,
)
from tensorc.support import host, options
from tensorc.support.errors import MeasureError

# Of the file, and of what its figures mean.
VERSION: Final = 2
_FLOAT_BYTES: Final = 4
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class CoreFigures:
    """What one core does in the time of one multiply-add of full float32 vectors.

    Attributes:
        latency: How long a multiply-add takes that waits for the one before; so many have to be
            under way to keep the units busy.
        load: How long a load of a full vector from the first cache takes, one after the other.
        beyond: Bytes that it reads from beyond the first, the second, the third cache.

    Raises:
        MeasureError: A figure is no positive number.
    """

    latency: float
    load: float
    beyond: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) and value > 0.0 for value in self._values()):
            raise MeasureError(f"Bad figures of a core: expected positive numbers, got {self}.")

    def _values(self) -> tuple[float, ...]:
        return self.latency, self.load, *self.beyond


def measure_core(*, seconds: float = 0.02) -> CoreFigures:
    """Measure a core, `seconds` for each reading; the best of several readings counts.

    Raises:
        MeasureError: The system gives no such memory.
    """
    width = vector_bytes()
    sizes = _sizes()
    operations, waiting, speeds = 0.0, math.inf, [0.0] * len(sizes)
    for _ in range(_ROUNDS):
        peak = fma_peak(1, seconds=seconds)
        operations = max(operations, peak / (2.0 * width / _FLOAT_BYTES))
        waiting = min(waiting, fma_latency(seconds=seconds))
        for level, nbytes in enumerate(sizes):
            speeds[level] = max(speeds[level], bandwidth(nbytes, seconds=seconds))
    near, *far = (speed / operations for speed in speeds)
    return CoreFigures(waiting * operations, width / near, (far[0], far[1], far[2]))


def _sizes() -> tuple[int, int, int, int]:
    """Bytes that lie within each cache, and outside of all; of a level that is missing the next.

    A third cache of which half lies within the second, as a small share of a large one may, counts
    as missing.
    """
    caches, memory = host.caches(), bytes_past_caches()
    third = min(max(2 * caches.l2, caches.l3 // 4), caches.l3 // 2)
    third = third if third > caches.l2 else memory
    return caches.l1 // 2, caches.l2 // 2 or third, third, memory


def file_of(width: int) -> Path:
    """Return the file that keeps the figures of this processor, with vectors of so many bytes."""
    key = hashlib.sha256(host.cpu_model().encode()).hexdigest()[:12]
    return options.CACHE_DIR.get() / f"core-{key}-{width}.json"


def kept(width: int) -> CoreFigures | None:
    """Return the figures that are kept of this processor; None if none are, or none can be used."""
    try:
        return read(file_of(width), _header(width))
    except (OSError, MeasureError):
        return None


def read(path: Path, header: Mapping[str, object] | None = None) -> CoreFigures:
    """Return the figures of a file; of this processor or of another one.

    Raises:
        OSError: The file cannot be read.
        MeasureError: It is damaged, of another version, or has not the header that is expected.
    """
    text = path.read_bytes()
    try:
        data = json.loads(text)
        first, second, third = map(float, data["beyond"])
        wanted = {"version": VERSION, **(header or {})}
        figures = CoreFigures(float(data["latency"]), float(data["load"]), (first, second, third))
        if {name: data[name] for name in wanted} == wanted:
            return figures
    except Exception as error:  # whatever a damaged file makes of a parser
        raise MeasureError(f"Bad file '{path}': expected figures of a core, {error!r}.") from error
    raise MeasureError(f"Bad file '{path}': expected figures with the header {wanted}.")


def keep(figures: CoreFigures, width: int) -> Path:
    """Write the figures for later runs and return the file.

    Raises:
        OSError: The cache directory cannot be written.
    """
    path = file_of(width)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**_header(width), **asdict(figures)}, file, indent=1)
        Path(name).replace(path)  # at once: another process reads all of it or the one before
    finally:
        Path(name).unlink(missing_ok=True)
    return path


def _header(width: int) -> dict[str, object]:
    """What the figures are of."""
    return {"version": VERSION, "processor": host.cpu_model(), "vector_bytes": width}
