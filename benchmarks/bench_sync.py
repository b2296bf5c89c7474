"""Round trips of the client for threads: `python -m benchmarks.bench_sync`.

Microseconds of CPU per round trip of 32 bytes with one connection, for `elio.sync.connect`, for the threading client of
websockets, and for a bare socket that sends and receives the same bytes. The server, Elio's, is a process of its own on
another core. Rounds take turns.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

__all__ = ["main"]

AIM = 0.6
"""Elio's CPU per round trip shall be at most this part of that of websockets."""

TRIPS = 3000
MESSAGE = "x" * 32
SERVER = """
import asyncio
from elio import Router, Server

router = Router()

@router.websocket("/ws")
async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def main():
    async with Server(router, port=0) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def _measure(trip: Callable[[], object]) -> float:
    for _ in range(TRIPS // 10):
        trip()
    start = time.process_time()
    for _ in range(TRIPS):
        trip()
    return (time.process_time() - start) / TRIPS * 1e6


def elio(port: int) -> float:
    from elio import sync

    with sync.connect(f"ws://127.0.0.1:{port}/ws", compression=False, proxy=None) as ws:

        def trip() -> None:
            ws.send(MESSAGE)
            ws.receive()

        return _measure(trip)


def websockets(port: int) -> float:
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{port}/ws", compression=None, proxy=None) as ws:

        def trip() -> None:
            ws.send(MESSAGE)
            ws.recv()

        return _measure(trip)


def bare(port: int) -> float:
    frame = b"\x81\xa0\0\0\0\0" + MESSAGE.encode()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(HANDSHAKE)
        sock.recv(4096)

        def trip() -> None:
            sock.send(frame)
            sock.recv(4096)

        return _measure(trip)


CLIENTS: dict[str, Callable[[int], float]] = {"elio": elio, "websockets": websockets, "bare": bare}


def measure(rounds: int, server_core: int) -> dict[str, list[float]]:
    """Microseconds per round trip: for each client one figure for each round."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {server_core}),
    )
    present = [name for name in CLIENTS if name == "bare" or importlib.util.find_spec(name)]
    figures: dict[str, list[float]] = {name: [] for name in present}
    try:
        port = int(server.stdout.readline()) if server.stdout else 0
        for _ in range(rounds):
            for name in present:
                figures[name].append(CLIENTS[name](port))
    finally:
        server.kill()
        server.communicate()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_sync", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    medians = {name: statistics.median(values) for name, values in measure(options.rounds, cores[-1]).items()}
    print(", ".join(f"{name} {value:.1f} µs" for name, value in medians.items()), end="")
    print(f": {medians['elio'] / medians.get('websockets', float('nan')):.2f} x, aim {AIM:g} x")


if __name__ == "__main__":
    main()
