"""The scripts of the bench, on as little as shows that they work."""

from __future__ import annotations

import pytest

from bench import agreement, faults, search_overhead
from kernels_ref.suite import cases
from tensorc.cli.workload import parse_case
from tensorc.space.task import SearchTask
from tensorc.target import Target


@pytest.mark.parametrize("kind", ["llvm", "c"])
def test_a_case_agrees_under_random_schedules(kind: str) -> None:
    found = agreement.check(parse_case("GMM.1"), kind, schedules=2, seed=3)
    assert (found.schedules, found.failures) == (3, ())
    assert 0 < found.error < 1e-5


def test_large_batches_are_chosen_by_their_cost() -> None:
    names = [case.name for case in agreement.selected((1, 16), (), ())]
    assert len([name for name in names if name.endswith(".b1")]) == len(cases(batch=(1,)))
    assert "GMM.1.b16" in names
    assert "C3D.1.b16" not in names


def test_a_crash_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement.sys, "executable", "/bin/false")
    found = agreement.check_apart(parse_case("GMM.1"), "llvm", 1, 0)
    assert found.failures == ("exit code 1: ",)


def test_four_bad_candidates_do_not_end_a_search() -> None:
    figures = list(faults.measure_faults())
    assert [figure.name for figure in figures if not figure.met] == []


def test_the_search_is_timed() -> None:
    speed = search_overhead.scoring_speed(
        SearchTask(search_overhead.small_matmul(), Target("llvm"))
    )
    assert min(speed.slowest, speed.split) > 100
