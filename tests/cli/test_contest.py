"""Timing in turns."""

from __future__ import annotations

import threading
import time

from tensorc.cli.contest import Limits, compete, from_python, pause


def test_everybody_has_a_turn_in_each_round_and_another_one_begins() -> None:
    order: list[str] = []
    compete(
        {name: lambda _, name=name: order.append(name) or 1.0 for name in "ab"},
        Limits(rounds=2, most_rounds=2),
    )
    assert order == ["a", "b", "b", "a"]


def test_the_best_is_the_minimum_over_rounds() -> None:
    samples = iter([3.0, 1.0, 2.0])
    timing = compete({"a": lambda _: next(samples)}, Limits(rounds=3, most_rounds=3))["a"]
    assert (timing.best, timing.median, timing.rounds) == (1.0, 2.0, 3)


def test_who_is_slow_has_no_further_turn() -> None:
    def slow(_: float) -> float:
        time.sleep(0.02)
        return 0.02

    timing = compete({"slow": slow}, Limits(rounds=5, patience=0.01))["slow"]
    assert timing.rounds == 1


def test_python_calls_are_timed_one_by_one() -> None:
    seconds = from_python(lambda: time.sleep(0.002))(0.01)
    assert 0.002 <= seconds < 0.02


def test_a_call_longer_than_a_turn_runs_once() -> None:
    calls: list[int] = []
    from_python(lambda: calls.append(1) or time.sleep(0.01))(0.001)
    assert len(calls) == 1


def test_rounds_go_on_while_somebody_gets_faster() -> None:
    samples = iter([9.0, 8.0, 7.0, 6.0, 5.0, 5.0, 5.0, 5.0, 1.0])
    limits = Limits(rounds=2, most_rounds=20, quiet=3)
    timing = compete({"a": lambda _: next(samples)}, limits)["a"]
    assert (timing.best, timing.rounds) == (5.0, 8)


def test_the_next_turn_waits_for_threads_that_spin() -> None:
    # A thread that gets no processor looks as if it did not spin: on a busy machine, try again.
    assert any(waited_for_a_spinning_thread() for _ in range(5))


def waited_for_a_spinning_thread() -> bool:
    stop = time.perf_counter() + 0.05

    def spin() -> None:
        while time.perf_counter() < stop:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    pause()
    waited = not thread.is_alive()
    thread.join()
    return waited
