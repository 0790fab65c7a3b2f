from __future__ import annotations

import os
import socket
import tempfile

from tensorc.measure.channel import BufferedChannel, Channel, Message


def pair() -> tuple[BufferedChannel, Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    return BufferedChannel(ours), Channel(theirs), theirs


def test_messages_arrive_whole_and_in_order() -> None:
    ours, theirs, connection = pair()
    ours.send({"op": "first"}, b"data")
    ours.send({"op": "second"})
    assert theirs.receive() == Message({"op": "first"}, b"data")
    assert theirs.receive() == Message({"op": "second"})
    theirs.send({"event": "third"}, b"\0" * 1000)
    assert ours.receive() == ([Message({"event": "third"}, b"\0" * 1000)], True)
    ours.close()
    assert theirs.receive() is None
    connection.close()


def test_an_open_file_travels_along() -> None:
    ours, theirs, connection = pair()
    with tempfile.TemporaryFile() as file:
        file.write(b"shared")
        file.flush()
        ours.send({"op": "task"}, b"more", file=file.fileno())
        ours.send({"op": "next"})
        message = theirs.receive()
    assert message is not None
    (number,) = message.files
    assert (message.data, os.pread(number, 6, 0)) == (b"more", b"shared")
    assert theirs.receive() == Message({"op": "next"})
    os.close(number)
    ours.close()
    connection.close()


def test_sending_to_one_who_does_not_listen_does_not_wait() -> None:
    ours, _, connection = pair()
    data = bytes(5 << 20)
    ours.send({"op": "large"}, data)
    assert ours.wants_to_write
    received = bytearray()
    connection.setblocking(False)
    while ours.wants_to_write or len(received) < len(data):
        ours.flush()
        received += connection.recv(1 << 20)
    assert received.endswith(bytes(1000))
    ours.close()
    connection.close()


def test_half_a_message_waits_for_the_rest() -> None:
    ours, _, connection = pair()
    whole = b"\x0d\0\0\0\x02\0\0\0\0\0\0\0" + b'{"event": 1} ' + b"ab"
    connection.sendall(whole[:20])
    assert ours.receive() == ([], True)
    connection.sendall(whole[20:])
    assert ours.receive() == ([Message({"event": 1}, b"ab")], True)
    connection.close()
    assert ours.receive() == ([], False)
    ours.close()
