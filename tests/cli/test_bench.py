"""The bench from the command line."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from kernels_ref.suite import Case
from tensorc.cli import apart
from tensorc.cli import bench as bench_module
from tensorc.cli.bench import chosen_cases, chosen_peers
from tensorc.cli.contest import Timing
from tensorc.cli.main import main
from tensorc.cli.race import Budget, Outcome
from tensorc.support.errors import LoweringError, MissingDependencyError, OptionError
from tensorc.support.optional import is_installed
from tests.cli import orphan


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_a_case_is_tuned_checked_and_compared(tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    budget = ("--trials", 3, "--threads", 1)
    result = bench("GMM", "--shape", 1, *budget, "--vs", "numpy", "--json", report)
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.output.splitlines() if line.startswith("GMM.1.b1 ")]
    assert row.endswith("128,128,128")
    data = json.loads(report.read_text())
    (case,) = data["cases"]
    assert case["case"] == "GMM.1.b1"
    assert set(case["timings"]) == {"naive", "tuned", "called", "numpy"}
    assert max(case["errors"].values()) < 1e-5
    assert 0 < case["share_of_peak"] < 1.5
    assert data["failures"] == {}
    assert data["geometric_means"]["numpy"] == case["ratios"]["numpy"]
    assert case["best_peer"] == "numpy"
    assert data["best_peer_by_operator"] == {"GMM": case["ratio_to_best_peer"]}
    assert 0 <= case["rejection_rate"] < 1


def test_each_number_of_threads_has_a_process_and_files_of_its_own(tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    threads = ("--threads", 1, "--threads", 2, "--threads", 1)
    result = bench("GMM.1", *threads, "--trials", 1, "--vs", "none", "--json", report)
    assert result.exit_code == 0, result.output
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["bench-1t.json", "bench-2t.json"]
    for number, file in enumerate(files, 1):
        data = json.loads(file.read_text())
        assert data["target"]["num_cores"] == number
        assert [case["case"] for case in data["cases"]] == ["GMM.1.b1"]


def test_what_fails_in_a_process_of_its_own_fails_the_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert apart.all_apart(refuse_two, (1, 3))
    assert not apart.all_apart(refuse_two, (1, 2, 3))
    assert "Error: There is no 2." in capfd.readouterr().err
    assert not apart.all_apart(is_odd, (2, 3))


def refuse_two(number: int) -> bool:
    if number == 2:
        raise OptionError("There is no 2.")
    return True


def is_odd(number: int) -> bool:
    return number % 2 == 1


def test_an_interrupt_starts_no_other_process_and_is_no_failure(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    # Processes that test side by side ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert apart.all_apart(interrupt, (first, second))
    finally:
        signal.signal(signal.SIGINT, before)
    assert first.exists()
    assert not second.exists()


def interrupt(seen: Path) -> bool:
    seen.touch()
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(0.3)
    return True


def test_a_process_of_its_own_ends_with_the_run_that_is_killed(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=apart.all_apart, args=(orphan.outlive, (str(alive),)))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert orphan.ended(alive)


def test_the_help_says_which_peers_have_to_be_asked_for() -> None:
    text = " ".join(bench("--help").output.split())
    assert "but not those that compile or search for long: 'inductor' and 'metaschedule'" in text


def outcome(case: Case, stopped: str = "all trials are done") -> Outcome:
    timings = {name: Timing(1e-3, 1e-3, 1) for name in ("naive", "tuned")}
    return Outcome(case, timings, dict.fromkeys(timings, 0.0), {}, peak=50.0, stopped=stopped)


@pytest.mark.parametrize(("options", "limit"), [((), None), (("--trials", 7), 7)])
def test_time_is_the_limit_of_a_case_unless_trials_are_given(
    monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], limit: int | None
) -> None:
    budgets = []

    def race(case: Case, _: object, budget: Budget, *__: object) -> Outcome:
        budgets.append(budget)
        return outcome(case)

    monkeypatch.setattr(bench_module, "race", race)
    assert bench("GMM.1", "--vs", "none", *options).exit_code == 0
    assert [(b.trials, b.time_budget) for b in budgets] == [(limit, 30.0)]


def test_a_case_that_fails_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def race(case: Case, *_: object) -> Outcome:
        if case.index == 1:
            raise LoweringError("Cannot lower 'C': too odd.")
        return outcome(case)

    monkeypatch.setattr(bench_module, "race", race)
    result = bench("GMM", "--vs", "none")
    assert result.exit_code == 1
    assert "GMM.1.b1  failed: Cannot lower 'C': too odd." in result.output
    assert "\nGMM.4.b1 " in result.output


def test_an_interrupt_ends_the_run_and_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "race", lambda case, *_: outcome(case, "interrupted"))
    result = bench("GMM", "--vs", "none")
    assert result.exit_code == 0
    assert "\nGMM.1.b1 " in result.output
    assert "\nGMM.2.b1 " not in result.output
    assert "geo. mean" in result.output


def test_a_wrong_result_is_told_and_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def race(case: Case, *_: object) -> Outcome:
        good = outcome(case)
        return Outcome(case, good.timings, good.errors, {"tuned": "3 of 4 elements"}, peak=50.0)

    monkeypatch.setattr(bench_module, "race", race)
    result = bench("GMM.1", "--vs", "none")
    assert result.exit_code == 1
    assert "  tuned is wrong: 3 of 4 elements." in result.output


def test_the_suite_is_chosen_by_workload_shape_and_batch() -> None:
    def names(*arguments: object) -> list[str]:
        return [case.name for case in chosen_cases(*arguments)]

    assert len(names((), None, (1,))) == 52
    assert names(("GMM.3", "sfm"), 1, (1,)) == ["GMM.3.b1", "SFM.1.b1"]
    assert names(("NRM",), 4, (1, 16)) == ["NRM.4.b1", "NRM.4.b16"]
    assert names(("GMM", "GMM.1"), 1, (1,)) == ["GMM.1.b1"]
    assert names(("LIN.2",), None, (1,)) == ["LIN.2.b1"]
    assert names((), 1, (1,), "extra")[:2] == ["MAT.1.b1", "LIN.1.b1"]


def test_a_report_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    result = bench("GMM.1", "--json", tmp_path / "nowhere" / "report.json")
    assert result.exit_code == 1
    assert "No such file or directory" in result.output
    assert "GFLOP/s" not in result.output


def test_a_foreign_database_ends_the_run(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("no database\n" * 100)
    result = bench("GMM", "--vs", "none", "--database", foreign)
    assert result.exit_code == 1
    assert result.output.strip().splitlines()[-1].startswith("Error: Cannot use the database")


@pytest.mark.skipif(not is_installed("matplotlib"), reason="Matplotlib is not installed")
@pytest.mark.parametrize("suffix", ["png", "html"])
def test_a_chart_is_drawn(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "race", lambda case, *_: outcome(case))
    chart = tmp_path / f"chart.{suffix}"
    result = bench("GMM", "SFM.1", "--vs", "none", "--chart", chart)
    assert result.exit_code == 0, result.output
    start = chart.read_bytes()[:200]
    assert b"PNG" in start or b"<!doctype html>" in start


@pytest.mark.parametrize("spec", ["XYZ", "GMM.9", "GMM.x"])
def test_an_unknown_case_is_a_usage_error(spec: str) -> None:
    assert bench(spec).exit_code == 2


def test_peers_are_chosen_by_name() -> None:
    assert [peer.name for peer in chosen_peers("numpy", 1)] == ["numpy"]
    assert chosen_peers("none", 1) == ()
    assert "metaschedule" not in [peer.name for peer in chosen_peers("best", 1)]
    with pytest.raises(click.UsageError, match="There is no peer 'tvm'"):
        chosen_peers("tvm", 1)


@pytest.mark.skipif(is_installed("torch"), reason="torch is installed")
def test_a_peer_that_is_not_installed_says_how_to_get_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'tensorc\[bench\]'"):
        chosen_peers("torch", 1)
