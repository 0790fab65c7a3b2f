"""Measure candidates: built, checked and timed in other processes."""

from __future__ import annotations

import math
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from queue import Empty
from types import TracebackType
from typing import Self

from tensorc.measure.dispatcher import Dispatcher
from tensorc.measure.options import MeasureOptions
from tensorc.measure.result import MeasureInput, MeasureResult
from tensorc.measure.task import MeasureTask, write_arrays
from tensorc.runtime.pool import pool_library
from tensorc.support.errors import MeasureError


class Measurer:
    """Measures candidates of one or several tasks; a context manager.

    with Measurer(task) as measurer:
        results = measurer.measure([MeasureInput(steps) for steps in schedules])

    Building and running overlap. Nothing that a candidate does, however wrong, ends more than its
    own measurement. On leaving, all processes end and nothing is left behind.
    """

    def __init__(
        self, tasks: MeasureTask | Sequence[MeasureTask], options: MeasureOptions | None = None
    ) -> None:
        """Get ready; processes start on entering.

        Args:
            tasks: The computations that candidates are of.
            options: How to measure.

        Raises:
            MeasureError: Two tasks have one key.
        """
        listed = [tasks] if isinstance(tasks, MeasureTask) else list(tasks)
        self._tasks = {task.key: task for task in listed}
        if len(self._tasks) != len(listed):
            raise MeasureError("Bad tasks of a measurer: expected different keys.")
        self._options = options or MeasureOptions()
        self._next_ticket = 0
        self._pending: set[int] = set()
        self._early: dict[int, MeasureResult] = {}
        self._files: list[int] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._dispatcher: Dispatcher | None = None

    def __enter__(self) -> Self:
        """Start the processes.

        Raises:
            BuildError: The thread pool does not compile.
            MissingDependencyError: There is no C compiler.
        """
        pool_library()  # compiled once here, not by every worker at the same time
        self._folder = tempfile.TemporaryDirectory(prefix="tensorc-", ignore_cleanup_errors=True)
        self._files = [write_arrays(task.arrays) for task in self._tasks.values()]
        with_files = {
            key: (task, file)
            for (key, task), file in zip(self._tasks.items(), self._files, strict=True)
        }
        self._dispatcher = Dispatcher(with_files, self._options, Path(self._folder.name))
        self._dispatcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything, whatever is under way."""
        self.close()

    def close(self) -> None:
        """End everything, whatever is under way."""
        if self._dispatcher is not None:
            self._dispatcher.close()
            self._dispatcher = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        for file in self._files:
            os.close(file)
        self._files = []
        self._pending.clear()

    def submit(self, candidate: MeasureInput, *, runs: bool = True) -> int:
        """Hand in a candidate and return its ticket; `results` has its result some time later.

        Args:
            candidate: What is to be measured.
            runs: Whether it is to run; otherwise it is built only.

        Raises:
            MeasureError: The measurer is closed, the task unknown, or without what its candidates
                are built from.
        """
        if self._dispatcher is None:
            raise MeasureError("Cannot measure: the measurer is not open; use it in a `with`.")
        task = self._task_of(candidate)
        if task.dag is None and candidate.artifact is None:
            raise MeasureError(
                f"Cannot build candidates of task '{task.key}': it has no DAG, so only finished "
                f"artifacts can be measured."
            )
        ticket = self._next_ticket
        self._next_ticket += 1
        self._pending.add(ticket)
        self._dispatcher.submit(ticket, candidate, task, runs=runs)
        return ticket

    def results(self, timeout: float | None = None) -> Iterator[tuple[int, MeasureResult]]:
        """Yield results with their tickets as they come, until none is outstanding.

        Args:
            timeout: Seconds to wait for the next one at most; None to wait as long as it takes.

        Raises:
            MeasureError: The measuring itself fails.
        """
        while self._pending:
            found = self._next(timeout)
            if found is None:
                return
            yield found

    def measure(self, batch: Sequence[MeasureInput]) -> list[MeasureResult]:
        """Measure candidates and return their results in order.

        Raises:
            MeasureError: The measuring itself fails.
        """
        return list(self.stream(batch))

    def stream(self, batch: Iterable[MeasureInput]) -> Iterator[MeasureResult]:
        """Measure candidates and yield their results in order, each as soon as it is there.

        What has not been yielded when the caller stops is forgotten.

        Raises:
            MeasureError: The measuring itself fails.
        """
        return self._in_order(batch, math.inf, runs=True)

    def build(self, batch: Iterable[MeasureInput]) -> Iterator[MeasureResult]:
        """Build candidates, and keep as many as the options say for when they are measured.

        Results come in order, without latencies. A candidate is taken from the batch when there is
        a builder for it. What has not been yielded when the caller stops is forgotten.

        Raises:
            MeasureError: The measuring itself fails.
        """
        return self._in_order(batch, self._options.builder_count(), runs=False)

    def _in_order(
        self, batch: Iterable[MeasureInput], most: float, *, runs: bool
    ) -> Iterator[MeasureResult]:
        """Submit candidates, so many at a time, and yield their results."""
        source, tickets = iter(batch), deque[int]()
        try:
            while True:
                while not tickets or len(self._pending) < most:
                    candidate = next(source, None)
                    if candidate is None:
                        break
                    tickets.append(self.submit(candidate, runs=runs))
                if not tickets:
                    return
                if tickets[0] in self._early:
                    yield self._early.pop(tickets.popleft())
                else:
                    found = self._next(None)
                    assert found is not None
                    self._early[found[0]] = found[1]
        finally:
            self._cancel(set(tickets))

    def _cancel(self, tickets: set[int]) -> None:
        for ticket in tickets:
            self._early.pop(ticket, None)
            self._pending.discard(ticket)
            if self._dispatcher is not None:
                self._dispatcher.cancel(ticket)

    def _next(self, timeout: float | None) -> tuple[int, MeasureResult] | None:
        """The next result that is still wanted; None if none comes in time."""
        while True:
            if self._dispatcher is None:
                raise MeasureError("Cannot measure: the measurer was closed.")
            try:
                answer = self._dispatcher.answers.get(timeout=timeout)
            except Empty:
                return None
            if isinstance(answer, MeasureError):
                self._dispatcher.answers.put(answer)  # it stays true
                raise answer
            ticket, result = answer
            if ticket in self._pending:
                self._pending.discard(ticket)
                return ticket, result

    def _task_of(self, candidate: MeasureInput) -> MeasureTask:
        if candidate.task is None and len(self._tasks) == 1:
            return next(iter(self._tasks.values()))
        task = self._tasks.get(candidate.task or "")
        if task is None:
            names = ", ".join(f"'{key}'" for key in self._tasks)
            raise MeasureError(f"Unknown task '{candidate.task}': expected one of {names}.")
        return task
