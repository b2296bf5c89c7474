"""The server of the soak of slow readers, as a program: `python -m benchmarks.soak.feed OPTIONS`.

Its WebSockets are in rooms, and each room gets the same messages, by `broadcast`. A message begins with its number and
the time at which it was handed over, in nanoseconds of the system's monotonic clock, which all processes share.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import struct
import time
from itertools import count

from elio import Limits, Router, Server, WebSocket, broadcast, run

__all__ = ["STAMP", "main"]

STAMP = struct.Struct("!QQ")
"""Number and time, the first bytes of a message."""

ROOMS = 20
"""They have their messages one after the other, so that readers do not all want the same millisecond."""

router = Router()
rooms: list[set[WebSocket]] = [set() for _ in range(ROOMS)]
joined = count()
tasks: list[asyncio.Task[None]] = []


@router.websocket("/ws", compression=False)
async def websocket(ws: WebSocket) -> None:
    await ws.send(f"pid {os.getpid()}")
    room = rooms[next(joined) % ROOMS]
    room.add(ws)
    try:
        await ws.wait_closed()
    finally:
        room.discard(ws)


async def tell_all(interval: float, size: int) -> None:
    """One message for each room in each interval."""
    rest = bytes(size - STAMP.size)
    due = time.monotonic()
    for number in count():
        for room in rooms:
            broadcast(room, STAMP.pack(number, time.monotonic_ns()) + rest)
            due += interval / ROOMS
            await asyncio.sleep(max(due - time.monotonic(), 0.0))


def listen(send_buffer: int) -> int:
    """The descriptor of a socket whose connections have so small buffers in the system."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    return sock.detach()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--interval", type=float, default=0.2)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--max-backlog", type=int, default=64 * 1024)
    parser.add_argument("--write-limit", type=int, default=16 * 1024)
    options = parser.parse_args()

    def started(server: Server) -> None:
        tasks.append(asyncio.get_running_loop().create_task(tell_all(options.interval, options.size)))
        print(f"serving on {server.urls[0]}", flush=True)

    limits = Limits(max_backlog=options.max_backlog, write_limit=options.write_limit, backlog=4096)
    run(router, fd=listen(4096), limits=limits, on_start=started)


if __name__ == "__main__":
    main()
