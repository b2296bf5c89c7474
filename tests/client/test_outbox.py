"""Messages that outlive connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import elio
from elio import Limits, Router, WebSocket
from elio.client.outbox import Outbox
from elio.errors import ConfigurationError, StreamClosed
from elio.websocket.connection import Role
from support.raw import serve, until
from support.sessions import Session


class Line:
    """A connection that remembers what is sent and confirms when it is told to."""

    def __init__(self, outbox: Outbox) -> None:
        self.session = Session(role=Role.CLIENT)
        self.task = asyncio.ensure_future(outbox.serve(self.session.ws))

    def frames(self) -> list[bytes]:
        """Payloads of the messages and pings that were written since."""
        data = self.session.stream.take()
        found = []
        while data:
            size = data[1] & 0x7F
            key, payload = data[2:6], data[6 : 6 + size]
            name = {1: b"text ", 2: b"binary ", 9: b"ping", 8: b"close"}[data[0] & 0x0F]
            payload = bytes(byte ^ key[index & 3] for index, byte in enumerate(payload))
            found.append(name if name == b"ping" else name + payload)
            if name == b"ping":
                self.asked = payload
            data = data[6 + size :]
        return found

    async def settled(self) -> list[bytes]:
        for _ in range(10):
            await asyncio.sleep(0)
        return self.frames()

    async def confirm(self) -> None:
        await self.session.feed(bytes((0x8A, len(self.asked))) + self.asked)

    async def lose(self) -> None:
        await self.session.lose()
        await self.end()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        self.session.close()


@asynccontextmanager
async def line(outbox: Outbox) -> AsyncIterator[Line]:
    made = Line(outbox)
    try:
        yield made
    finally:
        await made.end()


async def test_what_is_queued_is_sent_and_a_ping_behind_it() -> None:
    outbox = Outbox(10)
    await outbox.send("one")
    await outbox.send(b"two")
    async with line(outbox) as wire:
        assert await wire.settled() == [b"text one", b"binary two", b"ping"]
        await outbox.send("three")
        assert await wire.settled() == [b"text three"]
        assert len(outbox) == 3
        await wire.confirm()
        assert len(outbox) == 1
        assert await wire.settled() == [b"ping"]
        await wire.confirm()
        assert len(outbox) == 0
        assert await wire.settled() == []


async def test_what_was_not_confirmed_is_sent_again_in_order() -> None:
    outbox = Outbox(10)
    async with line(outbox) as wire:
        await outbox.send("one")
        assert await wire.settled() == [b"text one", b"ping"]
        await wire.confirm()
        await outbox.send("two")
        await outbox.send("three")
        assert await wire.settled() == [b"text two", b"text three", b"ping"]
        await wire.lose()
    outbox.settle(wire.session.ws)
    await outbox.send("four")
    async with line(outbox) as wire:
        assert await wire.settled() == [b"text two", b"text three", b"text four", b"ping"]


async def test_the_answer_to_our_close_frame_confirms_everything() -> None:
    outbox = Outbox(10)
    async with line(outbox) as wire:
        await outbox.send("one")
        await wire.settled()
        wire.session.ws.close_soon()
        await wire.session.feed(b"\x88\x02\x03\xe8")
        await wire.lose()
        outbox.settle(wire.session.ws)
    assert len(outbox) == 0


async def test_a_close_frame_of_the_peer_confirms_nothing() -> None:
    outbox = Outbox(10)
    async with line(outbox) as wire:
        await outbox.send("one")
        await wire.settled()
        await wire.session.feed(b"\x88\x02\x03\xe8")
        await wire.lose()
        outbox.settle(wire.session.ws)
    assert len(outbox) == 1


async def test_a_full_queue_makes_its_sender_wait() -> None:
    outbox = Outbox(2)
    await outbox.send("one")
    await outbox.send("two")
    third = asyncio.ensure_future(outbox.send("three"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not third.done()
    async with line(outbox) as wire:
        await wire.settled()
        await wire.confirm()
        await third
        assert await wire.settled() == [b"text three", b"ping"]


async def test_flush_waits_for_the_last_confirmation() -> None:
    outbox = Outbox(2)
    await outbox.flush()
    await outbox.send("one")
    flushed = asyncio.ensure_future(outbox.flush())
    async with line(outbox) as wire:
        await wire.settled()
        assert not flushed.done()
        await wire.confirm()
        await flushed


async def test_a_closed_queue_tells_everybody() -> None:
    outbox = Outbox(1)
    await outbox.send("one")
    waiting = [asyncio.ensure_future(outbox.send("two")), asyncio.ensure_future(outbox.flush())]
    await asyncio.sleep(0)
    outbox.close()
    for task in waiting:
        with pytest.raises(StreamClosed, match="the client has ended"):
            await task
    with pytest.raises(StreamClosed):
        await outbox.send("three")


async def test_what_cannot_be_sent_is_not_taken() -> None:
    outbox = Outbox(1)
    with pytest.raises(TypeError, match="not int"):
        await outbox.send(5)  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        await outbox.send("\ud800")
    assert len(outbox) == 0
    with pytest.raises(ConfigurationError, match="keep is 0"):
        Outbox(0)


async def test_many_messages_over_a_real_connection_do_not_pile_up() -> None:
    got: list[str | bytes] = []
    router = Router()

    @router.websocket("/ws")
    async def take(ws: WebSocket) -> None:
        async for message in ws:
            got.append(message)

    outbox = Outbox(3000)
    for number in range(3000):
        await outbox.send(f"{number:05}" + "x" * 4000)
    async with serve(router) as server, elio.connect(f"ws://127.0.0.1:{server.port}/ws", compression=False) as ws:
        task = asyncio.ensure_future(outbox.serve(ws))
        await outbox.flush()
        await until(lambda: len(got) == 3000)
        task.cancel()
        await asyncio.wait([task])
    assert [int(message[:5]) for message in got] == list(range(3000))
    assert Limits().max_backlog < 3000 * 4005
