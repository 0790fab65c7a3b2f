from __future__ import annotations

import signal

import pytest

from tensorc.measure.diagnosis import (
    build_crash_result,
    crash_result,
    is_conclusive,
    timeout_result,
)
from tensorc.measure.result import ErrorKind
from tests.measure.candidates import PARAMS


def words(buffer: int, offset: int, write: int) -> dict[str, int]:
    return {"signal": 11, "buffer": buffer, "offset": offset, "write": write, "address": 4096}


@pytest.mark.parametrize(
    ("last", "kind", "message"),
    [
        (
            words(2, -8, 1),
            ErrorKind.OUT_OF_BOUNDS_WRITE,
            "wrote to 8 bytes before the start of 'C'",
        ),
        (words(2, 5000, 1), ErrorKind.OUT_OF_BOUNDS_WRITE, "behind the end of 'C', 5000 bytes"),
        (words(0, 40, 1), ErrorKind.OUT_OF_BOUNDS_WRITE, "wrote to the input 'A'"),
        (words(1, 5000, 0), ErrorKind.RUNTIME_CRASH, "read behind the end of 'B'"),
        (
            words(-2, -1, 1),
            ErrorKind.OUT_OF_BOUNDS_WRITE,
            "1 bytes before the start of the workspace",
        ),
        (words(-1, 0, 1), ErrorKind.RUNTIME_CRASH, "signal 11 (SIGSEGV) at address 0x1000"),
        (None, ErrorKind.RUNTIME_CRASH, "signal 11 (SIGSEGV). It printed: help"),
    ],
)
def test_a_crash_is_explained(last: dict[str, int] | None, kind: ErrorKind, message: str) -> None:
    result = crash_result(-signal.SIGSEGV, last, PARAMS, "help")
    assert (result.error, result.phase) == (kind, "run")
    assert message in result.message


def test_only_a_fault_beside_a_buffer_is_surely_the_candidates_own() -> None:
    assert is_conclusive(words(2, -8, 1))
    assert not is_conclusive(words(-1, 0, 1))
    assert not is_conclusive(None)


def test_an_alarm_is_a_timeout() -> None:
    assert crash_result(-signal.SIGALRM, None, PARAMS, "").error is ErrorKind.RUN_TIMEOUT


def test_a_builder_that_dies_is_a_build_error_with_its_words() -> None:
    result = build_crash_result(-signal.SIGABRT, "LLVM ERROR: no")
    assert (result.error, result.phase) == (ErrorKind.BUILD_ERROR, "build")
    assert "signal 6 (SIGABRT). It printed: LLVM ERROR: no" in result.message


def test_a_timeout_says_which_limit_it_was() -> None:
    run = timeout_result(ErrorKind.RUN_TIMEOUT, "run", 1.5, 0.15)
    assert run.message.endswith("after 1.5 s; the naive program takes 0.15 s.")
    assert timeout_result(ErrorKind.BUILD_TIMEOUT, "build", 20.0).message.endswith("after 20 s.")
