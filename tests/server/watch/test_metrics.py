"""The page for Prometheus, read with its own parser."""

from __future__ import annotations

import asyncio

import prometheus_client
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from elio import Channels, ConfigurationError, Router, Server, WebSocket
from elio.channels.backlog import Policy
from support.frames import frame
from support.raw import connect, serve

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def make_router() -> Router:
    router = Router()
    router.metrics("/metrics")

    @router.websocket("/ws")
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @router.websocket("/private", auth=lambda request: None)
    async def private(ws: WebSocket) -> None: ...

    return router


async def scrape(server: Server, target: str = "/metrics") -> Samples:
    """Every sample by name and labels, without the worker's."""
    async with connect(server) as raw:
        answer = await raw.get(target)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: Samples = {}
    for family in parse(answer.body.decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("worker", "0") == "0"
            found[sample.name, frozenset(labels.items())] = sample.value
    return found


def of(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"elio_{name}", frozenset(labels.items())))


async def test_what_the_page_says() -> None:
    async with serve(make_router()) as server, connect(server) as raw, connect(server) as refused:
        await raw.upgrade()
        assert (await refused.upgrade("/private")).status == 401
        for _ in range(3):
            raw.send(frame(0x81, b"hi"))
            await raw.receive_frame()
        samples = await scrape(server)
        assert of(samples, "connections", protocol="websocket") == 1
        assert of(samples, "connections", protocol="http") == 2
        assert of(samples, "connections", protocol="sse") == 0
        assert of(samples, "connections_accepted_total") == 3
        assert of(samples, "messages_received_total") == 3
        assert of(samples, "messages_sent_total") == 3
        assert of(samples, "websocket_handshakes_total", result="101") == 1
        assert of(samples, "websocket_handshakes_total", result="401") == 1
        assert of(samples, "receive_queue_messages") == 0
        assert of(samples, "send_queue_bytes") == 0
        assert (of(samples, "bytes_received_total") or 0) > 100
        assert of(samples, "ping_round_trip_seconds_count") == 0
        assert of(samples, "first_event_seconds_bucket", le="+Inf") == 0
        assert of(samples, "loop_lag_seconds_count") is not None
        raw.frame(0x88, b"\x03\xe8")
        await raw.read_all()
        samples = await scrape(server)
        assert of(samples, "connection_ends_total", protocol="websocket", cause="peer_closed") == 1


async def test_buckets_add_up() -> None:
    async with serve(make_router()) as server:
        for seconds in (0.0005, 0.003, 0.003, 100.0):
            server.figures.traffic.round_trips.observe(seconds)
        samples = await scrape(server)
    counts = [
        of(samples, "ping_round_trip_seconds_bucket", le=le) for le in ("0.001", "0.0025", "0.005", "10.0", "+Inf")
    ]
    assert counts == [1, 1, 3, 3, 4]
    assert of(samples, "ping_round_trip_seconds_sum") == pytest.approx(100.0065)


async def test_metrics_of_the_program_stand_on_the_same_page() -> None:
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Counter("orders", "Orders.", registry=registry).inc(7)
    router = Router()
    router.metrics("/metrics", registry=registry)
    async with serve(router) as server:
        samples = await scrape(server)
    assert samples["orders_total", frozenset()] == 7
    assert of(samples, "connections", protocol="http") == 1


async def test_the_newer_format_is_given_to_who_asks_for_it() -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        answer = await raw.get("/metrics", headers="Accept: application/openmetrics-text; version=1.0.0\r\n")
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        names = {family.name for family in parse_openmetrics(answer.body.decode())}
        assert {"elio_connections", "elio_messages_sent", "elio_loop_lag_seconds"} <= names


async def test_the_page_may_be_of_another_server_and_guarded() -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        await raw.upgrade()
        inside = Router()
        inside.authenticate(lambda request: request.query.get("key") == "secret")
        inside.metrics("/metrics", figures=server.figures)
        async with serve(inside) as other:
            samples = await scrape(other, "/metrics?key=secret")
            assert of(samples, "connections", protocol="websocket") == 1
            async with connect(other) as stranger:
                assert (await stranger.get("/metrics")).status == 401


async def test_servers_of_one_router_have_their_own_figures() -> None:
    router = make_router()
    async with serve(router) as one, serve(router) as two, connect(one) as raw:
        await raw.upgrade()
        assert of(await scrape(one), "connections", protocol="websocket") == 1
        assert of(await scrape(two), "connections", protocol="websocket") == 0


def test_without_the_package_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client.exposition", None)
    with pytest.raises(ConfigurationError, match=r"pip install elio-web\[metrics\]"):
        Router().metrics("/metrics")


async def test_a_ping_is_measured() -> None:
    router = Router()

    @router.websocket("/ws")
    async def ping(ws: WebSocket) -> None:
        await ws.ping()

    async with serve(router) as server, connect(server) as raw:
        await raw.upgrade()
        first, payload = await raw.receive_frame()
        assert first == 0x89
        raw.frame(0x8A, payload)
        await raw.receive_close()
        raw.frame(0x88, b"\x03\xe8")
        await raw.read_all()
        assert sum(server.figures.traffic.round_trips.counts) == 1
    await asyncio.sleep(0)


async def test_what_policies_of_channels_drop_is_counted() -> None:
    channels = Channels()
    router = Router(channels=channels)
    router.metrics("/metrics")
    async with serve(router) as server:
        for policy in ("drop_oldest", "drop_newest", "close"):
            subscription = channels.subscribe("a", policy=policy, max_queue_size=1)
            async with subscription:
                for _ in range(3):
                    await channels.publish("a", "x")
        samples = await scrape(server)
    assert {policy: of(samples, "channel_drops_total", policy=policy) for policy in Policy} == {
        "block": None,
        "drop_oldest": 2,
        "drop_newest": 2,
        "coalesce": 0,
        "close": 1,
    }
