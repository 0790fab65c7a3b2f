"""Who builds and runs when, with made-up seconds and workers that are none."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tensorc.measure.channel import Message
from tensorc.measure.dispatcher import Dispatcher
from tensorc.measure.options import MeasureOptions
from tensorc.measure.process import Assignment, Role
from tensorc.measure.result import ErrorKind, MeasureInput
from tensorc.support import host
from tests.measure import candidates

Seconds = Callable[[int], tuple[float, float]]


class FakeChannel:
    """Something that a selector can watch."""

    def __init__(self, end: socket.socket) -> None:
        self.fileno = end.fileno
        self.wants_to_write = False

    def send(self, header: dict[str, Any], data: bytes = b"", file: int | None = None) -> None:
        pass


class FakeWorker:
    """Answers when it is told to."""

    def __init__(self, role: Role, end: socket.socket) -> None:
        self.role = role
        self.channel = FakeChannel(end)
        self.tasks: set[str] = set()
        self.queue: deque[Assignment] = deque()
        self.end = 0.0
        self.answers: list[Message] = []

    def receive(self) -> tuple[list[Message], bool]:
        answers, self.answers = self.answers, []
        return answers, True


class Workshop:
    """A dispatcher that is driven by hand, and the clock of its workers."""

    def __init__(self, options: MeasureOptions, seconds: Seconds, sockets: ExitStack) -> None:
        task = candidates.add_task()
        self.workers: list[FakeWorker] = []
        self.moments: list[tuple[int, bool]] = []  # builders at work, whether one runs
        self.now = 0.0
        self._task, self._seconds, self._sockets = task, seconds, sockets
        self._dispatcher: Any = Dispatcher({task.key: (task, 0)}, options, Path())
        for end in (self._dispatcher._bell, self._dispatcher._ear, self._dispatcher._selector):
            sockets.callback(end.close)
        self._dispatcher._runner = self._dispatcher._start(self, "run")

    def spawn(self, role: Role) -> FakeWorker:
        for end in (pair := socket.socketpair()):
            self._sockets.enter_context(end)
        self.workers.append(FakeWorker(role, pair[0]))
        return self.workers[-1]

    def measure(self, count: int, *, runs: bool = True) -> None:
        """Submit candidates, and let all of them pass."""
        for ticket in range(count):
            self._dispatcher.submit(ticket, MeasureInput(), self._task, runs=runs)
        self._dispatcher._take_orders()
        while self._dispatch():
            self._next()
        answered = sorted(self._dispatcher.answers.get_nowait()[0] for _ in range(count))
        assert answered == list(range(count))

    def _dispatch(self) -> bool:
        idle = [worker for worker in self.workers if not worker.queue]
        known = len(self.workers)
        self._dispatcher._dispatch(self)
        for worker in (*idle, *self.workers[known:]):
            self._begin(worker)
        busy = [worker.role for worker in self.workers if worker.queue]
        self.moments.append((busy.count("build"), "run" in busy))
        return bool(busy)

    def _begin(self, worker: FakeWorker) -> None:
        if worker.queue:
            build, run = self._seconds(worker.queue[0].ticket)
            worker.end = self.now + (build if worker.role == "build" else run)

    def _next(self) -> None:
        """Let the worker that is through first answer."""
        worker = min((w for w in self.workers if w.queue), key=lambda worker: worker.end)
        self.now = worker.end
        build, run = self._seconds(worker.queue[0].ticket)
        header = {
            "error": ErrorKind.NONE.value,
            "build_seconds": build,
            "run_seconds": run,
            "artifact": {},
        }
        worker.answers = [Message(header | {"latencies": [run], "confidence": 1.0})]
        self._dispatcher._listen(worker, self)
        self._begin(worker)


@pytest.fixture
def open_workshop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Workshop]]:
    """A maker of workshops on three cores, of which candidates need one."""
    monkeypatch.setattr(host, "usable_cores", lambda: 3)
    with ExitStack() as sockets:
        yield lambda seconds, **options: Workshop(MeasureOptions(**options), seconds, sockets)


def now_and_then(ticket: int) -> tuple[float, float]:
    """Long builds, then short ones, then long ones."""
    return (0.5 if 32 <= ticket < 96 or ticket >= 400 else 0.001), 0.01 + 0.001 * (ticket % 3)


@pytest.mark.parametrize(
    "seconds",
    [
        # Eight are known, and builds too long to overlap, while the ninth has begun to run.
        lambda ticket: (0.6, {7: 0.7, 8: 5.0}.get(ticket, 0.01)),
        # Builds become short enough to overlap at the end of one, while others are built.
        lambda ticket: (0.1 if ticket == 21 else 0.6, 0.099),
        now_and_then,
    ],
)
def test_nothing_is_built_on_the_core_of_a_candidate_that_runs(
    seconds: Seconds, open_workshop: Callable[..., Workshop]
) -> None:
    workshop = open_workshop(seconds)
    workshop.measure(480)
    assert max(builders for builders, _ in workshop.moments) == 3
    assert max(builders for builders, runs in workshop.moments if runs) == 2


def test_long_builds_of_short_runs_are_spread_over_all_cores(
    open_workshop: Callable[..., Workshop],
) -> None:
    workshop = open_workshop(lambda _: (0.6, 0.01))
    workshop.measure(80)
    assert workshop.now < 0.9 * (80 * 0.6 / 2)  # than with the third core kept free
    assert [worker.role for worker in workshop.workers] == ["run", "build", "build", "build"]


def test_short_builds_hide_behind_long_runs(open_workshop: Callable[..., Workshop]) -> None:
    workshop = open_workshop(lambda _: (0.02, 0.1))
    workshop.measure(80)
    assert workshop.now == pytest.approx(80 * 0.1 + 0.02)


@pytest.mark.parametrize("overlap", [True, False])
def test_a_builder_starts_when_there_is_a_candidate_for_it(
    overlap: bool, open_workshop: Callable[..., Workshop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "usable_cores", lambda: 2)
    workshop = open_workshop(lambda _: (0.1, 0.1), overlap=overlap, builders=3)
    assert len(workshop.workers) == 1
    workshop.measure(2)
    assert len(workshop.workers) == (2 if overlap else 3)
    workshop.measure(24)
    assert len(workshop.workers) == (2 if overlap else 4)


def test_what_is_only_built_is_built_on_all_cores(open_workshop: Callable[..., Workshop]) -> None:
    workshop = open_workshop(lambda _: (0.6, 0.01), overlap=False)
    workshop.measure(9, runs=False)
    assert workshop.now == pytest.approx(9 * 0.6 / 3)
    assert not any(runs for _, runs in workshop.moments)
