"""What the doctor says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tensorc.cli import doctor
from tensorc.cli.main import main


def test_the_doctor_says_what_is_there_and_measures() -> None:
    result = CliRunner().invoke(main, ["doctor", "--quick", "--threads", "1"])
    assert result.exit_code == 0, result.output
    for title in ("Software", "Machine", "Settings", "Measured", "Missing"):
        assert f"\n{title}\n" in f"\n{result.output}"
    assert re.search(r"multiply-adds, 1 thread +\d+\.\d GFLOP/s", result.output)


def test_what_is_missing_comes_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = doctor.Library("no-such-package", "nothing at all", "cuda")
    monkeypatch.setattr(doctor, "LIBRARIES", (absent,))
    result = CliRunner().invoke(main, ["doctor", "--quick", "--threads", "1"])
    assert "for nothing at all: pip install 'tensorc[cuda]'" in result.output
    assert result.exit_code == 0


def test_a_machine_that_cannot_compile_is_ill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LIBRARIES", (doctor.Library("no-such-package", "all of it"),))
    result = CliRunner().invoke(main, ["doctor", "--quick", "--threads", "1"])
    assert "'no-such-package' is needed for all of it: pip install no-such-package." in (
        result.output
    )
    assert result.exit_code == 1


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("TENSORC_CACHE_DIR", str(file / "cache"))
    result = CliRunner().invoke(main, ["doctor", "--quick", "--threads", "1"])
    assert f"The cache directory '{file / 'cache'}' cannot be written" in result.output
    assert result.exit_code == 1
