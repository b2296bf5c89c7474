"""granian with an application of its own interface (RSGI), one worker, a single-threaded runtime and uvloop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes

from .options import HELLO, READY, READY_EVENT, EventQueues, event, read_options

BACKPRESSURE = 16384
STRING = 2
CLOSE = 0

receivers: set[Any] = set()
streams = EventQueues()


async def echo(ws: Any) -> None:
    while (message := await ws.receive()).kind != CLOSE:
        if message.kind == STRING:
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)


async def receive(ws: Any) -> None:
    receivers.add(ws)
    await ws.send_str(READY)
    while (await ws.receive()).kind != CLOSE:
        pass
    receivers.discard(ws)


async def publish(ws: Any) -> None:
    while (message := await ws.receive()).kind != CLOSE:
        streams.publish(event(message.data))
        for receiver in receivers:
            await receiver.send_str(message.data)


async def events(protocol: Any) -> None:
    queue = streams.subscribe()
    stream = protocol.response_stream(200, [("content-type", "text/event-stream"), ("cache-control", "no-cache")])
    await stream.send_bytes(READY_EVENT)
    while True:
        await stream.send_bytes(await streams.take(queue))


async def app(scope: Any, protocol: Any) -> None:
    if scope.proto == "ws":
        ws = await protocol.accept()
        await {"/receive": receive, "/publish": publish}.get(scope.path, echo)(ws)
        protocol.close(1000)
    elif scope.path == "/events":
        await events(protocol)
    else:
        protocol.response_str(200, [("content-type", "text/plain; charset=utf-8")], HELLO)


def main() -> None:
    options = read_options()
    Granian(
        "benchmarks.servers.granian_server:app",
        address="127.0.0.1",
        port=options.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.st,
        backlog=options.backlog,
        backpressure=BACKPRESSURE,
        log_enabled=False,
        ssl_cert=Path(options.certificate) if options.uses_tls else None,
        ssl_key=Path(options.key) if options.uses_tls else None,
    ).serve()


if __name__ == "__main__":
    main()
