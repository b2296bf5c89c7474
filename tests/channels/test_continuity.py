"""What a record is, seen from the one before."""

from __future__ import annotations

from elio.channels.backend import Position
from elio.channels.continuity import Continuity, Step


def test_each_record_once_and_in_order() -> None:
    continuity = Continuity()
    assert continuity.step("a", "e", 1) is Step.UNKNOWN
    continuity.start("a", Position("e", 0))
    assert "a" in continuity
    assert [continuity.step("a", "e", offset) for offset in (1, 1, 2, 4, 3, 4, 2)] == [
        Step.NEXT,
        Step.KNOWN,
        Step.NEXT,
        Step.HOLE,
        Step.NEXT,
        Step.NEXT,
        Step.KNOWN,
    ]
    assert continuity.position("a") == Position("e", 4)


def test_another_epoch_is_no_step() -> None:
    continuity = Continuity()
    continuity.start("a", Position("e", 7))
    assert continuity.step("a", "f", 8) is Step.OTHER_EPOCH
    assert continuity.position("a") == Position("e", 7)
    continuity.start("a", Position("f", 0))
    assert continuity.step("a", "f", 1) is Step.NEXT


def test_being_behind() -> None:
    continuity = Continuity()
    continuity.start("a", Position("e", 7))
    assert not continuity.is_behind("a", Position("e", 7))
    assert not continuity.is_behind("a", Position("e", 6))
    assert continuity.is_behind("a", Position("e", 8))
    assert continuity.is_behind("a", Position("f", 1))
    assert not continuity.is_behind("b", Position("e", 8))


def test_forgetting() -> None:
    continuity = Continuity()
    continuity.start("a", Position("e", 7))
    assert (len(continuity), continuity.channels()) == (1, ["a"])
    continuity.forget("a")
    continuity.forget("a")
    assert continuity.step("a", "e", 8) is Step.UNKNOWN
    assert continuity.position("a") is None


def test_where_offsets_only_grow_a_record_says_which_one_is_before_it() -> None:
    continuity = Continuity()
    continuity.start("a", Position("e", 10))
    assert continuity.step("a", "e", 17, 10) is Step.NEXT
    assert continuity.step("a", "e", 30, 25) is Step.HOLE
    assert continuity.step("a", "e", 17, 10) is Step.KNOWN
    # The one before may have been dropped by now, or be older than where listening began.
    assert continuity.step("a", "e", 40, 0) is Step.NEXT
    assert continuity.position("a") == Position("e", 40)
