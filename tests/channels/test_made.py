"""What is made past the constructor is what the constructor makes."""

from __future__ import annotations

from elio.channels._made import made
from elio.channels.backend import Position


def test_what_is_made_is_the_same_as_what_the_constructor_makes() -> None:
    position = made(Position, ("epoch", 7))
    assert type(position) is Position
    assert position == Position("epoch", 7)
    assert (position.epoch, position.offset) == ("epoch", 7)
