"""The process that workers are forked from: what it leaves behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tensorc.measure.channel import Channel


@pytest.mark.parametrize("ending", ["hung up", "signalled"])
def test_it_tidies_up_after_a_measurer_that_is_not_quite_gone(tmp_path: Path, ending: str) -> None:
    """When a measurer is killed, its threads end one after another: it may be the parent still."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tensorc.measure.template", str(os.getpid())],
            stdin=theirs.fileno(),
            env={**os.environ, "TMPDIR": str(folder)},
        )
        theirs.close()
        ready = Channel(ours).receive()
        assert ready is not None
        assert ready.header == {"event": "ready"}
        (folder / "candidate.o").touch()
        if ending == "signalled":
            process.send_signal(signal.SIGTERM)
        else:
            ours.close()
        assert process.wait(60) == 0
    assert not folder.exists()
