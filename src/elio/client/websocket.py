"""``connect``: the client's side of a WebSocket's opening (RFC 6455 4.1), once or again and again.

What comes of it is the class ``WebSocket``, the same as on the server. Here is how it is come by: as a context manager,
by awaiting it, or as an iteration that connects anew whenever a connection has ended.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final

from ..errors import ConnectError, HandshakeError, InvalidURL, LocalProtocolError
from ..headers import Headers, HeadersLike
from ..limits import UNSET, Limits, with_bounds
from ..net.client_loop import ClientLoop
from ..net.dial import Route
from ..net.dial.proxy import ENVIRONMENT
from ..net.stream import Stream
from ..session import WebSocket
from ..url import URL
from ..version import VERSION
from ..websocket.codes import CloseCode
from ..websocket.connection import Connection, Role
from ..websocket.deflate import DeflateOptions
from ..websocket.handshake import build_request, check_response, generate_key
from .backoff import Backoff, Change, ConnectionState, Reconnect
from .http import ClientResponse, open_response
from .outbox import Outbox
from .request import Auth, authorization

__all__ = ["Connector", "connect"]

USER_AGENT: Final = f"elio/{VERSION}"
_MAX_BODY: Final = 64 * 1024
"""Bytes of the body of a refusal that :class:`HandshakeError` carries."""
_BODY_TIMEOUT: Final = 2.0
"""Seconds for them."""


def connect(
    url: str,
    *,
    subprotocols: Sequence[str] = (),
    origin: str | None = None,
    headers: HeadersLike = (),
    secret_headers: Sequence[str] = (),
    user_agent: str | None = USER_AGENT,
    auth: Auth | None = None,
    compression: DeflateOptions | bool = True,
    tls: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    proxy: str | None = ENVIRONMENT,
    local_address: tuple[str, int] | None = None,
    sock: socket.socket | None = None,
    uds: str | None = None,
    limits: Limits | None = None,
    open_timeout: float | None = UNSET,
    max_message_size: int | None = UNSET,
    ping_interval: float | None = UNSET,
    ping_timeout: float | None = UNSET,
    close_timeout: float = UNSET,
    reconnect: Reconnect | None = None,
    keep: int | None = None,
    on_change: Callable[[Change], object] | None = None,
) -> Connector:
    """Connect to a WebSocket server.

    ::

        async with elio.connect(url) as ws: ...     # closed at the end of the block
        ws = await elio.connect(url)                # to be closed by the caller
        async for ws in elio.connect(url): ...      # one connection after the other, for ever

    Args:
        url: ws, wss or ws+unix. A user and password in it become Basic authentication.
        subprotocols: in order of preference; :attr:`elio.WebSocket.subprotocol` tells what the server chose.
        origin: the ``Origin`` header, which servers may check; none by default.
        headers: further headers of the handshake.
        secret_headers: names of those that no other origin gets to see if the server redirects. ``Authorization``,
            ``Cookie`` and ``Proxy-Authorization`` never go there.
        user_agent: the ``User-Agent`` header; ``None`` for none.
        auth: user and password for Basic authentication, or a token for Bearer.
        compression: permessage-deflate (RFC 7692): its options, True for the defaults, False for none.
        tls: a context for wss; the system's authorities are trusted without one.
        server_hostname: the name that the certificate must have, instead of the URL's.
        proxy: ``http://``, ``socks4://``, ``socks4a://``, ``socks5://`` or ``socks5h://``, with or without user and
            password; ``"environment"`` for what ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` say,
            ``None`` for none.
        local_address: address and port of this machine to connect from.
        sock: a connected socket to use. It belongs to the connection then.
        uds: path of a Unix socket to connect to instead of the URL's host.
        limits: every bound.
        open_timeout: and what follows up to ``close_timeout``: the bound of that name in :class:`elio.Limits`.
        max_message_size: see there.
        ping_interval: see there.
        ping_timeout: see there.
        close_timeout: see there.
        reconnect: how an iteration comes back, and from what it does not.
        keep: messages that :meth:`Connector.send` holds until the server has them, over several connections.
        on_change: told whatever changes with the connection during an iteration.

    Raises:
        InvalidURL: the URL is none of a WebSocket.
        InvalidHeader: a header or subprotocol that would break the wire, or one that the handshake itself sets.
        ConfigurationError: a bound or a proxy that cannot be used.
    """
    bounds = with_bounds(
        limits,
        open_timeout=open_timeout,
        max_message_size=max_message_size,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        close_timeout=close_timeout,
    )
    made = _request_headers(headers, user_agent, auth)
    deflate = DeflateOptions() if compression is True else compression or None
    handshake = _Handshake(
        url, subprotocols=subprotocols, origin=origin, headers=made, secrets=secret_headers, deflate=deflate
    )
    route = Route(
        tls=tls, server_hostname=server_hostname, proxy=proxy, local_address=local_address, sock=sock, uds=uds
    )
    outbox = None if keep is None else Outbox(keep)
    return Connector(handshake, route, bounds, reconnect=reconnect or Reconnect(), outbox=outbox, on_change=on_change)


def _request_headers(headers: HeadersLike, user_agent: str | None, auth: Auth | None) -> Headers:
    made = Headers(headers)
    if auth is not None:
        made["Authorization"] = authorization(auth)
    if user_agent is not None:
        made.setdefault("User-Agent", user_agent)
    return made


class _Handshake:
    """What is asked for, and the check of the answer. Each server that is asked gets a key of its own."""

    __slots__ = ("_deflate", "_key", "_origin", "_subprotocols", "headers", "secrets", "url")

    def __init__(
        self,
        url: str,
        *,
        subprotocols: Sequence[str],
        origin: str | None,
        headers: Headers,
        secrets: Sequence[str],
        deflate: DeflateOptions | None,
    ) -> None:
        self.url = URL.parse(url)
        if not self.url.is_websocket:
            raise InvalidURL(f"scheme {self.url.scheme!r} is not ws, wss or ws+unix", url=url)
        self._subprotocols = [subprotocols] if isinstance(subprotocols, str) else list(subprotocols)
        self._origin = origin
        self._deflate = deflate
        self._key = ""
        self.headers = headers
        self.secrets = secrets
        self._build(headers)  # whatever is wrong is told before anything is opened

    def _build(self, headers: HeadersLike) -> Headers:
        self._key = generate_key()
        _, request = build_request(
            self.url,
            key=self._key,
            subprotocols=self._subprotocols,
            deflate=self._deflate,
            origin=self._origin,
            headers=headers,
        )
        return request

    def fresh(self) -> Headers:
        """The headers of the handshake itself, with a new key."""
        request = self._build(())
        del request["Host"]
        return request

    def make_websocket(self, response: ClientResponse, limits: Limits) -> WebSocket:
        """Check the answer of the server and take over its stream.

        Raises:
            HandshakeError: it does not open a WebSocket.
            ConnectError: the connection broke right behind the answer.
        """
        agreement = check_response(
            response.status,
            response.headers,
            key=self._key,
            subprotocols=self._subprotocols,
            deflate=self._deflate,
        )
        stream, rest = response.upgrade()
        connection = Connection(
            Role.CLIENT,
            deflate=agreement.deflate,
            max_message_size=limits.max_message_size,
            max_fragments=limits.max_fragments,
            max_empty_frames=limits.max_empty_frames,
        )
        stream.set_write_buffer_limits(high=limits.write_limit)
        runtime = ClientLoop.current().runtime(limits)
        ws = WebSocket(connection, stream, runtime, subprotocol=agreement.subprotocol)
        ws.response_headers = response.headers
        stream.set_protocol(ws)
        if rest:
            # Not now: who waits for the first message is then there to answer it before whatever ends the connection.
            runtime.loop.call_soon(_begin, ws, stream, rest)
        else:
            stream.resume_reading()
        return ws


def _begin(ws: WebSocket, stream: Stream, rest: bytes) -> None:
    stream.resume_reading()
    ws.data_received(rest)


class Connector:
    """What :func:`elio.connect` returns: a connection to be made, once or again and again."""

    __slots__ = ("_handshake", "_limits", "_on_change", "_outbox", "_policy", "_route", "_ws")

    def __init__(
        self,
        handshake: _Handshake,
        route: Route,
        limits: Limits,
        *,
        reconnect: Reconnect,
        outbox: Outbox | None,
        on_change: Callable[[Change], object] | None,
    ) -> None:
        self._handshake = handshake
        self._route = route
        self._limits = limits
        self._policy = reconnect
        self._outbox = outbox
        self._on_change = on_change
        self._ws: WebSocket | None = None

    def __repr__(self) -> str:
        return f"<Connector {self._handshake.url}>"

    async def open(self) -> WebSocket:
        """Connect once.

        Raises:
            ConnectError: the server cannot be reached, or does not answer in time.
            HandshakeError: it, or a proxy, refuses or does not speak the protocol; with status, headers and body.
        """
        handshake = self._handshake
        response = await open_response(
            "GET",
            handshake.url,
            handshake.headers,
            route=self._route,
            limits=self._limits,
            timeout=self._limits.open_timeout,
            max_redirects=self._limits.max_redirects,
            secrets=handshake.secrets,
            each_time=handshake.fresh,
        )
        try:
            return handshake.make_websocket(response, self._limits)
        except HandshakeError as error:
            if response.status != 101:
                error.body = await response.read(_MAX_BODY, timeout=_BODY_TIMEOUT)
            raise
        finally:
            response.abort()

    def __await__(self) -> Generator[Any, None, WebSocket]:
        return self.open().__await__()

    async def __aenter__(self) -> WebSocket:
        if self._ws is not None:
            raise LocalProtocolError("the block of this connection has begun already; call connect() for another one")
        self._ws = await self.open()
        return self._ws

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ws, self._ws = self._ws, None
        if ws is None:
            return
        code = CloseCode.NORMAL
        if kind is not None:
            code = CloseCode.INTERNAL_ERROR if issubclass(kind, Exception) else CloseCode.GOING_AWAY
        try:
            await ws.close(code)
        except BaseException:
            ws.abort()  # cancelled while it waited for the server: nobody else will close it
            raise

    # -- again and again -----------------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[WebSocket]:
        """One connection after the other, each closed before the next one is made.

        Raises:
            ElioError: what ended it for good; see :class:`elio.Reconnect`.
        """
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._policy)
        error: Exception | None = None
        try:
            while True:
                self._tell(ConnectionState.CONNECTING, attempt=backoff.attempt, error=error)
                try:
                    ws = await self.open()
                except (ConnectError, HandshakeError) as failure:
                    error = failure
                else:
                    backoff.opened(loop.time())
                    self._tell(ConnectionState.OPEN, attempt=backoff.attempt)
                    async with self._lent(ws):
                        yield ws
                    error = ws.end
                delay = backoff.lost(loop.time(), error)
                if delay is None:
                    break
                self._tell(ConnectionState.WAITING, attempt=backoff.attempt, delay=delay, error=error)
                await asyncio.sleep(delay)
        finally:
            if self._outbox is not None:
                self._outbox.close()
            self._tell(ConnectionState.CLOSED, error=error)
        if error is not None:
            raise error

    @asynccontextmanager
    async def _lent(self, ws: WebSocket) -> AsyncIterator[None]:
        """What is kept goes over this connection while the program has it; then it is closed."""
        outbox = self._outbox
        serving = None if outbox is None else asyncio.ensure_future(outbox.serve(ws))
        try:
            yield
        finally:
            await ws.close()
            if outbox is not None and serving is not None:
                serving.cancel()
                await asyncio.wait([serving])
                outbox.settle(ws)

    def _tell(
        self, state: ConnectionState, *, attempt: int = 0, delay: float = 0.0, error: Exception | None = None
    ) -> None:
        if self._on_change is not None:
            self._on_change(Change(state=state, attempt=attempt, delay=delay, error=error))

    # -- what is kept --------------------------------------------------------------------------------------------------

    @property
    def kept(self) -> int:
        """Messages of :meth:`send` that the server is not known to have."""
        return 0 if self._outbox is None else len(self._outbox)

    async def send(self, message: str | bytes) -> None:
        """Send a message over the present connection of the iteration, or over one that is still to come.

        It is kept until the server confirms it, by the pong of a ping behind it, and sent again over the next
        connection if it has not. So none is lost, and each arrives once; but one whose confirmation a broken connection
        took away arrives twice. This waits while ``keep`` messages are kept already.

        Raises:
            LocalProtocolError: :func:`elio.connect` was not told how many to ``keep``.
            StreamClosed: the iteration has ended.
            TypeError: the message is neither text nor bytes.
        """
        await self._need_outbox().send(message)

    async def flush(self) -> None:
        """Wait until the server has confirmed everything that is kept.

        Raises:
            LocalProtocolError: see :meth:`send`.
            StreamClosed: the iteration has ended before.
        """
        await self._need_outbox().flush()

    def _need_outbox(self) -> Outbox:
        if self._outbox is None:
            raise LocalProtocolError("connect() was not told how many messages to keep")
        return self._outbox
