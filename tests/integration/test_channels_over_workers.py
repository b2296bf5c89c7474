"""Channels of several processes on one machine, without any engine: what one worker publishes reaches the clients of
all, whoever is killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import elio
from elio.channels.backend import POSITION_CHECK
from support.programs import DEADLINE, Program, start
from support.servers import RedisServer

PROGRAM = """
import os
from elio import Channels, Request, Router, WebSocket, run

channels = Channels()
router = Router(channels=channels)
router.sse("/events", channel="room")

@router.websocket("/ws")
async def talk(ws: WebSocket) -> None:
    cursor = await ws.join("room", since=ws.request.query.get("since"))
    await ws.send(f"{os.getpid()} {cursor}")
    async for message in ws:
        await channels.publish("room", message)

run(router, port=PORT, workers=WORKERS, drain=0.0, channels=URL)
"""


class Client:
    """A client in the room.

    Attributes:
        ws: its connection.
        pid: of the process that serves it.
        cursor: behind what it has.
    """

    def __init__(self, ws: elio.WebSocket) -> None:
        self.ws = ws
        self.pid = 0
        self.cursor = ""
        self.early: list[dict[str, Any]] = []

    async def opened(self) -> Client:
        """Until it knows who serves it."""
        while not self.pid:
            message = str(await self.ws.receive())
            if message.startswith("{"):
                self.early.append(json.loads(message))
            else:
                pid, self.cursor = message.split(" ")
                self.pid = int(pid)
        return self

    async def hears(self) -> str:
        """The next message; a gap is "gap" and its reason."""
        item = self.early.pop(0) if self.early else json.loads(await self.ws.receive())
        self.cursor = item["id"]
        return f"gap: {item['gap']}" if "gap" in item else item["data"]


@asynccontextmanager
async def server(
    folder: Path, port: int = 0, *, url: str | None = None, workers: int = 4
) -> AsyncIterator[tuple[Program, int]]:
    path = folder / "program.py"
    text = PROGRAM.replace("PORT", str(port)).replace("URL", repr(url)).replace("WORKERS", str(workers))
    path.write_text(text)
    async with start(str(path), cwd=folder) as program:
        found = await program.says(r"serving on http://127\.0\.0\.1:(\d+) \(Ctrl\+C to stop\)")
        yield program, int(found[1])


async def join(stack: AsyncExitStack, port: int, since: str = "") -> Client:
    url = f"ws://127.0.0.1:{port}/ws" + (f"?since={since}" if since else "")
    return await Client(await stack.enter_async_context(elio.connect(url))).opened()


async def one_on_each(stack: AsyncExitStack, port: int) -> list[Client]:
    """A client on each of the four workers."""
    found: dict[int, Client] = {}
    while len(found) < 4:
        client = await join(stack, port)
        if client.pid in found:
            await client.ws.close()
        else:
            found[client.pid] = client
    return list(found.values())


async def test_four_workers_share_channels(tmp_path: Path) -> None:
    async with asyncio.timeout(2 * DEADLINE), server(tmp_path) as (program, port), AsyncExitStack() as stack:
        clients = await one_on_each(stack, port)
        for number, client in enumerate(clients):
            await client.ws.send(f"hello {number}")
            assert [await each.hears() for each in clients] == [f"hello {number}"] * 4
        async with elio.EventSource(f"http://127.0.0.1:{port}/events", last_event_id=clients[0].cursor) as source:
            await clients[3].ws.send("and event streams")
            assert (await source.receive()).data == "and event streams"
        await stack.aclose()
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_nothing_is_lost_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    async with asyncio.timeout(2 * DEADLINE), server(tmp_path) as (_, port), AsyncExitStack() as stack:
        victim, *others = await one_on_each(stack, port)
        await others[0].ws.send("before")
        assert await victim.hears() == "before"
        os.kill(victim.pid, signal.SIGKILL)
        await victim.ws.wait_closed()
        await others[0].ws.send("meanwhile")
        again = await join(stack, port, victim.cursor)
        await others[1].ws.send("behind")
        assert again.pid != victim.pid
        assert [await again.hears() for _ in range(2)] == ["meanwhile", "behind"]
        assert [await others[2].hears() for _ in range(3)] == ["before", "meanwhile", "behind"]


async def test_another_supervisor_is_a_gap_and_no_silence(tmp_path: Path, kept_port: int) -> None:
    async with asyncio.timeout(3 * DEADLINE), AsyncExitStack() as stack:
        async with server(tmp_path, kept_port) as (program, port):
            client = await join(stack, port)
            await client.ws.send("one")
            assert await client.hears() == "one"
            program.kill(signal.SIGKILL)
            await client.ws.wait_closed()
            await program.ends(silently=False)
        async with server(tmp_path, kept_port) as (_, port):
            again = await join(stack, port, client.cursor)
            assert await again.hears() == "gap: epoch"
            await again.ws.send("two")
            assert await again.hears() == "two"
            async with elio.EventSource(f"http://127.0.0.1:{port}/events", last_event_id=client.cursor) as source:
                event = await source.receive()
                assert (event.type, json.loads(event.data)["reason"]) == ("gap", "epoch")


async def test_another_server_takes_over_the_hub_of_one_that_is_killed(tmp_path: Path) -> None:
    url = f"local:{tmp_path / 'hub'}"
    async with (
        asyncio.timeout(3 * DEADLINE),
        server(tmp_path, url=url, workers=1) as (first, _),
        server(tmp_path, url=url, workers=1) as (second, port),
        AsyncExitStack() as stack,
    ):
        client = await join(stack, port)
        await client.ws.send("one")
        assert await client.hears() == "one"
        first.kill(signal.SIGKILL)
        assert await client.hears() == "gap: epoch"
        await client.ws.send("two")
        assert await client.hears() == "two"
        await stack.aclose()
        second.kill(signal.SIGTERM)
        await second.ends(silently=False)
        await first.ends(silently=False)


def cut_one(redis: RedisServer) -> None:
    """Cut the connection on which one worker is told what is published."""
    line = redis.say("CLIENT", "LIST", "TYPE", "pubsub", until=b"resp")
    found = re.search(rb"\bid=(\d+)", line)
    assert found is not None
    assert redis.say("CLIENT", "KILL", "ID", found[1].decode()) == b":1\r\n"


async def test_a_worker_whose_news_are_cut_has_them_again_in_three_seconds(tmp_path: Path) -> None:
    with RedisServer() as redis:
        async with (
            asyncio.timeout(3 * DEADLINE),
            server(tmp_path, url=redis.url) as (_, port),
            AsyncExitStack() as stack,
        ):
            clients = await one_on_each(stack, port)
            times, number = [], 0
            while len(times) < 4:
                await asyncio.get_running_loop().run_in_executor(None, cut_one, redis)
                begun = time.monotonic()
                for _ in range(5):
                    await clients[number % 4].ws.send(str(number))
                    for client in clients:
                        assert await client.hears() == str(number)
                    number += 1
                times.append(time.monotonic() - begun)
            # A busy machine only adds to it.
            assert min(times) < POSITION_CHECK
