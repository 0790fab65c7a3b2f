"""The tour of the README runs as it stands, on smaller matrices."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def tour() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    return str(code)


def test_the_tour_is_short() -> None:
    assert len([line for line in tour().splitlines() if line.strip()]) <= 20


def test_the_tour_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(tour().replace("512", "48").replace("trials=64", "trials=4"), {"__name__": "tour"})
    first, second, *schedule = capsys.readouterr().out.splitlines()
    assert first.startswith("4 ")
    assert all(float(seconds) > 0 for seconds in second.split())
    assert any("split" in line for line in schedule)
