"""What the doctor says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tensorc.cli import doctor
from tensorc.cli.main import main
from tensorc.runtime.core import CoreFigures, keep, kept
from tensorc.runtime.machine import vector_bytes

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


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


def test_every_library_of_an_extra_is_looked_for_and_said_to_be_in_it() -> None:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    listed = {library.package: library.extra for library in doctor.LIBRARIES if library.extra}
    for extra in ("bench", "tvm", "cuda", "opencl"):
        for wanted in extras[extra]:
            name = re.split(r"[=<>]", wanted)[0]
            assert listed.get(name) == extra or name == "apache-tvm-ffi"  # a part of TVM
    assert set(listed.values()) <= set(extras)


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


def examined(*options: str) -> str:
    result = CliRunner().invoke(main, ["doctor", "--threads", "1", *options])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[CoreFigures]:
    """A cache of its own, and a core whose latency grows each time it is measured."""
    found: list[CoreFigures] = []

    def measure() -> CoreFigures:
        found.append(CoreFigures(4.0 + len(found), 1.0, (40.0, 20.0, 6.5)))
        return found[-1]

    monkeypatch.setenv("TENSORC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(doctor, "measure_core", measure)
    monkeypatch.setattr(doctor, "_measured", lambda *_: iter([("nothing", "here")]))
    return found


def test_what_the_search_has_to_know_is_measured_once_and_kept(
    measured: list[CoreFigures],
) -> None:
    text = examined()
    assert "takes the time of 4.0 that do not wait" in text
    assert "40.0 past L1, 20.0 past L2, 6.50 past L3" in text
    assert "used by the tuner, for what it first holds to be fast" in text
    assert f"with vectors of {vector_bytes()} bytes; other targets do not read it" in text
    assert kept(vector_bytes()) == measured[0]
    assert "takes the time of 4.0 that do not wait" in examined()
    assert len(measured) == 1
    assert "takes the time of 5.0 that do not wait" in examined("--again")
    assert kept(vector_bytes()) == measured[1]


def test_the_quick_doctor_measures_nothing_for_the_search(measured: list[CoreFigures]) -> None:
    assert "a core not measured" in examined("--quick")
    assert not measured
    keep(CoreFigures(9.0, 1.0, (40.0, 20.0, 6.5)), vector_bytes())
    assert "takes the time of 9.0" in examined("--quick")
    assert not measured


def test_measuring_again_and_not_at_all_exclude_each_other(measured: list[CoreFigures]) -> None:
    result = CliRunner().invoke(main, ["doctor", "--quick", "--again"])
    assert result.exit_code == 2
    assert "'--again' measures, '--quick' does not: expected one of them." in result.output
    assert not measured
