"""Event streams of a channel: a server, and readers of bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from elio import EventStream, HTTPError, Limits, Router
from elio.channels.channels import Channels
from elio.channels.engines.memory import MemoryBackend
from elio.errors import ConfigurationError
from support.raw import Raw, connect, serve, until

HEAD = "GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n"


@asynccontextmanager
async def reader(server: Any, path: str, last_event_id: str = "") -> AsyncIterator[Raw]:
    async with connect(server) as raw:
        line = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        raw.send(HEAD.format(path, line).encode())
        yield raw


async def opened(raw: Raw) -> None:
    assert (await raw.head()).status == 200


async def events(raw: Raw, count: int) -> list[dict[str, str]]:
    """The next events, their fields by name."""
    data = b""
    while data.count(b"\n\n") < count:
        data += await raw.chunk()
    return [
        dict(line.split(": ", 1) for line in block.decode().split("\n"))  # type: ignore[misc]
        for block in data.rstrip(b"\n").split(b"\n\n")
    ]


def news(channels: Channels, **options: Any) -> Router:
    router = Router(channels=channels)
    router.sse("/news/:topic", channel="news.{topic}", **options)
    return router


async def test_what_is_published_comes_with_cursors_as_ids() -> None:
    channels = Channels()
    async with serve(news(channels)) as server, reader(server, "/news/a") as one, reader(server, "/news/a") as two:
        await opened(one)
        await opened(two)
        id = await channels.publish("news.a", "hello", type="t")
        await channels.publish("news.b", "no")
        assert await events(one, 1) == [{"id": id, "event": "t", "data": "hello"}]
        assert await events(two, 1) == [{"id": id, "event": "t", "data": "hello"}]


async def test_a_reader_that_comes_back_gets_what_it_has_missed() -> None:
    channels = Channels()
    async with serve(news(channels)) as server:
        first = await channels.publish("news.a", "1")
        await channels.publish("news.a", "2")
        async with reader(server, "/news/a", first) as raw:
            await opened(raw)
            assert [event["data"] for event in await events(raw, 1)] == ["2"]
            await channels.publish("news.a", "3")
            assert [event["data"] for event in await events(raw, 1)] == ["3"]
        async with reader(server, f"/news/a?since={first}") as raw:
            await opened(raw)
            assert [event["data"] for event in await events(raw, 2)] == ["2", "3"]


async def test_what_is_published_while_a_handler_has_its_say_comes_behind_that() -> None:
    channels = Channels()
    router = Router(channels=channels)
    go_on = asyncio.Event()

    @router.sse("/news/:topic", channel="news.{topic}")
    async def before(stream: EventStream) -> None:
        await stream.send("welcome")
        await go_on.wait()

    async with serve(router) as server, reader(server, "/news/a") as raw:
        await opened(raw)
        assert [event["data"] for event in await events(raw, 1)] == ["welcome"]
        await channels.publish("news.a", "1")
        go_on.set()
        await channels.publish("news.a", "2")
        assert [event["data"] for event in await events(raw, 2)] == ["1", "2"]


async def test_a_stream_does_not_open_before_it_has_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, asked = asyncio.Event(), asyncio.Event()
    listen = MemoryBackend.listen

    async def slow(self: MemoryBackend, pattern: str) -> Any:
        asked.set()
        await go_on.wait()
        return await listen(self, pattern)

    monkeypatch.setattr(MemoryBackend, "listen", slow)
    channels = Channels()
    router = news(channels)

    @router.sse("/other")
    async def other(stream: EventStream) -> None:
        await asyncio.Event().wait()

    limits = Limits(commit_delay=0.05)
    async with serve(router, limits=limits) as server, reader(server, "/news/a") as raw, connect(server) as later:
        await asked.wait()
        for _ in range(3):  # each of these opens when the delay is over
            async with reader(server, "/other") as quiet:
                await opened(quiet)
        assert not raw.reader._buffer  # type: ignore[attr-defined]
        await channels.publish("news.a", "early")
        later.send(HEAD.format("/news/a", "").encode())
        go_on.set()
        for each in (raw, later):
            await opened(each)
        await channels.publish("news.a", "1")
        for each in (raw, later):
            assert [event["data"] for event in await events(each, 1)] == ["1"]


async def test_a_gap_is_an_event() -> None:
    channels = Channels()
    async with serve(news(channels)) as server, reader(server, "/news/a", "garbage") as raw:
        await opened(raw)
        (event,) = await events(raw, 1)
        assert event["event"] == "gap"
        assert json.loads(event["data"]) == {"channel": "news.a", "reason": "cursor", "missed": None}
        async with reader(server, "/news/a", event["id"]) as again:
            await opened(again)
            await channels.publish("news.a", "1")
            assert [event["data"] for event in await events(again, 1)] == ["1"]


async def test_no_task_runs_while_a_stream_waits_and_leaving_leaves_nothing() -> None:
    channels = Channels()
    async with serve(news(channels, backlog=1)) as server:
        await channels.publish("news.a", "first")
        before = len(asyncio.all_tasks())
        async with reader(server, "/news/a") as raw:
            await opened(raw)
            await events(raw, 1)
            (feed,) = channels._running()._feeds.values()
            await until(lambda: len(asyncio.all_tasks()) == before)
            assert feed.users == 1
        await until(lambda: feed.users == 0)
        assert not feed.groups
        assert not feed._live
        await until(lambda: server.connections == 0)


async def test_the_connection_of_a_stream_ends_in_order_with_the_server() -> None:
    channels = Channels()
    async with serve(news(channels)) as server, reader(server, "/news/a") as raw:
        await opened(raw)
        await channels.publish("news.a", "last")
        await server.close()
        assert b"data: last\n\n" in await raw.chunk()
        assert (await raw.read_all()).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("topic", ["a.b", "*", "%3E", "%20", "x" * 300])
async def test_a_parameter_chooses_no_other_channel(topic: str) -> None:
    channels = Channels()
    async with serve(news(channels)) as server, reader(server, f"/news/{topic}") as raw:
        assert (await raw.answer()).status == 404


async def test_a_handler_has_its_say_before() -> None:
    channels = Channels()
    router = Router(channels=channels)

    @router.sse("/:user", channel=lambda request: f"user.{request.params['user']}")
    async def allow(stream: EventStream) -> None:
        if stream.params["user"] != "ann":
            raise HTTPError(403)
        await stream.send("welcome")

    async with serve(router) as server, reader(server, "/ann") as ann, reader(server, "/bob") as bob:
        assert (await bob.answer()).status == 403
        await opened(ann)
        await events(ann, 1)
        await until(lambda: channels._running()._feeds)
        await until(lambda: next(iter(channels._running()._feeds.values())).groups)
        await channels.publish("user.ann", "1")
        assert [event["data"] for event in await events(ann, 1)] == ["1"]


async def test_who_is_asked_for_the_user_is_asked_here_too() -> None:
    channels = Channels()
    async with serve(news(channels, auth=lambda request: None)) as server, reader(server, "/news/a") as raw:
        assert (await raw.answer()).status == 401


async def test_a_slow_reader_gets_everything_later() -> None:
    channels = Channels()
    async with serve(news(channels)) as server, reader(server, "/news/a") as raw:
        await opened(raw)
        for number in range(600):
            await channels.publish("news.a", f"{number} {'x' * 20_000}")
            await asyncio.sleep(0)
        await channels.publish("news.a", "end")
        data = b""
        while not data.endswith(b"data: end\n\n"):
            data += await raw.chunk()
        got = [int(line.split()[1]) for line in data.split(b"\n") if line.startswith(b"data: ") and b"xx" in line]
        gaps = sum(json.loads(line[6:])["missed"] for line in data.split(b"\n") if line.startswith(b'data: {"channel'))
        assert got == sorted(set(got))
        assert len(got) + gaps == 600


async def test_without_channels_the_server_says_so_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    router = Router()
    router.sse("/a", channel="a")
    async with serve(router) as server, reader(server, "/a") as raw:
        assert (await raw.answer()).status == 500
    assert "Router(channels=channels)" in caplog.text


def test_what_is_no_channel_is_refused_at_once() -> None:
    for wrong in ("a b", "", "a..b"):
        with pytest.raises(ConfigurationError):
            Router().sse("/a", channel=wrong)


async def test_readiness_asks_the_engine() -> None:
    channels = Channels()
    router = news(channels)
    router.readiness("/readyz")
    async with serve(router) as server:
        for is_healthy, status in ((True, 200), (False, 503)):
            channels._running().health(is_healthy, "cut")
            async with reader(server, "/readyz") as raw:
                assert (await raw.answer()).status == status
