"""What may begin, as builds and runs take longer and shorter."""

from __future__ import annotations

import pytest

from tensorc.measure.options import MeasureOptions
from tensorc.measure.turns import BLOCK, Turns, Work
from tensorc.support import host

BOTH, BUILD, RUN, WAIT = (2, True), (3, False), (0, True), (0, False)
IDLE = Work(to_build=20, to_run=0, is_building=False, is_running=False)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Of candidates that need one of three cores."""
    monkeypatch.setattr(host, "usable_cores", lambda: 3)
    return Turns(MeasureOptions(), threads=1)


def spend(turns: Turns, build: float, run: float, count: int = BLOCK) -> None:
    for _ in range(count):
        turns.built.add(build)
        turns.ran.add(run)


def test_builds_on_all_cores_wait_for_the_candidate_that_runs(turns: Turns) -> None:
    assert turns.advance(IDLE) == BOTH
    spend(turns, 0.6, 0.01)
    assert turns.advance(Work(20, 0, True, is_running=True)) == RUN
    assert turns.advance(Work(20, 3, False, is_running=False)) == RUN
    assert turns.advance(IDLE) == BUILD


def test_a_candidate_waits_for_builds_on_its_core(turns: Turns) -> None:
    spend(turns, 0.6, 0.01)
    assert turns.advance(IDLE) == BUILD
    spend(turns, 0.01, 0.6)
    assert turns.advance(Work(20, BLOCK - 1, True, False)) == BUILD
    assert turns.advance(Work(20, BLOCK, is_building=True, is_running=False)) == WAIT
    assert turns.advance(Work(20, BLOCK + 1, False, False)) == RUN
    assert turns.advance(Work(20, 0, False, is_running=True)) == RUN
    assert turns.advance(IDLE) == BOTH


def test_what_was_decided_is_kept_for_a_block(turns: Turns) -> None:
    spend(turns, 0.06, 0.1)
    assert turns.advance(IDLE) == BOTH
    spend(turns, 6.0, 0.01, BLOCK - 1)
    assert turns.advance(IDLE) == BOTH
    spend(turns, 6.0, 0.01, 1)
    assert turns.advance(IDLE) == BUILD


def test_what_is_left_runs_when_nothing_more_is_to_be_built(turns: Turns) -> None:
    spend(turns, 0.6, 0.01)
    assert turns.advance(IDLE) == BUILD
    assert turns.advance(Work(0, 2, is_building=True, is_running=False)) == WAIT
    assert turns.advance(Work(0, 3, False, False)) == RUN
    assert turns.advance(Work(0, 0, False, False)) == BUILD
