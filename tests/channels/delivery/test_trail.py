"""The last records of one channel."""

from __future__ import annotations

from elio.channels.backend import Position
from elio.channels.delivery.trail import Entry, Trail
from elio.channels.envelope import Envelope


def at(offset: int, epoch: str = "e") -> Position:
    return Position(epoch, offset)


def entry(offset: int, data: str = "x", epoch: str = "e") -> Entry:
    return Entry("a", at(offset, epoch), Envelope(data))


def filled(count: int, step: int = 1) -> Trail:
    trail = Trail(at(0))
    for number in range(1, count + 1):
        trail.add(entry(number * step))
    return trail


def offsets(trail: Trail, after: Position, until: Position) -> list[int] | None:
    found = trail.after(after, until)
    return None if found is None else [each.position.offset for each in found]


def test_what_is_behind_a_position() -> None:
    trail = filled(5)
    assert offsets(trail, at(0), at(5)) == [1, 2, 3, 4, 5]
    assert offsets(trail, at(3), at(5)) == [4, 5]
    assert offsets(trail, at(1), at(3)) == [2, 3]


def test_offsets_need_not_be_dense() -> None:
    assert offsets(filled(5, step=10), at(20), at(50)) == [30, 40, 50]
    assert offsets(filled(5, step=10), at(25), at(50)) == [30, 40, 50]


def test_what_is_not_all_there_is_nothing() -> None:
    trail = filled(5)
    assert offsets(trail, at(3), at(6)) is None
    assert offsets(trail, at(5), at(5)) is None
    assert offsets(trail, at(3, "f"), at(5, "f")) is None
    assert offsets(trail, at(3, "f"), at(5)) is None
    assert offsets(Trail(at(3)), at(2), at(3)) is None


def test_it_is_bounded_in_bytes() -> None:
    most = 384 * 1024 // 331
    trail = filled(2000)
    assert trail.size == most * 331
    assert offsets(trail, at(1999 - most), at(2000)) is None
    assert len(offsets(trail, at(2000 - most), at(2000)) or ()) == most
    for number in range(2001, 2010):
        trail.add(entry(number, "x" * 150_000))
    assert trail.size == 2 * 150_330
    assert offsets(trail, at(2007), at(2009)) == [2008, 2009]
    assert offsets(trail, at(2006), at(2009)) is None


def test_the_newest_ones() -> None:
    trail = filled(5)
    assert trail.newest(2, at(5)) == entry(4)
    assert trail.newest(5, at(5)) == entry(1)
    assert trail.newest(6, at(5)) is None
    assert trail.newest(2, at(4)) is None
    assert Trail(at(0)).newest(1, at(0)) is None


def test_a_gap_and_another_epoch_begin_anew() -> None:
    trail = filled(5)
    trail.restart(at(7))
    assert (trail.size, offsets(trail, at(3), at(5))) == (0, None)
    trail.add(entry(8))
    assert offsets(trail, at(7), at(8)) == [8]
    assert offsets(trail, at(6), at(8)) is None
    trail.add(entry(3, epoch="f"))
    assert offsets(trail, at(7), at(8)) is None
    assert offsets(trail, at(2, "f"), at(3, "f")) == [3]
