"""A peer at the other end of a socket that follows a script, and says whether it could."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from support.raw import DEADLINE, Raw

__all__ = ["Script", "listening", "scripted"]

Script = Callable[[Raw], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[socket.socket]:
    """A non-blocking socket to a peer that runs the script; what it raises is raised at the end of the block."""
    near, far = socket.socketpair()
    near.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=far)
    raw = Raw(reader, writer)
    task = asyncio.ensure_future(script(raw))
    try:
        yield near
        async with asyncio.timeout(DEADLINE):
            await task
    finally:
        task.cancel()
        await raw.close()
        near.close()


@asynccontextmanager
async def listening(script: Script, *, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """The port of a server that runs the script for each connection; what they raise is raised at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = Raw(reader, writer)
        task = asyncio.ensure_future(_follow(script, raw))
        tasks.add(task)
        await asyncio.wait([task])

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
    finally:
        server.close()
        await asyncio.wait(tasks, timeout=DEADLINE) if tasks else None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await asyncio.sleep(0)


async def _follow(script: Script, raw: Raw) -> None:
    try:
        await script(raw)
    except asyncio.CancelledError:
        return
    except (ConnectionError, asyncio.IncompleteReadError):
        return  # the client has gone: what that means is the test's matter
    finally:
        await raw.close()
