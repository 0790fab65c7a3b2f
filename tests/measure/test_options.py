from __future__ import annotations

import pytest

from tensorc.measure.options import MeasureOptions
from tensorc.support import host


def test_the_run_limit_is_a_multiple_of_the_naive_time_and_not_too_short() -> None:
    options = MeasureOptions(naive_factor=10, least_limit=1)
    assert options.run_limit_for(0.001) == pytest.approx(1, abs=0.1)
    assert options.run_limit_for(3) == pytest.approx(30, abs=0.1)
    assert MeasureOptions(run_limit=0.25).run_limit_for(3) == 0.25


def test_there_is_a_builder_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "usable_cores", lambda: 8)
    assert MeasureOptions().builder_count() == 8
    assert MeasureOptions(builders=3).builder_count() == 3


def test_builders_leave_the_cores_to_a_candidate_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads, beside in ((1, 1, 0), (2, 1, 1), (2, 2, 0), (8, 2, 6)):
        monkeypatch.setattr(host, "usable_cores", lambda cores=cores: cores)
        assert MeasureOptions().builders_beside(threads) == beside
    assert MeasureOptions(builders=3).builders_beside(2) == 3
    assert MeasureOptions(overlap=False).builders_beside(2) == 0
    assert MeasureOptions(overlap=True).builders_beside(8) == 1


def test_long_builds_of_short_runs_have_all_cores_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "usable_cores", lambda: 2)
    assert MeasureOptions().overlaps(threads=1, build=0.02, run=0.04)
    assert not MeasureOptions().overlaps(threads=1, build=0.07, run=0.01)
    assert MeasureOptions().overlaps(threads=1, build=0.07)  # nothing has run yet
    assert MeasureOptions(overlap=True).overlaps(threads=1, build=0.07, run=0.01)


def test_building_and_running_overlap_if_there_are_cores_for_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "usable_cores", lambda: 2)
    assert MeasureOptions().overlaps(threads=1)
    assert not MeasureOptions().overlaps(threads=2)
    assert MeasureOptions(overlap=True).overlaps(threads=2)
