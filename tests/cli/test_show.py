"""A program in its forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tensorc.cli.main import main
from tensorc.cli.workload import parse
from tensorc.measure.record import Record, TaskInfo
from tensorc.measure.records import Database
from tensorc.schedule.steps import SplitStep
from tensorc.target import Target

SOURCE = """
from tensorc import te

def matmul(n):
    A, B = (te.placeholder((n, n), name=name) for name in "AB")
    k = te.reduce_axis((0, n), name="k")
    return [A, B, te.compute((n, n), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")]
"""
TARGET = Target("llvm", num_cores=2)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "user_matmul.py"
    path.write_text(SOURCE)
    return f"{path}:matmul"


@pytest.fixture
def database(tmp_path: Path, spec: str) -> Path:
    workload = parse(spec, ["32"])
    info = TaskInfo.of(workload.dag, workload.name)
    split = SplitStep("C", "i", (8,))
    crash = "Signal SIGSEGV at address 0x8.\n  in kernel"
    path = tmp_path / "tune.db"
    with Database(path) as records:
        records.append(
            info,
            [
                Record(info.hash, TARGET, (split,), (2e-6, 3e-6)),
                Record(info.hash, TARGET, (), error="RUNTIME_CRASH", phase="run", message=crash),
                Record(info.hash, TARGET, (SplitStep("C", "z", (8,)),), error="BUILD_ERROR"),
            ],
        )
    return path


def show(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["show", *map(str, arguments)])


def test_without_options_it_shows_expression_loops_and_schedule(spec: str) -> None:
    output = show(spec, 32).output
    assert output.startswith("# matmul(32), default schedule\n")
    for part in ("## Expression", "## Loops", "## Schedule", 's.split("C"'):
        assert part in output


def test_each_form_can_be_asked_for(spec: str) -> None:
    output = show(spec, 32, "--sketches", "--ir", "--source", "--rules", "ansor").output
    assert "## Sketches: 3 by the rules 'ansor'" in output
    assert "## IR after loop_nest" in output
    assert "## IR after plan_workspace" in output
    assert 'define i32 @"kernel"' in output
    assert "## Schedule" not in output


def test_features_have_a_line_for_each_number_and_a_column_for_each_statement(spec: str) -> None:
    output = show(spec, 32, "--features").output
    _, _, title, header, *lines = output.splitlines()
    assert title.startswith("## Features")
    assert header.split() == ["feature", "C"]
    assert "vectorize_number" in {line.split()[0] for line in lines}


def test_the_best_record_is_shown_instead_of_the_default(spec: str, database: Path) -> None:
    output = show(spec, 32, "--target", str(TARGET), "--database", database).output
    assert f"best record of '{database}'" in output
    assert 's.split("C", "i", [8])' in output


def test_a_computation_without_a_record_says_so(spec: str, database: Path) -> None:
    assert f"no record in '{database}'" in show(spec, 16, "--database", database).output


def test_a_record_is_explained_with_its_whole_error(database: Path) -> None:
    output = show("--database", database, "--explain", 2).output
    assert "error   RUNTIME_CRASH in phase 'run'" in output
    assert "Signal SIGSEGV at address 0x8.\n  in kernel" in output


def test_a_good_record_is_explained_with_its_times(database: Path) -> None:
    output = show("--database", database, "--explain", 1, "--source").output
    assert "latency 2.00 µs, 32.8 GFLOP/s" in output
    assert "windows 2.00 µs, 3.00 µs" in output
    assert "define i32" in output


def test_a_schedule_that_is_refused_is_shown_all_the_same(database: Path) -> None:
    output = show("--database", database, "--explain", 3).output
    assert "The schedule is refused: " in output
    assert 's.split("C", "z", [8])' in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Expected a WORKLOAD"),
        (("--explain", 1), "--explain needs --database"),
        (("GMM.1", "--target", "fpga"), "Unknown target 'fpga'"),
        (("GMM.1", "--target", "cuda"), "expected one of llvm, c, python, got 'cuda'"),
    ],
)
def test_bad_usage_ends_with_exit_code_2(arguments: tuple[object, ...], words: str) -> None:
    result = show(*arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_a_record_that_is_not_there_is_a_usage_error(database: Path) -> None:
    result = show("--database", database, "--explain", 4)
    assert result.exit_code == 2
    assert "There is no record number 4" in result.output
