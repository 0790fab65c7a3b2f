"""Messages between the measurer and its workers: a JSON header, and bytes that go with it.

A message is the length of the header (4 bytes), the length of the bytes (8 bytes), the header, the
bytes. Open files may travel with a message that says how many in its header, as in `"files": 1`.
"""

from __future__ import annotations

import json
import socket
import struct
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_LENGTHS = struct.Struct("<IQ")
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Message:
    """A header, bytes, and the numbers of the open files that came along."""

    header: Mapping[str, Any]
    data: bytes = b""
    files: tuple[int, ...] = ()


def encode(header: Mapping[str, Any], data: bytes = b"") -> bytes:
    """Return a message as it is sent."""
    text = json.dumps(header).encode()
    return b"".join((_LENGTHS.pack(len(text), len(data)), text, data))


class Channel:
    """The worker's end: waits for each message."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected socket."""
        self._connection = connection

    def send(self, header: Mapping[str, Any], data: bytes = b"") -> None:
        """Send a message."""
        self._connection.sendall(encode(header, data))

    def receive(self) -> Message | None:
        """Return the next message, None when the other end is gone."""
        lengths = self._exactly(_LENGTHS.size)
        if lengths is None:
            return None
        header_length, data_length = _LENGTHS.unpack(lengths)
        text, data = self._exactly(header_length), self._exactly(data_length)
        if text is None or data is None:
            return None
        header = json.loads(text)
        count = header.get("files", 0)
        if not count:
            return Message(header, data)
        _, files, _, _ = socket.recv_fds(self._connection, 1, count)
        return Message(header, data, tuple(files)) if len(files) == count else None

    def _exactly(self, count: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < count:
            part = self._connection.recv(min(_CHUNK, count - len(parts)))
            if not part:
                return None
            parts += part
        return bytes(parts)


class BufferedChannel:
    """The measurer's end: never waits, since a worker may hang."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected socket."""
        connection.setblocking(False)
        self._connection = connection
        self._outgoing: deque[tuple[memoryview, int | None]] = deque()
        self._incoming = bytearray()

    def fileno(self) -> int:
        """The number of the socket, for `selectors`."""
        return self._connection.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._outgoing)

    def send(
        self, header: Mapping[str, Any], data: bytes = b"", *, file: int | None = None
    ) -> None:
        """Queue a message, and an open file with it, and send what can be sent now."""
        plain = header if file is None else {**header, "files": 1}
        self._outgoing.append((memoryview(encode(plain, data)), None))
        if file is not None:
            self._outgoing.append((memoryview(b"f"), file))
        self.flush()

    def flush(self) -> None:
        """Send what can be sent now; a worker that is gone is found out when reading."""
        try:
            while self._outgoing:
                view, file = self._outgoing[0]
                if file is None:
                    sent = self._connection.send(view[:_CHUNK])
                else:
                    sent = socket.send_fds(self._connection, [view], [file])
                if sent == len(view):
                    self._outgoing.popleft()
                else:
                    self._outgoing[0] = (view[sent:], file)
        except BlockingIOError:
            pass
        except OSError:
            self._outgoing.clear()

    def receive(self) -> tuple[list[Message], bool]:
        """Return the messages that have come, and whether the other end is still there."""
        alive = True
        try:
            while part := self._connection.recv(_CHUNK):
                self._incoming += part
            alive = False
        except BlockingIOError:
            pass
        except OSError:
            alive = False
        try:
            return list(self._messages()), alive
        except ValueError:  # a candidate wrote into the socket
            return [], False

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()

    def _messages(self) -> Iterator[Message]:
        while len(self._incoming) >= _LENGTHS.size:
            header_length, data_length = _LENGTHS.unpack_from(self._incoming)
            middle = _LENGTHS.size + header_length
            end = middle + data_length
            if len(self._incoming) < end:
                return
            header = json.loads(bytes(self._incoming[_LENGTHS.size : middle]))
            data = bytes(self._incoming[middle:end])
            del self._incoming[:end]
            yield Message(header, data)
