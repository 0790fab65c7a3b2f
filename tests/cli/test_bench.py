"""The bench from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tensorc.cli.bench import chosen_cases, chosen_peers
from tensorc.cli.main import main
from tensorc.support.errors import MissingDependencyError
from tensorc.support.optional import is_installed


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
    assert set(case["timings"]) == {"naive", "tuned", "numpy"}
    assert max(case["errors"].values()) < 1e-5
    assert 0 < case["share_of_peak"] < 1.5
    assert data["failures"] == {}
    assert data["geometric_means"]["numpy"] == case["ratios"]["numpy"]


def test_the_suite_is_chosen_by_workload_shape_and_batch() -> None:
    def names(*arguments: object) -> list[str]:
        return [case.name for case in chosen_cases(*arguments)]

    assert len(names((), None, (1,))) == 52
    assert names(("GMM.3", "sfm"), 1, (1,)) == ["GMM.3.b1", "SFM.1.b1"]
    assert names(("NRM",), 4, (1, 16)) == ["NRM.4.b1", "NRM.4.b16"]
    assert names(("GMM", "GMM.1"), 1, (1,)) == ["GMM.1.b1"]


@pytest.mark.parametrize("spec", ["XYZ", "GMM.9", "GMM.x"])
def test_an_unknown_case_is_a_usage_error(spec: str) -> None:
    assert bench(spec).exit_code == 2


def test_peers_are_chosen_by_name() -> None:
    assert [peer.name for peer in chosen_peers("numpy", 1)] == ["numpy"]
    assert chosen_peers("none", 1) == ()
    with pytest.raises(click.UsageError, match="There is no peer 'tvm'"):
        chosen_peers("tvm", 1)


@pytest.mark.skipif(is_installed("torch"), reason="torch is installed")
def test_a_peer_that_is_not_installed_says_how_to_get_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'tensorc\[bench\]'"):
        chosen_peers("torch", 1)
