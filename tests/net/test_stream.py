"""The interface of a stream."""

from __future__ import annotations

import socket
import time

import pytest

from elio.net.stream import forget_unsent, lasting_peer, peer_host, peer_name
from support.stream import FakeStream


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (("127.0.0.1", 8080), "127.0.0.1:8080"),
        (("::1", 8080, 0, 0), "[::1]:8080"),
        ("", ""),
        (None, ""),
        (("only",), ""),
    ],
)
def test_a_peer_is_named_by_its_address_and_port(address: object, name: str) -> None:
    stream = FakeStream(peername=address)
    assert peer_name(stream) == name
    assert peer_host(stream) == name.rpartition(":")[0].strip("[]")


def test_only_a_stream_that_remembers_its_peer_stands_for_the_name() -> None:
    stream = FakeStream()
    assert lasting_peer(stream) == "127.0.0.1:50000"
    stream.remembers_peer = True
    assert lasting_peer(stream) is stream


def test_what_is_forgotten_goes_with_the_connection_and_the_peer_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as peer:
        stream = FakeStream()
        stream.socket, _ = listener.accept()
        with stream.socket:
            fill(stream.socket)
            forget_unsent(stream)
        # Without that the end would stand behind what the peer does not take.
        assert state_of(peer) == CLOSED


@pytest.mark.parametrize("family", [socket.AF_UNIX, None])
def test_streams_of_other_kinds_have_nothing_to_forget(family: int | None) -> None:
    stream = FakeStream()
    if family is None:
        forget_unsent(stream)
        return
    with socket.socket(family) as stream.socket:
        forget_unsent(stream)
        assert stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == bytes(8)


def test_a_connection_that_is_closed_already_has_nothing_to_forget() -> None:
    stream = FakeStream()
    stream.socket = socket.socket()
    stream.socket.close()
    forget_unsent(stream)


CLOSED = 7
"""Of the states of TCP (linux/tcp_states.h)."""


def fill(sock: socket.socket) -> None:
    """Send until nothing more is taken."""
    sock.setblocking(False)
    for _ in range(10_000):
        try:
            sock.send(bytes(65536))
        except BlockingIOError:
            return
    raise AssertionError("the system takes everything")


def state_of(sock: socket.socket) -> int:
    """The state of TCP, a moment after the peer has done something."""
    end = time.monotonic() + 10.0
    state = 0
    while time.monotonic() < end:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state != 1:
            break
    return state
