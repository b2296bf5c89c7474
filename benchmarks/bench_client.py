"""What a WebSocket client costs: CPU time of one process per echoed message, against the bare server in C.

    python benchmarks/bench_client.py [--rounds N] [--clients elio,websockets]

Each measurement is a process of its own; the clients take turns in rounds. 1 and 100 connections with one message of 32
bytes in flight on each, and messages of 1 MiB back and forth. No compression.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import environment

PORT = 19471
URL = f"ws://127.0.0.1:{PORT}/ws"
# connections, bytes of a message, messages on each connection
CASES = {"1 connection": (1, 32, 8000), "100 connections": (100, 32, 200), "1 MiB": (1, 1 << 20, 60)}
REFERENCE = "picows-ws"

Echo = Callable[[bytes], Awaitable[object]]


# -- in the child ------------------------------------------------------------------------------------------------------


def elio_client() -> AbstractAsyncContextManager[Any]:
    import elio

    return elio.connect(URL, compression=False, proxy=None, max_message_size=None)


def websockets_client() -> AbstractAsyncContextManager[Any]:
    from websockets.asyncio.client import connect

    return connect(URL, compression=None, proxy=None, max_size=None)


def picows_client() -> AbstractAsyncContextManager[Any]:
    from picows.websockets.asyncio.client import connect

    return connect(URL, compression=None, max_size=None)


CLIENTS: dict[str, tuple[Callable[[], AbstractAsyncContextManager[Any]], bool]] = {
    "elio": (elio_client, True),
    "elio-asyncio": (elio_client, False),
    "picows-ws": (picows_client, True),
    "websockets": (websockets_client, True),
    "aiohttp": (websockets_client, True),
}


async def echo_many(ws: Any, receive: Callable[[], Awaitable[object]], message: bytes, count: int) -> None:
    for _ in range(count):
        await ws.send(message)
        await receive()


async def talk_aiohttp(message: bytes, connections: int, count: int) -> float:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(URL, max_msg_size=0) for _ in range(connections)]

        async def one(ws: aiohttp.ClientWebSocketResponse, number: int) -> None:
            for _ in range(number):
                await ws.send_bytes(message)
                await ws.receive()

        await asyncio.gather(*(one(ws, max(1, count // 5)) for ws in sockets))
        before = time.process_time()
        await asyncio.gather(*(one(ws, count) for ws in sockets))
        spent = time.process_time() - before
        await asyncio.gather(*(ws.close() for ws in sockets))
    return spent


async def talk(name: str, message: bytes, connections: int, count: int) -> float:
    """CPU seconds for all of it."""
    if name == "aiohttp":
        return await talk_aiohttp(message, connections, count)
    make, _ = CLIENTS[name]
    blocks = [make() for _ in range(connections)]
    sockets = [await block.__aenter__() for block in blocks]
    receivers = [ws.receive if hasattr(ws, "receive") else ws.recv for ws in sockets]
    pairs = list(zip(sockets, receivers, strict=True))
    await asyncio.gather(*(echo_many(ws, receive, message, max(1, count // 5)) for ws, receive in pairs))
    before = time.process_time()
    await asyncio.gather(*(echo_many(ws, receive, message, count) for ws, receive in pairs))
    spent = time.process_time() - before
    for block in blocks:
        await block.__aexit__(None, None, None)
    return spent


def child(name: str, case: str) -> None:
    connections, size, count = CASES[case]
    factory = None
    if CLIENTS[name][1]:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        spent = runner.run(talk(name, os.urandom(size), connections, count))
    print(json.dumps(spent / (connections * count) * 1e6))


# -- in the parent -----------------------------------------------------------------------------------------------------


def measure(name: str, case: str) -> float:
    command = [str(environment.python()), __file__, "--child", name, case]
    path = os.environ | {"PYTHONPATH": str(environment.ROOT / "src")}
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=path).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    environment.prepare()
    names = options.clients.split(",")
    for case in CASES:
        found: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(options.rounds):
            for name in names:
                server = subprocess.Popen([str(environment.BARE), str(PORT)], stdout=subprocess.DEVNULL)
                try:
                    time.sleep(0.1)
                    found[name].append(measure(name, case))
                finally:
                    server.kill()
                    server.wait()
        print(f"\n{case}: µs of CPU per round trip")
        reference = statistics.median(found[REFERENCE]) if REFERENCE in found else None
        for name, values in found.items():
            median = statistics.median(values)
            ratio = f"{median / reference:6.2f} x {REFERENCE}" if reference else ""
            print(f"  {name:14} {median:10.2f}   {min(values):10.2f} at best  {ratio}", flush=True)


if __name__ == "__main__":
    main()
