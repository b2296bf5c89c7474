"""The interface of a stream."""

from __future__ import annotations

import pytest

from elio.net.stream import lasting_peer, peer_name
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
    assert peer_name(FakeStream(peername=address)) == name


def test_only_a_stream_that_remembers_its_peer_stands_for_the_name() -> None:
    stream = FakeStream()
    assert lasting_peer(stream) == "127.0.0.1:50000"
    stream.remembers_peer = True
    assert lasting_peer(stream) is stream
