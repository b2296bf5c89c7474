"""The history of one channel in memory."""

from __future__ import annotations

from elio.channels.backend import Position, Record
from elio.channels.engines.log import Log


def filled(count: int, start: int = 0) -> Log:
    log = Log("a", Position("e", start))
    for number in range(count):
        log.append(b"%d" % number, None, float(number))
    return log


def offsets(records: object) -> list[int]:
    return [record.offset for record in records]  # type: ignore[attr-defined]


def test_records_are_counted_from_one() -> None:
    log = filled(0)
    assert log.append(b"x", None, 1.0) == Record("a", "e", 1, b"x")
    assert log.position == Position("e", 1)
    assert (len(log), log.size, log.last_time) == (1, 1, 1.0)


def test_reading_behind_a_position() -> None:
    log = filled(5)
    for after, limit, expected in ((0, 9, [1, 2, 3, 4, 5]), (3, 9, [4, 5]), (1, 2, [2, 3]), (5, 9, [])):
        read = log.read(Position("e", after), limit)
        assert (offsets(read.records), read.is_complete, read.position) == (expected, True, Position("e", 5))


def test_reading_what_is_not_there_gives_what_is() -> None:
    log = filled(5)
    log.trim(count=3, size=100, since=0.0)
    for after in (Position("e", 1), Position("other", 3), Position("e", 6)):
        read = log.read(after, 9)
        assert (offsets(read.records), read.is_complete) == ([3, 4, 5], False)
    assert log.read(Position("e", 2), 9).is_complete


def test_the_newest_are_complete_if_they_are_all() -> None:
    assert filled(5).read(None, 5).is_complete
    assert offsets(filled(5).read(None, 2).records) == [4, 5]
    assert not filled(5).read(None, 4).is_complete
    assert not filled(5, start=7).read(None, 9).is_complete
    assert filled(0).read(None, 9).is_complete


def test_trimming_by_number_bytes_and_time() -> None:
    log = filled(10)
    log.trim(count=8, size=100, since=0.0)
    assert (len(log), log.size) == (8, 8)
    log.trim(count=8, size=5, since=0.0)
    assert (len(log), log.size) == (5, 5)
    log.trim(count=8, size=5, since=8.0)
    assert offsets(log.read(None, 9).records) == [9, 10]
    log.trim(count=0, size=0, since=0.0)
    assert (len(log), log.size, log.last_time, log.position.offset) == (0, 0, 0.0, 10)


def test_keys_are_known_as_long_as_their_records() -> None:
    log = filled(0)
    log.append(b"1", "k", 0.0)
    assert log.known("k") == Position("e", 1)
    assert log.known(None) is None
    log.trim(count=0, size=0, since=0.0)
    assert log.known("k") is None
