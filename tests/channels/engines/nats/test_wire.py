"""The link to NATS on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from elio.channels.engines.nats.connection import Message
from elio.channels.engines.nats.wire import WRONG_SEQUENCE, Server, Wire, parse_servers
from elio.errors import EngineError, EngineLost, InvalidURL
from support.servers import NatsServer


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("nats://localhost", (Server("localhost", 4222),)),
        ("nats://u:p%40@h:1", (Server("h", 1, "u", "p@"),)),
        ("nats://token@h", (Server("h", 4222, "token"),)),
        ("tls://a,b:7", (Server("a", 4222, has_tls=True), Server("b", 7, has_tls=True))),
        ("nats://a,nats://[::1]:2", (Server("a", 4222), Server("::1", 2))),
    ],
)
def test_urls(url: str, servers: tuple[Server, ...]) -> None:
    assert parse_servers(url) == servers


@pytest.mark.parametrize("url", ["nats://", "http://h", "nats://h:x", ""])
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(InvalidURL):
        parse_servers(url)


def test_what_the_server_is_told_of_credentials() -> None:
    assert Server("h", 1, "u", "p").credentials == {"user": "u", "pass": "p"}
    assert Server("h", 1, "t").credentials == {"auth_token": "t"}
    assert Server("h", 1).credentials == {}


def wire_to(url: str) -> Wire:
    return Wire(url, timeout=5.0, tls=None, on_up=lambda: None, on_down=lambda why: None, on_settled=lambda: None)


@pytest.fixture
async def wire(nats_server: NatsServer) -> AsyncIterator[Wire]:
    wire = wire_to(nats_server.url)
    await wire.start()
    await wire.call("STREAM.CREATE.WIRE", {"name": "WIRE", "subjects": ["wire.>"], "allow_direct": True})
    yield wire
    await wire.call("STREAM.DELETE.WIRE")
    await wire.close()


async def test_publishing_and_the_newest_of_a_subject(wire: Wire) -> None:
    assert await wire.last("WIRE", "wire.a") is None
    assert await wire.publish("wire.a", b"1") == 1
    assert await wire.publish("wire.a", b"2") == 2
    newest = await wire.last("WIRE", "wire.a")
    assert newest is not None
    assert (newest.data, newest.header(b"Nats-Sequence")) == (b"2", b"2")
    with pytest.raises(EngineError) as raised:
        await wire.publish("wire.a", b"3", b"Nats-Expected-Last-Subject-Sequence: 1\r\n")
    assert raised.value.code == WRONG_SEQUENCE
    with pytest.raises(EngineError, match="stream not found"):
        await wire.call("STREAM.INFO.NONE")
    with pytest.raises(EngineLost):
        await wire.publish("nobody.listens", b"")


async def test_subscriptions_come_back(own_nats: NatsServer) -> None:
    wire = wire_to(own_nats.url)
    await wire.start()
    seen: list[Message] = []
    number = await wire.subscribe("a", seen.append)
    own_nats.restart()
    with pytest.raises(EngineLost):
        await wire.check()
    await wire.ready()
    await wire.check()
    connection = wire._line.connection
    assert connection is not None
    connection.publish("a", b"1")
    await wire.check()
    assert [message.data for message in seen] == [b"1"]
    wire.unsubscribe(number)
    connection.publish("a", b"2")
    await wire.check()
    assert len(seen) == 1
    await wire.close()
