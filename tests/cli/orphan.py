"""A process that kills the one that started it and would like to go on."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

_LIFE = 20.0


def outlive(path: str) -> bool:
    """Kill the parent and live on for a while; the file is locked as long as this process lives."""
    with Path(path).open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(_LIFE)
    return True


def ended(path: Path) -> bool:
    """Whether the process that locked a file ends long before it would like to."""
    deadline = time.monotonic() + _LIFE / 2
    with path.open() as alive:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            else:
                return True
    return False
