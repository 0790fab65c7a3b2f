"""Rows and means of the bench."""

from __future__ import annotations

from kernels_ref.suite import Case, cases
from tensorc.cli.bench_table import BenchTable, is_memory_bound, mean
from tensorc.cli.contest import Timing
from tensorc.cli.race import Outcome

MATMUL, NORM = cases("GMM", 3, (1,))[0], cases("NRM", 1, (1,))[0]


def outcome(case: Case, error: float = 1e-7, **seconds: float) -> Outcome:
    timings = {name: Timing(value, value, 1) for name, value in seconds.items()}
    return Outcome(case, timings, dict.fromkeys(timings, error), {}, peak=100.0)


FAST = outcome(MATMUL, naive=12e-3, tuned=3e-3, numpy=6e-3)
SLOW = outcome(NORM, naive=8e-6, tuned=8e-6, numpy=4e-6)


def test_rows_stand_under_the_header() -> None:
    table = BenchTable(("numpy",))
    header, row = table.header(), table.row(FAST)
    for name, value in (("naive", "12.0 ms"), ("tuned", "3.00 ms"), ("% peak", "89%")):
        assert header.index(name) + len(name) in range(row.index(value), row.index(value) + 20)
    assert row.endswith("512,512,512")
    assert "4.00×" in row
    assert "2.00×" in row


def test_memory_bound_cases_show_their_bandwidth() -> None:
    assert (is_memory_bound(NORM), is_memory_bound(MATMUL)) == (True, False)
    assert " 32.8 " in BenchTable(("numpy",)).row(SLOW)


def test_means_are_geometric() -> None:
    assert mean([FAST, SLOW], "numpy") == 1.0
    assert mean([FAST, SLOW], "naive") == 2.0
    assert mean([FAST], "torch") is None


def test_the_footer_leaves_memory_bound_cases_out_of_the_share_of_peak() -> None:
    assert BenchTable(("numpy",)).footer([FAST, SLOW]).rstrip().endswith("89%")


def test_a_peer_that_did_not_take_part_is_a_dash() -> None:
    assert "–" in BenchTable(("torch",)).row(FAST)
