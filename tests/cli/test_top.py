"""``elio top`` as a program of its own, over servers that are."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import elio as library
from support.programs import Program, elio
from support.terminal import on_terminal

APP = """
from elio import Channels, Router, WebSocket

router = Router(channels=Channels())
router.sse("/events", channel="news")

@router.websocket("/ws")
async def talk(ws: WebSocket) -> None:
    await ws.join("room")
    async for message in ws:
        await ws.send(message)
"""


@asynccontextmanager
async def server(folder: Path, *options: str) -> AsyncIterator[Program]:
    (folder / "app.py").write_text(APP)
    options = ("--port", "0", "--status", "status", "--log-level", "error", *options)
    async with elio("serve", "app:router", *options, cwd=folder) as program:
        await program.serves()
        yield program


async def test_once_is_a_table(tmp_path: Path) -> None:
    async with server(tmp_path) as program, library.connect(f"ws://127.0.0.1:{program.port}/ws") as ws:
        await ws.send("hello")
        await ws.receive()
        async with elio("top", "status", "--once", cwd=tmp_path) as top:
            await top.says("1 processes, 1 WebSockets, 0 event streams, 0 HTTP connections, 0 B queued")
            await top.says("")
            await top.says("WORKER +PID +LOOP LAG +WEBSOCKETS +STREAMS +HTTP +QUEUED")
            await top.says(r" +- +\d+ +\d+\.\d ms +1 +0 +0 +0 B")
            await top.says("")
            await top.says("WORKER +SUBSCRIBERS +BEHIND +LAG +QUEUED +CHANNEL")
            await top.says(r" +- +1 +0 +0 +0 B +room")
            await top.says("")
            await top.says("WORKER +KIND +AGE +ROUND TRIP +QUEUED +CLIENT +PATH")
            await top.says(r" +- +websocket +\d.* +- +0 B +127\.0\.0\.1:\d+ +/ws")
            assert await top.ends() == 0


async def test_json_has_all_workers_again_and_again(tmp_path: Path) -> None:
    look = ("top", "status", "--json", "--interval", "0.05")
    async with server(tmp_path, "--workers", "2"), elio(*look, cwd=tmp_path) as top:
        workers: list[int] = []
        while workers != [1, 2]:
            told = json.loads((await top.says(".*"))[0])
            workers = [status["worker"] for status in told["processes"]]
        top.kill(signal.SIGINT)
        assert await top.ends(silently=False) == 130


async def test_a_terminal_is_cleared_each_time(tmp_path: Path) -> None:
    async with server(tmp_path), on_terminal("top", "status", "--interval", "0.05", cwd=tmp_path) as terminal:
        screen = terminal.screen
        await terminal.until(lambda: screen.unknown.count("\x1b[2J") >= 2)
        assert screen.lines[0].startswith("1 processes, 0 WebSockets, 0 event streams")


async def test_without_a_server_it_is_one_sentence_and_status_3(tmp_path: Path) -> None:
    async with elio("top", "nowhere", "--once", cwd=tmp_path) as top:
        await top.complains("elio: no server tells its status in 'nowhere'; one does with: elio serve --status")
        assert await top.ends() == 3
