"""The server of the soaks, as a program: `python -m benchmarks.soak.site OPTIONS`.

It counts what it sends: the first thing that a connection gets is the process that serves it, then come numbers from 0,
one every few seconds. WebSockets also get back what they send. At its end it prints how many numbers it has handed
over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os

from elio import Event, EventStream, Limits, Router, Server, WebSocket, run

__all__ = ["main"]

SLICES = 20
"""Parts that the connections are served in, one after the other, so that they do not all want the same millisecond."""

router = Router()
router.readiness("/readyz")
members: list[set[WebSocket | EventStream]] = [set() for _ in range(SLICES)]
counts = {"joined": 0, "sent": 0}
tasks: list[asyncio.Task[None]] = []


def join(member: WebSocket | EventStream) -> set[WebSocket | EventStream]:
    part = members[counts["joined"] % SLICES]
    counts["joined"] += 1
    member.state["next"] = 0
    part.add(member)
    return part


@router.websocket("/ws", compression=False)
async def websocket(ws: WebSocket) -> None:
    await ws.send(f"pid {os.getpid()}")
    part = join(ws)
    try:
        async for message in ws:
            await ws.send(message)
    finally:
        part.discard(ws)


@router.sse("/events")
async def events(stream: EventStream) -> None:
    await stream.send(Event(str(os.getpid()), type="pid"))
    part = join(stream)
    try:
        await stream.wait_closed()
    finally:
        part.discard(stream)


def send_next(member: WebSocket | EventStream) -> None:
    number = member.state["next"]
    text = f"n {number}"
    if isinstance(member, WebSocket):
        if not member.is_open:
            return
        _ = member.send(text)
    else:
        if not member.is_active:
            return
        _ = member.send_data(text)
    member.state["next"] = number + 1
    counts["sent"] += 1


async def tick(interval: float) -> None:
    while True:
        for part in members:
            for member in list(part):
                send_next(member)
            await asyncio.sleep(interval / SLICES)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int)
    parser.add_argument("--drain", type=float)
    parser.add_argument("--interval", type=float, default=1.0)
    options = parser.parse_args()

    def started(server: Server) -> None:
        tasks.append(asyncio.get_running_loop().create_task(tick(options.interval)))
        if options.workers is None:
            print(f"serving on {server.urls[0]}", flush=True)

    run(
        router,
        port=0,
        limits=Limits(max_connections=20_000, backlog=4096),
        drain=options.drain,
        workers=options.workers,
        on_start=started,
    )
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
