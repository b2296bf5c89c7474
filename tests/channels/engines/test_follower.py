"""Continuity over deliveries that lose: live records, holes, recoveries and checks, without any engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress

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
        self.all: dict[str, list[Record]] = {}
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


class Wayward(Engine):
    """One that may be slow, fails while it answers, forgets, and whose channels are told of once."""

    def __init__(self, chance: random.Random, *, counts_together: bool) -> None:
        super().__init__(counts_together=counts_together)
        self.chance = chance
        self.trouble = 0.0
        self.trimmed: dict[str, int] = {}
        self.told: list[Record | str] = []
        self.known: dict[str, set[str]] = {}
        self.recorder.records = self.told.extend  # type: ignore[method-assign]
        self.recorder.gap = lambda channel, *_: self.told.append(channel)  # type: ignore[method-assign]

    @property
    def total(self) -> int:
        return max(self.newest.values(), default=0) if self.counts_together else 0

    def deliver(self, *records: Record) -> None:
        for record in records:
            offsets = [other.offset for other in self.all.get(record.channel, []) if other.epoch == record.epoch]
            at = offsets.index(record.offset)
            self.follower.arrived(record, None if not self.counts_together else offsets[at - 1] if at else 0)
        self.follower.flush()

    def publish(self, channel: str, *payloads: bytes) -> list[Record]:
        made = super().publish(channel, *payloads)
        self.all.setdefault(channel, []).extend(made)
        return made

    def stop(self, pattern: str) -> None:
        self.follower.stop(pattern)
        self.known.pop(pattern, None)

    def forget(self) -> None:
        super().forget()
        self.trimmed.clear()
        self.known.clear()

    def trim(self, channel: str) -> None:
        kept = self.kept.get(channel, [])
        for record in kept[: len(kept) // 2]:
            self.trimmed[channel] = record.offset
            kept.remove(record)

    async def answer(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if self.is_away or self.chance.random() < self.trouble:
            raise EngineLost("away")

    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        await self.answer()
        found = {channel: Position(self.epoch, self.newest.get(channel, self.total)) for channel in channels}
        await self.answer()
        return found

    async def matching(self, pattern: str, *, only_new: bool = False) -> Mapping[str, Position]:
        known = self.known.setdefault(pattern, set())
        names = [channel for channel in self.newest if matches(pattern, channel)]
        start = Position(self.epoch, self.total)
        await self.answer()
        if start.epoch != self.epoch:
            raise EngineLost("restarted")
        found = {name: Position(self.epoch, self.newest[name]) for name in names if not (only_new and name in known)}
        await self.answer()
        known.update(names)
        return {**found, pattern: start}

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        assert after is not None
        await self.answer()
        position = Position(self.epoch, self.newest.get(channel, self.total))
        low = after.offset if after.epoch == self.epoch else -1
        is_complete = self.trimmed.get(channel, 0) <= low <= max(position.offset, self.total)
        found = [record for record in self.kept.get(channel, []) if not is_complete or record.offset > low]
        await self.answer()
        return History(found[: self.chance.choice([1, 2, limit])], is_complete, position)


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


async def test_what_a_pattern_missed_is_not_skipped_when_another_listens(engine: Engine) -> None:
    await engine.listen("w.*")
    engine.publish("w.x", b"1", b"2")
    engine.publish("w.y", b"3")
    engine.publish("w.z", b"4")
    assert (await engine.listen("w.x"))["w.x"] == Position("e", 2)
    await engine.listen("w.>")
    await engine.listen("w.*")
    await engine.settle()
    assert [engine.recorder.payloads(f"w.{name}") for name in "xyz"] == [[b"1", b"2"], [b"3"], [b"4"]]
    assert engine.recorder.gaps == []


async def test_a_name_that_is_left_while_it_recovers_does_not_come_twice(engine: Engine) -> None:
    await engine.listen("w.*")
    await engine.listen("w.x")
    engine.deliver(*engine.publish("w.x", b"1", b"2", b"3")[2:])
    engine.follower.stop("w.x")
    engine.deliver(*engine.publish("w.x", b"4"))
    await engine.settle()
    assert engine.recorder.payloads("w.x") == [b"1", b"2", b"3", b"4"]


async def test_a_recovery_ends_with_its_channel(engine: Engine) -> None:
    await engine.listen("a")
    engine.deliver(*engine.publish("a", b"1", b"2")[1:])
    engine.follower.stop("a")
    assert await engine.listen("a") == {"a": Position("e", 2)}
    await engine.settle()
    engine.deliver(*engine.publish("a", b"3"))
    assert engine.recorder.payloads("a") == [b"3"]


async def test_a_check_that_finds_what_is_about_to_be_listened_to_leaves_it_to_be_found(engine: Engine) -> None:
    await engine.listen("w.*")
    engine.publish("w.x", b"1")
    engine.follower.expect("w.x")
    await engine.follower.check()
    engine.follower.stop("w.x")
    await engine.settle()
    assert engine.recorder.payloads("w.x") == [b"1"]


async def test_a_mistake_in_a_recovery_is_told_and_the_next_check_tries_again(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.listen("a")
    engine.publish("a", b"1")
    with monkeypatch.context() as broken:
        broken.setattr(engine, "history", None)
        await engine.follower.check()
        await engine.settle()
    assert "cannot be fetched" in caplog.text
    await engine.follower.check()
    await engine.settle()
    assert engine.recorder.payloads("a") == [b"1"]


class Ordeal:
    """Whatever can happen, at random, to one that listens to ``c.*`` all the time and to other things now and then."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.engine = Wayward(self.chance, counts_together=seed % 2 == 1)
        self.has_forgotten = False
        self.is_deaf = False
        self.published: dict[str, list[Record]] = {}
        self.tasks: dict[str, asyncio.Task[object]] = {}

    async def run(self) -> None:
        engine, chance = self.engine, self.chance
        await engine.listen("c.*")
        engine.trouble = 0.05
        for _ in range(250):
            self.publish()
            chance.choices(
                [self.check, self.stop_check, self.turn_deaf, self.go_away, self.listen, self.forget, self.trim],
                [20, 3, 5, 5, 10, 0.5, 0.5],
            )[0]()
            for _ in range(chance.choice([0, 0, 0, 1, 1, 5])):
                await asyncio.sleep(0)
        engine.is_away = False
        engine.trouble = 0.0
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        for _ in range(2):
            await engine.follower.check()
            await engine.settle()
        assert engine.follower._held == {}

    def publish(self) -> None:
        chance = self.chance
        channel = f"c.{chance.randrange(8)}" if chance.random() < 0.9 else f"c.new-{len(self.published)}"
        made = self.engine.publish(channel, *[b"x"] * chance.randrange(4))
        self.published.setdefault(channel, []).extend(made)
        for record in made:
            if not self.is_deaf and chance.random() < 0.9:
                self.engine.deliver(record)
        if chance.random() < 0.1:
            self.engine.deliver(*self.engine.kept.get(channel, [])[-3:])

    def start(self, what: str, work: Coroutine[None, None, object]) -> None:
        if what in self.tasks and not self.tasks[what].done():
            work.close()
            return
        self.tasks[what] = asyncio.create_task(work)

    def check(self) -> None:
        self.start("check", self.checked())

    async def checked(self) -> None:
        with suppress(EngineLost):
            await self.engine.follower.check()

    def stop_check(self) -> None:
        if "check" in self.tasks:
            self.tasks["check"].cancel()

    def turn_deaf(self) -> None:
        self.is_deaf = not self.is_deaf

    def go_away(self) -> None:
        self.engine.is_away = not self.engine.is_away

    def listen(self) -> None:
        pattern = self.chance.choice(["c.1", "c.2", "c.>", "*.*", "c.new-3"])
        self.start(pattern, self.listen_or_stop(pattern))

    async def listen_or_stop(self, pattern: str) -> None:
        """As a backend does it: what cannot be begun is undone."""
        if pattern in self.engine.follower.patterns and self.chance.random() < 0.5:
            self.engine.stop(pattern)
            return
        is_new = pattern not in self.engine.follower.patterns
        try:
            await self.engine.listen(pattern)
        except EngineLost:
            if is_new:
                self.engine.stop(pattern)

    def forget(self) -> None:
        self.engine.forget()
        self.has_forgotten = True

    def trim(self) -> None:
        self.engine.trim(self.chance.choice(list(self.engine.kept) or ["c.1"]))
        self.has_forgotten = True

    def verdict(self) -> None:
        told = self.engine.told
        for channel, records in self.published.items():
            places = {(record.epoch, record.offset): number for number, record in enumerate(records)}
            expected, is_excused = 0, False
            for item in told:
                if isinstance(item, str):
                    is_excused = is_excused or item in (channel, "c.*")
                elif item.channel == channel:
                    number = places[item.epoch, item.offset]
                    assert number >= expected, f"{item} came again"
                    assert number == expected or is_excused, f"{number - expected} before {item} are lost in silence"
                    expected, is_excused = number + 1, False
            assert expected == len(records) or is_excused, f"{channel}: the last are lost in silence"
        gaps = [item for item in told if isinstance(item, str)]
        assert self.has_forgotten or gaps == []


@pytest.mark.parametrize("seed", range(100))
async def test_whatever_happens_everything_comes_once_and_in_order_or_is_a_gap(seed: int) -> None:
    ordeal = Ordeal(seed)
    await ordeal.run()
    ordeal.verdict()
