from __future__ import annotations

import pytest

from tensorc.runtime.machine import bandwidth, fma_peak, latency, measure_machine
from tensorc.support.errors import MeasureError

SHORT = 0.005


def test_the_peak_is_that_of_a_processor() -> None:
    single = fma_peak(1, seconds=SHORT)
    assert 1e9 < single < 1e12
    assert fma_peak(1, "float64", seconds=SHORT) == pytest.approx(single / 2, rel=0.5)


def test_near_memory_is_faster_than_far_memory() -> None:
    assert bandwidth(16 << 10, seconds=SHORT) > bandwidth(64 << 20, seconds=SHORT)
    assert latency(16 << 10, seconds=SHORT) < latency(64 << 20, seconds=SHORT)
    assert max(bandwidth(16 << 10, 2, "write", seconds=SHORT) for _ in range(5)) > 1e8


def test_all_figures_come_together() -> None:
    figures = measure_machine(1, seconds=0.001)
    assert figures.threads == 1
    assert figures.levels[0].name == "L1"
    assert figures.levels[-1].name == "memory"
    assert all(min(level.read, level.write, level.latency) > 0 for level in figures.levels)


def test_what_the_system_refuses_is_an_error() -> None:
    with pytest.raises(MeasureError, match="expected 100000 threads"):
        fma_peak(100_000, seconds=SHORT)
    with pytest.raises(MeasureError, match="bytes for each"):
        bandwidth(1 << 60, seconds=SHORT)
