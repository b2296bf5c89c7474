"""Durable runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from elio.channels import runs
from elio.channels.backend import Position
from elio.channels.channels import Channels
from elio.channels.engines.local.hub import LocalHub
from elio.channels.runs import Run
from elio.errors import ChannelError, ConfigurationError, HTTPError, PublishError


class Source:
    """A generator of words that goes on when it is told to."""

    def __init__(self, count: int = 5) -> None:
        self.count = count
        self.calls = 0
        self.go_on = asyncio.Semaphore(0)
        self.cancelled = asyncio.Event()

    async def __call__(self) -> AsyncIterator[str]:
        self.calls += 1
        try:
            for number in range(self.count):
                await self.go_on.acquire()
                yield str(number)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def give(self, count: int) -> None:
        for _ in range(count):
            self.go_on.release()


@pytest.fixture
async def channels() -> AsyncIterator[Channels]:
    async with Channels() as channels:
        yield channels


async def take(parts: Any, count: int) -> list[Any]:
    async with asyncio.timeout(30):
        return [await anext(parts) for _ in range(count)]


def data(parts: list[Any]) -> list[str]:
    return [part.data for part in parts]


async def rest(run: Run, since: str | None = None) -> list[str]:
    async with asyncio.timeout(30):
        return [str(part.data) async for part in run.follow(since)]  # type: ignore[union-attr]


async def test_a_reader_that_comes_back_gets_the_rest_and_a_late_one_everything(channels: Channels) -> None:
    source = Source()
    run = await channels.run("r", source)
    async with contextlib.aclosing(run.follow()) as parts:
        source.give(2)
        seen = await take(parts, 2)
    assert data(seen) == ["0", "1"]
    source.give(3)
    again = await channels.run("r", source)
    assert await rest(again, seen[0].id) == ["1", "2", "3", "4"]
    assert await rest(again) == ["0", "1", "2", "3", "4"]
    assert source.calls == 1


async def test_cancel_reaches_the_generator_when_the_last_follower_has_gone(channels: Channels) -> None:
    source = Source()
    run = await channels.run("r", source, on_disconnect="cancel")
    async with contextlib.aclosing(run.follow()) as one:
        async with contextlib.aclosing(run.follow()) as two:
            source.give(1)
            await take(one, 1)
            await take(two, 1)
        source.give(1)
        assert data(await take(one, 1)) == ["1"]
    async with asyncio.timeout(30):
        await source.cancelled.wait()
    with pytest.raises(ChannelError, match="cancelled"):
        await rest(run)


async def test_a_detached_run_ends_later_and_a_continued_one_goes_on(channels: Channels) -> None:
    for name, options in (("d", {"on_disconnect": "detach", "ttl": 0.05}), ("c", {"on_disconnect": "continue"})):
        source = Source(2)
        run = await channels.run(name, source, **options)  # type: ignore[arg-type]
        async with contextlib.aclosing(run.follow()) as parts:
            source.give(1)
            await take(parts, 1)
        if name == "d":
            async with asyncio.timeout(30):
                await source.cancelled.wait()
        else:
            source.give(1)
            assert await rest(run) == ["0", "1"]


async def test_another_owner_is_refused(channels: Channels) -> None:
    source = Source(1)
    source.give(1)
    run = await channels.run("r", source, owner="ann")
    assert await rest(run) == ["0"]
    for owner in ("bob", None):
        with pytest.raises(HTTPError) as caught:
            await channels.run("r", source, owner=owner)
        assert caught.value.status == 403
    assert await rest(await channels.run("r", source, owner="ann")) == ["0"]


async def test_a_generator_that_fails_is_told(channels: Channels, caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> AsyncIterator[str]:
        yield "a"
        raise ValueError("broken")

    run = await channels.run("r", failing)
    with pytest.raises(ChannelError, match="ValueError"):
        await rest(run)
    assert "broken" in caplog.text


async def test_what_nobody_knows_is_refused(channels: Channels) -> None:
    with pytest.raises(ConfigurationError, match="cancel"):
        await channels.run("r", Source(), on_disconnect="ignore")
    assert repr(await channels.run("r", Source())) == "<Run r>"


@asynccontextmanager
async def two_workers(folder: Path) -> AsyncIterator[tuple[Channels, Channels]]:
    async with LocalHub(folder / "hub") as hub, Channels(hub.url) as one, Channels(hub.url) as two:
        yield one, two


async def test_another_worker_goes_on_with_a_run_and_cancels_it_in_time(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (one, two):
        source = Source()
        run = await one.run("r", source, on_disconnect="cancel")
        elsewhere = await two.run("r", Source())
        async with contextlib.aclosing(elsewhere.follow()) as late:
            async with contextlib.aclosing(run.follow()) as parts:
                source.give(2)
                seen = await take(parts, 2)
                assert data(await take(late, 1)) == ["0"]
            source.give(2)
            async with contextlib.aclosing(elsewhere.follow(seen[1].id)) as rest:
                assert data(await take(rest, 2)) == ["2", "3"]
            assert data(await take(late, 3)) == ["1", "2", "3"]
            assert not source.cancelled.is_set()
        async with asyncio.timeout(30):
            await source.cancelled.wait()
        assert source.calls == 1


async def test_cancel_reaches_a_generator_on_another_worker_within_100_ms(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (one, two):
        times = []
        for number in range(7):
            source = Source()
            await one.run(f"r{number}", source, on_disconnect="cancel")
            run = await two.run(f"r{number}", Source())
            async with contextlib.aclosing(run.follow()) as parts:
                source.give(1)
                await take(parts, 1)
            begun = time.monotonic()
            async with asyncio.timeout(30):
                await source.cancelled.wait()
            times.append(time.monotonic() - begun)
        # A busy machine only adds to it.
        assert min(times) < 0.1


async def test_a_run_is_lost_with_its_worker_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_LEASE", 0.6)
    async with two_workers(tmp_path) as (one, two):
        source = Source()
        await one.run("r", source)
        run = await two.run("r", Source())
        async with contextlib.aclosing(run.follow()) as parts:
            source.give(1)
            assert data(await take(parts, 1)) == ["0"]
            await one._running().backend.close()  # as if it was killed: nothing can be said any more
            with pytest.raises(ChannelError, match="lost"):
                await take(parts, 1)
        with pytest.raises(ChannelError, match="lost"):
            await rest(await two.run("r", Source()))


async def test_that_a_run_is_lost_is_said_again_when_it_could_not_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_LEASE", 0.6)
    async with two_workers(tmp_path) as (one, two):
        await one.run("r", Source())
        run = await two.run("r", Source())
        backend, refused = two._running().backend, list[str]()
        publish = backend.publish

        async def first_fails(channel: str, payload: bytes, *, idempotency_key: str | None = None) -> Position:
            if not refused:
                refused.append(channel)
                raise PublishError("away", channel=channel)
            return await publish(channel, payload, idempotency_key=idempotency_key)

        monkeypatch.setattr(backend, "publish", first_fails)
        await one._running().backend.close()  # as if it was killed
        with pytest.raises(ChannelError, match="lost"):
            await rest(run)
        assert refused == [run.channel]


async def test_a_run_whose_source_cannot_be_made_has_failed(channels: Channels) -> None:
    def broken() -> AsyncIterator[str]:
        raise LookupError("no model")

    with pytest.raises(ChannelError, match="LookupError"):
        await rest(await channels.run("r", broken))
    async with asyncio.timeout(30):
        while await channels.members("$runner.r"):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_worker_that_ends_in_order_says_that_its_run_does(tmp_path: Path) -> None:
    async with LocalHub(tmp_path / "hub") as hub, Channels(hub.url) as other:
        async with Channels(hub.url) as one:
            await one.run("r", Source())
            run = await other.run("r", Source())
            following = asyncio.create_task(rest(run))
        with pytest.raises(ChannelError, match="cancelled"):
            await following


async def test_a_run_whose_engine_is_slow_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_LEASE", 0.3)
    async with two_workers(tmp_path) as (one, two):
        source, looks = Source(), asyncio.Queue[bool]()
        await one.run("r", source)
        run = await two.run("r", Source())
        is_drawn = run._is_drawn

        async def noted() -> bool:
            looks.put_nowait(await is_drawn())
            return True

        monkeypatch.setattr(run, "_is_drawn", noted)
        following = asyncio.create_task(rest(run))
        async with asyncio.timeout(30):
            assert await looks.get()
            source.give(5)
            assert await following == ["0", "1", "2", "3", "4"]
        assert await is_drawn()
