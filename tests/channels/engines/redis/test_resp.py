"""The connection that speaks RESP, against literals."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from elio.channels.engines.redis.resp import RespConnection
from elio.errors import EngineError, EngineLost


class Wire(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.is_aborted = True


class Ear:
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, ...] | str] = []

    def news(self, channel: bytes, data: bytes) -> None:
        self.heard.append((channel, data))

    def changed(self, verb: bytes, name: bytes) -> None:
        self.heard.append((verb, name, b""))

    def settled(self) -> None:
        self.heard.append("settled")


def connected(listener: Ear | None = None) -> tuple[RespConnection, Wire, list[str]]:
    lost: list[str] = []
    connection, wire = RespConnection(lost.append, listener), Wire()
    connection.connection_made(wire)
    return connection, wire, lost


async def test_commands_of_one_turn_are_one_write_and_answers_come_in_order() -> None:
    connection, wire, _ = connected()
    one, two = connection.execute("GET", b"a"), connection.execute("INCR", "n")
    await asyncio.sleep(0)
    assert wire.written == [b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n"]
    connection.data_received(b"$2\r\nhi\r\n:")
    assert await one == b"hi"
    assert not two.done()
    connection.data_received(b"7\r\n")
    assert await two == 7


async def test_the_answer_of_a_cancelled_command_is_nobody_elses() -> None:
    connection, _, _ = connected()
    one, two = connection.execute("GET", "secret"), connection.execute("GET", "mine")
    one.cancel()
    connection.data_received(b"$6\r\nsecret\r\n$4\r\nmine\r\n")
    assert await two == b"mine"


async def test_errors_of_the_server() -> None:
    connection, _, _ = connected()
    refused, passing = connection.execute("A"), connection.execute("B")
    connection.data_received(b"-ERR unknown command\r\n-LOADING Redis is loading\r\n")
    with pytest.raises(EngineError, match="unknown command"):
        await refused
    with pytest.raises(EngineLost) as raised:
        await passing
    assert not raised.value.is_unknown


async def test_who_waits_when_the_connection_is_lost_does_not_know() -> None:
    connection, _, lost = connected()
    waiting = connection.execute("A")
    connection.connection_lost(None)
    connection.connection_lost(None)
    with pytest.raises(EngineLost) as raised:
        await waiting
    assert raised.value.is_unknown
    assert lost == ["closed by the engine"]
    assert not connection.is_open
    with pytest.raises(EngineLost) as raised:
        await connection.execute("B")
    assert not raised.value.is_unknown


async def test_an_overdue_answer_cuts_the_connection() -> None:
    connection, wire, lost = connected()
    waiting = connection.execute("A")
    connection.check(60.0)
    assert not wire.is_aborted
    connection.check(-1.0)
    assert wire.is_aborted
    assert lost == ["no answer within -1 seconds"]
    with pytest.raises(EngineLost):
        await waiting


@pytest.mark.parametrize("data", [b"?what\r\n", b"+nobody asked\r\n"])
async def test_what_is_not_the_protocol_cuts_the_connection(data: bytes) -> None:
    connection, wire, lost = connected()
    connection.data_received(data)
    assert wire.is_aborted
    assert len(lost) == 1


async def test_a_subscriber_hears_news_changes_and_answers_of_ping() -> None:
    ear = Ear()
    connection, _, _ = connected(ear)
    pong = connection.execute("PING")
    connection.data_received(
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"
        b"*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$2\r\nab\r\n$2\r\nyo\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n"
    )
    assert ear.heard == [(b"subscribe", b"a", b""), (b"a", b"hi"), (b"ab", b"yo"), "settled"]
    assert (await pong)[0] == b"pong"


async def test_who_sends_too_much_waits_for_room() -> None:
    connection, _, _ = connected()
    await connection.room()
    connection.pause_writing()
    assert not connection.has_room
    waiting = asyncio.create_task(connection.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    connection.resume_writing()
    await waiting
