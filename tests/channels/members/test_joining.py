"""Connections that join channels: a server, and clients that write and read bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from elio import Gap, Message, Router, WebSocket
from elio.channels.channels import Channels
from elio.channels.members.formats import as_data
from elio.errors import ChannelError, ConfigurationError
from support.frames import frame
from support.raw import Raw, connect, serve, until


def chat(channels: Channels | None, **options: Any) -> Router:
    """A server that joins what it is told to, and says ``joined`` and ``left``."""
    router = Router(channels=channels)

    @router.websocket("/")
    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            verb, _, name = str(message).partition(" ")
            if verb == "join":
                name, _, since = name.partition(" ")
                await ws.join(name, since=since or None, **options)
                await ws.send("joined")
            elif verb == "leave":
                await ws.leave(name)
                await ws.send("left")
            else:
                await ws.send(message)

    return router


async def texts(raw: Raw, count: int = 1) -> list[Any]:
    """The next text messages: JSON objects as such."""
    found = []
    for _ in range(count):
        async with asyncio.timeout(20):
            opcode, payload = await raw.receive_frame()
        assert opcode == 0x81
        found.append(json.loads(payload) if payload.startswith(b"{") else payload.decode())
    return found


def say(text: str) -> bytes:
    return frame(0x81, text.encode())


@asynccontextmanager
async def client(server: Any, *words: str) -> AsyncIterator[Raw]:
    async with connect(server) as raw:
        await raw.upgrade("/")
        for word in words:
            raw.send(say(word))
            assert await texts(raw) == ["joined"]
        yield raw


async def test_who_has_joined_is_sent_what_is_published() -> None:
    channels = Channels()
    async with serve(chat(channels)) as server, client(server, "join a") as one, client(server, "join a") as two:
        id = await channels.publish("a", "hello", type="t", key="k")
        expected = {"channel": "a", "id": id, "data": "hello", "type": "t", "key": "k"}
        assert await texts(one) == [expected]
        assert await texts(two) == [expected]
        one.send(say("leave a"))
        assert await texts(one) == ["left"]
        await channels.publish("a", b"\x00")
        one.send(say("still here"))
        assert await texts(one) == ["still here"]
        assert (await texts(two))[0]["base64"] == "AA=="
    assert not channels.is_started


async def test_a_cursor_goes_on_and_several_channels_can_be_joined() -> None:
    channels = Channels()
    async with serve(chat(channels)) as server:
        first = await channels.publish("a", "1")
        await channels.publish("a", "2")
        await channels.publish("b.x", "3")
        async with client(server) as raw:
            raw.send(say(f"join a {first}"))
            found = await texts(raw, 2)
            assert [each if isinstance(each, str) else each["data"] for each in found] == ["2", "joined"]
            raw.send(say("join b.*"))
            assert await texts(raw) == ["joined"]
            await channels.publish("b.y", "4")
            await channels.publish("a", "5")
            assert [each["data"] for each in await texts(raw, 2)] == ["4", "5"]


async def test_a_cursor_that_cannot_be_read_is_a_gap() -> None:
    channels = Channels()
    async with serve(chat(channels)) as server, client(server) as raw:
        raw.send(say("join a garbage"))
        gap, joined = await texts(raw, 2)
        assert (gap["gap"], gap["missed"], gap["channel"], joined) == ("cursor", None, "a", "joined")


async def test_the_data_alone_can_be_sent() -> None:
    channels = Channels()
    async with serve(chat(channels, encode=as_data)) as server, client(server, "join a") as raw:
        await channels.publish("a", "plain")
        assert await texts(raw) == ["plain"]


async def test_members_that_compress_are_sent_what_was_compressed_once() -> None:
    channels, made = Channels(), list[str]()

    def encode(item: Message | Gap) -> str:
        made.append(item.channel)
        return "the same words for everybody " * 20

    deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    async with serve(chat(channels, encode=encode)) as server, AsyncExitStack() as stack:
        members = [await stack.enter_async_context(connect(server)) for _ in range(3)]
        for raw in members:
            answer = await raw.upgrade("/", headers=deflate)
            assert "permessage-deflate" in answer.headers["sec-websocket-extensions"]
            raw.send(say("join a"))
            await raw.receive_frame()
        plain = await stack.enter_async_context(client(server, "join a"))
        frames = set()
        for _ in range(2):
            await channels.publish("a", "x")
            frames.update([await raw.receive_frame() for raw in members])
            assert (await texts(plain))[0].startswith("the same words")
        # No member's own window has made it, else the second message were shorter than the first.
        ((first, payload),) = frames
        assert first == 0xC1
        assert len(payload) < 100
        assert made == ["a", "a"]


async def test_a_connection_that_ends_leaves_everything() -> None:
    channels = Channels()
    async with serve(chat(channels)) as server:
        async with client(server, "join a", "join b") as raw:
            hub = channels._running()
            assert [feed.users for feed in hub._feeds.values()] == [1, 1]
            raw.send(frame(0x88, b"\x03\xe8"))
            await raw.read_all()
        await until(lambda: [feed.users for feed in hub._feeds.values()] == [0, 0])
        assert all(not feed._live and not feed.groups for feed in hub._feeds.values())


async def test_joining_twice_and_without_channels_says_so() -> None:
    channels = Channels()
    errors: list[Exception] = []

    def routes(channels: Channels | None) -> Router:
        router = Router(channels=channels)

        @router.websocket("/")
        async def handler(ws: WebSocket) -> None:
            for _ in range(2):
                try:
                    await ws.join("a")
                except Exception as error:
                    errors.append(error)

        return router

    for given in (channels, None):
        async with serve(routes(given)) as server, connect(server) as raw:
            await raw.upgrade("/")
            await raw.receive_close()
            raw.send(frame(0x88, b"\x03\xe8"))
            await raw.read_all()
    assert [type(error) for error in errors] == [ChannelError, ConfigurationError, ConfigurationError]


# -- slow connections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "reason"),
    [("block", None), ("drop_oldest", "slow consumer"), ("drop_newest", "slow consumer"), ("coalesce", "coalesced")],
)
async def test_who_reads_late_gets_everything_or_a_gap(policy: str, reason: str | None) -> None:
    channels = Channels()
    async with serve(chat(channels, policy=policy)) as server, client(server, "join a") as slow:
        data = "x" * 20_000
        for number in range(600):
            await channels.publish("a", f"{number} {data}", key=str(number % 7))
            await asyncio.sleep(0)
        await channels.publish("a", "end", key="end")
        offsets, missed, reasons = [], 0, set()
        while True:
            (item,) = await texts(slow)
            if "gap" in item:
                missed += item["missed"]
                reasons.add(item["gap"])
                continue
            if item["data"] == "end":
                break
            offsets.append(int(item["data"].partition(" ")[0]))
        assert offsets == sorted(set(offsets))
        assert len(offsets) + missed == 600
        assert reasons == ({reason} if reason else set()) or policy == "block"
        await channels.publish("a", "live")
        assert (await texts(slow))[0]["data"] == "live"


async def test_who_reads_late_can_be_sent_away() -> None:
    channels = Channels()
    async with serve(chat(channels, policy="close")) as server, client(server, "join a") as slow:
        async with asyncio.timeout(20):
            while channels._running()._feeds[("a",)].users:
                await channels.publish("a", "x" * 20_000)
                await asyncio.sleep(0)
        await slow.read_all()


# -- presence ---------------------------------------------------------------------------------------------------------


def watch(channels: Channels) -> Any:
    return channels.presence("room")


async def test_members_join_and_leave() -> None:
    channels = Channels()
    router = Router(channels=channels)

    @router.websocket("/:name")
    async def handler(ws: WebSocket) -> None:
        name = ws.params["name"]
        await ws.join("room", presence={"name": name}, member=name)
        async for _ in ws:
            await ws.leave("room")
            await ws.send("left")

    async with serve(router) as server, connect(server) as ann, connect(server) as bob, watch(channels) as presence:
        assert (await presence.receive()).state == {}  # type: ignore[union-attr]
        await ann.upgrade("/ann")
        notice: Any = await presence.receive()
        assert (notice.type, notice.key, json.loads(notice.data)) == ("join", "ann", {"name": "ann"})
        await bob.upgrade("/bob")
        await presence.receive()
        assert await channels.members("room") == {"ann": {"name": "ann"}, "bob": {"name": "bob"}}
        ann.send(say("leave"))
        assert await texts(ann) == ["left"]
        notice = await presence.receive()
        assert (notice.type, notice.key) == ("leave", "ann")
        assert await channels.members("room") == {"bob": {"name": "bob"}}
        bob.send(frame(0x88, b"\x03\xe8"))
        await bob.read_all()
        # Who was lost stays for a while, and who comes back in that was never away.
        async with connect(server) as again:
            await again.upgrade("/bob")
            await until(lambda: channels._presence is not None and len(channels._presence._leases) == 1)
            assert await channels.members("room") == {"bob": {"name": "bob"}}
            assert presence.size == 0


async def test_who_closes_in_order_stays_for_a_while_and_leaves_once() -> None:
    channels = Channels()
    router = Router(channels=channels)

    @router.websocket("/")
    async def handler(ws: WebSocket) -> None:
        await ws.join("room", presence={}, member="bob")
        async for _ in ws:
            pass

    async with serve(router) as server, connect(server) as bob, watch(channels) as presence:
        assert channels._presence is not None
        channels._presence._linger = 0.3
        assert (await presence.receive()).state == {}  # type: ignore[union-attr]
        await bob.upgrade("/")
        await presence.receive()
        bob.send(frame(0x88, b"\x03\xe8"))
        await bob.read_all()
        async with asyncio.timeout(20):
            notice: Any = await presence.receive()
        assert (notice.type, notice.key) == ("leave", "bob")
        assert await channels.members("room") == {}
        assert presence.size == 0
