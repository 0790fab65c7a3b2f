"""The scripts of the bench, on as little as shows that they work."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import (
    ablation,
    agreement,
    bars,
    faults,
    guard,
    prediction,
    random_shapes,
    scaling,
    search_curve,
    search_overhead,
)
from kernels_ref.suite import Case, cases
from tensorc.cli.workload import of_case, parse_case
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


def test_reports_are_judged(tmp_path: Path) -> None:
    def case(name: str, seconds: float, ratio: float) -> dict[str, object]:
        return {
            "case": name,
            "timings": {"tuned": {"best": seconds}},
            "share_of_peak": 0.95,
            "share_of_bandwidth": None,
            "ceiling": None,
            "ratio_to_best_peer": ratio,
            "ratios": {"metaschedule": 2.0},
        }

    for threads, seconds in ((1, 3e-3), (2, 1.5e-3)):
        data = {
            "target": {"num_cores": threads},
            "cases": [case("GMM.3.b1", seconds, 0.9), case("DEP.1.b1", 1e-4, 2.0)],
        }
        (tmp_path / f"{threads}.json").write_text(json.dumps(data))
    found = list(bars.bars(bars.read([tmp_path / "1.json", tmp_path / "2.json"])))
    by_name = {figure.name: figure for figure in found}
    assert by_name["GMM.3.b1, 1 thread"].met
    assert not by_name["GMM.3.b1, 1 thread, ratio"].met
    assert by_name["DEP.1.b1, 1 thread, ratio"].met
    assert by_name["MetaSchedule, 1 thread, mean ratio of 2"].met
    assert by_name["GMM.3.b1, 2 threads against 1"].value == 2.0
    assert "DEP.1.b1, 2 threads against 1" not in by_name


def test_random_cases_are_the_same_for_the_same_seed_and_cover_the_operators() -> None:
    first, again, other = (random_shapes.drawn(40, seed) for seed in (1, 1, 2))
    shapes = [[case.shape for case in cases] for cases in (first, again, other)]
    assert shapes[0] == shapes[1] != shapes[2]
    assert {case.workload.code for case in first} == {o.code for o in random_shapes.OPERATORS}
    for case in first:
        assert case.flops <= random_shapes.MOST_FLOPS
        of_case(case)


def test_a_search_without_trials_is_compared_with_a_whole_one(tmp_path: Path) -> None:
    setting = prediction.Setting(seconds=1.0, database=tmp_path / "a.db", compare=True)
    figures = list(prediction.measure([parse_case("GMM.1")], setting))
    names = [figure.name for figure in figures]
    assert names[:2] == ["GMM.1.b1 without trials", "GMM.1.b1 prior"]
    assert "without trials, mean of 1" in names
    assert all(10 < figure.value < 1000 for figure in figures)
    begun = time.monotonic()
    prediction.searched(parse_case("GMM.1"), setting, None)
    assert time.monotonic() - begun < 1.0  # it was searched before


def test_a_search_with_parts_taken_away_still_finds_programs() -> None:
    found: dict[str, dict[str, ablation.Course]] = {}
    figures = list(ablation.measure([parse_case("GMM.1")], ablation.Setting(1, 2, 0), found))
    assert len(figures) == 1 + 2 * (len(ablation.VARIANTS) - 1)


def test_the_courses_of_searches_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    course = ablation.Course(8.0, ((3, 0.1, 4.0),), 1.0)
    ablation.draw(tmp_path / "a.html", {"GMM.1.b1": {"full": course, "no prior": course}}, 4)
    assert "<svg" in (tmp_path / "a.html").read_text()


def test_searches_are_compared_on_the_way_and_in_the_end() -> None:
    full = ablation.Course(8.0, ((3, 0.1, 4.0), (20, 0.2, 2.0)), 1.0)
    poor = ablation.Course(8.0, ((12, 0.1, 6.0),), 3.0)
    found, setting = {"full": full, "no prior": poor}, ablation.Setting(1, 20, 0, ("no prior",))
    figures = list(ablation.judged(parse_case("GMM.1"), found, setting))
    assert [(figure.name, figure.value) for figure in figures[1:]] == [
        ("GMM.1.b1: no prior after 8 trials", 2.0),
        ("GMM.1.b1: no prior after 16 trials", 1.5),
        ("GMM.1.b1: no prior in the end", 3.0),
    ]


def test_what_searches_without_evolution_only_draws() -> None:
    evolution = ablation.VARIANTS["no evolution"].evolution
    assert (evolution.generations, evolution.elite, evolution.descent_share) == (0, 0, 0.0)


def test_a_curve_knows_when_something_was_reached() -> None:
    curve = search_curve.Curve("GMM.3", "us", ((1, 0.5, 3.0), (9, 4.0, 1.0)), 1.0)
    assert (curve.at_trial(8), curve.at_second(4.0), curve.at_second(0.1)) == (3.0, 1.0, None)
    assert (curve.seconds_to(2.0), curve.seconds_to(0.5)) == (4.0, float("inf"))


def test_phases_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "TRIALS", 16)
    figures = list(scaling.phases("one", scaling.chain(1, 16), Target("llvm", num_cores=1)))
    assert figures[0].name == "one: sketches"
    assert [figure.name for figure in figures[-3:]] == [
        "one: first round",
        "one: later round",
        "one: search of 16 trials",
    ]
    assert all(figure.value > 0 for figure in figures)


def test_populations_are_scored_and_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "POPULATIONS", (16,))
    figures = list(scaling.populations(scaling.product(16), Target("llvm", num_cores=1)))
    names = [figure.name.removeprefix("population 16: ") for figure in figures]
    assert names[:4] == ["sampling", "mutation", "features", "scores of the model"]
    assert {"scores of the prior", "first round", "later round"} < set(names)
    assert all(figure.value > 0 for figure in figures)


def test_the_model_is_guarded_by_searches_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_AGAIN", 1)
    case = next(case for case in random_shapes.drawn(17, 1) if case.workload.code == "NRM")
    figures = list(guard.measure([case], 1, (2, 6), 0, 60.0))
    assert [figure.name.split(" after ")[-1] for figure in figures[:2]] == ["2", "6"]
    assert [figure.name for figure in figures[2:]] == [
        "after 2 trials, mean of 1",
        "after 6 trials, mean of 1",
    ]
    assert all(0.01 < figure.value < 100 for figure in figures)


def test_a_case_that_seems_to_lose_is_judged_by_more_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def ratios(case: Case, threads: int, trials: Sequence[int], seed: int) -> dict[int, float]:
        seen.append(seed)
        return {8: 0.5 if seed == 3 else 1.0}

    monkeypatch.setattr(guard, "ratios", ratios)
    case = parse_case("GMM.1")
    assert guard.judged(case, 1, (8,), 0) == {8: 1.0}
    assert guard.judged(case, 1, (8,), 3)[8] == pytest.approx(0.5 ** (1 / 6))
    assert seen == [0, 3, 4, 5, 6, 7, 8]
