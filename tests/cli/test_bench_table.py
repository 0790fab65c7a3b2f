"""Rows and means of the bench."""

from __future__ import annotations

from dataclasses import replace

from kernels_ref.suite import Case, cases
from tensorc.cli.bench_table import BEST, BenchTable, mean
from tensorc.cli.contest import Timing
from tensorc.cli.race import Outcome
from tensorc.cli.roofline import Ceiling

MATMUL, NORM = cases("GMM", 3, (1,))[0], cases("NRM", 1, (1,))[0]


def outcome(case: Case, error: float = 1e-7, **seconds: float) -> Outcome:
    timings = {name: Timing(value, value, 1) for name, value in seconds.items()}
    return Outcome(case, timings, dict.fromkeys(timings, error), {}, peak=100.0)


FAST = outcome(MATMUL, naive=12e-3, tuned=3e-3, numpy=6e-3, torch=9e-3)
SLOW = outcome(NORM, naive=8e-6, tuned=8e-6, numpy=4e-6, torch=2e-5)


def test_rows_stand_under_the_header() -> None:
    table = BenchTable(("numpy", "torch"))
    header, row = table.header(), table.row(FAST)
    for name, value in (
        ("naive", "4.00×"), ("tuned", "3.00 ms"), ("numpy", "2.00×"), ("torch", "3.00×"),
        ("ratio", "2.00×"), ("% peak", "89%"), ("error", "1e-07"),
    ):  # fmt: skip
        end = header.index(name) + len(name)
        assert row[:end].endswith(value)
    assert row.endswith("512,512,512")


def test_the_best_peer_is_named() -> None:
    assert " numpy          2.00×" in BenchTable(("numpy", "torch")).row(FAST)
    wrong = Outcome(MATMUL, FAST.timings, FAST.errors, {"numpy": "3 of 4"}, peak=100.0)
    assert wrong.best_peer == "torch"


def test_memory_bound_cases_show_their_bandwidth_and_that_of_their_cache() -> None:
    row = BenchTable(("numpy",)).row(replace(SLOW, ceiling=Ceiling("L2", 100e9)))
    assert " 32.8     33% L2 " in row


def test_what_python_calls_is_compared_with_what_python_calls() -> None:
    called = outcome(MATMUL, naive=4e-3, tuned=1e-3, called=2e-3, numpy=4e-3)
    assert (called.ratio("naive"), called.ratio("numpy")) == (4.0, 2.0)


def test_means_are_geometric() -> None:
    assert mean([FAST, SLOW], "numpy") == 1.0
    assert mean([FAST, SLOW], "naive") == 2.0
    assert mean([FAST, SLOW], BEST) == 1.0
    assert mean([FAST], "jax") is None


def test_each_operator_has_a_mean_of_its_own() -> None:
    lines = list(BenchTable(("numpy",)).footer([FAST, SLOW]))
    assert [line.split()[0] for line in lines] == ["GMM", "NRM", "geo."]
    assert len(list(BenchTable(("numpy",)).footer([FAST]))) == 1


def test_the_footer_leaves_memory_bound_cases_out_of_the_share_of_peak() -> None:
    *_, last = BenchTable(("numpy",)).footer([FAST, SLOW])
    assert last.rstrip().endswith("89%")


def test_a_peer_that_did_not_take_part_is_a_dash() -> None:
    assert "–" in BenchTable(("jax",)).row(FAST)
