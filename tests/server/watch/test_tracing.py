"""Spans of OpenTelemetry, as its own SDK collects them."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from elio import ConfigurationError, EventStream, Router, WebSocket, trace_connections
from support.raw import connect, serve, until

TRACE = 0x0AF7651916CD43DD8448EB211C80319C
PARENT = f"traceparent: 00-{TRACE:032x}-b7ad6b7169203331-01\r\n"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def make_router(exporter: InMemorySpanExporter) -> Router:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    router = Router()
    trace_connections(router, tracer=provider.get_tracer("test"))

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        await ws.send("hello")

    @router.websocket("/bug")
    async def bug(ws: WebSocket) -> None:
        await ws.send("hello")
        raise RuntimeError("a bug")

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send("hello")

    return router


async def test_an_event_stream_is_one_span_of_its_trace(exporter: InMemorySpanExporter) -> None:
    async with serve(make_router(exporter)) as server, connect(server) as raw:
        await raw.get("/events", headers=PARENT)
        await until(exporter.get_finished_spans)
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind, span.status.status_code) == ("sse", SpanKind.SERVER, StatusCode.UNSET)
    assert span.context is not None
    assert span.context.trace_id == TRACE
    assert dict(span.attributes or {}) == {
        "url.path": "/events",
        "url.scheme": "http",
        "client.address": "127.0.0.1",
        "network.protocol.name": "sse",
        "elio.cause": "closed",
    }


async def test_an_end_that_is_somebodys_mistake_is_an_error(exporter: InMemorySpanExporter) -> None:
    async with serve(make_router(exporter)) as server:
        for target in ("/ws", "/bug"):
            async with connect(server) as raw:
                await raw.upgrade(target)
                await raw.receive_frame()
                raw.frame(0x88, (await raw.receive_frame())[1][:2])
                await raw.read_all()
        await until(lambda: len(exporter.get_finished_spans()) == 2)
    good, bad = exporter.get_finished_spans()
    assert (good.name, good.status.status_code) == ("websocket", StatusCode.UNSET)
    assert (bad.status.status_code, bad.status.description) == (StatusCode.ERROR, "the handler raised RuntimeError")


def test_without_the_package_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.propagate", None)
    with pytest.raises(ConfigurationError, match=r"pip install elio-web\[tracing\]"):
        trace_connections(Router())
