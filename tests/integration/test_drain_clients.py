"""What clients make of the farewell: our own, and `websockets`."""

from __future__ import annotations

import asyncio
import socket

import pytest
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosedError

from elio import EventSource, EventStream, Router, Server, WebSocket, connect
from support.raw import DEADLINE


def make_router(name: str) -> Router:
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        await ws.send(name)
        await ws.wait_closed()

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send(name)
        await stream.wait_closed()

    return router


async def test_they_go_to_the_next_server_at_a_moment_of_their_own() -> None:
    async with asyncio.timeout(DEADLINE):
        with socket.create_server(("127.0.0.1", 0)) as owner:
            where = f"127.0.0.1:{owner.getsockname()[1]}"
            first = Server(make_router("first"), fd=owner.fileno())
            await first.start()
            async with (
                EventSource(f"http://{where}/events", reconnection_time=1000.0) as source,
                connect(f"ws://{where}/ws") as ours,
                websockets.asyncio.client.connect(f"ws://{where}/ws") as theirs,
            ):
                assert (await source.receive()).data == await ours.receive() == await theirs.recv() == "first"
                await first.drain(window=0.1, returning=True)
                await ours.wait_closed()
                assert (ours.close_code, ours.close_reason) == (1012, "the server is restarting")
                with pytest.raises(ConnectionClosedError) as ended:
                    await theirs.recv()
                assert ended.value.rcvd is not None
                assert ended.value.rcvd.code == 1012
                async with Server(make_router("second"), fd=owner.fileno()):
                    assert (await source.receive()).data == "second"  # a second later, not a thousand
