"""The same channels for many subscribers."""

from __future__ import annotations

import asyncio

from elio.channels.backend import GapReason, Position
from elio.channels.cursor import read_cursor
from elio.channels.delivery.feed import MAX_CHANNELS, Feed, FeedState
from elio.channels.delivery.trail import Entry
from elio.channels.envelope import Envelope
from elio.channels.message import Gap, Message
from support.deliveries import Listener


def entry(offset: int, channel: str = "a", epoch: str = "e") -> Entry:
    return Entry(channel, Position(epoch, offset), Envelope(f"{channel}{offset}"))


def started(*patterns: str) -> Feed:
    feed = Feed(patterns)
    feed.start({pattern: Position("e", 0) for pattern in patterns})
    return feed


class Follower(Listener):
    """A subscriber that is behind, and remembers."""

    def appeared(self, channel: str, position: Position) -> None:
        self.items.append(Message(channel, f"appeared {position.offset}"))

    def missed(self, gap: Gap, position: Position) -> None:
        self.items.append(gap)


def test_live_subscribers_get_one_message_with_a_cursor() -> None:
    feed, one, two = started("a", "b"), Listener(), Listener()
    feed.admit(one)
    feed.receive(entry(1))
    feed.admit(two)
    feed.receive(entry(1, "b"))
    assert one.texts == ["a1", "b1"]
    assert two.items[0] is one.items[1]
    assert [item.id for item in one.items] == ["a!1!e~b!0", "a!1!e~b!1"]
    feed.dismiss(one)
    feed.receive(entry(2))
    assert one.texts == ["a1", "b1"]
    assert feed.cursor() == "a!2!e~b!1"


def test_what_was_known_when_listening_began_is_not_given() -> None:
    feed, live = Feed(("a",)), Listener()
    feed.receive(entry(3))
    feed.start({"a": Position("e", 5)})
    feed.admit(live)
    for offset in (4, 5, 6, 6):
        feed.receive(entry(offset))
    assert live.texts == ["a6"]


def test_what_came_before_the_answer_counts() -> None:
    feed = Feed(("a",))
    feed.receive(entry(7))
    feed.start({"a": Position("e", 5)})
    assert feed.positions == {"a": Position("e", 7)}


def test_followers_learn_of_new_channels_and_of_gaps_of_patterns() -> None:
    feed, behind = started("r.*"), Follower()
    feed.follow(behind)
    feed.receive(entry(3, "r.1"))
    feed.receive(entry(4, "r.1"))
    feed.gap("r.1", GapReason.HISTORY, 2, Position("e", 6))
    feed.gap("r.*", GapReason.EPOCH, None, Position("f", 0))
    assert behind.texts == ["appeared 2", "gap None"]
    feed.unfollow(behind)
    feed.receive(entry(1, "r.2"))
    assert len(behind.items) == 2


def test_a_gap_moves_everybody() -> None:
    feed, live = started("a"), Listener()
    feed.admit(live)
    feed.gap("a", GapReason.EPOCH, None, Position("f", 0))
    feed.receive(entry(1, epoch="f"))
    assert live.items[0] == Gap("a", GapReason.EPOCH, None, "a!0!f")
    assert live.texts == ["gap None", "a1"]


def test_the_end_is_told_to_all() -> None:
    feed, live, behind = started("a"), Listener(), Follower()
    feed.admit(live)
    feed.follow(behind)
    feed.end()
    assert live.has_ended
    assert behind.has_ended


async def test_progress_is_anything_that_comes() -> None:
    feed = started("a")
    for event in (lambda: feed.receive(entry(1)), lambda: feed.gap("a", GapReason.EPOCH, None, Position("f", 0))):
        waiting = [asyncio.ensure_future(feed.progress()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        event()
        await waiting[1]


def test_a_cursor_of_a_pattern_names_what_moved_last() -> None:
    feed = started("r.*")
    for number in range(150):
        feed.receive(entry(1, f"r.{number}"))
    feed.receive(entry(2, "r.7"))
    cursor = read_cursor(feed.cursor())
    assert cursor is not None
    assert not cursor.is_whole
    assert list(cursor.positions)[:3] == ["r.*", "r.7", "r.149"]
    assert len(cursor.positions) == 101


def test_positions_of_a_pattern_are_bounded() -> None:
    feed = started("r.*")
    for number in range(MAX_CHANNELS + 50):
        feed.receive(entry(1, f"r.{number}"))
    assert len(feed.positions) == MAX_CHANNELS
    assert not feed.is_whole
    assert "r.*" in feed.positions
    assert repr(feed) == "<Feed r.*: 0 subscribers>"


def test_its_state_is_that_of_its_last_subscriber() -> None:
    feed, live, behind = started("a"), Listener(), Follower()
    assert feed.state() == FeedState(("a",), 0, 0, 0, 0)
    live.waiting, live.size, behind.lag = 2, 100, 7
    feed.admit(live)
    feed.follow(behind)
    assert feed.state() == FeedState(("a",), 0, 1, 7, 100)
    feed.unfollow(behind)
    assert feed.state().lag == 2
