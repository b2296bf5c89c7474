"""What backends share whose engine is elsewhere: a link that comes and goes, a follower behind it, a watch over it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ...errors import ChannelError
from ..backend import History, Position, Receiver
from .follower import Follower
from .watch import Watch

__all__ = ["RemoteBackend"]


class RemoteBackend(ABC):
    """Half of a :class:`elio.channels.backend.Backend`, and the :class:`elio.channels.engines.follower.Source` of its
    follower. An engine says how to connect, how to subscribe and what to check.
    """

    def __init__(self) -> None:
        self._follower: Follower | None = None
        self._watch: Watch | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self, receiver: Receiver) -> None:
        """Connect."""
        self._follower = Follower(self, receiver)
        try:
            await self._connect()
        except BaseException:
            await self.close()
            raise
        self._watch = Watch(self._check, receiver, self._checked)
        self._watch.start()

    async def close(self) -> None:
        """Let go of everything."""
        if self._watch is not None:
            await self._watch.close()
        if self._follower is not None:
            await self._follower.close()
        await self._disconnect()

    @abstractmethod
    async def _connect(self) -> None:
        """Connect, in time."""

    @abstractmethod
    async def _disconnect(self) -> None:
        """Hang up, if there is anything to hang up."""

    @abstractmethod
    async def _check(self) -> None:
        """See that the engine answers; then let the follower compare positions.

        Raises:
            ChannelError: what is wrong.
        """

    @abstractmethod
    def _checked(self) -> None:
        """A check is over: give up what is overdue."""

    # -- what the link tells -------------------------------------------------------------------------------------------

    def came_back(self) -> None:
        """A connection was made, or made again: something may have been missed."""
        if self._watch is not None:
            self._watch.hurry()

    def went(self, why: str) -> None:
        """A connection was lost."""
        if self._watch is not None:
            self._watch.tell(False, why)

    def settled(self) -> None:
        """Nothing more came at once."""
        self._following.flush()

    # -- listening -----------------------------------------------------------------------------------------------------

    @property
    def _following(self) -> Follower:
        if self._follower is None:
            raise ChannelError("the backend has not been started")
        return self._follower

    async def listen(self, pattern: str) -> Mapping[str, Position]:
        """Give records of these channels to the receiver from now on."""
        follower = self._following
        is_new = pattern not in follower.patterns
        follower.expect(pattern)
        try:
            if is_new:
                await self._subscribe(pattern)
            return await follower.begin(pattern)
        except BaseException:
            if is_new:
                await self.stop_listening(pattern)
            raise

    async def stop_listening(self, pattern: str) -> None:
        """Undo :meth:`listen`."""
        self._following.stop(pattern)
        await self._unsubscribe(pattern)

    @abstractmethod
    async def _subscribe(self, pattern: str) -> None:
        """Records of a name or pattern come when this returns, and again with each new connection."""

    @abstractmethod
    async def _unsubscribe(self, pattern: str) -> None:
        """They come no more; nothing that goes wrong with the link is raised."""

    # -- what the follower asks ----------------------------------------------------------------------------------------

    @abstractmethod
    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        """Where channels are."""

    @abstractmethod
    async def matching(self, pattern: str, *, only_new: bool = False) -> Mapping[str, Position]:
        """Where channels are that a pattern stands for."""

    def start_of(self, channel: str, start: Position) -> Position:
        """A new channel begins where all do."""
        return start

    @abstractmethod
    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """Read what is kept."""
