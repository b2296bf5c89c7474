"""What a program iterates over: order, completeness, gaps, snapshots, and slow ones."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from elio.channels.backend import GapReason
from elio.channels.channels import Channels
from elio.channels.message import Gap, Message, Snapshot
from elio.errors import ConcurrencyError, SlowSubscriber, SubscriptionClosed
from support.lagging import LaggingBackend


@pytest.fixture
async def channels() -> AsyncIterator[Channels]:
    async with Channels(history=50) as channels:
        yield channels


def text(item: object) -> str:
    """An item in short."""
    if isinstance(item, Message):
        return str(item.data)
    return f"gap {item.missed}" if isinstance(item, Gap) else "snapshot"


async def take(subscription: Any, count: int) -> list[str]:
    async with asyncio.timeout(30):
        return [text(await subscription.receive()) for _ in range(count)]


async def test_messages_come_as_they_were_published(channels: Channels) -> None:
    async with channels.subscribe("a") as subscription:
        await channels.publish("a", "text", type="t", key="k")
        await channels.publish("a", b"\x00\xff")
        first = await subscription.receive()
        second = await subscription.receive()
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert (first.channel, first.data, first.type, first.key, first.offset) == ("a", "text", "t", "k", 1)
    assert first.time > 1e9
    assert (second.data, second.type, second.key, second.offset) == (b"\x00\xff", "", None, 2)
    assert first.epoch == second.epoch


async def test_iteration_begins_by_itself_and_ends_with_the_subscription(channels: Channels) -> None:
    subscription = channels.subscribe("a", backlog=1)
    await channels.publish("a", "1")
    got = []
    async for message in subscription:
        got.append(text(message))
        await subscription.close()
    assert got == ["1"]
    with pytest.raises(SubscriptionClosed):
        await subscription.receive()


async def test_who_waits_is_told_of_the_end(channels: Channels) -> None:
    for ends_all in (False, True):
        subscription = channels.subscribe("a")
        waiting = asyncio.ensure_future(subscription.receive())
        for _ in range(5):
            await asyncio.sleep(0)
        assert subscription._waiter is not None
        await (channels.close() if ends_all else subscription.close())
        with pytest.raises(SubscriptionClosed):
            await waiting


async def test_a_cancelled_receive_loses_nothing(channels: Channels) -> None:
    async with channels.subscribe("a") as subscription:
        for number in range(20):
            waiting = asyncio.ensure_future(subscription.receive())
            await asyncio.sleep(0)
            publishing = asyncio.ensure_future(channels.publish("a", str(number)))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, publishing, return_exceptions=True)
            if waiting.cancelled():
                assert await take(subscription, 1) == [str(number)]


async def test_only_one_task_receives(channels: Channels) -> None:
    async with channels.subscribe("a") as subscription:
        waiting = asyncio.ensure_future(subscription.receive())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await subscription.receive()
        await channels.publish("a", "1")
        assert text(await waiting) == "1"


async def test_a_forgotten_subscription_leaves(channels: Channels) -> None:
    subscription = channels.subscribe("a")
    await subscription.__aenter__()
    hub = channels._running()
    (feed,) = hub._feeds.values()
    assert feed.users == 1
    del subscription
    gc.collect()
    await asyncio.sleep(0)
    assert feed.users == 0


# -- since and backlog ------------------------------------------------------------------------------------------------


async def test_a_cursor_goes_on_where_it_was_made(channels: Channels) -> None:
    cursors = [await channels.publish("a", str(number)) for number in range(10)]
    async with channels.subscribe("a", since=cursors[6]) as subscription:
        await channels.publish("a", "10")
        assert await take(subscription, 4) == ["7", "8", "9", "10"]


async def test_each_message_has_a_cursor_behind_it(channels: Channels) -> None:
    published = [(name, str(number)) for number in range(12) for name in ("a", "b.x", "b.y")]
    async with channels.subscribe("a", "b.*") as subscription:
        for name, data in published:
            await channels.publish(name, data)
        whole = [await subscription.receive() for _ in published]
    for place, item in enumerate(whole):
        rest = published[place + 1 :]
        async with channels.subscribe("b.*", "a", since=item.id) as again:
            got = [await again.receive() for _ in rest]
        for name in ("a", "b.x", "b.y"):
            assert [m.data for m in got if m.channel == name] == [data for other, data in rest if other == name]


async def test_a_cursor_that_cannot_be_read_is_a_gap(channels: Channels) -> None:
    await channels.publish("a", "1")
    for since in ("", "garbage", "a!1", "a!x!y", "\x00", "x" * 5000, "a!99!other~", "é!1!e"):
        async with channels.subscribe("a", since=since) as subscription:
            gap = await subscription.receive()
            assert gap == Gap("a", GapReason.CURSOR, None, gap.id)
            await channels.publish("a", "2")
            assert await take(subscription, 1) == ["2"]


async def test_a_cursor_of_another_epoch_is_a_gap_and_then_all_there_is(channels: Channels) -> None:
    cursor = await channels.publish("a", "1")
    async with channels.subscribe("a", since=cursor[:-8] + "0" * 8) as subscription:
        gap = await subscription.receive()
        assert (gap.channel, gap.reason, gap.missed) == ("a", GapReason.EPOCH, None)  # type: ignore[union-attr]
        assert await take(subscription, 1) == ["1"]


async def test_a_cursor_from_the_future_is_a_gap(channels: Channels) -> None:
    cursor = await channels.publish("a", "1")
    async with channels.subscribe("a", since=cursor.replace("!1!", "!7!")) as subscription:
        gap = await subscription.receive()
        assert gap.reason is GapReason.CURSOR  # type: ignore[union-attr]
        await channels.publish("a", "2")
        assert await take(subscription, 1) == ["2"]


async def test_history_that_is_too_short_is_a_gap_of_so_many(channels: Channels) -> None:
    cursors = [await channels.publish("a", str(number)) for number in range(100)]
    async with channels.subscribe("a", since=cursors[9]) as subscription:
        gap = await subscription.receive()
        assert gap == Gap("a", GapReason.HISTORY, 40, gap.id)
        assert await take(subscription, 50) == [str(number) for number in range(50, 100)]
        async with channels.subscribe("a", since=gap.id) as again:
            assert await take(again, 50) == [str(number) for number in range(50, 100)]


async def test_a_channel_that_the_cursor_does_not_name_is_a_gap(channels: Channels) -> None:
    await channels.publish("b", "old")
    cursor = await channels.publish("a", "1")
    async with channels.subscribe("a", "b", "c.*", since=cursor) as subscription:
        gaps = [await subscription.receive() for _ in range(2)]
        assert [(gap.channel, gap.reason) for gap in gaps] == [("b", "cursor"), ("c.*", "cursor")]  # type: ignore[union-attr]
        await channels.publish("b", "new")
        assert await take(subscription, 1) == ["new"]


async def test_channels_that_appear_while_nobody_subscribes_are_replayed(channels: Channels) -> None:
    async with channels.subscribe("room.*") as subscription:
        await channels.publish("room.1", "1")
        cursor = (await subscription.receive()).id
    await channels.publish("room.2", "2")
    await channels.publish("room.1", "3")
    async with channels.subscribe("room.*", since=cursor) as subscription:
        assert sorted(await take(subscription, 2)) == ["2", "3"]
        await channels.publish("room.3", "4")
        assert await take(subscription, 1) == ["4"]


async def test_the_backlog_is_the_newest_of_each_channel(channels: Channels) -> None:
    for number in range(10):
        await channels.publish("a", f"a{number}")
        await channels.publish("b", f"b{number}")
    async with channels.subscribe("a", "b", "c", backlog=3) as subscription:
        items = [await subscription.receive() for _ in range(6)]
        assert sorted(map(text, items)) == ["a7", "a8", "a9", "b7", "b8", "b9"]
        async with channels.subscribe("a", "b", "c", since=items[0].id) as again:
            assert sorted(await take(again, 5)) == sorted(map(text, items[1:]))


# -- slow ones --------------------------------------------------------------------------------------------------------


async def test_block_loses_nothing_that_history_has(channels: Channels) -> None:
    async with channels.subscribe("a", max_queue_size=1000) as subscription:
        for number in range(40):
            await channels.publish("a", str(number))
        assert subscription.size <= 1000
        assert await take(subscription, 40) == [str(number) for number in range(40)]
        await channels.publish("a", "live")
        assert await take(subscription, 1) == ["live"]
        assert subscription.dropped == 0
        for number in range(2000):  # more than the last records that are kept beside history
            await channels.publish("a", str(number))
        assert await take(subscription, 51) == ["gap 1950", *map(str, range(1950, 2000))]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("drop_oldest", ["gap 5", "5", "6", "7", "8", "9"]),
        ("drop_newest", ["0", "1", "2", "3", "4", "gap 5"]),
    ],
)
async def test_dropped_messages_are_counted_and_seen(channels: Channels, policy: str, expected: list[str]) -> None:
    async with channels.subscribe("a", policy=policy, max_queue_size=5 * 201) as subscription:
        for number in range(10):
            await channels.publish("a", str(number))
        assert await take(subscription, 6) == expected
        assert subscription.dropped == 5
        await channels.publish("a", "live")
        assert await take(subscription, 1) == ["live"]


async def test_newer_messages_stand_for_older_ones_of_their_key(channels: Channels) -> None:
    async with channels.subscribe("a", policy="coalesce") as subscription:
        for number in range(10):
            await channels.publish("a", str(number), key="even" if number % 2 == 0 else "odd")
        await channels.publish("a", "none")
        assert await take(subscription, 4) == ["gap 8", "8", "9", "none"]
        assert subscription.dropped == 8


async def test_a_slow_consumer_may_be_closed(channels: Channels) -> None:
    async with channels.subscribe("a", policy="close", max_queue_size=500) as subscription:
        for number in range(10):
            await channels.publish("a", str(number))
        with pytest.raises(SlowSubscriber) as caught:
            await subscription.receive()
        assert caught.value.limit == 500
        assert channels._running()._feeds[("a",)].users == 0


async def test_one_message_that_is_too_large_comes_all_the_same(channels: Channels) -> None:
    async with channels.subscribe("a", max_queue_size=0) as subscription:
        await channels.publish("a", "x" * 1000)
        assert await take(subscription, 1) == ["x" * 1000]


# -- snapshots --------------------------------------------------------------------------------------------------------


async def test_a_snapshot_comes_first_and_behind_each_gap(channels: Channels) -> None:
    loads = []

    async def load() -> int:
        loads.append(1)
        return len(loads)

    async with channels.subscribe("a", snapshot=load, policy="drop_oldest", max_queue_size=300) as subscription:
        assert await subscription.receive() == Snapshot(1, None, subscription._subscriber.cursor)  # type: ignore[union-attr]
        for number in range(3):
            await channels.publish("a", str(number))
        assert await take(subscription, 3) == ["gap 2", "snapshot", "2"]
    assert len(loads) == 2


async def test_a_cursor_that_leads_on_needs_no_snapshot(channels: Channels) -> None:
    cursor = await channels.publish("a", "1")
    await channels.publish("a", "2")

    async def load() -> None:
        raise AssertionError("nobody asked")

    async with channels.subscribe("a", since=cursor, snapshot=load) as subscription:
        assert await take(subscription, 1) == ["2"]


async def test_a_snapshot_hook_that_fails_is_asked_again(channels: Channels) -> None:
    failures = [OSError("database")]

    async def load() -> str:
        if failures:
            raise failures.pop()
        return "state"

    async with channels.subscribe("a", snapshot=load) as subscription:
        with pytest.raises(OSError, match="database"):
            await subscription.receive()
        assert await take(subscription, 1) == ["snapshot"]


@pytest.mark.parametrize("exact", [True, False], ids=["with a cursor", "without"])
@pytest.mark.parametrize("first", range(0, 500, 100))
async def test_load_publish_and_subscribe_in_any_order_end_in_equal_state(exact: bool, first: int) -> None:
    """10,000 interleavings in all: a store that publishes what changes, and a subscriber that loads and follows."""
    for seed in range(first, first + 100):
        source = random.Random(seed)
        backend = LaggingBackend(source, history=source.choice((2, 1000)), most=3)
        async with Channels(backend=backend) as channels:
            await asyncio.gather(*(interleave(channels, backend, source, exact) for _ in range(10)))


async def interleave(channels: Channels, backend: LaggingBackend, source: random.Random, exact: bool) -> None:
    name = f"channel-{source.random()}"
    store: dict[str, int] = {}
    counts = dict.fromkeys("xyz", 0)
    cursor = [await channels.publish(name, "start=0")]
    apply(store, counts, "start=0")

    async def write(number: int, key: str) -> None:
        for _ in range(source.randint(0, 3)):
            await asyncio.sleep(0)
        if exact:  # publishing is the write, and its cursor is stored with the state
            position = await channels.publish(name, f"{key}={number}", key=key)
            apply(store, counts, f"{key}={number}")
            cursor[0] = position
        else:
            store[key] = number
            await channels.publish(name, f"{key}={number}", key=key)

    async def write_all() -> None:
        for number in range(1, 5):
            await write(number, source.choice("xyz"))
        await write(1, "end")

    async def load() -> Any:
        for _ in range(source.randint(0, 3)):
            await asyncio.sleep(0)
        state = (dict(store), dict(counts))
        at = cursor[0]
        for _ in range(source.randint(0, 3)):
            await asyncio.sleep(0)
        return Snapshot(state, at) if exact else state

    async def follow() -> tuple[dict[str, int], dict[str, int]]:
        for _ in range(source.randint(0, 12)):
            await asyncio.sleep(0)
        mine: tuple[dict[str, int], dict[str, int]] = ({}, {})
        subscription = channels.subscribe(name, snapshot=load, max_queue_size=source.choice((0, 300, 1 << 20)))
        async with subscription:
            while True:
                item = await next_of(subscription, backend, is_last="end" in mine[0])
                if isinstance(item, Snapshot):
                    mine = (dict(item.state[0]), dict(item.state[1]))
                elif isinstance(item, Message):
                    apply(*mine, str(item.data))
                elif item is None:
                    return mine

    _, (state, counted) = await asyncio.gather(write_all(), follow())
    assert state == store
    if exact:
        assert counted == counts


async def next_of(subscription: Any, backend: LaggingBackend, *, is_last: bool) -> object:
    """The next item; in the end, None if there is none."""
    async with asyncio.timeout(20):
        if not is_last or subscription._needs_snapshot:
            return await subscription.receive()
        await backend.settle()
        item = await subscription._subscriber.take()
    subscription._needs_snapshot = isinstance(item, Gap)
    return item


def apply(state: dict[str, int], counts: dict[str, int], change: str) -> None:
    key, _, value = change.partition("=")
    state[key] = int(value)
    counts[key] = counts.get(key, 0) + 1
