"""The protocol of NATS, against literals."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from elio.channels.engines.nats.connection import Message, NatsConnection
from elio.errors import EngineLost

HEADERS = b"NATS/1.0\r\nNats-Sequence: 7\r\nNats-Last-Sequence: 5\r\n\r\n"


class Pipe(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.is_aborted = True


def connected() -> tuple[NatsConnection, Pipe, list[str]]:
    lost: list[str] = []
    connection, pipe = NatsConnection(lost.append, lambda: None), Pipe()
    connection.connection_made(pipe)
    return connection, pipe, lost


async def test_messages_whole_and_byte_by_byte() -> None:
    data = (
        b"MSG a 1 2\r\nhi\r\nMSG b 1 answer 0\r\n\r\n"
        b"HMSG c 1 %d %d\r\n%byo\r\nHMSG d 1 r %d %d\r\n%b\r\nMSG x 9 1\r\n?\r\n"
    ) % (len(HEADERS), len(HEADERS) + 2, HEADERS, len(HEADERS), len(HEADERS), HEADERS)
    expected = [
        Message(b"a", b"", b"", b"hi"),
        Message(b"b", b"answer", b"", b""),
        Message(b"c", b"", HEADERS, b"yo"),
        Message(b"d", b"r", HEADERS, b""),
    ]
    for size in (1, 7, len(data)):
        seen: list[Message] = []
        connection, _, _ = connected()
        connection.subscribe("1", ">", seen.append)
        for start in range(0, len(data), size):
            connection.data_received(data[start : start + size])
        assert seen == expected


def test_headers_and_status() -> None:
    message = Message(b"", b"", HEADERS, b"")
    assert message.header(b"Nats-Sequence") == b"7"
    assert message.header(b"Nats-Last-Sequence") == b"5"
    assert message.header(b"Sequence") == b""
    assert message.status == b""
    assert Message(b"", b"", b"NATS/1.0 404 Message Not Found\r\n\r\n", b"").status == b"404"
    assert Message(b"", b"", b"", b"x").status == b""


async def test_requests_of_one_turn_are_one_write_and_answers_find_their_way() -> None:
    connection, pipe, _ = connected()
    one = asyncio.create_task(connection.request("a", b"x"))
    two = asyncio.create_task(connection.request("b", b"", b"K: v\r\n"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first, second = (line.split(b" ")[2] for line in pipe.written.split(b"\r\n") if line[:4] in (b"PUB ", b"HPUB"))
    assert pipe.written == (b"PUB a %b 1\r\nx\r\nHPUB b %b 18 18\r\nNATS/1.0\r\nK: v\r\n\r\n\r\n" % (first, second))
    one.cancel()
    connection.data_received(b"MSG %b 0 3\r\ntwo\r\nMSG %b 0 3\r\none\r\n" % (second, first))
    assert (await two).data == b"two"
    assert one.cancelled() or not one.done()


async def test_what_is_enough_does_not_wait_for_the_end_of_the_turn() -> None:
    connection, pipe, _ = connected()
    connection.publish("a", b"x" * 16_000)
    assert not pipe.written
    connection.publish("b", b"y" * 1000)
    assert pipe.written.startswith(b"PUB a  16000\r\n")
    assert b"PUB b " in pipe.written
    connection.publish("c", b"z")
    written = len(pipe.written)
    await asyncio.sleep(0)
    assert pipe.written[written:] == b"PUB c  1\r\nz\r\n"
    await asyncio.sleep(0)
    assert len(pipe.written) == written + len(b"PUB c  1\r\nz\r\n")


async def test_pings_are_answered_and_pongs_awaited() -> None:
    connection, pipe, _ = connected()
    ping = asyncio.create_task(connection.ping())
    await asyncio.sleep(0)
    connection.data_received(b"PING\r\nPONG\r\n")
    await ping
    await asyncio.sleep(0)
    assert pipe.written == b"PING\r\nPONG\r\n"


async def test_what_is_overdue_is_given_up() -> None:
    connection, pipe, lost = connected()
    request, ping = asyncio.create_task(connection.request("a", b"")), asyncio.create_task(connection.ping())
    await asyncio.sleep(0)
    connection.check(60.0)
    connection.check(-1.0)
    assert pipe.is_aborted
    assert lost == ["no answer within -1 seconds"]
    for task in (request, ping):
        with pytest.raises(EngineLost) as raised:
            await task
        assert raised.value.is_unknown


@pytest.mark.parametrize("data", [b"-ERR 'Authorization Violation'\r\n", b"MSG a\r\n", b"PONG\r\n"])
async def test_errors_end_the_connection(data: bytes) -> None:
    connection, pipe, lost = connected()
    connection.data_received(data)
    assert pipe.is_aborted
    assert len(lost) == 1
    with pytest.raises(EngineLost):
        await connection.request("a", b"")
    with pytest.raises(EngineLost):
        await connection.greeted()


async def test_the_server_introduces_itself() -> None:
    connection, pipe, _ = connected()
    connection.data_received(b'INFO {"version": "2.9.10"}\r\n')
    assert (await connection.greeted())["version"] == "2.9.10"
    connection.introduce({"verbose": False})
    await asyncio.sleep(0)
    assert pipe.written.startswith(b'CONNECT {"verbose": false}\r\nSUB _INBOX.')


async def test_who_sends_too_much_waits_for_room() -> None:
    connection, _, _ = connected()
    connection.pause_writing()
    room = connection.room
    assert room is not None
    connection.resume_writing()
    assert room.done()
    assert connection.room is None
