"""The queue of a slow subscriber."""

from __future__ import annotations

from collections import Counter

import pytest

from elio.channels.backend import GapReason
from elio.channels.backlog import Backlog, Policy
from elio.channels.message import Gap, Message

SLOW = GapReason.SLOW_CONSUMER


def message(number: int, key: str | None = None, channel: str = "a", size: int = 100) -> Message:
    return Message(channel, "x" * size, key=key, id=f"id{number}", offset=number)


def drain(backlog: Backlog) -> list[object]:
    items: list[object] = []
    while (item := backlog.pop()) is not None:
        items.append(item.offset if isinstance(item, Message) else item)
    assert backlog.size == 0
    assert not backlog
    return items


@pytest.mark.parametrize("policy", list(Policy))
def test_with_room_all_policies_are_queues(policy: Policy) -> None:
    backlog = Backlog(policy, 10_000)
    assert backlog.pop() is None
    for number in range(5):
        assert backlog.push(message(number))
    assert backlog.size == 5 * 300
    assert drain(backlog) == [0, 1, 2, 3, 4]
    assert backlog.dropped == 0


@pytest.mark.parametrize("policy", [Policy.BLOCK, Policy.CLOSE])
def test_some_policies_are_their_owners_matter(policy: Policy) -> None:
    backlog = Backlog(policy, 650)
    assert [backlog.push(message(number)) for number in range(3)] == [True, True, False]
    assert drain(backlog) == [0, 1]
    assert backlog.push(message(3, size=10_000))


def test_the_oldest_make_room_and_a_gap_stands_for_them() -> None:
    backlog = Backlog(Policy.DROP_OLDEST, 650)
    for number in range(5):
        assert backlog.push(message(number))
    assert backlog.dropped == 3
    assert drain(backlog) == [Gap("a", SLOW, 3, "id2"), 3, 4]


def test_gaps_in_the_way_of_the_oldest_come_first() -> None:
    backlog = Backlog(Policy.DROP_OLDEST, 350)
    backlog.push_gap(Gap("a", GapReason.HISTORY, 7, "id0"))
    for number in range(1, 4):
        backlog.push(message(number))
    assert drain(backlog) == [Gap("a", GapReason.HISTORY, 7, "id0"), Gap("a", SLOW, 2, "id2"), 3]


def test_the_newest_are_dropped_and_a_gap_stands_where_they_were() -> None:
    drops = Counter[Policy]()
    backlog = Backlog(Policy.DROP_NEWEST, 650, drops)
    for number in range(4):
        assert backlog.push(message(number))
    assert backlog.push(message(4, channel="b"))
    assert backlog.pop() == message(0)
    assert backlog.push(message(5))
    assert (backlog.dropped, drops) == (3, {Policy.DROP_NEWEST: 3})
    assert drain(backlog) == [1, Gap("a", SLOW, 2, "id3"), Gap("b", SLOW, 1, "id4"), 5]


def test_a_newer_message_takes_the_place_of_one_with_its_key() -> None:
    backlog = Backlog(Policy.COALESCE, 10_000)
    for number in range(6):
        backlog.push(message(number, key=f"k{number % 2}"))
    backlog.push(message(6))
    backlog.push(message(7, key="k0", channel="b"))
    assert backlog.dropped == 4
    assert drain(backlog) == [Gap("a", GapReason.COALESCED, 4), 4, 5, 6, 7]
    backlog.push(message(8, key="k0"))
    backlog.push(message(9, key="k0"))
    assert drain(backlog) == [Gap("a", GapReason.COALESCED, 1), 9]


def test_different_keys_without_room_drop_the_oldest() -> None:
    backlog = Backlog(Policy.COALESCE, 650)
    for number in range(4):
        backlog.push(message(number, key=str(number)))
    backlog.push(message(4, key="0"))
    assert drain(backlog) == [Gap("a", SLOW, 3, "id2"), 3, 4]


def test_gaps_of_one_kind_are_one() -> None:
    backlog = Backlog(Policy.BLOCK, 650)
    for missed in (1, 2, None):
        backlog.push_gap(Gap("a", GapReason.HISTORY, missed, f"id{missed}"))
    backlog.push_gap(Gap("b", GapReason.HISTORY, 1))
    assert drain(backlog) == [Gap("a", GapReason.HISTORY, None, "idNone"), Gap("b", GapReason.HISTORY, 1)]


def test_clearing_counts_nothing() -> None:
    backlog = Backlog(Policy.COALESCE, 650)
    for number in range(4):
        backlog.push(message(number, key="k"))
    backlog.clear()
    assert drain(backlog) == []
    assert backlog.dropped == 3


def test_ten_thousand_keys_are_quick() -> None:
    backlog = Backlog(Policy.COALESCE, 1 << 30)
    for number in range(100_000):
        backlog.push(message(number, key=str(number % 10_000), size=1))
    assert backlog.dropped == 90_000


def test_its_length_is_what_can_be_taken() -> None:
    backlog = Backlog(Policy.DROP_OLDEST, 700)
    assert len(backlog) == 0
    for number in range(4):
        backlog.push(message(number))
    assert len(backlog) == len(drain(backlog)) == 3
    assert not backlog
