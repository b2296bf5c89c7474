"""What the connections of one server share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

from ..causes import Aborted, Cause, Drain, OverLimit
from ..http.message import http_date
from ..net.runtime import Runtime
from ..net.stream import Stream, peer_name
from ..request import Request
from ..response import Response
from ..session import WebSocket
from .cors import Handler
from .entry.addresses import Addresses
from .entry.proxies import TrustedProxies
from .watch.counters import Counters
from .watch.observers import Observers

__all__ = ["Context", "ErrorHandler", "Tracked"]

ErrorHandler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]

logger = logging.getLogger("elio.server")


class Tracked(Protocol):
    """An HTTP connection, as far as the server that ends it needs it."""

    @property
    def is_leaving(self) -> bool:
        """Whether it has been told to end, and so has what it carries."""
        ...

    def shut_down(self) -> None:
        """Close when the present response is complete, or soon if there is none."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...


class Context:
    """The application, the options and the open connections of one server.

    Attributes:
        app: all routes as one handler.
        on_error: makes responses of exceptions; None for the built-in ones.
        origins: origins that WebSockets may come from; None for the server's own.
        allowed_hosts: host names that requests may be for, or None for loopback names only.
        scheme: ``http`` or ``https``.
        proxies: whose word about clients is believed; None for nobody's.
        addresses: how many connections each address has open.
        handshaking: connections with a TLS handshake that goes on.
        connections: HTTP connections that are open.
        websockets: WebSockets with the task that runs their handler.
        counters: what the server has seen.
        observers: who hears of begins and ends.
        closing: whether the server is going away.
        drain: the cause of ends while it does.
    """

    __slots__ = (
        "_date",
        "_date_second",
        "_empty",
        "access_log",
        "addresses",
        "allowed_hosts",
        "app",
        "closing",
        "connections",
        "counters",
        "drain",
        "handshaking",
        "observers",
        "on_error",
        "origins",
        "proxies",
        "runtime",
        "scheme",
        "websockets",
    )

    def __init__(
        self,
        app: Handler,
        runtime: Runtime,
        *,
        on_error: ErrorHandler | None,
        origins: Sequence[str] | None,
        allowed_hosts: Sequence[str] | None,
        scheme: str,
        counters: Counters,
        observers: Observers | None = None,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self.app = app
        self.runtime = runtime
        self.on_error = on_error
        self.origins = origins
        self.allowed_hosts = allowed_hosts
        self.scheme = scheme
        self.proxies = proxies
        self.addresses = Addresses(runtime.limits.max_connections_per_address, proxies)
        self.handshaking = 0
        self.access_log = logging.getLogger("elio.access")
        self.connections: dict[Tracked, None] = {}  # ordered, and a third of a set's size
        self.websockets: dict[WebSocket, asyncio.Task[Any]] = {}
        self.counters = counters
        self.observers = observers or Observers()
        self.closing = False
        self.drain = Drain()
        self._empty: asyncio.Future[None] | None = None
        self._date = ""
        self._date_second = -1

    def forget(self, gone: Tracked | WebSocket) -> None:
        """A connection has ended, or has become a WebSocket."""
        if isinstance(gone, WebSocket):
            self.websockets.pop(gone, None)
        else:
            self.connections.pop(gone, None)
        if self._empty is not None and not self._empty.done() and not self.connections and not self.websockets:
            self._empty.set_result(None)

    @property
    def open(self) -> int:
        """How many connections are open, WebSockets included."""
        return len(self.connections) + len(self.websockets)

    def enter(self, client: str | Stream) -> OverLimit | None:
        """A connection of this client is open, until ``addresses.leave``; it is among :attr:`open` already.

        Returns:
            The bound that it is beyond, if there is one; it is counted nevertheless.
        """
        return self.enter_address(client) or self._check("max_connections", self.open + self.handshaking)

    def enter_address(self, client: str | Stream) -> OverLimit | None:
        """The same for a client of a connection that has been let in."""
        return self._check("max_connections_per_address", self.addresses.enter(client))

    def _check(self, name: str, count: int) -> OverLimit | None:
        allowed = getattr(self.runtime.limits, name)
        if allowed is None or count <= allowed:
            return None
        self.counters.rejected += 1
        return OverLimit(name, count, allowed)

    def ended(self, protocol: str, cause: Cause | None, seconds: float, what: Request | str | Stream) -> None:
        """Every end of a connection comes by here, once.

        Args:
            protocol: ``"websocket"``, ``"sse"``, ``"http"``, or ``"tls"`` for a handshake that was never complete.
            cause: why; None where nobody has said it, which is a program that closed what is not its own.
            seconds: for how long it was open.
            what: the request that opened it, or the client.
        """
        cause = cause or Aborted()
        self.counters.count_end(protocol, cause)
        if cause.limit:
            self.counters.count_limit(cause.limit)
        if protocol != "http" and isinstance(what, Request):
            self.observers.ended(what, protocol, cause, seconds)
        level = logging.DEBUG if cause.is_ordinary else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, "%s of %s ended after %.1f s, %s", protocol, _name(what), seconds, cause)

    async def wait_empty(self) -> None:
        """Wait until no connection is left."""
        if self.connections or self.websockets:
            self._empty = self.runtime.loop.create_future()
            await self._empty

    def date(self) -> str:
        """The value of a Date header (RFC 9110 6.6.1), made once a second."""
        second = int(time.time())
        if second != self._date_second:
            self._date_second = second
            self._date = http_date(second)
        return self._date

    @property
    def logs_access(self) -> bool:
        """Whether anybody reads what :meth:`log_access` writes."""
        return self.access_log.isEnabledFor(logging.INFO)

    def log_access(self, request_line: str, client: str, status: int, seconds: float) -> None:
        """One line for one request. What the peer sent is escaped."""
        if self.logs_access:
            self.access_log.info("%s %s %d %.1fms", client or "-", ascii(request_line), status, seconds * 1000)


def _name(what: Request | str | Stream) -> str:
    """A connection for a person: its client, and the path of its request. What the peer sent is escaped."""
    if isinstance(what, Request):
        return f"{what.client or '-'} {what.path!a}"
    return (what if isinstance(what, str) else peer_name(what)) or "-"
