"""Tuning from the command line."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tensorc.cli.main import main
from tensorc.measure.records import Database
from tensorc.support.errors import TensorcError

# The package has a command of that name too.
tune_module = importlib.import_module("tensorc.cli.tune")
SOURCE = """
from tensorc import te

def matmul(n, factor=1.0):
    A, B = (te.placeholder((n, n), name=name) for name in "AB")
    k = te.reduce_axis((0, n), name="k")
    C = te.compute((n, n), lambda i, j: te.sum(A[i, k] * B[k, j] * factor, axis=k), name="C")
    return [A, B, C]
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "user_kernels.py"
    path.write_text(SOURCE)
    return f"{path}:matmul"


def tune(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["tune", *map(str, arguments), "--threads", "1"])


def test_a_search_ends_with_its_result_and_reasons(spec: str, tmp_path: Path) -> None:
    report = tmp_path / "tune.json"
    result = tune(spec, 64, "factor=0.5", "--trials", 3, "--json", report, "--schedule")
    assert result.exit_code == 0, result.output
    assert "matmul(64,factor=0.5): " in result.output
    assert "as fast as the default schedule" in result.output
    assert "3 trials" in result.output
    assert "ended: all trials are done." in result.output
    data = json.loads(report.read_text())
    assert data["trials"] == 3
    # The best latency is measured again, so that it may be above or below what was first seen.
    latencies = [latency for _, _, latency in data["history"]]
    assert latencies == sorted(latencies, reverse=True)
    assert min(*latencies, data["best_latency"]) > 0
    assert data["schedule"] in result.output


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ((), 64),
        (("--time-budget", 5), None),
        (("--early-stopping", 9), None),
        (("--time-budget", 5, "--trials", 7), 7),
    ],
)
def test_trials_are_limited_by_default_only_where_nothing_else_is(
    spec: str, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], limit: int | None
) -> None:
    asked = []

    def search(*_: object, trials: int | None, **__: object) -> None:
        asked.append(trials)
        raise TensorcError("Enough.")

    monkeypatch.setattr(tune_module, "search", search)
    assert "Enough." in tune(spec, 64, *options).output
    assert asked == [limit]


def test_a_tolerance_lets_other_algorithms_take_part(tmp_path: Path) -> None:
    report, records = tmp_path / "tune.json", tmp_path / "tune.db"
    options = ("--trials", 9, "--tolerance", 1e-3, "--json", report, "--database", records)
    result = tune("C2D.3", *options)
    assert result.exit_code == 0, result.output
    name = json.loads(report.read_text())["definition"]
    assert (f"By another algorithm: {name}." in result.output) == (name != "as given")
    with Database(records) as database:
        assert sum("winograd(" in info.name for info in database.tasks()) == 2


def test_a_database_lets_a_search_go_on(spec: str, tmp_path: Path) -> None:
    records = tmp_path / "tune.db"
    # No plain product: that may end early, at the machine's limit.
    options = (spec, 64, "factor=0.5", "--database", records, "--trials")
    assert "2 trials" in tune(*options, 2).output
    assert "3 trials" in tune(*options, 3).output
    listed = CliRunner().invoke(main, ["log", "stats", str(records)])
    assert "matmul(64,factor=0.5)" in listed.output


def test_unknown_rules_are_one_sentence(spec: str) -> None:
    result = tune(spec, 64, "--rules", "magic")
    assert result.exit_code == 1
    assert result.output.strip().splitlines()[-1].startswith("Error: Unknown rule set 'magic'")


def test_a_foreign_database_is_one_sentence(spec: str, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    foreign.write_text("no database\n" * 100)
    result = tune(spec, 64, "--database", foreign)
    assert result.exit_code == 1
    assert f"Cannot use the database '{foreign}'" in result.output
    assert foreign.read_text().startswith("no database")
