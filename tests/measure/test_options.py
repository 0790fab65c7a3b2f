from __future__ import annotations

import pytest

from tensorc.measure.options import MeasureOptions
from tensorc.support import host


def test_the_run_limit_is_a_multiple_of_the_naive_time_and_not_too_short() -> None:
    options = MeasureOptions(naive_factor=10, least_limit=1)
    assert options.run_limit_for(0.001) == pytest.approx(1, abs=0.1)
    assert options.run_limit_for(3) == pytest.approx(30, abs=0.1)
    assert MeasureOptions(run_limit=0.25).run_limit_for(3) == 0.25


def test_builders_leave_a_core_and_are_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, builders in ((1, 1), (2, 1), (8, 7)):
        monkeypatch.setattr(host, "usable_cores", lambda cores=cores: cores)
        assert MeasureOptions().builder_count() == builders
    assert MeasureOptions(builders=3).builder_count() == 3


def test_building_and_running_overlap_if_there_are_cores_for_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "usable_cores", lambda: 2)
    assert MeasureOptions().overlaps(threads=1)
    assert not MeasureOptions().overlaps(threads=2)
    assert MeasureOptions(overlap=True).overlaps(threads=2)
