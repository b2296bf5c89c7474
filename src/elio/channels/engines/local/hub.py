"""The hub: what the processes of one machine meet at. A supervisor runs it beside its workers.

It is the engine in memory behind a Unix socket. Whoever may open the socket may do everything: its folder says who that
is. When the hub ends its memory is gone, and the next one has another epoch.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ....errors import ChannelError, ConfigurationError
from ....net.transports.acceptor import Acceptor
from ...backend import GapReason, History, Lease, Position, Record
from ...names import is_pattern, matches
from ..memory import MemoryBackend
from .frames import FrameProtocol, frame
from .lock import PathLock

__all__ = ["LocalHub"]

_MAX_WAITING: Final = 64 * 1024 * 1024
"""Bytes that wait for a process which does not read. Over that it is cut off, and finds in history what it missed."""

_BACKLOG: Final = 100

_Head = dict[str, Any]
_Answer = tuple[dict[str, object], bytes]


class LocalHub:
    """Listens on a Unix socket.

    Args:
        path: of the socket; what an earlier hub left there is replaced. One hub at a time has it.
        history: records kept of each channel.
        ttl: seconds for which a record is kept.

    Attributes:
        url: what the processes are told, in the environment variable ``ELIO_CHANNELS``.
    """

    def __init__(self, path: str | os.PathLike[str], *, history: int = 1000, ttl: float = 300.0) -> None:
        self._path = Path(path)
        self.url = f"local:{self._path}"
        self.backend = MemoryBackend(history=history, ttl=ttl)
        self.listened: Counter[str] = Counter()
        self._peers: set[_Peer] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._acceptor: Acceptor | None = None
        self._lock = PathLock(self._path)

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the socket cannot be made, or is another hub's.
        """
        if not await self.try_start():
            raise ConfigurationError(f"the hub of the channels cannot listen on {self._path}: another one does")

    async def try_start(self) -> bool:
        """Listen, unless another hub does.

        Returns:
            Whether this one does now.

        Raises:
            ConfigurationError: the socket cannot be made.
        """
        try:
            if not self._lock.acquire():
                return False
            await self.backend.start(self)
            with suppress(FileNotFoundError):
                self._path.unlink()
            self._listen()
            return True
        except OSError as error:
            await self.close()
            raise ConfigurationError(f"the hub of the channels cannot listen on {self._path}: {error}") from error
        except BaseException:
            await self.close()
            raise

    def _listen(self) -> None:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.bind(str(self._path))
            self._path.chmod(0o600)
            loop = asyncio.get_running_loop()
            self._acceptor = Acceptor(loop, sock, lambda: self, wrap=_Peer, backlog=_BACKLOG)
        except BaseException:
            sock.close()
            self._path.unlink(missing_ok=True)
            raise

    async def close(self) -> None:
        """Cut all connections, and forget everything."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None:
            acceptor.close()
            await acceptor.opened()  # who is just arriving is cut off, too
            for peer in list(self._peers):
                peer.abort("the hub ends")
            await self._is_empty.wait()
            with suppress(FileNotFoundError):
                self._path.unlink()
        self._lock.release()
        await self.backend.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # -- what the engine in memory tells -------------------------------------------------------------------------------

    def records(self, records: Sequence[Record]) -> None:
        """Give records to all who listen to their channels."""
        for record in records:
            data = b""
            for peer in self._peers:
                if peer.wants(record.channel):
                    data = data or frame({"record": [record.channel, record.epoch, record.offset]}, record.payload)
                    peer.give(data)

    def gap(self, channel: str, reason: GapReason, missed: int | None, position: Position) -> None:
        """Memory misses nothing."""

    def health(self, is_healthy: bool, why: str) -> None:
        """Memory is always well."""

    def arrived(self, peer: _Peer) -> None:
        """A process has connected."""
        self._peers.add(peer)
        self._is_empty.clear()

    def left(self, peer: _Peer) -> None:
        """A process has gone, and listens no more."""
        self._peers.discard(peer)
        if not self._peers:
            self._is_empty.set()


class _Peer(FrameProtocol):
    """One process, as the hub sees it. Its requests are served one after the other."""

    def __init__(self, hub: LocalHub) -> None:
        super().__init__()
        self._hub = hub
        self._names: set[str] = set()
        self._patterns: set[str] = set()
        self._requests: asyncio.Queue[tuple[_Head, bytes]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._operations: dict[str, Callable[[_Head, bytes], Awaitable[_Answer]]] = {
            "publish": self._publish,
            "listen": self._listen,
            "stop": self._stop,
            "matching": self._matching,
            "positions": self._positions,
            "history": self._history,
            "hold": self._hold,
            "release": self._release,
            "members": self._members,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._hub.arrived(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def lost(self, why: str) -> None:
        self._hub.left(self)
        if self._task is not None:
            self._task.cancel()

    def received(self, head: dict[str, Any], body: bytes) -> None:
        self._requests.put_nowait((head, body))

    def wants(self, channel: str) -> bool:
        """Whether it listens to a channel."""
        return channel in self._names or any(matches(pattern, channel) for pattern in self._patterns)

    def give(self, data: bytes) -> None:
        """Send a record; cut it off if it does not read."""
        if self.waiting > _MAX_WAITING:
            self.abort(f"{self.waiting} bytes wait, limit {_MAX_WAITING}")
        else:
            with suppress(ChannelError):
                self.send_frame(data)

    async def _serve(self) -> None:
        try:
            while True:
                await self._answer(*await self._requests.get())
        finally:
            for pattern in (*self._names, *self._patterns):
                await self._forget(pattern)

    async def _answer(self, head: dict[str, Any], body: bytes) -> None:
        try:
            answer, content = await self._operations[head["op"]](head, body)
        except (LookupError, TypeError, ValueError) as error:
            answer, content = {"error": f"not a request of this protocol: {error!r}"}, b""
        with suppress(ChannelError):
            self.send({"id": head.get("id"), **answer}, content)

    # -- requests ------------------------------------------------------------------------------------------------------

    async def _publish(self, head: _Head, body: bytes) -> _Answer:
        return {"at": await self._hub.backend.publish(head["channel"], body, idempotency_key=head["key"])}, b""

    async def _listen(self, head: _Head, body: bytes) -> _Answer:
        pattern = head["pattern"]
        known = self._patterns if is_pattern(pattern) else self._names
        if pattern not in known:
            known.add(pattern)
            self._hub.listened[pattern] += 1
        return {"at": dict(await self._hub.backend.listen(pattern))}, b""

    async def _matching(self, head: _Head, body: bytes) -> _Answer:
        if head["pattern"] not in self._patterns:
            raise LookupError("it is not listened to")
        return await self._listen(head, body)

    async def _stop(self, head: _Head, body: bytes) -> _Answer:
        pattern = head["pattern"]
        if pattern in self._names or pattern in self._patterns:
            self._names.discard(pattern)
            self._patterns.discard(pattern)
            await self._forget(pattern)
        return {}, b""

    async def _forget(self, pattern: str) -> None:
        self._hub.listened[pattern] -= 1
        if not self._hub.listened[pattern]:
            del self._hub.listened[pattern]
            await self._hub.backend.stop_listening(pattern)

    async def _positions(self, head: _Head, body: bytes) -> _Answer:
        return {"at": [self._hub.backend.position(channel) for channel in head["channels"]]}, b""

    async def _history(self, head: _Head, body: bytes) -> _Answer:
        after = None if head["after"] is None else Position(*head["after"])
        read = await self._hub.backend.history(head["channel"], after, head["limit"])
        return _history_frame(read)

    async def _hold(self, head: _Head, body: bytes) -> _Answer:
        await self._hub.backend.hold([Lease(*lease) for lease in head["leases"]], head["ttl"])
        return {}, b""

    async def _release(self, head: _Head, body: bytes) -> _Answer:
        await self._hub.backend.release(Lease(*head["lease"]), head["linger"])
        return {}, b""

    async def _members(self, head: _Head, body: bytes) -> _Answer:
        return {"members": dict(await self._hub.backend.members(head["channel"]))}, b""


def _history_frame(read: History) -> _Answer:
    head: dict[str, object] = {
        "at": read.position,
        "complete": read.is_complete,
        "records": [(record.offset, len(record.payload)) for record in read.records],
    }
    return head, b"".join(record.payload for record in read.records)
