"""What is seen while a search runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tensorc.cli import progress
from tensorc.cli.progress import Clock, LiveView, PlainView, Subject
from tensorc.search.tuner import Progress

SUBJECT = Subject("GMM.1.b1", flops=2e6, peak=100.0)


def after(
    trials: int, best: float | None = 4e-5, errors: int = 0, seconds: float = 2.0
) -> Progress:
    kinds = (("RUN_TIMEOUT", errors),) if errors else ()
    return Progress(trials, 64, seconds, best, kinds)


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def printed(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def test_the_line_says_how_far_and_how_good() -> None:
    assert progress.line(SUBJECT, after(16), 6.0) == (
        "GMM.1.b1  16/64  best 40.0 µs  50.0 GFLOP/s  50% of peak  ETA 6.00 s"
    )


def test_the_line_without_a_result_claims_nothing() -> None:
    assert progress.line(SUBJECT, after(1, best=None), None) == "GMM.1.b1  1/64  best –  ETA –"


def test_the_pace_is_that_of_this_run() -> None:
    clock = Clock()
    assert clock.left(after(32, seconds=10.0)) is None
    assert clock.left(after(40, seconds=12.0)) == 6.0


def test_the_time_budget_cuts_the_estimate() -> None:
    clock = Clock(time_budget=20.0)
    assert clock.left(after(1, seconds=4.0)) == 16.0
    assert clock.left(after(2, seconds=5.0)) == 15.0
    assert clock.left(after(2, seconds=25.0)) == 0.0


def test_the_histogram_counts_kinds() -> None:
    errors = (("RUN_TIMEOUT", 2), ("WRONG_ANSWER", 1))
    assert progress.histogram(errors) == "3 failed: RUN_TIMEOUT 2, WRONG_ANSWER 1"
    assert progress.histogram(()) == ""


def test_outside_a_terminal_lines_are_rare() -> None:
    target = console(terminal=False)
    view = PlainView(SUBJECT, target)
    for trials in range(1, 65):
        view(after(trials, errors=1))
    first, last = printed(target).splitlines()
    assert " 1/64 " in first
    assert " 64/64 " in last
    assert last.endswith("1 failed: RUN_TIMEOUT 1")


@pytest.mark.parametrize(("terminal", "kind"), [(True, LiveView), (False, PlainView)])
def test_the_view_fits_the_console(terminal: bool, kind: type) -> None:
    with progress.view(SUBJECT, console(terminal)) as view:
        assert isinstance(view, kind)
        view(after(3, errors=2))


def test_the_live_line_names_the_errors() -> None:
    target = console(terminal=True)
    with progress.view(SUBJECT, target) as view:
        view(after(3, errors=2))
    assert "2 failed: RUN_TIMEOUT 2" in printed(target)


def test_errors_are_printed_with_their_first_message() -> None:
    target = console(terminal=False)
    progress.print_errors(target, (("RUN_ERROR", 3), ("BUILD_ERROR", 1)), {"RUN_ERROR": "one\ntwo"})
    assert printed(target).splitlines() == ["  3× RUN_ERROR: one", "  1× BUILD_ERROR"]
