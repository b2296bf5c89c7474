"""One server of Redis or Valkey: a line for commands and a line for news.

The *life* of a server is a word for its memory. As long as a server keeps what it acknowledged, its life stays the
same, over restarts too; if it may have lost some of it, its next life has another word, and positions of before are
void. It is taken as keeping if it writes an append-only file before it acknowledges (``appendfsync always``) and has
never taken over from another master. Any other one lives from start to start: with ``everysec`` it puts off writing
while the disk is busy, and a kill costs what was acknowledged meanwhile.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from ....errors import ChannelError, EngineError, EngineLost
from ..line import Line
from .resp import Listener, RespConnection
from .scripts import SCRIPTS, Script
from .url import Address, RedisURL

__all__ = ["Link", "Node", "master_by_sentinels", "parse_info"]

_NEVER: Final = "0" * 40
_CHUNK: Final = 500
"""Names in one command."""


class Link(Protocol):
    """Whose node it is."""

    def subscription(self, node: Node, pattern: str) -> tuple[str, Sequence[str]]:
        """Kind of pub/sub ("", "P" or "S") and names that stand for a name or pattern at a node."""
        ...

    def subscriptions_of(self, node: Node) -> Sequence[str]:
        """All that a node must have been asked for."""
        ...

    def news(self, name: bytes, data: bytes) -> None:
        """A message of pub/sub."""
        ...

    def settled(self) -> None:
        """All that came at once was told."""
        ...

    def came_back(self) -> None:
        """A line has a new connection."""
        ...

    def went(self, why: str) -> None:
        """A line lost its connection."""
        ...

    def moved(self) -> None:
        """A subscription ended without having been asked to."""
        ...


class Node(Listener):
    """A server and the connections to it.

    Args:
        url: user, password, database, TLS.
        address: of the server.
        timeout: seconds for an attempt to connect.
        tls: None trusts what the system trusts.
        link: told what comes.

    Attributes:
        command_line: for commands.
        news_line: for pub/sub.
        life: the word for its memory.
        find: asked for the address before each attempt.
    """

    def __init__(
        self, url: RedisURL, address: Address, *, timeout: float, tls: ssl.SSLContext | None, link: Link
    ) -> None:
        self.life = "unknown"
        self.find: Callable[[], Awaitable[Address]] | None = None
        self._url = url
        self._address = address
        self._tls = tls
        self._link = link
        self._leaving: set[bytes] = set()
        name = f"redis at {address[0]}:{address[1]}" if address[1] else f"redis at {address[0]}"
        self.command_line = Line(name, self._open_commands, on_up=self._commands_up, on_down=link.went, timeout=timeout)
        self.news_line = Line(name, self._open_news, on_up=self._news_up, on_down=link.went, timeout=timeout)

    def start(self) -> None:
        """Connect, and stay so."""
        self.command_line.start()
        self.news_line.start()

    async def close(self) -> None:
        """Hang up."""
        await self.command_line.close()
        await self.news_line.close()

    async def ready(self, timeout: float) -> None:
        """Wait for both lines."""
        await self.command_line.ready(timeout)
        await self.news_line.ready(timeout)

    # -- commands ------------------------------------------------------------------------------------------------------

    async def commands_ready(self, timeout: float | None) -> RespConnection:
        """Wait for the line for commands, and until it takes more."""
        connection = await self.command_line.ready(timeout)
        await connection.room()
        return connection

    async def load(self, script: Script) -> None:
        """Bring a script along."""
        connection = await self.command_line.ready(0.0)
        await connection.execute("SCRIPT", "LOAD", script.text)

    def leave(self, why: str) -> None:
        """It is not the server that it was: connect again."""
        for line in (self.command_line, self.news_line):
            if line.connection is not None:
                line.connection.abort(why)

    async def _open_commands(self, on_lost: Callable[[str], object]) -> RespConnection:
        if self.find is not None:
            address = await self.find()
            if address != self._address and self.news_line.connection is not None:
                self.news_line.connection.abort("the master is elsewhere now")
            self._address = address
        return await open_connection(self._url, self._address, self._tls, on_lost)

    async def _commands_up(self, connection: RespConnection) -> None:
        self.life = await life_of(connection)
        for script in SCRIPTS:
            await connection.execute("SCRIPT", "LOAD", script.text)
        self._link.came_back()

    # -- news ----------------------------------------------------------------------------------------------------------

    async def _open_news(self, on_lost: Callable[[str], object]) -> RespConnection:
        return await open_connection(self._url, self._address, self._tls, on_lost, self)

    async def _news_up(self, connection: RespConnection) -> None:
        self._send("SUBSCRIBE", self._link.subscriptions_of(self), connection)
        await connection.execute("PING")
        self._link.came_back()

    async def subscribe(self, patterns: Sequence[str], timeout: float) -> None:
        """News of these come when this returns."""
        connection = await self.news_line.ready(timeout)
        self._send("SUBSCRIBE", patterns, connection)
        await connection.execute("PING")

    def resubscribe(self) -> None:
        """Subscribe to all that is wanted of this node."""
        if self.news_line.connection is not None:
            self._send("SUBSCRIBE", self._link.subscriptions_of(self), self.news_line.connection)

    def unsubscribe(self, pattern: str) -> None:
        """News of it are not wanted any more."""
        if self.news_line.connection is not None:
            kind, names = self._link.subscription(self, pattern)
            if kind == "S":
                self._leaving.update(name.encode() for name in names)
            self._send("UNSUBSCRIBE", [pattern], self.news_line.connection)

    def _send(self, verb: str, patterns: Iterable[str], connection: RespConnection) -> None:
        """Subscribe or unsubscribe, many names at once."""
        names: dict[str, list[str]] = {}
        for pattern in patterns:
            kind, wanted = self._link.subscription(self, pattern)
            names.setdefault(kind, []).extend(wanted)
        for kind, wanted in names.items():
            # In a cluster, the names of one command must lie in one slot.
            size = 1 if kind == "S" else _CHUNK
            for start in range(0, len(wanted), size):
                connection.send(kind + verb, *wanted[start : start + size])

    def news(self, channel: bytes, data: bytes) -> None:
        """A message of pub/sub."""
        self._link.news(channel, data)

    def settled(self) -> None:
        """All that came at once was told."""
        self._link.settled()

    def changed(self, verb: bytes, name: bytes) -> None:
        """The server sends news of a name from now on, or does so no more."""
        if verb != b"sunsubscribe":
            return
        if name in self._leaving:
            self._leaving.discard(name)
        else:
            self._link.moved()

    # -- faults --------------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """See that it answers on both lines, and what has become of it.

        Raises:
            ChannelError: it does not, or is no master any more.
        """
        connection = await self.command_line.ready(0.0)
        self.life = await life_of(connection)
        await (await self.news_line.ready(0.0)).execute("PING")

    def watch(self, timeout: float) -> None:
        """Give up connections whose answers are overdue."""
        for line in (self.command_line, self.news_line):
            if line.connection is not None:
                line.connection.check(timeout)


async def open_connection(
    url: RedisURL,
    address: Address,
    tls: ssl.SSLContext | None,
    on_lost: Callable[[str], object],
    listener: Listener | None = None,
) -> RespConnection:
    """Connect, log in, and choose the database."""
    loop = asyncio.get_running_loop()
    host, port = address
    if port == 0:
        _, connection = await loop.create_unix_connection(lambda: RespConnection(on_lost, listener), host)
    else:
        context = (tls or ssl.create_default_context()) if url.has_tls else None
        _, connection = await loop.create_connection(lambda: RespConnection(on_lost, listener), host, port, ssl=context)
    try:
        if url.password:
            await connection.execute("AUTH", *filter(None, [url.username]), url.password)
        if url.database:
            await connection.execute("SELECT", url.database)
    except BaseException:
        connection.abort("it could not be used")
        raise
    return connection


def parse_info(text: bytes) -> Mapping[str, str]:
    """The answer of INFO as a mapping."""
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, _, value in lines if value}


async def life_of(connection: RespConnection) -> str:
    """The word for the memory of a server.

    Raises:
        EngineLost: it is no master, is loading what it kept, or does not answer.
    """
    try:
        *sections, synced = await asyncio.gather(
            *(connection.execute("INFO", name) for name in ("server", "persistence", "replication")),
            _sync_policy(connection),
        )
    except EngineLost:
        raise
    except EngineError:
        # Some providers hide it. Then only what positions say counts.
        return "unknown"
    server, persistence, replication = map(parse_info, sections)
    refused = ""
    if replication.get("role", "master") != "master":
        refused = "it is a replica now"
    elif "1" in (persistence.get("loading"), persistence.get("async_loading")):
        # Meanwhile it says that it writes no append-only file.
        refused = "it is still loading"
    if refused:
        connection.abort(refused)
        raise EngineLost(refused)
    is_synced = persistence.get("aof_enabled") == "1" and synced == b"always"
    if is_synced and replication.get("master_replid2", _NEVER) == _NEVER:
        return "kept"
    return server.get("run_id", "unknown")


async def _sync_policy(connection: RespConnection) -> bytes:
    """When the server syncs its append-only file; b"" where it does not say."""
    try:
        _, policy = await connection.execute("CONFIG", "GET", "appendfsync")
    except EngineLost:
        raise
    except (EngineError, ValueError):
        return b""
    return bytes(policy)


async def master_by_sentinels(url: RedisURL, tls: ssl.SSLContext | None) -> Address:
    """Ask the sentinels for the master; the first one that knows decides.

    Raises:
        EngineLost: none of them knows.
    """
    reason = ""
    plain = RedisURL(url.kind, url.addresses, url.has_tls)
    for address in url.addresses:
        try:
            connection = await open_connection(plain, address, tls, _ignore)
        except (OSError, ChannelError) as error:
            reason = str(error)
            continue
        try:
            found = await connection.execute("SENTINEL", "get-master-addr-by-name", url.service)
        except ChannelError as error:
            reason = str(error)
            continue
        finally:
            connection.abort("asked")
        if found:
            return found[0].decode(), int(found[1])
        reason = f"there is no master {url.service!r}"
    raise EngineLost(f"no sentinel knows the master: {reason}")


def _ignore(why: str) -> None:
    """A connection to a sentinel is for one question."""
