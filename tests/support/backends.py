"""What every channel backend must do, as one suite: engines subclass :class:`BackendContract` and say how to connect.

An engine that several processes share also subclasses :class:`SharedContract`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count, pairwise
from typing import Final

import pytest

from elio.channels.backend import Backend, GapReason, Lease, Position, Record, presence_channel

DEADLINE: Final = 30.0
_numbers: Final = count(1)


def fresh(name: str = "channel") -> str:
    """A channel that no other test uses: engines outlive tests."""
    return f"{name}-{next(_numbers)}.x"


class Recorder:
    """A receiver that remembers what it was told, and can be waited for."""

    def __init__(self) -> None:
        self.seen: list[Record] = []
        self.gaps: list[tuple[str, GapReason, int | None, Position]] = []
        self.healthy: list[bool] = []
        self._changed = asyncio.Event()

    def records(self, records: Sequence[Record]) -> None:
        self.seen += records
        self._changed.set()

    def gap(self, channel: str, reason: GapReason, missed: int | None, position: Position) -> None:
        self.gaps.append((channel, reason, missed, position))
        self._changed.set()

    def health(self, is_healthy: bool, why: str) -> None:
        self.healthy.append(is_healthy)
        self._changed.set()

    def payloads(self, channel: str) -> list[bytes]:
        return [record.payload for record in self.seen if record.channel == channel]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it is true of what came; fails behind a deadline."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def receives(self, channel: str, *payloads: bytes) -> None:
        """Wait for these payloads and assert that there are no others."""
        await self.until(lambda: len(self.payloads(channel)) >= len(payloads))
        if (found := self.payloads(channel)) != list(payloads):
            raise AssertionError(f"{found} of {channel} instead of {list(payloads)}; gaps {self.gaps}; all {self.seen}")


class Node:
    """One backend with its receiver."""

    def __init__(self, backend: Backend, recorder: Recorder) -> None:
        self.backend = backend
        self.recorder = recorder

    async def publish(self, channel: str, *payloads: bytes) -> list[Position]:
        return [await self.backend.publish(channel, payload) for payload in payloads]


def rises(positions: Sequence[Position]) -> bool:
    """Whether all are of one epoch and each is behind the one before."""
    return len({position.epoch for position in positions}) == 1 and all(
        one.offset < two.offset for one, two in pairwise(positions)
    )


class BackendContract:
    """One node of one engine."""

    async def make(self, *, history: int = 1000, ttl: float = 300.0) -> Backend:
        """A backend of the engine under test, not started. The engine keeps about so many records for so long."""
        raise NotImplementedError

    @asynccontextmanager
    async def connect(self, *, history: int = 1000, ttl: float = 300.0) -> AsyncIterator[Node]:
        backend, recorder = await self.make(history=history, ttl=ttl), Recorder()
        try:
            await backend.start(recorder)
            yield Node(backend, recorder)
        finally:
            await backend.close()

    @pytest.fixture
    async def node(self) -> AsyncIterator[Node]:
        async with self.connect() as node:
            yield node

    # -- delivery ------------------------------------------------------------------------------------------------------

    async def test_what_is_published_behind_listening_comes_in_order(self, node: Node) -> None:
        channel = fresh()
        await node.publish(channel, b"before")
        start = (await node.backend.listen(channel))[channel]
        positions = await node.publish(channel, *(b"%d" % number for number in range(20)))
        await node.recorder.receives(channel, *(b"%d" % number for number in range(20)))
        assert [Position(record.epoch, record.offset) for record in node.recorder.seen] == positions
        assert rises([start, *positions])

    async def test_the_epoch_is_a_word(self, node: Node) -> None:
        ((epoch, offset),) = await node.publish(fresh(), b"x")
        assert re.fullmatch("[A-Za-z0-9_-]{1,32}", epoch)
        assert offset >= 1

    async def test_offsets_of_a_dense_backend_grow_by_one(self, node: Node) -> None:
        channel, other = fresh(), fresh()
        if node.backend.is_dense:
            positions = []
            for _ in range(3):
                positions += await node.publish(channel, b"x")
                await node.publish(other, b"y")
            assert {two.offset - one.offset for one, two in pairwise(positions)} == {1}

    async def test_publishing_side_by_side_loses_nothing(self, node: Node) -> None:
        channel = fresh()
        await node.backend.listen(channel)
        payloads = [b"%d" % number for number in range(200)]
        positions = await asyncio.gather(*(node.backend.publish(channel, payload) for payload in payloads))
        await node.recorder.until(lambda: len(node.recorder.seen) >= 200)
        by_position = dict(zip(positions, payloads, strict=True))
        assert len(by_position) == 200
        assert node.recorder.payloads(channel) == [by_position[position] for position in sorted(positions)]

    async def test_payloads_are_any_bytes(self, node: Node) -> None:
        channel = fresh()
        await node.backend.listen(channel)
        payloads = [bytes(range(256)), b"\r\n\0", b"x" * 300_000]
        await node.publish(channel, *payloads)
        await node.recorder.receives(channel, *payloads)

    async def test_channels_that_nobody_listens_to_do_not_come(self, node: Node) -> None:
        channel, other = fresh(), fresh()
        await node.backend.listen(channel)
        await node.publish(other, b"no")
        await node.publish(channel, b"yes")
        await node.recorder.receives(channel, b"yes")
        await node.backend.stop_listening(channel)
        await node.publish(channel, b"late")
        await node.backend.listen(other)
        await node.publish(other, b"end")
        await node.recorder.receives(other, b"end")
        assert node.recorder.payloads(channel) == [b"yes"]

    async def test_listening_again_goes_on_behind_what_came_meanwhile(self, node: Node) -> None:
        channel = fresh()
        await node.backend.listen(channel)
        await node.publish(channel, b"1")
        await node.recorder.receives(channel, b"1")
        await node.backend.stop_listening(channel)
        (two,) = await node.publish(channel, b"2")
        assert (await node.backend.listen(channel))[channel] == two
        await node.publish(channel, b"3")
        await node.recorder.receives(channel, b"1", b"3")
        assert node.recorder.gaps == []

    # -- patterns ------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("pattern", "yes", "no"),
        [
            ("{}.*", ["{}.a", "{}.b"], ["{}", "{}.a.b", "{}x.a"]),
            ("{}.>", ["{}.a", "{}.a.b.c"], ["{}", "{}x.a"]),
            ("{}.*.end", ["{}.a.end"], ["{}.end", "{}.a.b.end", "{}.a.ends"]),
        ],
    )
    async def test_a_pattern_stands_for_many(self, node: Node, pattern: str, yes: list[str], no: list[str]) -> None:
        base = fresh()
        await node.backend.listen(pattern.format(base))
        for name in no:
            await node.publish(name.format(base), b"no")
        for name in yes:
            await node.publish(name.format(base), b"yes", b"again")
        await node.recorder.until(lambda: len(node.recorder.seen) >= 2 * len(yes))
        got = [(record.channel, record.payload) for record in node.recorder.seen]
        assert got == [(name.format(base), payload) for name in yes for payload in (b"yes", b"again")]

    async def test_characters_of_globs_are_no_wildcards(self, node: Node) -> None:
        base = fresh()
        await node.backend.listen(f"{base}.[a-c]?.*")
        await node.publish(f"{base}.b1.x", b"no")
        await node.publish(f"{base}.[a-c]?.x", b"yes")
        await node.recorder.until(lambda: node.recorder.seen)
        assert node.recorder.payloads(f"{base}.[a-c]?.x") == [b"yes"]
        assert len(node.recorder.seen) == 1

    async def test_a_channel_of_several_patterns_comes_once(self, node: Node) -> None:
        base = fresh()
        channel = f"{base}.a"
        for pattern in (channel, f"{base}.*", f"{base}.>"):
            await node.backend.listen(pattern)
        await node.publish(channel, b"1", b"2")
        await node.backend.stop_listening(channel)
        await node.publish(channel, b"3")
        await node.backend.stop_listening(f"{base}.*")
        await node.publish(channel, b"4")
        await node.recorder.receives(channel, b"1", b"2", b"3", b"4")
        assert node.recorder.gaps == []

    async def test_listen_says_where_channels_are(self, node: Node) -> None:
        base = fresh()
        positions = {f"{base}.{name}": (await node.publish(f"{base}.{name}", b"1", b"2"))[-1] for name in "ab"}
        pattern = f"{base}.*"
        found = dict(await node.backend.listen(pattern))
        epoch = next(iter(positions.values())).epoch
        assert found.pop(pattern) == Position(epoch, 0)
        assert found == positions

    async def test_of_a_new_channel_listen_knows_the_position_too(self, node: Node) -> None:
        channel = fresh()
        found = await node.backend.listen(channel)
        assert list(found) == [channel]
        (position,) = await node.publish(channel, b"x")
        read = await node.backend.history(channel, found[channel], 10)
        assert read.is_complete
        assert [record.payload for record in read.records] == [b"x"]
        assert rises([found[channel], position])

    # -- history -------------------------------------------------------------------------------------------------------

    async def test_history_goes_on_behind_a_position(self, node: Node) -> None:
        channel = fresh()
        positions = await node.publish(channel, *(b"%d" % number for number in range(10)))
        read = await node.backend.history(channel, positions[3], 100)
        assert [record.payload for record in read.records] == [b"%d" % number for number in range(4, 10)]
        assert [Position(record.epoch, record.offset) for record in read.records] == positions[4:]
        assert {record.channel for record in read.records} == {channel}
        assert read.is_complete
        assert read.position == positions[-1]

    async def test_history_is_read_in_pages(self, node: Node) -> None:
        channel = fresh()
        positions = await node.publish(channel, *(b"%d" % number for number in range(10)))
        read = await node.backend.history(channel, positions[0], 4)
        assert [record.payload for record in read.records] == [b"1", b"2", b"3", b"4"]
        assert (read.is_complete, read.position) == (True, positions[-1])
        read = await node.backend.history(channel, positions[-1], 4)
        assert (list(read.records), read.is_complete, read.position) == ([], True, positions[-1])

    async def test_without_a_position_the_newest_are_read(self, node: Node) -> None:
        channel = fresh()
        await node.publish(channel, *(b"%d" % number for number in range(5)))
        read = await node.backend.history(channel, None, 2)
        assert ([record.payload for record in read.records], read.is_complete) == ([b"3", b"4"], False)
        read = await node.backend.history(channel, None, 100)
        assert ([record.payload for record in read.records][-1:], len(read.records)) == ([b"4"], 5)
        assert read.is_complete

    async def test_an_unknown_channel_has_an_empty_history(self, node: Node) -> None:
        read = await node.backend.history(fresh(), None, 10)
        assert list(read.records) == []

    async def test_history_of_another_epoch_is_not_complete(self, node: Node) -> None:
        channel = fresh()
        (position,) = await node.publish(channel, b"x")
        read = await node.backend.history(channel, Position("other", 0), 10)
        assert not read.is_complete
        assert read.position == position
        read = await node.backend.history(channel, Position(position.epoch, position.offset + 5), 10)
        assert not read.is_complete

    async def test_history_that_was_trimmed_is_not_complete(self) -> None:
        async with self.connect(history=10) as node:
            channel = fresh()
            positions = await node.publish(channel, *(b"%d" % number for number in range(2000)))
            read = await node.backend.history(channel, positions[5], 2000)
            assert not read.is_complete
            assert len(read.records) >= 10
            assert [record.payload for record in read.records][-10:] == [b"%d" % number for number in range(1990, 2000)]
            read = await node.backend.history(channel, positions[-11], 2000)
            assert read.is_complete
            assert len(read.records) == 10
            assert not (await node.backend.history(channel, None, 5000)).is_complete

    # -- idempotency ---------------------------------------------------------------------------------------------------

    async def test_the_same_key_publishes_once(self, node: Node) -> None:
        channel, other = fresh(), fresh()
        await node.backend.listen(channel)
        first = await node.backend.publish(channel, b"1", idempotency_key="k")
        again = await node.backend.publish(channel, b"1 again", idempotency_key="k")
        elsewhere = await node.backend.publish(other, b"1", idempotency_key="k")
        assert again == first
        await node.backend.publish(channel, b"2", idempotency_key="l")
        await node.recorder.receives(channel, b"1", b"2")
        assert [record.payload for record in (await node.backend.history(other, None, 9)).records] == [b"1"]
        assert elsewhere.offset >= 1

    # -- leases --------------------------------------------------------------------------------------------------------

    async def test_a_member_joins_with_its_first_lease_and_leaves_with_its_last(self, node: Node) -> None:
        channel = fresh()
        notices = presence_channel(channel)
        await node.backend.listen(notices)
        one, two = (Lease(channel, "ann", holder, holder) for holder in "12")
        await node.backend.hold([one], 60.0)
        await node.backend.hold([two, one], 60.0)
        assert set(await node.backend.members(channel)) == {"ann"}
        await node.backend.release(one, 0.0)
        assert await node.backend.members(channel) == {"ann": "2"}
        await node.backend.release(two, 0.0)
        assert await node.backend.members(channel) == {}
        await node.recorder.until(lambda: len(node.recorder.seen) >= 2)
        first, last = node.recorder.payloads(notices)
        assert first == one.joined
        assert last in (one.left, two.left)

    async def test_a_lease_that_nobody_renews_ends(self, node: Node) -> None:
        channel = fresh()
        notices = presence_channel(channel)
        await node.backend.listen(notices)
        gone, kept = Lease(channel, "gone", "1", "{}"), Lease(channel, "kept", "1", "{}")
        await node.backend.hold([gone], 0.5)
        await node.backend.hold([kept], 60.0)
        await node.recorder.receives(notices, gone.joined, kept.joined, gone.left)
        assert set(await node.backend.members(channel)) == {"kept"}
        await node.backend.hold([gone], 60.0)
        await node.recorder.receives(notices, gone.joined, kept.joined, gone.left, gone.joined)

    async def test_who_comes_back_in_time_was_never_gone(self, node: Node) -> None:
        channel = fresh()
        notices = presence_channel(channel)
        await node.backend.listen(notices)
        old, new = Lease(channel, "ann", "old", "1"), Lease(channel, "ann", "new", "2")
        end = Lease(channel, "end", "1", "{}")
        await node.backend.hold([old], 60.0)
        await node.backend.release(old, 0.5)
        await node.backend.hold([new], 60.0)
        await node.backend.hold([end], 0.6)
        await node.recorder.receives(notices, old.joined, end.joined, end.left)
        assert await node.backend.members(channel) == {"ann": "2"}

    async def test_releasing_what_is_not_held_does_nothing(self, node: Node) -> None:
        channel = fresh()
        await node.backend.release(Lease(channel, "nobody", "1", "{}"), 0.0)
        assert await node.backend.members(channel) == {}

    # -- life ----------------------------------------------------------------------------------------------------------

    async def test_closing_twice_is_fine_and_so_is_closing_what_never_started(self) -> None:
        backend = await self.make()
        await backend.close()
        async with self.connect() as node:
            await node.backend.close()


class SharedContract:
    """Several nodes of one engine; mixed into a :class:`BackendContract`."""

    @pytest.fixture
    async def nodes(self) -> AsyncIterator[list[Node]]:
        connect = self.connect  # type: ignore[attr-defined]
        async with connect() as one, connect() as two, connect() as three:
            yield [one, two, three]

    async def test_every_node_gets_the_same_in_the_same_order(self, nodes: list[Node]) -> None:
        channel = fresh()
        for node in nodes:
            await node.backend.listen(channel)
        payloads = [b"%d" % number for number in range(60)]
        await asyncio.gather(*(nodes[number % 3].backend.publish(channel, payloads[number]) for number in range(60)))
        for node in nodes:
            await node.recorder.until(lambda node=node: len(node.recorder.seen) >= 60)
        orders = {tuple(node.recorder.payloads(channel)) for node in nodes}
        assert len(orders) == 1
        assert sorted(orders.pop()) == sorted(payloads)

    async def test_history_is_the_same_everywhere(self, nodes: list[Node]) -> None:
        channel = fresh()
        positions = await nodes[0].publish(channel, b"1", b"2", b"3")
        for node in nodes:
            read = await node.backend.history(channel, positions[0], 10)
            assert [record.payload for record in read.records] == [b"2", b"3"]
            assert (await node.backend.listen(channel))[channel] == positions[-1]

    async def test_the_same_key_publishes_once_whichever_node_tries(self, nodes: list[Node]) -> None:
        channel = fresh()
        tries = [node.backend.publish(channel, b"1", idempotency_key="k") for node in nodes for _ in range(3)]
        assert len(set(await asyncio.gather(*tries))) == 1
        assert len((await nodes[0].backend.history(channel, None, 10)).records) == 1

    async def test_members_are_those_of_all_nodes_and_each_joins_once(self, nodes: list[Node]) -> None:
        channel = fresh()
        notices = presence_channel(channel)
        for node in nodes:
            await node.backend.listen(notices)
        leases = [Lease(channel, "ann", holder, "{}") for holder in "123"]
        for node, lease in zip(nodes, leases, strict=True):
            await node.backend.hold([lease], 60.0)
        for node in nodes:
            assert await node.backend.members(channel) == {"ann": "{}"}
        for node, lease in zip(nodes, leases, strict=True):
            await node.backend.release(lease, 0.0)
        for node in nodes:
            await node.recorder.receives(notices, leases[0].joined, leases[0].left)

    async def test_members_of_a_node_that_died_leave_once(self, nodes: list[Node]) -> None:
        channel = fresh()
        notices = presence_channel(channel)
        for node in nodes:
            await node.backend.listen(notices)
        lease = Lease(channel, "ann", "1", "{}")
        await nodes[0].backend.hold([lease], 0.5)
        await nodes[0].backend.close()
        end = Lease(channel, "end", "1", "{}")
        for node in nodes[1:]:
            await node.recorder.receives(notices, lease.joined, lease.left)
        await nodes[1].backend.hold([end], 60.0)
        for node in nodes[1:]:
            await node.recorder.receives(notices, lease.joined, lease.left, end.joined)
