"""One place in one feed. More of it: ``tests/channels/test_subscription.py``."""

from __future__ import annotations

import pytest

from elio.channels.backlog import Policy
from elio.channels.delivery.feed import FeedState
from elio.channels.delivery.hub import Hub
from elio.channels.delivery.subscriber import Subscriber
from elio.channels.engines.memory import MemoryBackend
from elio.channels.message import Message
from elio.errors import ChannelError, SlowSubscriber, SubscriptionClosed
from support.deliveries import hub_over, publish


def subscriber(hub: Hub, policy: Policy = Policy.BLOCK, limit: int = 10_000) -> tuple[Subscriber, list[int]]:
    woken: list[int] = []
    return Subscriber(hub, policy, limit, lambda: woken.append(1)), woken


async def take_all(subscriber: Subscriber) -> list[str]:
    found = []
    while (item := await subscriber.take()) is not None:
        found.append(str(item.data) if isinstance(item, Message) else str(item.reason))
    return found


async def test_it_wakes_when_there_is_something_to_take() -> None:
    async with hub_over(MemoryBackend()) as hub:
        one, woken = subscriber(hub)
        assert not one.has_all
        assert one.cursor == ""
        await one.open(("a",))
        assert one.has_all
        assert await one.take() is None
        await publish(hub, "a", "1", "2")
        assert (len(woken), one.has_all, one.size > 0) == (2, False, True)
        assert await take_all(one) == ["1", "2"]
        assert one.has_all
        assert one.cursor.startswith("a!2!")


async def test_without_room_it_reads_later_what_came_meanwhile() -> None:
    async with hub_over(MemoryBackend()) as hub:
        one, _ = subscriber(hub, limit=500)
        await one.open(("a", "b"))
        for number in range(10):
            await publish(hub, "a", f"a{number}")
            await publish(hub, "b", f"b{number}")
        assert one.size <= 500
        found = await take_all(one)
        assert [text for text in found if text[0] == "a"] == [f"a{number}" for number in range(10)]
        assert [text for text in found if text[0] == "b"] == [f"b{number}" for number in range(10)]
        await publish(hub, "a", "live")
        assert await take_all(one) == ["live"]


async def test_after_leaving_what_waits_can_be_taken_and_nothing_comes() -> None:
    async with hub_over(MemoryBackend()) as hub:
        one, _ = subscriber(hub)
        await one.open(("a",))
        await publish(hub, "a", "1")
        one.leave()
        one.leave()
        await publish(hub, "a", "2")
        assert await take_all(one) == ["1"]
        assert one.feed is None
        one.go_to("a!1!e")
        one.abandon()
        assert await one.take() is None


async def test_it_can_be_sent_back() -> None:
    async with hub_over(MemoryBackend()) as hub:
        one, _ = subscriber(hub)
        await one.open(("a",))
        await publish(hub, "a", "1")
        cursor = one.cursor
        await publish(hub, "a", "2", "3")
        one.go_to(cursor)
        one.go_to(cursor)
        assert await take_all(one) == ["2", "3"]
        one.go_to("garbage")
        assert await take_all(one) == ["cursor"]


async def test_the_end_comes_behind_what_waits() -> None:
    async with hub_over(MemoryBackend()) as hub:
        one, woken = subscriber(hub)
        two, _ = subscriber(hub)
        await one.open(("a",))
        await two.open(("a",), since="garbage")
        await publish(hub, "a", "1")
        await hub.close()
        item = await one.take()
        assert isinstance(item, Message)
        assert len(woken) == 2
        for each in (one, two):
            with pytest.raises(SubscriptionClosed):
                await take_all(each)


async def test_a_slow_one_may_be_sent_away() -> None:
    async with hub_over(MemoryBackend()) as hub:
        one, _ = subscriber(hub, Policy.CLOSE, 500)
        await one.open(("a",))
        await publish(hub, "a", *"123")
        with pytest.raises(SlowSubscriber) as caught:
            await one.take()
        assert caught.value.size > 400
        assert one.feed is None


async def test_a_backlog_that_cannot_be_read_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub_over(MemoryBackend()) as hub:
        one, _ = subscriber(hub)

        async def fail(*args: object) -> None:
            raise ChannelError("no answer")

        monkeypatch.setattr(MemoryBackend, "history", fail)
        with pytest.raises(ChannelError):
            await one.open(("a",), backlog=5)
        assert one.feed is None
        assert hub._feeds["a",].users == 0


async def test_the_state_of_a_feed_tells_of_those_that_take_too_little() -> None:
    async with hub_over(MemoryBackend()) as hub:
        live, _ = subscriber(hub)
        slow, _ = subscriber(hub, limit=500)
        for one in (live, slow):
            await one.open(("a",))
        await publish(hub, "a", "1", "2")
        (state,) = hub.states()
        assert state == FeedState(("a",), 2, 0, 2, live.size + slow.size)
        await take_all(live)
        await publish(hub, "a", *"3456")
        await take_all(live)
        (state,) = hub.states()
        assert (state.subscribers, state.behind, state.queued) == (2, 1, 0)
        assert state.lag == 4
        await take_all(slow)
        assert hub.states() == [FeedState(("a",), 2, 0, 0, 0)]
