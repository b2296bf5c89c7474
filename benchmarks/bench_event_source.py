"""Event streams over a socket, as a client: `python -m benchmarks.bench_event_source`.

Events per second of the client's CPU, for `elio.EventSource` and for httpx-sse over httpx's asynchronous client, which
read the same bytes. The server is a process of its own on another core and does nothing but send. Rounds take turns.

Two framings of the same 200-byte events: `stream`, chunks of 16 KiB as proxies and busy servers make them, and `event`,
a chunk for each event.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import cycle, islice

from .bench_sse_parser import streams

__all__ = ["main"]

AIM = 10.0
"""Elio's events per CPU second shall be at least so many times httpx-sse's."""

EVENTS = 200_000
CHUNK = 16 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMINGS = ("stream", "event")

Client = Callable[[str], Awaitable[int]]
"""Reads the whole stream and counts the characters of its data."""


# -- the server --------------------------------------------------------------------------------------------------------


def serve() -> None:
    """Print a port, and answer one request after the other."""
    bodies = {framing: _body(framing) for framing in FRAMINGS}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                framing = request.split(b" ", 2)[1].decode().strip("/")
                connection.sendall(bodies[framing])


def _body(framing: str) -> bytes:
    tokens = next(stream for stream in streams() if stream.name == "tokens")
    parts = [part + b"\n\n" for part in tokens.content.split(b"\n\n")[:-1]]
    events = list(islice(cycle(parts), EVENTS))
    if framing == "stream":
        content = b"".join(events)
        events = [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]
    return HEAD + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in events) + b"0\r\n\r\n"


# -- the clients -------------------------------------------------------------------------------------------------------


async def elio(url: str) -> int:
    from elio import EventSource

    size = 0
    async with EventSource(url, max_reconnects=0) as source:
        async for event in source:
            size += len(event.data)
    return size


async def httpx_sse(url: str) -> int:
    import httpx
    from httpx_sse import aconnect_sse

    size = 0
    async with httpx.AsyncClient(trust_env=False) as client, aconnect_sse(client, "GET", url) as source:
        async for event in source.aiter_sse():
            size += len(event.data)
    return size


CLIENTS: dict[str, tuple[Client, str]] = {"elio": (elio, "elio"), "httpx-sse": (httpx_sse, "httpx_sse")}


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(rounds: int, server_core: int) -> dict[str, dict[str, list[float]]]:
    """Events per CPU second: for each framing and client one figure for each round."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bench_event_source", "--serve"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {server_core}),
    )
    try:
        port = int(server.stdout.readline()) if server.stdout else 0
        return {framing: _rounds(f"http://127.0.0.1:{port}/{framing}", rounds) for framing in FRAMINGS}
    finally:
        server.kill()
        server.communicate()


def _rounds(url: str, rounds: int) -> dict[str, list[float]]:
    present = {name: read for name, (read, module) in CLIENTS.items() if importlib.util.find_spec(module)}
    figures: dict[str, list[float]] = {name: [] for name in present}
    sizes = set()
    for _ in range(rounds):
        for name, read in present.items():
            seconds, size = asyncio.run(_time(read, url))
            sizes.add(size)
            figures[name].append(EVENTS / seconds)
    if len(sizes) != 1:
        raise SystemExit(f"the clients have not read the same: {sizes}")
    return figures


async def _time(read: Client, url: str) -> tuple[float, int]:
    start = time.process_time()
    size = await read(url)
    return time.process_time() - start, size


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_event_source", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    figures = measure(options.rounds, cores[-1])
    if options.json:
        print(json.dumps(figures))
        return
    for framing, clients in figures.items():
        medians = {name: statistics.median(values) for name, values in clients.items()}
        print(framing, ", ".join(f"{name} {value / 1e6:.3f} M" for name, value in medians.items()), end="")
        ratio = medians["elio"] / medians.get("httpx-sse", float("nan"))
        print(f" events per CPU second: {ratio:.1f} x, aim {AIM:g} x")


if __name__ == "__main__":
    main()
