"""``Server``: listening sockets, the connections on them, and an orderly end; ``run`` does all of it for a program."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, cast

from ..errors import ConfigurationError
from ..limits import Limits
from ..net.listen import Address, is_loopback, open_sockets, url_of
from ..net.runtime import Runtime
from ..net.tls import TLS, server_context
from ..websocket.codes import CloseCode
from .connection import HttpConnection
from .context import Context
from .router import Router

__all__ = ["Server", "on_signals"]

logger = logging.getLogger("elio.server")


class Server:
    """A server for HTTP, WebSocket and Server-Sent Events on one address.

    ``async with Server(router, port=8080) as server`` starts it, and ends it in order at the end of the block.

    Args:
        router: the routes.
        host: a name or an IP address to listen on; "" is every interface.
        port: 0 for one that the system picks; :attr:`port` then tells.
        uds: listen on this path of a Unix socket instead.
        fd: listen on this inherited descriptor instead.
        tls: paths of certificate chain and private key, or an ``ssl.SSLContext``.
        limits: every bound.
        origins: origins that WebSockets may be opened from, such as ``https://example.com``, beside routes that name
            their own; ``"*"`` is any. The server's own origin only, by default.
        allowed_hosts: host names that requests may be for, such as ``example.com`` or ``*.example.com``. Any by
            default, but on a loopback address only loopback names.

    Raises:
        ConfigurationError: the files of ``tls`` cannot be used, or two routes are in each other's way.
    """

    def __init__(
        self,
        router: Router,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        uds: str | None = None,
        fd: int | None = None,
        tls: TLS | None = None,
        limits: Limits | None = None,
        origins: Sequence[str] | None = None,
        allowed_hosts: Sequence[str] | None = None,
    ) -> None:
        self._app = router.build()
        self._on_error = router.error_handler
        self._address = Address(host=host, port=port, uds=uds, fd=fd)
        self._tls: ssl.SSLContext | None = None if tls is None else server_context(tls)
        self._limits = limits or Limits()
        self._origins = origins
        self._allowed_hosts = allowed_hosts
        self._context: Context | None = None
        self._sockets: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []
        self._closed: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"<Server {', '.join(self.urls) or 'not started'}>"

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port it listens on; 0 for a Unix socket or before the start."""
        for sock in self._sockets:
            name = sock.getsockname()
            if isinstance(name, tuple):
                return int(name[1])
        return 0

    @property
    def urls(self) -> list[str]:
        """Where a person reaches it: URLs, or the path of a Unix socket."""
        return [url_of(sock, tls=self._tls is not None) for sock in self._sockets]

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections."""
        return bool(self._listeners)

    @property
    def connections(self) -> int:
        """How many connections are open, WebSockets and event streams included."""
        context = self._context
        return 0 if context is None else len(context.connections) + len(context.websockets)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and accept.

        Raises:
            ConfigurationError: the address cannot be used; nothing is open then.
        """
        if self._context is not None:
            raise ConfigurationError("the server was started already")
        loop = asyncio.get_running_loop()
        self._sockets = open_sockets(self._address, self._limits.backlog)
        hosts = self._allowed_hosts
        if hosts is None and not all(is_loopback(sock) for sock in self._sockets):
            hosts = ("*",)
        context = Context(
            self._app,
            Runtime(loop, self._limits),
            on_error=self._on_error,
            origins=self._origins,
            allowed_hosts=hosts,
            scheme="http" if self._tls is None else "https",
        )
        self._context = context
        self._closed = asyncio.Event()
        for sock in self._sockets:
            self._listeners.append(await self._listen(loop, sock, context))

    async def _listen(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, context: Context) -> asyncio.Server:
        def accept() -> asyncio.BaseProtocol:
            return cast(asyncio.BaseProtocol, HttpConnection(context))

        if self._tls is None:
            return await loop.create_server(accept, sock=sock, backlog=self._limits.backlog)
        return await loop.create_server(
            accept,
            sock=sock,
            backlog=self._limits.backlog,
            ssl=self._tls,
            ssl_handshake_timeout=self._limits.tls_handshake_timeout,
        )

    async def serve_forever(self) -> None:
        """Wait until the server is closed."""
        if self._closed is not None:
            await self._closed.wait()

    async def close(self, *, grace: float = 10.0, returning: bool = False) -> None:
        """End in order: stop accepting, answer what was asked, close WebSockets and event streams, then cut the rest.

        Args:
            grace: seconds after which what is still open is cut.
            returning: whether the server comes back at once: WebSockets are closed with 1012 then, else with 1001.
        """
        context = self._context
        if context is None or context.closing:
            return
        context.closing = True
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        code = CloseCode.SERVICE_RESTART if returning else CloseCode.GOING_AWAY
        for ws in list(context.websockets):
            ws.close_soon(code, "the server is restarting" if returning else "the server is going away")
        for connection in list(context.connections):
            connection.shut_down()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await context.wait_empty()
        await self._cut(context)
        self._release(context)

    async def _cut(self, context: Context) -> None:
        tasks = list(context.websockets.values())
        for ws, task in list(context.websockets.items()):
            ws.abort()
            task.cancel("the server is going away")
        for connection in list(context.connections):
            connection.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        await asyncio.sleep(0)

    def _release(self, context: Context) -> None:
        context.runtime.close()
        for sock in self._sockets:
            sock.close()
        if self._address.uds is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._address.uds)
        if self._closed is not None:
            self._closed.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def on_signals(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> Callable[[], None]:
    """Call back on SIGINT and SIGTERM.

    Returns:
        What undoes it.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            loop.add_signal_handler(number, callback)
    except NotImplementedError:  # Windows
        before = [signal.signal(number, lambda *_: loop.call_soon_threadsafe(callback)) for number in numbers]

        def restore() -> None:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

        return restore

    def remove() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    return remove
