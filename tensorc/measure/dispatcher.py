"""The thread that keeps the workers busy: candidates in, results out.

A candidate is built by one of the builders, then run by the runner. A worker is given one more
candidate than it works on, so that it need not wait for this thread; if it dies, the others of its
queue go to its successor.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias

from tensorc.measure.diagnosis import (
    build_crash_result,
    crash_result,
    is_conclusive,
    timeout_result,
)
from tensorc.measure.options import MeasureOptions
from tensorc.measure.process import Assignment, Role, Template, WorkerProcess, signal_name
from tensorc.measure.result import ErrorKind, MeasureInput, MeasureResult
from tensorc.measure.task import MeasureTask
from tensorc.measure.turns import Turns, Work
from tensorc.schedule.json import steps_to_json
from tensorc.schedule.steps import Step
from tensorc.support.errors import MeasureError

_AHEAD = 2  # candidates in a worker's queue
_MOST_LOST = 3
_LAST_RESORT = 5.0

Answer: TypeAlias = tuple[int, MeasureResult] | MeasureError


@dataclass(slots=True)
class Job:
    """A candidate on its way.

    Attributes:
        ticket: What its answer is known by.
        candidate: What was handed in.
        task: The task that it is of.
        runs: Whether it is to run; otherwise it is built only.
        artifact: The header of its code; None until it is built.
        data: The code.
        build_seconds: How long the build took.
        crashes: How often the process died that ran it.
    """

    ticket: int
    candidate: MeasureInput
    task: MeasureTask
    runs: bool = True
    artifact: Mapping[str, Any] | None = None
    data: bytes = b""
    build_seconds: float = 0.0
    crashes: int = 0


class Dispatcher:
    """Runs in a thread of its own from `start` to `close`.

    Attributes:
        answers: Tickets and results as they come; an error if the measuring itself has failed.
    """

    def __init__(
        self,
        tasks: Mapping[str, tuple[MeasureTask, int]],
        options: MeasureOptions,
        folder: Path,
    ) -> None:
        """Get ready.

        Args:
            tasks: The tasks by key, each with the file that holds its arrays.
            options: How to measure.
            folder: Where workers may put temporary files.
        """
        self.answers: SimpleQueue[Answer] = SimpleQueue()
        self._tasks = tasks
        self._options = options
        self._folder = folder
        self._jobs: dict[int, Job] = {}
        self._to_build: deque[Job] = deque()
        self._to_run: deque[Job] = deque()
        self._builders: list[WorkerProcess] = []
        self._runner: WorkerProcess | None = None
        self._best: dict[str, float] = {}
        self._kept: dict[tuple[str, tuple[Step, ...]], tuple[Mapping[str, Any], bytes]] = {}
        self._lost_in_a_row = 0
        threads = max((task.target.num_cores for task, _ in tasks.values()), default=1)
        self._turns = Turns(options, threads)
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._orders: deque[Job | int | None] = deque()
        self._thread = threading.Thread(target=self._main, name="tensorc-measure", daemon=True)

    def start(self) -> None:
        """Start the thread, and with it the processes."""
        self._thread.start()

    def submit(
        self, ticket: int, candidate: MeasureInput, task: MeasureTask, *, runs: bool = True
    ) -> None:
        """Take a candidate, to run or to be built only; its answer comes with this ticket."""
        self._order(Job(ticket, candidate, task, runs))

    def cancel(self, ticket: int) -> None:
        """Forget a candidate; no answer comes, unless it is on its way."""
        self._order(ticket)

    def close(self) -> None:
        """End the thread and all processes."""
        with suppress(OSError):  # it has ended by itself
            self._order(None)
        self._thread.join()

    def _order(self, order: Job | int | None) -> None:
        self._orders.append(order)
        with suppress(OSError):  # it rings already, or the thread has ended
            self._bell.send(b"!")

    def _main(self) -> None:
        # Here, since the system ends a worker with the thread that started its template.
        template = Template(self._folder)
        try:
            self._runner = self._start(template, "run")
            while self._take_orders():
                self._dispatch(template)
                self._wait(template)
                self._enforce_limits(template)
        except MeasureError as error:
            self.answers.put(error)
        except Exception as error:  # whoever waits for an answer has to hear of it
            failed = MeasureError(f"The measuring failed: {error!r}.")
            failed.__cause__ = error
            self.answers.put(failed)
        finally:
            for worker in self._workers():
                with suppress(MeasureError, OSError):
                    worker.close()
            template.close()
            self._selector.close()
            self._bell.close()
            self._ear.close()

    def _workers(self) -> list[WorkerProcess]:
        return [*self._builders, *([self._runner] if self._runner is not None else [])]

    def _start(self, template: Template, role: Role) -> WorkerProcess:
        worker = template.spawn(role)
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        return worker

    def _take_orders(self) -> bool:
        """Do what other threads asked for; False at the end."""
        while self._orders:
            match self._orders.popleft():
                case None:
                    return False
                case Job() as job:
                    self._take(job)
                case ticket:
                    self._forget(ticket)
        return True

    def _take(self, job: Job) -> None:
        self._jobs[job.ticket] = job
        built = self._kept.get((job.task.key, job.candidate.steps))
        if job.candidate.artifact is not None:
            job.artifact = job.candidate.artifact.header()
            job.data = job.candidate.artifact.data
            self._go_on(job)
        elif built is not None:
            job.artifact, job.data = built
            self._go_on(job)
        else:
            self._to_build.append(job)

    def _go_on(self, job: Job) -> None:
        """Run what has been built, unless it was only to be built."""
        if job.runs:
            self._to_run.append(job)
        else:
            self._answer(job, MeasureResult())

    def _forget(self, ticket: int) -> None:
        job = self._jobs.pop(ticket, None)
        for waiting in (self._to_build, self._to_run):
            if job is not None and job in waiting:
                waiting.remove(job)

    def _dispatch(self, template: Template) -> None:
        """Fill the queues of the workers."""
        most, may_run = self._turns.advance(self._work())
        while self._to_build and (builder := self._free_builder(template, most)):
            self._send_build(builder, self._to_build.popleft())
        while may_run and self._to_run and self._runner and len(self._runner.queue) < _AHEAD:
            self._send_run(self._runner, self._to_run.popleft())
        for worker in self._workers():
            events = selectors.EVENT_READ
            if worker.channel.wants_to_write:
                events |= selectors.EVENT_WRITE
            self._selector.modify(worker.channel, events, worker)

    def _work(self) -> Work:
        """Where the candidates are."""
        return Work(
            len(self._to_build),
            len(self._to_run),
            any(worker.queue for worker in self._builders),
            self._runner is not None and bool(self._runner.queue),
        )

    def _free_builder(self, template: Template, most: int) -> WorkerProcess | None:
        """One of the first `most` builders with room in its queue, started if all are busy."""
        builders = self._builders[:most]
        free = min(builders, key=lambda worker: len(worker.queue), default=None)
        if (free is None or free.queue) and len(builders) < most:
            free = self._start(template, "build")
            self._builders.append(free)
        return free if free is not None and len(free.queue) < _AHEAD else None

    def _send_build(self, builder: WorkerProcess, job: Job) -> None:
        key = job.task.key
        if key not in builder.tasks:
            builder.tasks.add(key)
            builder.channel.send(job.task.build_header())
        limit = self._options.build_limit
        builder.queue.append(Assignment(job.ticket, limit))
        builder.channel.send(
            {
                "op": "build",
                "ticket": job.ticket,
                "task": key,
                "steps": steps_to_json(job.candidate.steps),
                "fast": self._options.fast,
                "limit": limit + _LAST_RESORT,
            }
        )

    def _send_run(self, runner: WorkerProcess, job: Job) -> None:
        key = job.task.key
        if key not in runner.tasks:
            runner.tasks.add(key)
            runner.channel.send(job.task.run_header(), file=self._tasks[key][1])
        options, best = self._options, self._best.get(key, 0.0)
        profile = replace(
            options.profile,
            cutoff=options.cut_factor * best,
            contender=options.contender_factor * best,
        )
        limit = self._options.run_limit_for(job.task.naive_seconds)
        runner.queue.append(Assignment(job.ticket, limit))
        runner.channel.send(
            {
                "op": "run",
                "ticket": job.ticket,
                "task": key,
                "artifact": job.artifact,
                "profile": asdict(profile),
                "limit": limit + _LAST_RESORT,
            },
            job.data,
        )

    def _wait(self, template: Template) -> None:
        """Wait for a message, an order or a limit."""
        limits = [limit for worker in self._workers() if (limit := self._limit(worker))]
        timeout = max(0.0, min(limits) - time.monotonic()) if limits else None
        if self._orders:
            timeout = 0.0
        for key, events in self._selector.select(timeout):
            worker = key.data
            if worker is None:
                _drain(self._ear)
                continue
            if events & selectors.EVENT_WRITE:
                worker.channel.flush()
            if events & selectors.EVENT_READ:
                self._listen(worker, template)

    def _listen(self, worker: WorkerProcess, template: Template) -> None:
        messages, alive = worker.receive()
        for message in messages:
            self._lost_in_a_row = 0
            job = self._jobs.get(worker.queue.popleft().ticket)
            if job is None:
                continue
            if worker.role == "build":
                self._built(job, message.header, message.data)
            else:
                self._ran(job, message.header)
        if not alive:
            self._lost(worker, template)

    def _built(self, job: Job, header: Mapping[str, Any], data: bytes) -> None:
        job.build_seconds = header["build_seconds"]
        self._turns.built.add(job.build_seconds)
        if header["error"] != ErrorKind.NONE.value:
            self._answer(job, _failed(header))
            return
        job.artifact, job.data = header["artifact"], data
        if len(self._kept) < self._options.kept:
            self._kept[job.task.key, job.candidate.steps] = job.artifact, data
        self._go_on(job)

    def _ran(self, job: Job, header: Mapping[str, Any]) -> None:
        run_seconds = header["run_seconds"]
        self._turns.ran.add(run_seconds)
        if header["error"] != ErrorKind.NONE.value:
            self._answer(job, replace(_failed(header), run_seconds=run_seconds))
            return
        latencies = tuple(header["latencies"])
        self._best[job.task.key] = min(*latencies, self._best.get(job.task.key, latencies[0]))
        self._answer(
            job,
            MeasureResult(
                latencies, run_seconds=run_seconds, confidence=float(header["confidence"])
            ),
        )

    def _answer(self, job: Job, result: MeasureResult) -> None:
        if self._jobs.pop(job.ticket, None) is not None:
            self.answers.put((job.ticket, replace(result, build_seconds=job.build_seconds)))

    def _limit(self, worker: WorkerProcess) -> float | None:
        """The time at which a worker is given up, None while it waits."""
        if not worker.queue or worker.started is None:
            return None
        return worker.started + worker.queue[0].limit

    def _enforce_limits(self, template: Template) -> None:
        now = time.monotonic()
        for worker in self._workers():
            limit = self._limit(worker)
            if limit is None or now < limit:
                continue
            # What it said in the meantime counts.
            self._listen(worker, template)
            limit = self._limit(worker) if worker in self._workers() else None
            if limit is not None and now >= limit:
                self._lost(worker, template, timed_out=True)

    def _lost(self, worker: WorkerProcess, template: Template, *, timed_out: bool = False) -> None:
        """A worker has died, or is to die: blame its candidate, replace it, go on with the rest."""
        self._selector.unregister(worker.channel)
        status = worker.end(kill=timed_out)
        queue = list(worker.queue)
        blamed = queue.pop(0) if worker.started is not None else None
        waiting = self._to_build if worker.role == "build" else self._to_run
        left = [self._jobs[ticket] for ticket, _ in queue if ticket in self._jobs]
        waiting.extendleft(reversed(left))
        self._replace(worker, template)
        if blamed is None:
            self._count_lost(worker, status)
        elif job := self._jobs.get(blamed.ticket):
            self._blame(job, worker, status, blamed.limit if timed_out else None)
        worker.close()

    def _blame(self, job: Job, worker: WorkerProcess, status: int, expired: float | None) -> None:
        """Answer for the candidate that a worker died of, or that took longer than the limit."""
        seconds = time.monotonic() - (worker.started or 0.0)
        if worker.role == "build":
            job.build_seconds = seconds
            self._answer(
                job,
                build_crash_result(status, worker.printed())
                if expired is None
                else timeout_result(ErrorKind.BUILD_TIMEOUT, "build", expired),
            )
            return
        if expired is not None:
            naive = job.task.naive_seconds
            result = timeout_result(ErrorKind.RUN_TIMEOUT, "run", expired, naive)
        elif job.crashes == 0 and not is_conclusive(worker.last_words):
            # Perhaps it stumbled over what an earlier candidate broke: once more, in a new process.
            job.crashes += 1
            self._to_run.appendleft(job)
            return
        else:
            result = crash_result(status, worker.last_words, job.task.params, worker.printed())
        self._answer(job, replace(result, run_seconds=seconds))

    def _count_lost(self, worker: WorkerProcess, status: int) -> None:
        """Give up when processes keep dying without a candidate to blame."""
        if status == 0:  # it left on purpose
            return
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= _MOST_LOST:
            raise MeasureError(
                f"Cannot keep a process that should {worker.role}: it ended with "
                f"{signal_name(status)} again and again. It printed: {worker.printed()}"
            )

    def _replace(self, worker: WorkerProcess, template: Template) -> None:
        successor = self._start(template, worker.role)
        if worker is self._runner:
            self._runner = successor
        else:
            self._builders[self._builders.index(worker)] = successor


def _failed(header: Mapping[str, Any]) -> MeasureResult:
    return MeasureResult(
        error=ErrorKind(header["error"]), message=header["message"], phase=header["phase"]
    )


def _drain(ear: socket.socket) -> None:
    try:
        while ear.recv(4096):
            pass
    except BlockingIOError:
        pass
