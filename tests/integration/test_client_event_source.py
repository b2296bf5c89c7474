"""Our event source with servers of other make, plainly and over TLS, behind nginx, and over restarts of its server."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from elio import Change, ConnectionState, Event, EventSource, EventStream, Router, Server
from elio.errors import ConnectError
from support.between import nginx
from support.clock import VirtualLoop
from support.house import TESTS
from support.processes import Program
from support.raw import DEADLINE
from support.site import Certificates

pytestmark = pytest.mark.peer

EVENTS = [("one", "message", "1"), ("two\nlines é🎉", "update", "2"), ("", "message", "2")]
WIRE = "id: 1\ndata: one\n\nid: 2\nevent: update\ndata: two\ndata: lines é🎉\n\ndata:\n\n".encode()


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> Certificates | None:
    return certificates if request.param == "tls" else None


async def read(url: str, tls: Certificates | None, count: int = len(EVENTS)) -> list[tuple[str, str, str | None]]:
    """The first events of a stream."""
    found = []
    context = None if tls is None else tls.client()
    async with asyncio.timeout(DEADLINE), EventSource(url, tls=context, reconnection_time=0.1) as source:
        async for event in source:
            found.append((event.data, event.type, event.id))
            if len(found) == count:
                break
    return found


@asynccontextmanager
async def aiohttp_server(tls: Certificates | None) -> AsyncIterator[str]:
    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if request.path == "/compressed":
            response.enable_compression()
        await response.prepare(request)
        for byte in WIRE if request.path == "/bytes" else [WIRE]:
            await response.write(bytes([byte]) if isinstance(byte, int) else byte)
        return response

    app = web.Application()
    for path in ("/events", "/bytes", "/compressed"):
        app.router.add_get(path, events)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"{'http' if tls is None else 'https'}://localhost:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("path", ["/events", "/bytes", "/compressed"])
async def test_aiohttp(tls: Certificates | None, path: str) -> None:
    async with aiohttp_server(tls) as base:
        assert await read(base + path, tls) == EVENTS


SSE_STARLETTE = """
import sys, uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.routing import Route

async def events(request):
    async def each():
        yield {"data": "one", "id": "1"}
        yield {"data": "two\\nlines é🎉", "event": "update", "id": "2"}
        yield {"data": ""}
    return EventSourceResponse(each())

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("http://127.0.0.1:%d" % self.servers[0].sockets[0].getsockname()[1], flush=True)

tls = dict(zip(("ssl_certfile", "ssl_keyfile"), sys.argv[1:]))
app = Starlette(routes=[Route("/events", events)])
Server(uvicorn.Config(app, port=0, log_level="critical", **tls)).run()
"""


async def test_uvicorn_with_sse_starlette(tls: Certificates | None) -> None:
    files = [] if tls is None else [str(tls.certificate), str(tls.key)]
    with Program(sys.executable, "-W", "ignore", "-c", SSE_STARLETTE, *files) as program:
        port = await asyncio.to_thread(program.port)
        assert await read(f"{'http' if tls is None else 'https'}://localhost:{port}/events", tls) == EVENTS


async def test_node(tls: Certificates | None, node: str) -> None:
    files = [] if tls is None else [str(tls.certificate), str(tls.key)]
    with Program(node, str(TESTS / "peers" / "event_server.mjs"), *files) as program:
        port = await asyncio.to_thread(program.port)
        base = f"{'http' if tls is None else 'https'}://localhost:{port}"
        assert await read(f"{base}/events", tls) == EVENTS
        assert await read(f"{base}/moved", tls) == EVENTS


class Counter:
    """A server of numbered events that goes on behind the last event ID."""

    def __init__(self) -> None:
        self.router = Router()
        self.router.sse("/events")(self.events)

    async def events(self, stream: EventStream) -> None:
        number = int(stream.last_event_id or 0)
        while True:
            number += 1
            await stream.send(Event(str(number), id=str(number)))
            await asyncio.sleep(0.001)


async def test_nginx_in_between(certificates: Certificates, tmp_path: Path) -> None:
    async with Server(Counter().router, port=0, allowed_hosts=["*"]) as server:
        with nginx(tmp_path, server.port, certificates) as (plain, secure):
            for url, context in ((f"http://localhost:{plain}", None), (f"https://localhost:{secure}", certificates)):
                found = await read(f"{url}/events", context, 50)
                assert [data for data, _, _ in found] == [str(number) for number in range(1, 51)]


async def test_nothing_is_lost_or_doubled_over_restarts_of_the_server(kept_port: int) -> None:
    numbers: list[str] = []
    server = Server(Counter().router, port=kept_port)
    await server.start()
    async with (
        asyncio.timeout(3 * DEADLINE),
        EventSource(f"http://127.0.0.1:{kept_port}/events", reconnection_time=0.05) as source,
    ):
        for _ in range(3):
            for _ in range(20):
                numbers.append((await source.receive()).data)
            await server.close(grace=0.0)
            server = Server(Counter().router, port=kept_port)
            await server.start()
        numbers += [(await source.receive()).data for _ in range(20)]
    await server.close(grace=0.0)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_ninety_seconds_of_backoff_take_none(kept_port: int) -> None:
    delays: list[float] = []

    def note(change: Change) -> None:
        if change.state is ConnectionState.WAITING:
            delays.append(change.delay)

    async def program() -> None:
        with pytest.raises(ConnectError):
            await EventSource(f"http://127.0.0.1:{kept_port}/", max_reconnects=12, on_change=note).receive()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        before = loop.time()
        runner.run(program())
        passed = loop.time() - before
    assert len(delays) == 12
    assert passed > sum(delays) - 0.001 > 36.0
    assert all(3.0 <= delay <= 63.0 for delay in delays)
