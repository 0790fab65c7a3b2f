"""Figures against bars."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.report import Figure, publish

FAST = Figure("speed", 90.0, "% of peak", at_least=70)
SLOW = Figure("start", 75.0, "s", at_most=60)
PLAIN = Figure("count", 3)


def test_a_figure_knows_whether_it_meets_its_bar() -> None:
    assert [figure.met for figure in (FAST, SLOW, PLAIN)] == [True, False, True]
    assert FAST.line().endswith("bar ≥ 70        ok")
    assert SLOW.line().endswith("MISSED")
    assert "bar" not in PLAIN.line()


def test_a_missed_bar_is_an_exit_code_and_told_of_all_bars(
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish([FAST, PLAIN], None)
    with pytest.raises(SystemExit, match="1"):
        publish([FAST, PLAIN, SLOW], None)
    assert "1 of 2 bars missed." in capsys.readouterr().out


def test_figures_are_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    publish([FAST], path)
    (figure,) = json.loads(path.read_text())["figures"]
    assert (figure["name"], figure["value"], figure["met"]) == ("speed", 90.0, True)


def test_what_was_not_measured_is_neither_met_nor_missed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    publish([Figure("speed", None, "% of peak", at_least=70)], tmp_path / "figures.json")
    assert capsys.readouterr().out.endswith("bar ≥ 70        not measured\n")
    (figure,) = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert (figure["value"], figure["met"]) == (None, None)
    with pytest.raises(SystemExit):
        publish([SLOW, Figure("speed", None, at_least=70)], None)
    assert "1 of 1 bars missed." in capsys.readouterr().out
