"""What stands between one backend and all subscribers."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest

from elio.channels.backend import GapReason, Position, Record
from elio.channels.delivery import hub as module
from elio.channels.engines.memory import MemoryBackend
from elio.errors import ChannelError
from support.deliveries import Listener, hub_over, publish
from support.lagging import LaggingBackend


async def test_subscribers_of_the_same_channels_share_a_feed_and_a_listening() -> None:
    backend = MemoryBackend()
    async with hub_over(backend) as hub:
        one, two = await asyncio.gather(hub.acquire(("a",)), hub.acquire(("a",)))
        other = await hub.acquire(("a", "b"))
        assert one is two
        assert other is not one
        assert list(backend._patterns) == ["a", "b"]
        live = [Listener(), Listener()]
        one.admit(live[0])
        other.admit(live[1])
        await publish(hub, "a", "1")
        assert [each.texts for each in live] == [["1"], ["1"]]


async def test_a_feed_that_nobody_uses_goes_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.0)
    backend = MemoryBackend()
    async with hub_over(backend) as hub:
        feed = await hub.acquire(("a",))
        other = await hub.acquire(("a", "b"))
        await publish(hub, "a", "1")
        hub.release(feed)
        for _ in range(10):
            await asyncio.sleep(0)
        assert list(backend._patterns) == ["a", "b"]
        hub.release(other)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not hub._listening
        assert list(backend._patterns) == []
        assert not hub._trails
        await publish(hub, "a", "2")
        assert (await hub.acquire(("a",))).positions["a"].offset == 2


async def test_who_comes_back_in_time_finds_the_feed() -> None:
    async with hub_over(MemoryBackend()) as hub:
        feed = await hub.acquire(("a",))
        hub.release(feed)
        assert feed.closing is not None
        assert await hub.acquire(("a",)) is feed
        assert feed.closing is None


async def test_an_engine_that_does_not_answer_is_an_error_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MemoryBackend()
    async with hub_over(backend) as hub:
        failures = [1]
        listen = MemoryBackend.listen

        async def failing(self: MemoryBackend, pattern: str) -> object:
            await asyncio.sleep(0)
            if failures:
                failures.pop()
                raise ChannelError("no answer")
            return await listen(self, pattern)

        monkeypatch.setattr(MemoryBackend, "listen", failing)
        results = await asyncio.gather(hub.acquire(("a",)), hub.acquire(("a",)), return_exceptions=True)
        assert [type(result) for result in results] == [ChannelError, ChannelError]
        assert (await hub.acquire(("a",))).users == 1


async def test_a_cancelled_wait_gives_its_place_back() -> None:
    async with hub_over(LaggingBackend(random.Random(1))) as hub:
        waiting = asyncio.ensure_future(hub.acquire(("a",)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await hub.acquire(("a",))).users == 1


async def test_closing_tells_subscribers_and_leaves_no_task() -> None:
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        live = Listener()
        (await hub.acquire(("a",))).admit(live)
        hub.release(await hub.acquire(("b",)))
        opening = asyncio.ensure_future(hub.acquire(("c",)))
        await asyncio.sleep(0)
        await hub.close()
        assert live.has_ended
        with pytest.raises(asyncio.CancelledError):
            await opening
        called: list[int] = []
        hub.call_soon(lambda: called.append(1))
        await asyncio.sleep(0)
        assert not called


async def test_gaps_reach_the_feeds_they_are_for(caplog: pytest.LogCaptureFixture) -> None:
    async with hub_over(MemoryBackend()) as hub:
        live = {patterns: Listener() for patterns in (("a.1",), ("a.*",), ("b",))}
        for patterns, listener in live.items():
            (await hub.acquire(patterns)).admit(listener)
        await publish(hub, "a.1", "x")
        hub.gap("a.1", GapReason.HISTORY, 2, Position("e", 5))
        hub.gap("a.*", GapReason.EPOCH, None, Position("f", 0))
        hub.records([Record("a.1", "e", 6, b"y"), Record("nobody", "e", 1, b"z")])
        assert live["a.1",].texts == ["x", "gap 2", "y"]
        assert live["a.*",].texts == ["x", "gap 2", "gap None", "y"]
        assert live["b",].texts == []
        assert "messages are missing" in caplog.text


async def test_health_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elio.channels")
    async with hub_over(MemoryBackend()) as hub:
        hub.health(True, "")
        for _ in range(2):
            hub.health(False, "refused")
        assert hub.trouble == "refused"
        hub.health(True, "")
        assert hub.trouble == ""
        hub.health(False, "")
        assert hub.trouble
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]


async def test_the_last_records_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_SIZE", 4300)
    async with hub_over(MemoryBackend()) as hub:
        await hub.acquire((">",))
        for number in range(50):
            await publish(hub, f"a{number}", "x" * 100)
        assert len(hub._trails) == 10
        assert hub._size == 4300
