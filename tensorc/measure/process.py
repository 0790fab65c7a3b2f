"""Worker processes and the process they are forked from, seen from the measurer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias

import tensorc
from tensorc.measure.channel import BufferedChannel, Channel, Message, encode
from tensorc.support.errors import MeasureError

Role: TypeAlias = Literal["build", "run"]

_TAIL = 2000
_STARTING_LIMIT = 120.0
# One thread each: a process with threads must not be forked, and kernels use tensorc's own pool.
_SINGLE = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Assignment(NamedTuple):
    """A candidate in a worker's queue, and the seconds after which it is given up."""

    ticket: int
    limit: float


class WorkerProcess:
    """A process that answers one message after another, and may die of any of them.

    Attributes:
        role: What it does.
        channel: The way to it.
        tasks: Keys of the tasks it knows.
        queue: What it was given and has not answered, in order.
        started: When it began with the first of them, None if it has not.
        last_words: The message it sent while crashing.
    """

    def __init__(
        self,
        role: Role,
        template: Template,
        process: int,
        channel: BufferedChannel,
        errors: IO[bytes],
    ) -> None:
        """Take charge of a process that the template has forked."""
        self.role: Role = role
        self.channel = channel
        self.tasks: set[str] = set()
        self.queue: deque[Assignment] = deque()
        self.started: float | None = None
        self.last_words: Mapping[str, Any] | None = None
        self._template = template
        self._process = process
        self._errors = errors
        self._status: int | None = None

    def receive(self) -> tuple[list[Message], bool]:
        """Return the answers that have come, and whether the process is still there."""
        messages, alive = self.channel.receive()
        answers = []
        for message in messages:
            match message.header["event"]:
                case "started":
                    self.started = time.monotonic()
                case "crash":
                    self.last_words = message.header
                case _:
                    self.started = None
                    answers.append(message)
        return answers, alive

    def end(self, *, kill: bool) -> int:
        """See the process to its end; return its status, negative for a signal.

        Raises:
            MeasureError: The template is gone.
        """
        if self._status is None:
            if kill:
                _kill(self._process)
            self._status = self._template.reap(self._process)
            self.channel.close()
        return self._status

    def close(self) -> None:
        """End the process if it has not ended, and forget what it printed.

        Raises:
            MeasureError: The template is gone.
        """
        try:
            self.end(kill=True)
        finally:
            self.channel.close()
            self._errors.close()

    def printed(self) -> str:
        """Return the end of what the process printed."""
        return _tail(self._errors)


class Template:
    """The process that workers are forked from."""

    def __init__(self, folder: Path) -> None:
        """Start the process.

        Args:
            folder: Where it and its workers may put temporary files.
        """
        self._folder = folder
        self._errors = _scratch_file(folder)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tensorc.measure.template", str(os.getpid())],
                stdin=theirs.fileno(),
                stdout=self._errors.fileno(),
                stderr=self._errors.fileno(),
                env=_environment(folder),
                start_new_session=True,
            )
        ours.settimeout(_STARTING_LIMIT)
        self._connection = ours
        self._channel = Channel(ours)
        self._is_ready = False

    def spawn(self, role: Role) -> WorkerProcess:
        """Fork a worker.

        Raises:
            MeasureError: The template is gone.
        """
        if not self._is_ready:
            self._answer()
            self._is_ready = True
        errors = _scratch_file(self._folder)
        ours, theirs = socket.socketpair()
        with theirs:
            header = {"op": "spawn", "role": role, "files": 2}
            found = self._ask(header, [theirs.fileno(), errors.fileno()])
        return WorkerProcess(role, self, found["process"], BufferedChannel(ours), errors)

    def reap(self, process: int) -> int:
        """Wait for the end of a worker; return its status, negative for a signal.

        Raises:
            MeasureError: The template is gone.
        """
        status: int = self._ask({"op": "reap", "process": process})["status"]
        return status

    def close(self) -> None:
        """End the process, and with it all workers that are left."""
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._errors.close()

    def _ask(self, header: Mapping[str, Any], files: list[int] | None = None) -> Mapping[str, Any]:
        try:
            self._connection.sendall(encode(header))
            if files:
                socket.send_fds(self._connection, [b"f"], files)
        except OSError as error:
            raise self._gone(str(error)) from error
        return self._answer()

    def _answer(self) -> Mapping[str, Any]:
        try:
            message = self._channel.receive()
        except OSError as error:
            raise self._gone(str(error)) from error
        if message is None:
            raise self._gone("it ended")
        return message.header

    def _gone(self, why: str) -> MeasureError:
        return MeasureError(
            f"Cannot start worker processes: {why}. It printed: {_tail(self._errors)}"
        )


def signal_name(status: int) -> str:
    """Return what a process's status means, such as 'signal 11 (SIGSEGV)'."""
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"signal {-status}"


def _kill(process: int) -> None:
    """Kill a worker and the compilers it has started: it leads a group of its own."""
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:  # it has only just been forked
        os.kill(process, signal.SIGKILL)


def _scratch_file(folder: Path) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=folder)


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    return file.read().decode(errors="replace").strip()


def _environment(folder: Path) -> dict[str, str]:
    """That of this process; workers find the same tensorc, and leave nothing behind."""
    here = str(Path(tensorc.__file__).parents[1])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    return {
        **os.environ,
        **dict.fromkeys(_SINGLE, "1"),
        "PYTHONPATH": path,
        "TMPDIR": str(folder),
    }
