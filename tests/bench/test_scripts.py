"""The scripts of the bench, on as little as shows that they work."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

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
from tensorc.support.errors import MissingDependencyError
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


def a_case(name: str, seconds: float = 1e-3, ratio: float = 1.0, **more: object) -> dict[str, Any]:
    return {
        "case": name,
        "timings": {"tuned": {"best": seconds}},
        "share_of_peak": 0.95,
        "share_of_bandwidth": None,
        "ceiling": None,
        "ratio_to_best_peer": ratio,
        "ratios": {"metaschedule": 2.0},
        **more,
    }


def judged(
    folder: Path, *reports: tuple[int, float | None, list[dict[str, Any]]]
) -> dict[str, bars.Figure]:
    paths = []
    for number, (threads, tolerance, found) in enumerate(reports):
        data: dict[str, Any] = {"target": {"num_cores": threads}, "cases": found}
        if tolerance is not None:
            data["budget"] = {"tolerance": tolerance}
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(data))
    return {figure.name: figure for figure in bars.bars(bars.read(paths))}


def test_reports_are_judged(tmp_path: Path) -> None:
    def of(seconds: float) -> list[dict[str, Any]]:
        return [a_case("GMM.3.b1", seconds, 0.9), a_case("DEP.1.b1", 1e-4, 2.0)]

    by_name = judged(tmp_path, (1, None, of(3e-3)), (2, 1e-5, of(1.5e-3)))
    assert by_name["GMM.3.b1, 1 thread"].met
    assert not by_name["GMM.3.b1, 1 thread, ratio"].met
    assert by_name["DEP.1.b1, 1 thread, ratio"].met
    assert by_name["MetaSchedule, 1 thread, mean ratio of 2"].met
    assert by_name["GMM.3.b1, 2 threads against 1"].value == 2.0
    assert "DEP.1.b1, 2 threads against 1" not in by_name


def test_reports_that_allow_other_algorithms_are_judged_by_their_own_bars(tmp_path: Path) -> None:
    # C2D.2 and C2D.3 have windows of 1×1 and 3×3.
    found = [a_case(name, ratio=1.2) for name in ("C2D.2.b1", "C2D.3.b1", "CAP.1.b1", "T2D.1.b1")]
    by_name = judged(tmp_path, (1, 1e-3, found))
    assert {name for name, figure in by_name.items() if figure.value is not None} == {
        "C2D.3.b1, tolerant, 1 thread, ratio",
        "CAP.1.b1, tolerant, 1 thread, ratio",
        "T2D, tolerant, 1 thread, mean ratio of 1",
    }
    assert [figure.at_least for figure in by_name.values() if not figure.met] == [1.3, 2.0]


def test_what_moves_memory_is_judged_by_its_bandwidth_out_of_cache(tmp_path: Path) -> None:
    def of(name: str, level: str) -> dict[str, Any]:
        return a_case(name, share_of_bandwidth=0.7, ceiling={"level": level})

    by_name = judged(tmp_path, (1, None, [of("TRN.1.b1", "memory"), of("SUM.1.b1", "L2")]))
    assert not by_name["TRN.1.b1, 1 thread"].met
    assert by_name["SUM.1.b1, 1 thread"].met
    assert "vectors out of cache, 1 thread" not in by_name


def test_bars_that_no_report_has_a_case_for_are_said_not_to_be_measured(tmp_path: Path) -> None:
    by_name = judged(tmp_path, (1, None, [a_case("GMM.3.b1")]))
    missing = {name for name, figure in by_name.items() if figure.value is None}
    assert {
        "GMM.4.b1, 1 thread",
        "GMV.1.b1, 1 thread",
        "DEP, 1 thread, ratio",
        "vectors out of cache, 1 thread",
        "whole suite, 2 threads, mean ratio of 0",
        "long kernels, 2 threads against 1",
        "3×3 of stride 1, tolerant, 1 thread, ratio",
    } < missing
    assert "GMM.3.b1, 1 thread" not in missing


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


def test_figures_are_written_although_curves_cannot_be_drawn_and_drawn_although_one_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MissingDependencyError("'matplotlib' is not installed.")

    slow = [
        search_curve.Curve("GMM.3", name, ((1, 9.0, t),), t) for name, t in (("us", 2), ("they", 1))
    ]
    monkeypatch.setattr(search_curve, "curves", lambda *_: slow)
    monkeypatch.setattr(search_curve, "draw", refuse)
    files = ["--json", str(tmp_path / "a.json"), "--chart", str(tmp_path / "a.svg")]
    result = CliRunner().invoke(search_curve.main, ["GMM.3", *files])
    assert isinstance(result.exception, MissingDependencyError)
    assert len(json.loads((tmp_path / "a.json").read_text())["figures"]) == 5


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
