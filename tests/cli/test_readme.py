"""The Python of the README runs as it stands, on smaller matrices."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import tensorc
from tensorc import DefinitionRule

README = Path(__file__).parents[2] / "README.md"


def blocks() -> list[str]:
    """The tour, and what follows it."""
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def small(code: str) -> str:
    return code.replace("512", "48").replace("trials=64", "trials=4")


def test_the_tour_is_short() -> None:
    assert len([line for line in blocks()[0].splitlines() if line.strip()]) <= 20


def test_the_tour_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(small(blocks()[0]), {"__name__": "tour"})
    first, second, *schedule = capsys.readouterr().out.splitlines()
    assert first.startswith("4 ")
    assert all(float(seconds) > 0 for seconds in second.split())
    assert any("split" in line for line in schedule)


def test_a_rule_of_ones_own_is_ten_lines_and_runs() -> None:
    tour, code, _ = map(small, blocks())
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    scope: dict[str, Any] = {"__name__": "rule"}
    program, _, _ = tour.partition("naive =")
    exec(program + code, scope)
    tensors = [scope[name] for name in "ABC"]
    plain = tensorc.generate_sketches(tensors)
    assert scope["result"].trials == 4
    assert len(tensorc.generate_sketches(tensors, rules=("default", scope["SplitRows"]()))) > len(
        plain
    )


def test_rules_of_algorithms_are_asked_with_what_is_said_here() -> None:
    _, *parameters = inspect.signature(DefinitionRule.apply).parameters
    assert f"`apply({', '.join(parameters)})`" in README.read_text()


def test_another_algorithm_may_win() -> None:
    tour, _, code = map(small, blocks())
    scope: dict[str, Any] = {"__name__": "algorithms"}
    exec(tour.partition("A = ")[0] + code, scope)
    assert scope["result"].trials == 4
    assert "conv2d" in scope["result"].dag.outputs[0]
