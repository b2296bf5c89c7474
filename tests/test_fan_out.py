"""The same message to many connections."""

from __future__ import annotations

import asyncio

import pytest

from elio import Event, EventStream, Limits, LocalProtocolError, Router, WebSocket, broadcast
from elio.websocket.connection import Connection, Role
from elio.websocket.deflate import DeflateOptions, PerMessageDeflate
from support.frames import frame
from support.raw import connect, serve, until
from support.sessions import FakeOpening, Session


async def end(*sessions: Session) -> None:
    for session in sessions:
        await session.lose()
        session.close()


async def test_everyone_open_gets_it_once_in_one_write() -> None:
    sessions = [Session() for _ in range(5)]
    await sessions[3].lose()
    assert broadcast([session.ws for session in sessions], "hello") == 4
    assert broadcast([session.ws for session in sessions[:1]], b"\x00") == 1
    await asyncio.sleep(0)
    for number, session in enumerate(sessions):
        expected = b"" if number == 3 else b"\x81\x05hello" + (b"\x82\x01\x00" if number == 0 else b"")
        assert bytes(session.stream.written) == expected
    assert sessions[1].stream.writes[0] is not None
    await end(*sessions)


async def test_it_goes_between_what_was_sent_before_and_after() -> None:
    session = Session()
    await session.ws.send("a")
    await session.ws.send("b")
    broadcast([session.ws], "c")
    await session.ws.send("d")
    await asyncio.sleep(0)
    assert bytes(session.stream.written) == b"\x81\x01a\x81\x01b\x81\x01c\x81\x01d"
    await end(session)


async def test_who_compresses_gets_it_compressed_and_later_messages_stay_whole() -> None:
    def deflate(**options: int) -> PerMessageDeflate:
        return PerMessageDeflate(DeflateOptions(threshold=0), **options)

    servers = [
        Session(deflate=deflate()),
        Session(deflate=deflate()),
        Session(deflate=deflate(own_max_window_bits=10)),
        Session(),
    ]
    clients = [
        Connection(Role.CLIENT, deflate=deflate()),
        Connection(Role.CLIENT, deflate=deflate()),
        Connection(Role.CLIENT, deflate=deflate(peer_max_window_bits=10)),
        Connection(Role.CLIENT),
    ]
    texts = [f"message {number} " * 20 for number in range(6)]
    for number, text in enumerate(texts):
        if number % 2:
            assert broadcast([server.ws for server in servers], text) == 4
        else:
            for server in servers:
                await server.ws.send(text)
        await asyncio.sleep(0)
    for server, client in zip(servers, clients, strict=True):
        assert client.receive_data(bytes(server.stream.written)) == texts
    assert len(servers[0].stream.written) < len(servers[3].stream.written) / 2
    await end(*servers)


async def test_a_short_message_is_not_compressed() -> None:
    session = Session(deflate=PerMessageDeflate(DeflateOptions(threshold=100)))
    broadcast([session.ws], "short")
    assert bytes(session.stream.written) == b"\x81\x05short"
    await end(session)


async def test_a_client_masks_what_it_sends_to_many() -> None:
    session = Session(role=Role.CLIENT)
    assert broadcast([session.ws], "hi") == 1
    assert session.stream.written[1] == 0x82
    server = Connection(Role.SERVER)
    assert server.receive_data(bytes(session.stream.written)) == ["hi"]
    with pytest.raises(LocalProtocolError):
        session.connection.encode_shared("hi")
    await end(session)


async def test_who_is_still_opening_is_passed_over() -> None:
    opening = FakeOpening()
    session = Session(opening=opening)
    assert broadcast([session.ws], "hi") == 0
    assert opening.accepted == []
    await end(session)


async def test_who_is_in_the_middle_of_a_fragmented_message_says_so() -> None:
    session = Session()
    session.connection.send_fragment("begun", last=False)
    with pytest.raises(LocalProtocolError, match="not finished"):
        broadcast([session.ws], "hi")
    await end(session)


@pytest.mark.parametrize("message", [Event("x"), 1, None])
async def test_what_is_no_message_is_a_type_error(message: object) -> None:
    session = Session()
    with pytest.raises(TypeError):
        broadcast([session.ws], message)  # type: ignore[call-overload]
    await end(session)


async def test_one_that_is_too_far_behind_is_cut_off() -> None:
    limits = Limits(max_backlog=100_000)
    slow, quick = Session(limits=limits), Session(limits=limits)
    slow.stream.stalled = True
    slow.ws.pause_writing()
    for _ in range(20):
        broadcast([slow.ws, quick.ws], "x" * 10_000)
        await asyncio.sleep(0)
    assert slow.stream.is_aborted
    assert slow.stream.waiting <= 100_000 + 10_004
    assert not quick.stream.is_aborted
    assert len(quick.stream.written) == 20 * 10_004
    await end(slow, quick)


async def test_event_streams_get_an_event_framed_as_each_needs_it() -> None:
    router = Router()
    streams: list[EventStream] = []
    go_on = asyncio.Event()

    @router.sse("/")
    async def events(stream: EventStream) -> None:
        streams.append(stream)
        await go_on.wait()

    async with serve(router) as server, connect(server) as new, connect(server) as old:
        new.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        old.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        await until(lambda: len(streams) == 2)
        assert broadcast(streams, Event("a", id="1")) == 2
        assert broadcast(streams, "b") == 2
        assert broadcast(iter(streams), "c") == 2
        for raw in (new, old):
            await raw.head()
        expected = b"id: 1\ndata: a\n\ndata: b\n\ndata: c\n\n"
        data = b""
        while len(data) < len(expected):
            data += await new.chunk()
        assert data == expected
        assert await old.read(len(expected)) == expected
        with pytest.raises(TypeError, match="an event is an Event or str, not bytes"):
            broadcast(streams, b"bytes")  # type: ignore[call-overload]
        go_on.set()
        await old.read_all()
        assert await new.chunk() == b""
        assert broadcast(streams, "late") == 0


async def test_it_reaches_websockets_over_the_network() -> None:
    router = Router()
    members: set[WebSocket] = set()

    @router.websocket("/")
    async def chat(ws: WebSocket) -> None:
        await ws.accept()
        members.add(ws)
        async for message in ws:
            broadcast(members, message)

    async with serve(router) as server, connect(server) as one, connect(server) as two:
        await one.upgrade("/")
        await two.upgrade("/", behind=frame(0x81, b"to all"))
        assert await one.receive_frame() == (0x81, b"to all")
        assert await two.receive_frame() == (0x81, b"to all")
