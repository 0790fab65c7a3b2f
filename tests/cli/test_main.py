"""The command itself: help, errors, exit codes, and how quickly it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tensorc.cli.main import main
from tensorc.support.errors import TensorcError

MAX_SECONDS = 0.5
COMMANDS = ("bench", "tune", "show", "log", "doctor")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("This is no database at all, but it is long enough to look like one.\n" * 20)
    return path


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert all(f"  {name}" in result.output for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert (result.exit_code, result.output.startswith("Usage:")) == (0, True)


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["tunes"])
    assert result.exit_code == 2
    assert "No such command 'tunes'" in result.output


def test_an_error_of_tensorc_is_one_sentence(damaged: Path) -> None:
    result = CliRunner().invoke(main, ["log", "stats", str(damaged)])
    assert result.exit_code == 1
    (line,) = result.output.strip().splitlines()
    assert line.startswith("Error: ")
    assert str(damaged) in line


def test_debugging_shows_the_traceback(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORC_DEBUG", "1")
    result = CliRunner().invoke(main, ["log", "stats", str(damaged)])
    assert isinstance(result.exception, TensorcError)


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); from tensorc.cli.main import main; "
        "main(['--help'], standalone_mode=False); "
        "print(time.perf_counter() - start, *sys.modules, file=sys.stderr)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert min(float(run.stderr.split()[0]) for run in runs) <= MAX_SECONDS
    assert set(runs[0].stderr.split()) & {"numpy", "rich", "torch", "llvmlite", "xgboost"} == set()
