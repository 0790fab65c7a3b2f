"""The figures of a core: measured, kept for the next process, refused if they are none."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from tensorc.runtime import core
from tensorc.runtime.core import CoreFigures, file_of, keep, kept, measure_core, read
from tensorc.support import host
from tensorc.support.errors import MeasureError

KIB, MIB = 1 << 10, 1 << 20
FIGURES = CoreFigures(8.0, 1.0, (48.0, 24.0, 6.5))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures that other tests would find belong to nobody."""
    monkeypatch.setenv("TENSORC_CACHE_DIR", str(tmp_path / "cache"))


def test_a_core_is_measured_in_multiply_adds() -> None:
    found = measure_core(seconds=0.001)
    assert 2.0 < found.latency < 40.0
    assert 0.1 < found.load < 4.0
    assert max(found.beyond) < 1000.0


@pytest.mark.parametrize(
    ("caches", "sizes"),
    [
        # The processor that the prior was fitted on.
        ((32 * KIB, MIB, 32 * MIB), (16 * KIB, 512 * KIB, 8 * MIB, 128 * MIB)),
        ((48 * KIB, 2 * MIB, 504 * MIB), (24 * KIB, MIB, 126 * MIB, 1008 * MIB)),
        ((48 * KIB, 2 * MIB, 6 * MIB), (24 * KIB, MIB, 3 * MIB, 32 * MIB)),
        # Half of the third lies within the second.
        ((48 * KIB, 2 * MIB, 3 * MIB), (24 * KIB, MIB, 32 * MIB, 32 * MIB)),
        ((32 * KIB, MIB, 0), (16 * KIB, 512 * KIB, 32 * MIB, 32 * MIB)),
        ((32 * KIB, 0, 0), (16 * KIB, 32 * MIB, 32 * MIB, 32 * MIB)),
    ],
)
def test_each_figure_is_read_from_its_own_level(
    caches: tuple[int, int, int], sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_from: list[int] = []

    def bandwidth(nbytes: int, *, seconds: float) -> float:
        read_from.append(nbytes)
        return seconds

    monkeypatch.setattr(host, "caches", lambda: host.Caches(64, *caches))
    monkeypatch.setattr(core, "bandwidth", bandwidth)
    measure_core(seconds=1e-4)
    assert tuple(read_from[:4]) == sizes


def test_what_is_kept_is_found_again_for_these_vectors_only() -> None:
    assert kept(64) is None
    path = keep(FIGURES, 64)
    assert path == file_of(64)
    assert kept(64) == FIGURES == read(path)
    assert kept(32) is None
    assert os.listdir(path.parent) == [path.name]  # nothing half written is left


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},  # memory may have been measured within a large cache
        {"processor": "another"},
        {"vector_bytes": 32},
        {"load": 0.0},
        {"latency": math.nan},
        {"latency": "much"},
        {"latency": 10**400},
        {"beyond": [1.0, 2.0]},
        {"beyond": None},
    ],
)
def test_an_old_or_damaged_file_counts_as_not_measured(change: dict[str, object]) -> None:
    path = keep(FIGURES, 64)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert kept(64) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"{}", b"\0", b"\xff\xfe\xfd", b"[" * 100_000, b"9" * 100_000]
)
def test_a_file_that_was_cut_off_or_is_none_counts_as_not_measured(text: bytes) -> None:
    keep(FIGURES, 64).write_bytes(text)
    assert kept(64) is None
    with pytest.raises(MeasureError, match=r"Bad file '.*core-.*': expected figures of a core"):
        read(file_of(64))


def test_another_processor_has_figures_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    path = keep(FIGURES, 64)
    monkeypatch.setattr(host, "cpu_model", lambda: "another")
    assert kept(64) is None
    assert file_of(64) != path
    assert read(path) == FIGURES


def test_figures_are_positive_numbers() -> None:
    with pytest.raises(MeasureError, match="expected positive numbers"):
        CoreFigures(4.0, -1.0, (1.0, 1.0, 1.0))


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(OSError, match="cache"):
        keep(FIGURES, 64)
