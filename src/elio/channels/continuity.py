"""Continuity: what a record is, seen from the one before. No I/O and no clock.

For engines whose delivery may lose, repeat or reorder. A record says where the one before it is: one less than its own
offset, or, where offsets only grow, whatever the engine says.
"""

from __future__ import annotations

from enum import Enum, auto

from ._made import made
from .backend import Position

__all__ = ["Continuity", "Step"]


class Step(Enum):
    """What a record is."""

    NEXT = auto()
    """The one that was expected: give it on."""
    KNOWN = auto()
    """Given before, or published before listening began: drop it."""
    HOLE = auto()
    """Others are missing before it: fetch them from history."""
    OTHER_EPOCH = auto()
    """The engine lost its memory."""
    UNKNOWN = auto()
    """Nothing is known of its channel."""


class Continuity:
    """The positions of all channels that are listened to."""

    __slots__ = ("_positions",)

    def __init__(self) -> None:
        self._positions: dict[str, Position] = {}

    def __contains__(self, channel: str) -> bool:
        return channel in self._positions

    def __len__(self) -> int:
        return len(self._positions)

    def channels(self) -> list[str]:
        """The names of all channels that something is known of."""
        return list(self._positions)

    def position(self, channel: str) -> Position | None:
        """The last record that was given on, or where listening began."""
        return self._positions.get(channel)

    def start(self, channel: str, position: Position) -> None:
        """What follows goes on behind this position: listening began, or a gap was reported."""
        self._positions[channel] = position

    def forget(self, channel: str) -> None:
        """The channel is not listened to any more."""
        self._positions.pop(channel, None)

    def step(self, channel: str, epoch: str, offset: int, previous: int | None = None) -> Step:
        """What a record is. For ``NEXT`` its position becomes that of the channel; else nothing changes.

        Args:
            channel: of the record.
            epoch: of the record.
            offset: of the record.
            previous: offset of the record before it; None for one less.
        """
        last = self._positions.get(channel)
        if last is None:
            return Step.UNKNOWN
        if last.epoch != epoch:
            return Step.OTHER_EPOCH
        if offset <= last.offset:
            return Step.KNOWN
        if last.offset < (offset - 1 if previous is None else previous):
            return Step.HOLE
        self._positions[channel] = made(Position, (epoch, offset))
        return Step.NEXT

    def is_behind(self, channel: str, now: Position) -> bool:
        """Whether the engine has records, or another epoch, that this process has not seen."""
        last = self._positions.get(channel)
        return last is not None and (last.epoch != now.epoch or last.offset < now.offset)
