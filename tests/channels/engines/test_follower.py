"""Continuity over deliveries that lose: live records, holes, recoveries and checks, without any engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest

from elio.channels.backend import GapReason, History, Position, Record
from elio.channels.engines.follower import Follower
from elio.channels.names import matches
from elio.errors import EngineLost
from support.backends import Recorder


class Engine:
    """An engine in memory whose delivery the test decides on.

    Args:
        counts_together: whether all channels share one row of offsets.
    """

    def __init__(self, *, counts_together: bool = False) -> None:
        self.counts_together = counts_together
        self.epoch = "e"
        self.kept: dict[str, list[Record]] = {}
        self.newest: dict[str, int] = {}
        self.is_away = False
        self.recorder = Recorder()
        self.follower = Follower(self, self.recorder)

    def publish(self, channel: str, *payloads: bytes) -> list[Record]:
        made = []
        for payload in payloads:
            before = max(self.newest.values(), default=0) if self.counts_together else self.newest.get(channel, 0)
            offset = self.newest[channel] = before + 1
            made.append(Record(channel, self.epoch, offset, payload))
        self.kept.setdefault(channel, []).extend(made)
        return made

    def deliver(self, *records: Record) -> None:
        for record in records:
            self.follower.arrived(record)
        self.follower.flush()

    def forget(self) -> None:
        self.epoch += "'"
        self.kept.clear()
        self.newest.clear()

    async def listen(self, pattern: str) -> Mapping[str, Position]:
        self.follower.expect(pattern)
        return await self.follower.begin(pattern)

    async def settle(self) -> None:
        while self.follower._recoveries:
            await asyncio.gather(*self.follower._recoveries.values())

    # -- what a follower asks --

    async def answer(self) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise EngineLost("away")

    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        found = {channel: Position(self.epoch, self.newest.get(channel, 0)) for channel in channels}
        await self.answer()
        return found

    async def matching(self, pattern: str, *, only_new: bool = False) -> Mapping[str, Position]:
        found = await self.positions([channel for channel in self.newest if matches(pattern, channel)])
        newest = max(self.newest.values(), default=0) if self.counts_together else 0
        return {**found, pattern: Position(self.epoch, newest)}

    def start_of(self, channel: str, start: Position) -> Position:
        return start

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        position = Position(self.epoch, self.newest.get(channel, 0))
        low = after.offset if after and after.epoch == self.epoch else -1
        found = [record for record in self.kept.get(channel, []) if record.offset > low]
        first = found[0].offset - 1 if found else position.offset
        await self.answer()
        return History(found[:limit], self.counts_together or first == low, position)


@pytest.fixture
def engine() -> Engine:
    return Engine()


async def test_records_in_order_are_given_on_at_once(engine: Engine) -> None:
    engine.publish("a", b"0")
    assert await engine.listen("a") == {"a": Position("e", 1)}
    engine.deliver(*engine.publish("a", b"1", b"2"))
    assert engine.recorder.payloads("a") == [b"1", b"2"]


async def test_repeated_and_old_records_are_dropped(engine: Engine) -> None:
    (old,) = engine.publish("a", b"0")
    await engine.listen("a")
    new = engine.publish("a", b"1")
    engine.deliver(old, *new, *new)
    assert engine.recorder.payloads("a") == [b"1"]


async def test_a_hole_is_filled_from_history(engine: Engine) -> None:
    await engine.listen("a")
    one, _, three = engine.publish("a", b"1", b"2", b"3")
    engine.deliver(one, three)
    four = engine.publish("a", b"4")
    engine.deliver(*four)
    await engine.settle()
    assert engine.recorder.payloads("a") == [b"1", b"2", b"3", b"4"]
    engine.deliver(*engine.publish("a", b"5"))
    assert engine.recorder.payloads("a")[-1] == b"5"


async def test_what_nobody_told_of_is_found_by_a_check(engine: Engine) -> None:
    await engine.listen("a")
    await engine.listen("w.*")
    engine.publish("a", b"1")
    engine.publish("w.x", b"2", b"3")
    await engine.follower.check()
    await engine.settle()
    assert engine.recorder.payloads("a") == [b"1"]
    assert engine.recorder.payloads("w.x") == [b"2", b"3"]
    assert engine.recorder.gaps == []


async def test_a_new_channel_that_nobody_told_of_is_found_where_all_channels_count_together() -> None:
    engine = Engine(counts_together=True)
    engine.publish("w.x", b"1")
    await engine.listen("w.*")
    engine.publish("w.y", b"2", b"3")
    engine.publish("w.x", b"4")
    await engine.follower.check()
    await engine.settle()
    assert engine.recorder.payloads("w.y") == [b"2", b"3"]
    assert engine.recorder.payloads("w.x") == [b"4"]
    engine.forget()
    engine.publish("w.z", b"5")
    await engine.follower.check()
    await engine.settle()
    assert engine.recorder.payloads("w.z") == [b"5"]
    assert {reason for _, reason, *_ in engine.recorder.gaps} == {GapReason.EPOCH}


async def test_a_check_leaves_a_pattern_alone_that_is_about_to_be_listened_to(engine: Engine) -> None:
    engine.follower.expect("w.*")
    engine.publish("w.x", b"1")
    await engine.follower.check()
    await engine.follower.begin("w.*")
    await engine.settle()
    assert engine.recorder.seen == []


async def test_what_history_lost_is_a_gap_with_its_number(engine: Engine) -> None:
    await engine.listen("a")
    engine.publish("a", *(b"%d" % number for number in range(10)))
    del engine.kept["a"][:7]
    await engine.follower.check()
    await engine.settle()
    assert engine.recorder.gaps == [("a", GapReason.HISTORY, 7, Position("e", 7))]
    assert engine.recorder.payloads("a") == [b"7", b"8", b"9"]


async def test_another_epoch_is_a_gap(engine: Engine) -> None:
    await engine.listen("a")
    await engine.listen("w.*")
    engine.deliver(*engine.publish("a", b"1"))
    engine.forget()
    engine.deliver(*engine.publish("a", b"2"))
    await engine.settle()
    await engine.follower.check()
    await engine.settle()
    assert [(channel, reason) for channel, reason, *_ in engine.recorder.gaps] == [
        ("a", GapReason.EPOCH),
        ("w.*", GapReason.EPOCH),
    ]
    assert engine.recorder.payloads("a") == [b"1", b"2"]


async def test_an_engine_that_went_back_in_the_same_epoch_lost_its_memory(engine: Engine) -> None:
    await engine.listen("a")
    engine.deliver(*engine.publish("a", b"1", b"2", b"3"))
    del engine.kept["a"][1:]
    engine.newest["a"] = 1
    await engine.follower.check()
    await engine.settle()
    assert [reason for _, reason, *_ in engine.recorder.gaps] == [GapReason.EPOCH]


async def test_a_recovery_that_fails_is_tried_again_by_the_next_check(engine: Engine) -> None:
    await engine.listen("w.*")
    engine.is_away = True
    engine.publish("w.x", b"1")
    engine.deliver(*engine.publish("w.x", b"2"))
    await engine.settle()
    with pytest.raises(EngineLost):
        await engine.follower.check()
    engine.is_away = False
    await engine.follower.check()
    await engine.settle()
    assert engine.recorder.payloads("w.x") == [b"1", b"2"]


async def test_nothing_comes_of_what_is_not_listened_to_any_more(engine: Engine) -> None:
    await engine.listen("a")
    await engine.listen("*")
    engine.follower.stop("a")
    engine.deliver(*engine.publish("a", b"1"))
    engine.follower.stop("*")
    engine.deliver(*engine.publish("a", b"2"))
    assert engine.recorder.payloads("a") == [b"1"]
    assert engine.follower.channels == []
    assert engine.follower.patterns == []


async def test_closing_stops_recoveries(engine: Engine) -> None:
    await engine.listen("a")
    engine.publish("a", b"1")
    await engine.follower.check()
    await engine.follower.close()
    assert engine.follower._recoveries == {}


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_is_lost_everything_comes_once_and_in_order(seed: int) -> None:
    chance, engine = random.Random(seed), Engine()
    listening = asyncio.create_task(engine.listen("c.*"))
    named = asyncio.create_task(engine.listen("c.a"))
    published: dict[str, list[bytes]] = {"c.a": [], "c.b": []}
    started = False
    for number in range(200):
        if chance.random() < 0.3:
            await asyncio.sleep(0)
        started = started or (listening.done() and named.done())
        channel = chance.choice(["c.a", "c.b"])
        records = engine.publish(channel, b"%d" % number)
        if started:
            published[channel].append(b"%d" % number)
        if chance.random() < 0.7:
            engine.deliver(*records)
        if chance.random() < 0.05:
            engine.deliver(*engine.kept[channel][-3:])
    await asyncio.gather(listening, named)
    await engine.follower.check()
    await engine.settle()
    for channel, payloads in published.items():
        assert engine.recorder.payloads(channel)[-len(payloads) :] == payloads
    assert engine.recorder.gaps == []
