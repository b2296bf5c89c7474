"""What a server says of what is open in it."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from elio import Channels, EventStream, Router, WebSocket
from elio.server.watch import survey as module
from support.raw import connect, serve, until


def make_router() -> Router:
    router = Router(channels=Channels("memory:"))
    router.sse("/news/:topic", channel="news.{topic}")

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        await ws.join("room")
        await ws.ping()
        await ws.send("ready")
        async for _ in ws:
            await ws.send("x" * 1_000_000)

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send("one")
        await asyncio.Event().wait()

    return router


async def test_connections_are_told_by_kind() -> None:
    async with serve(make_router()) as server, connect(server) as ws, connect(server) as sse, connect(server) as idle:
        await ws.upgrade()
        ping = await ws.receive_frame()
        ws.frame(0x8A, ping[1])
        await ws.receive_frame()
        sse.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await sse.head()
        idle.send(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await idle.answer()
        told = server.survey()
        assert json.loads(json.dumps(told))["pid"] == os.getpid()
        assert (told["worker"], told["websockets"], told["streams"], told["requests"]) == (0, 1, 1, 1)
        one, two, three = told["connections"]
        assert (one["kind"], one["path"], two["kind"], two["path"]) == ("websocket", "/ws", "sse", "/events")
        assert (three["kind"], three["path"], three["round_trip"]) == ("http", "", None)
        assert 0 < one["round_trip"] < 60
        assert all(each["client"].startswith("127.0.0.1:") and 0 <= each["age"] < 60 for each in told["connections"])
        (room,) = told["channels"]
        assert room == {"channels": ("room",), "subscribers": 1, "behind": 0, "lag": 0, "queued": 0}


async def test_those_for_which_most_waits_come_first_and_not_all_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    async with serve(make_router()) as server, connect(server) as one, connect(server) as two:
        for raw in (one, two):
            await raw.upgrade()
            raw.frame(0x8A, (await raw.receive_frame())[1])
        for _ in range(20):
            two.frame(0x81, b"more")
        await until(lambda: server.survey()["queued"])
        told = server.survey()
        assert told["websockets"] == 2
        assert [each["queued"] for each in told["connections"]] == [told["queued"]]


async def test_a_server_without_channels_or_connections_says_so() -> None:
    async with serve(Router()) as server:
        told = server.survey()
        assert (told["connections"], told["channels"], told["queued"]) == ([], [], 0)
        assert told["lag"] >= 0.0
