"""The process that workers are forked from: everything is loaded, and there is one thread.

Started as `python -m tensorc.measure.template PARENT`, a fresh interpreter: the user's process is
never forked, as it may have threads, and its `__main__` is not run again. A worker costs a few
milliseconds, so one that a candidate has killed is replaced at once.

Standard input is the socket to the measurer. What a kernel or a library prints goes to a file that
the measurer keeps to explain a crash.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import sys
import time
from types import FrameType
from typing import Final, NoReturn

from tensorc.measure.build_worker import Builder
from tensorc.measure.channel import Channel
from tensorc.measure.isolate import report_crashes, signal_with_parent
from tensorc.measure.run_worker import Runner
from tensorc.measure.worker import serve
from tensorc.runtime.llvm import warm_up
from tensorc.runtime.pool import pool_library

BUILD: Final = "build"
RUN: Final = "run"
_PATIENCE = 2.0
_PAUSE = 5e-4


def main(parent: int) -> None:
    """Fork workers, and tell how they ended, until the measurer is gone.

    Args:
        parent: Number of the process that started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the measurer's business
    signal.signal(signal.SIGTERM, _leave)
    signal_with_parent(signal.SIGTERM)
    os.dup2(2, 1)
    connection = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    workers: set[int] = set()
    try:
        if os.getppid() == parent:
            _answer(connection, workers)
    finally:
        # A measurer that closes kills this process. So it was killed and cannot tidy up, even if it
        # is still the parent: the signal comes with the end of one of its threads.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)


def _answer(connection: socket.socket, workers: set[int]) -> None:
    pool_library()
    warm_up()
    gc.collect()
    gc.freeze()
    channel = Channel(connection)
    channel.send({"event": "ready"})
    while (message := channel.receive()) is not None:
        match message.header["op"]:
            case "spawn":
                theirs, errors = message.files
                worker = os.fork()
                if worker == 0:
                    connection.close()
                    _become_worker(message.header["role"], theirs, errors)
                workers.add(worker)
                os.close(theirs)
                os.close(errors)
                channel.send({"event": "spawned", "process": worker})
            case "reap":
                worker = message.header["process"]
                workers.discard(worker)
                channel.send({"event": "ended", "status": _reap(worker)})


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _reap(child: int) -> int:
    """Wait for the end of a worker, and help if it has only hung up; return its status."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_PAUSE)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _become_worker(role: str, connection: int, errors: int) -> NoReturn:
    """In the child: serve, and never return to what the template was doing."""
    status = 1
    try:
        os.setsid()
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal_with_parent(signal.SIGKILL)
        report_crashes(connection)
        serve(socket.socket(fileno=connection), Builder() if role == BUILD else Runner())
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]))
