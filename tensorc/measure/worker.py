"""What both kinds of workers do: listen, answer, and never outlive the parent."""

from __future__ import annotations

import signal
import socket
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tensorc.measure.channel import Channel, Message

Handler: TypeAlias = Callable[[Message], tuple[Mapping[str, Any], bytes]]


def serve(connection: socket.socket, handler: Handler) -> None:
    """Answer the messages of the measurer until it is gone, or an answer says that we leave."""
    channel = Channel(connection)
    while (message := channel.receive()) is not None:
        if message.header["op"] == "task":
            handler(message)
            continue
        ticket = message.header["ticket"]
        channel.send({"event": "started", "ticket": ticket})
        # A last resort, should the measurer be unable to end a candidate that never returns.
        signal.setitimer(signal.ITIMER_REAL, message.header["limit"])
        header, data = handler(message)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        channel.send({"event": "result", "ticket": ticket, **header}, data)
        if header.get("leaving"):
            return


def failure(kind: str, phase: str, error: BaseException) -> dict[str, Any]:
    """Return the answer that a candidate failed, with the traceback where it is our own fault."""
    message = str(error)
    if not type(error).__module__.startswith("tensorc."):
        message = "".join(traceback.format_exception(error)).strip()
    return {"error": kind, "phase": phase, "message": message}
