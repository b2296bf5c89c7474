"""``Server``: listening sockets, the connections on them, and an orderly end.

:func:`elio.run` does all of it for a program. Signals are its matter; nothing here knows of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from ..errors import ConfigurationError
from ..limits import Limits
from ..net.accept import Listening, listen, open_reactor
from ..net.listen import addresses, is_loopback, is_network, open_sockets, probe_silent_peers, url_of
from ..net.runtime import Departure, Runtime
from ..net.tls import TLS
from ..net.tls_stream import TlsRuntime, TlsStream
from .connection import HttpConnection
from .context import Context
from .entry.certificates import Certificates
from .entry.handshakes import Handshakes
from .entry.introduction import Introduction
from .entry.proxies import PROXY_HEADERS, TrustedProxies
from .process.drain import Drain, check_seconds
from .process.leash import Worker
from .router import Router
from .watch.counters import Counters
from .watch.figures import Figures
from .watch.loop_watch import LoopWatch
from .watch.silence import SilenceWatch
from .watch.survey import survey

if TYPE_CHECKING:
    from ..net.epoll.reactor import Reactor

__all__ = ["Server"]

logger = logging.getLogger("elio.server")

_SETTLE: Final = 4
"""Turns of the loop from the accept of a connection to the request that came with it."""

_LAST_WORDS: Final = 1.0
"""Seconds for handlers of WebSockets to end after they were cancelled."""


class Server:
    """A server for HTTP, WebSocket and Server-Sent Events on one address. It is started once and ended once.

    ``async with Server(router, port=8080) as server`` starts it, and ends it in order at the end of the block.

    Args:
        router: the routes.
        host: a name or an IP address to listen on; "" is every interface.
        port: 0 for one that the system picks; :attr:`port` then tells.
        uds: listen on this path of a Unix socket instead.
        fd: listen on this inherited descriptor instead, or on several. They stay open for who owns them.
        tls: paths of certificate chain and private key, an :class:`elio.TLSConfig` with more about them, or an
            ``ssl.SSLContext``. Files that change are read anew.
        limits: every bound.
        origins: origins that WebSockets may be opened from, such as ``https://example.com``, on routes that do not
            name their own; ``"*"`` is any. The server's own origin only, by default.
        allowed_hosts: host names that requests may be for, such as ``example.com`` or ``*.example.com``. Any by
            default, but on a loopback address only loopback names.
        trusted_proxies: addresses and networks of proxies, such as ``10.0.0.0/8``, and ``"unix"`` for whoever connects
            to a Unix socket. Only what these say about their clients is believed; nobody by default.
        proxy_headers: the headers that they say it with, each of which they set or remove themselves: some of
            ``X-Forwarded-For``, ``X-Forwarded-Proto`` and ``X-Forwarded-Host``, or ``Forwarded`` (RFC 7239) alone.
        proxy_protocol: whether each connection begins with a header of the PROXY protocol, version 1 or 2. Connections
            of others than ``trusted_proxies``, and without one, are cut off then.

        loop_warning: seconds from which on a blocked event loop is worth a warning in the log, which names the line;
            None for none, and for no thread that looks after it.

    Raises:
        ConfigurationError: the files of ``tls`` cannot be used, two routes are in each other's way, or the proxies
            cannot be as they are named.
    """

    def __init__(
        self,
        router: Router,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        uds: str | None = None,
        fd: int | Sequence[int] | None = None,
        tls: TLS | None = None,
        limits: Limits | None = None,
        origins: Sequence[str] | None = None,
        allowed_hosts: Sequence[str] | None = None,
        trusted_proxies: Sequence[str] = (),
        proxy_headers: Sequence[str] = PROXY_HEADERS,
        proxy_protocol: bool = False,
        loop_warning: float | None = 1.0,
    ) -> None:
        check_seconds(loop_warning=loop_warning)
        self._loop_warning = loop_warning
        self._watches: list[LoopWatch | SilenceWatch] = []
        self._proxies = _proxies(trusted_proxies, proxy_headers, proxy_protocol)
        self._introduces = proxy_protocol
        self._departure = Departure()
        self._counters = Counters()
        self._figures = Figures(self._counters, router.channels)
        self._app = router.build(self._departure, self._figures)
        self._observers = router.observers
        self._on_error = router.error_handler
        self._channels = router.channels
        self._addresses = addresses(host=host, port=port, uds=uds, fd=fd)
        self._certificates = None if tls is None else Certificates(tls)
        self._limits = limits or Limits()
        self._origins = origins
        self._allowed_hosts = allowed_hosts
        self._context: Context | None = None
        self._sockets: list[socket.socket] = []
        self._paths: list[tuple[str, tuple[int, int] | None]] = []
        self._listeners: list[Listening] = []
        self._reactor: Reactor | None = None
        self._port = 0
        self._urls: list[str] = []
        self._worker: Worker | None = None
        self._drain: Drain | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    def __repr__(self) -> str:
        state = ", closed" if self._closed.is_set() else ""
        return f"<Server {', '.join(self._urls) or 'not started'}{state}>"

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port it listens on, or has listened on; 0 for a Unix socket or before the start."""
        return self._port

    @property
    def urls(self) -> list[str]:
        """Where a person reaches it, or has reached it: URLs, or the path of a Unix socket."""
        return list(self._urls)

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections."""
        return bool(self._listeners) and self._ending is None

    @property
    def worker(self) -> Worker | None:
        """Which of several processes on one port this is, with its age; None if it is the only one."""
        return self._worker

    def serve_as(self, worker: Worker | None) -> None:
        """Be this worker. Called by :func:`elio.run`."""
        self._worker = worker

    @property
    def connections(self) -> int:
        """How many connections are open, WebSockets and event streams included."""
        context = self._context
        return 0 if context is None else context.open

    @property
    def counters(self) -> Counters:
        """What it has seen since it was made: connections, handshakes, ends by cause, bounds that were hit."""
        return self._counters

    @property
    def figures(self) -> Figures:
        """All that it can say of itself in numbers: what ``router.metrics`` shows."""
        return self._figures

    def survey(self) -> dict[str, Any]:
        """What is open right now, as values for JSON: see :func:`elio.server.watch.survey.survey`."""
        context = self._context
        return {} if context is None else survey(context, self._channels, self._worker)

    # -- start ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and accept.

        Raises:
            ConfigurationError: the address cannot be used (nothing is open then, and it may be tried again), or the
                server was started already.
            ChannelError: the engine of the router's channels cannot be reached; nothing is open then.
        """
        if self._context is not None:
            raise ConfigurationError("the server was started already")
        loop = asyncio.get_running_loop()
        if self._channels is not None:
            await self._channels.start()
        try:
            self._open()
            self._reactor = open_reactor(loop)
            self._context = context = self._make_context(loop)
            self._figures.observe(context)
            accept = self._make_accept(context)
            for sock in self._sockets:
                self._listeners.append(await self._listen(sock, accept))
            self._begin_watching(context)
        except BaseException:
            self._stop_listening()
            self._close_reactor()
            self._context = None
            self._port, self._urls = 0, []
            await self._close_channels()
            raise

    def _open(self) -> None:
        for address in self._addresses:
            opened = open_sockets(address, self._limits.backlog)
            self._sockets += opened
            if self._limits.unacknowledged_timeout is not None:
                for sock in opened:
                    probe_silent_peers(sock, self._limits.unacknowledged_timeout)
            if address.uds is not None and address.fd is None:
                self._paths.append((address.uds, _identity(address.uds)))
        names = [sock.getsockname() for sock in self._sockets]
        self._port = next((int(name[1]) for name in names if isinstance(name, tuple)), 0)
        # "Every interface" is two sockets, one for each version of IP, and one URL.
        self._urls = list(dict.fromkeys(url_of(sock, tls=self._certificates is not None) for sock in self._sockets))

    def _make_context(self, loop: asyncio.AbstractEventLoop) -> Context:
        hosts = self._allowed_hosts
        if hosts is None and not all(is_loopback(sock) for sock in self._sockets):
            hosts = ("*",)
        return Context(
            self._app,
            Runtime(loop, self._limits, batches=self._reactor, departure=self._departure, channels=self._channels),
            on_error=self._on_error,
            origins=self._origins,
            allowed_hosts=hosts,
            scheme="http" if self._certificates is None else "https",
            counters=self._counters,
            observers=self._observers,
            proxies=self._proxies,
        )

    def _make_accept(self, context: Context) -> Callable[[], Any]:
        """What makes the receiver of an accepted stream: the PROXY protocol where it is used, then TLS, then HTTP."""
        tls = self._make_tls(context)

        def make(client: str = "") -> HttpConnection | TlsStream:
            connection = HttpConnection(context, client)
            return connection if tls is None else TlsStream(tls, connection)

        if self._introduces and self._proxies is not None:
            return partial(Introduction, context, self._proxies, make)
        return make

    def _make_tls(self, context: Context) -> TlsRuntime | None:
        certificates = self._certificates
        if certificates is None:
            return None
        runtime = context.runtime
        timeout = self._limits.tls_handshake_timeout
        shared = TlsRuntime(runtime.loop, certificates.context, timeout, Handshakes(context))
        certificates.watch(runtime.timer, shared)
        return shared

    def _begin_watching(self, context: Context) -> None:
        runtime = context.runtime
        if self._loop_warning:
            self._watches.append(LoopWatch(runtime.loop, runtime.timer, self._loop_warning))
        timeout = self._limits.unacknowledged_timeout
        if timeout is not None and any(is_network(sock) for sock in self._sockets):
            self._watches.append(SilenceWatch(context, self._reactor, timeout))
        for watch in self._watches:
            watch.start()

    def _listen(self, sock: socket.socket, accept: Callable[[], Any]) -> Awaitable[Listening]:
        return listen(self._reactor, sock, accept, backlog=self._limits.backlog, on_error=_cannot_accept)

    def reload_certificates(self) -> bool:
        """Read the files of ``tls`` now, instead of at the next look at them. Open connections stay as they are.

        Returns:
            Whether there are files and they could be used; if not, what was read before stays.
        """
        return self._certificates is not None and self._certificates.reload()

    async def serve_forever(self) -> None:
        """Wait until the server is closed.

        Raises:
            ConfigurationError: it was not started.
        """
        if self._context is None:
            raise ConfigurationError("the server was not started")
        await self._closed.wait()

    # -- end -----------------------------------------------------------------------------------------------------------

    async def drain(self, *, window: float | None = None, grace: float = 10.0, returning: bool = False) -> None:
        """End in order: stop accepting, answer what was asked, close WebSockets and event streams, then cut the rest.

        From its beginning ``closing`` is true on every WebSocket and event stream, and readiness is red. Each of them
        gets its turn within the window: what was sent before goes out, a WebSocket is closed with a close frame, an
        event stream with its reconnection time, at random over as many seconds, and in full.

        Returns when all is closed. It may be called again, also while it goes on: what is over first of the times
        counts. The end goes on if this call is cancelled.

        Args:
            window: seconds over which the ends of connections are spread evenly, so that their peers do not come back
                all at once. By default 0.01 for each connection, at most 10.
            grace: seconds behind the window after which what is still open is cut.
            returning: whether the server comes back at once: WebSockets are closed with 1012 then, else with 1001.

        Raises:
            ConfigurationError: a time is negative or not finite; nothing has happened.
        """
        check_seconds(window=window, grace=grace)
        context = self._context
        if context is None:
            return
        drain = self._drain
        if drain is None:
            drain = self._drain = Drain(context, returning=returning)
        drain.bound(window, grace)
        if self._ending is None:
            self._ending = context.runtime.loop.create_task(self._end(context, drain))
        await asyncio.shield(self._ending)

    async def close(self, *, grace: float = 10.0) -> None:
        """End in order and at once: :meth:`drain` without a window."""
        await self.drain(window=0.0, grace=grace)

    async def _end(self, context: Context, drain: Drain) -> None:
        drain.begin()
        self._stop_accepting(context.runtime.loop)
        try:
            try:
                for _ in range(_SETTLE):
                    await asyncio.sleep(0)
                self._stop_listening()
                await drain.run()
            finally:
                self._stop_listening()
                tasks = drain.cut()
            if tasks:
                await asyncio.wait(tasks, timeout=_LAST_WORDS)
            await asyncio.sleep(0)
        finally:
            context.runtime.close()
            self._close_reactor()
            await self._close_channels()
            self._closed.set()

    async def _close_channels(self) -> None:
        if self._channels is not None:
            await self._channels.close()

    def _close_reactor(self) -> None:
        for watch in self._watches:
            watch.stop()
        self._watches.clear()
        if self._reactor is not None:
            self._reactor.close()
            self._reactor = None

    def _stop_accepting(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing comes any more while what was accepted has its first request read."""
        for sock in self._sockets:
            with contextlib.suppress(NotImplementedError):
                loop.remove_reader(sock)

    def _stop_listening(self) -> None:
        for path, identity in self._paths:  # before the sockets: whoever follows may take the path from now on
            if identity is not None and _identity(path) == identity:
                with contextlib.suppress(OSError):
                    os.unlink(path)
        for listener in self._listeners:
            listener.close()
        for sock in self._sockets:
            sock.close()
        self._paths.clear()
        self._listeners.clear()
        self._sockets.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _proxies(names: Sequence[str], headers: Sequence[str], introduces: bool) -> TrustedProxies | None:
    if names:
        return TrustedProxies(names, headers)
    if introduces:
        raise ConfigurationError("proxy_protocol needs trusted_proxies: whose headers are to be believed")
    return None


def _cannot_accept(error: OSError) -> None:
    logger.error("no connection can be accepted for the moment: %s", error.strerror)


def _identity(path: str) -> tuple[int, int] | None:
    """Which file a path names at present."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
