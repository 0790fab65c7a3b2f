"""Reading databases from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tensorc import te
from tensorc.cli.main import main
from tensorc.measure.record import Record, TaskInfo
from tensorc.measure.records import Database
from tensorc.schedule.steps import SplitStep
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG


@pytest.fixture
def file(tmp_path: Path) -> Path:
    A = te.placeholder((8, 8), name="A")
    B = te.compute((8, 8), lambda i, j: A[i, j] * 2.0, name="B")
    info = TaskInfo.of(ComputeDAG.from_tensors([A, B]), "double(8,8)")
    target = Target("llvm", num_cores=2)

    def record(factor: int, latency: float | None, **fields: str) -> Record:
        latencies = () if latency is None else (latency, latency * 1.1)
        return Record(info.hash, target, (SplitStep("B", "i", (factor,)),), latencies, **fields)

    message = "Element 3 of 'B': expected 2.0, got 7.0.\nand more"
    wrong = record(4, None, error="WRONG_ANSWER", phase="check", message=message)
    path = tmp_path / "tune.db"
    with Database(path) as database:
        database.append(info, [record(2, 3e-6), wrong, record(8, 1e-6)])
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["log", *map(str, arguments)])


def test_list_numbers_the_records_and_gives_the_error(file: Path) -> None:
    lines = invoke("list", file).output.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[0] == "1"
    assert "3.00 µs" in lines[1]
    assert "WRONG_ANSWER in check: Element 3 of 'B': expected 2.0, got 7.0." in lines[2]


def test_list_can_be_cut_down(file: Path) -> None:
    assert len(invoke("list", file, "--errors").output.splitlines()) == 2
    assert "The last 1 of 3 records" in invoke("list", file, "--limit", 1).output
    assert len(invoke("list", file, "--task", "nothing").output.splitlines()) == 1


def test_best_gives_the_fastest_and_its_schedule(file: Path) -> None:
    result = invoke("best", file, "--python")
    assert result.output.splitlines()[1].split()[0] == "3"
    assert "split(" in result.output
    assert "8" in result.output


def test_stats_count_errors_by_kind(file: Path) -> None:
    (row,) = invoke("stats", file).output.splitlines()[1:]
    assert row.split()[-2:] == ["WRONG_ANSWER", "1"]
    assert " 3 " in row


def test_what_is_exported_can_be_imported(file: Path, tmp_path: Path) -> None:
    lines, copy = tmp_path / "tune.jsonl", tmp_path / "copy.db"
    assert "Wrote 3 records" in invoke("export", file, lines).output
    assert "Added 3 records" in invoke("import", copy, lines).output
    with Database(file) as before, Database(copy) as after:
        assert list(before.records()) == list(after.records())


def test_reading_makes_no_database(tmp_path: Path) -> None:
    result = invoke("stats", tmp_path / "typo.db")
    assert result.exit_code == 2
    assert not (tmp_path / "typo.db").exists()


def test_importing_something_else_writes_nothing(file: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text('{"task": 1}\n')
    result = invoke("import", file, foreign)
    assert result.exit_code == 1
    assert "line 1" in result.output
    assert len(invoke("list", file).output.splitlines()) == 4
