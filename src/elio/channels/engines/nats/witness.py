"""A witness: whether a stream still has what this process knows it to have had.

A server that was killed together with its machine may have forgotten the last messages that it acknowledged (its store
is synced every two minutes by default). It uses their sequences again. To whoever has seen the forgotten ones, the new
ones look old. So the newest record that is known is compared with what the stream has in its place, whenever the
connection is new: if that is another one, the stream begins another life, and positions of before are void.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...backend import Record
from .stream import State, Stream

__all__ = ["Witness"]

_SYNCED: Final = 300.0
"""Seconds behind which every message is taken to be on the disk, more than twice the default of the server."""


class Witness:
    """What one process has seen.

    Args:
        stream: which.
        clock: tells the time in seconds.
    """

    def __init__(self, stream: Stream, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._newest: Record | None = None
        self._seen_at = 0.0

    def saw(self, record: Record) -> None:
        """The stream has this record."""
        if self._newest is None or self._newest.offset < record.offset:
            self._newest = record
            self._seen_at = self._clock()

    def forget(self) -> None:
        """What was seen is of another life."""
        self._newest = None

    async def agrees(self, state: State, *, is_restarted: bool) -> bool:
        """Whether the stream still has the newest record that was seen.

        Args:
            state: of the stream, now.
            is_restarted: whether it may be another server than before. The record may have been dropped for good
                reasons; then only the same server is believed.

        Raises:
            EngineLost: it does not answer.
        """
        seen = self._newest
        if seen is None:
            return True
        if seen.offset > state.last:
            return False
        found = await self._stream.at(seen.offset)
        if found is not None:
            return found == (seen.channel, seen.payload)
        return not is_restarted or self._clock() - self._seen_at > _SYNCED
