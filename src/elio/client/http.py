"""HTTP/1.1 exchanges of a client: one request, redirects, and an answer whose body is pushed::

    response = await open_response("GET", url, headers, route=Route(), limits=limits, timeout=10.0, max_redirects=5)
    response.start(consumer)  # the body goes there, as it comes

When :func:`open_response` returns, nothing of the body is read. Then it is one of

- ``start``: ``consumer.body_received(data)`` is called from the stream's read callback, at first inside ``start`` with
  what came along with the head, and ``consumer.body_ended(error)`` once at its end;
- ``read`` for a small body;
- ``upgrade`` after a 101: the stream is the caller's then, paused, with what came behind the head.

There is one connection for each exchange. Not here: content codings, cookies, a pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from ..errors import ConnectError, HandshakeError, LocalProtocolError, RemoteProtocolError
from ..headers import Headers, HeadersLike
from ..http.client1 import ClientConnection, ClientEvent
from ..http.message import EndOfBody, ResponseHead
from ..limits import Limits
from ..net.dial import Route, open_stream
from ..net.stream import Stream
from ..url import URL
from .request import ClientRequest, is_redirect

__all__ = ["BodyConsumer", "ClientResponse", "open_response"]

_NO_HEADERS: Final = Headers()

_PIECE: Final = 32 * 1024
"""Bytes of a read that are handled in one go: what is made of them fits into the cache, and into memory just freed."""


class BodyConsumer(Protocol):
    """Who takes a body."""

    def body_received(self, data: bytes) -> None:
        """Bytes of the body, never none."""
        ...

    def body_ended(self, error: Exception | None) -> None:
        """The body is complete, or will never be: the reason is the argument then."""
        ...


async def open_response(
    method: str,
    url: URL,
    headers: HeadersLike,
    body: bytes = b"",
    *,
    route: Route,
    limits: Limits,
    timeout: float | None,
    connect_timeout: float | None = None,
    max_redirects: int,
    secrets: Iterable[str] = (),
    each_time: Callable[[], HeadersLike] | None = None,
) -> ClientResponse:
    """Send a request, follow redirects, and wait for the head of the answer.

    Args:
        method: a token.
        url: where to; its user and password become Basic authentication unless ``headers`` say otherwise.
        headers: without ``Host`` and ``Content-Length``, which are added.
        body: the whole of it.
        route: how servers are reached.
        limits: the bounds of heads.
        timeout: seconds for all of it, connecting included; ``None`` for no bound.
        connect_timeout: seconds for each connection alone: name, TCP, TLS, proxy.
        max_redirects: redirects to follow.
        secrets: names of headers that no other origin gets to see.
        each_time: further headers, made anew for every server that is asked.

    Raises:
        ConnectError: no server, or no answer, in time.
        HandshakeError: a redirect that is not followed, a proxy that refuses, or an answer that is not HTTP.
        LocalProtocolError: the request is malformed; nothing was sent.
    """
    request = ClientRequest.make(method, url, headers, body, secrets=secrets, each_time=each_time)
    try:
        async with asyncio.timeout(timeout) as deadline:
            return await _follow(request, route, limits, max_redirects, connect_timeout)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise ConnectError(f"no answer of {url} within {timeout:g} seconds", timed_out=True) from error


async def _follow(
    request: ClientRequest, route: Route, limits: Limits, max_redirects: int, connect_timeout: float | None
) -> ClientResponse:
    history: list[URL] = []
    while True:
        response = await _exchange(request, route, limits, connect_timeout)
        response.history = tuple(history)
        if not is_redirect(response.status, response.headers):
            return response
        response.abort()
        try:
            if len(history) >= max_redirects:
                raise HandshakeError(f"redirect number {len(history) + 1}, limit {max_redirects}")
            next_request = request.redirected(response.status, response.headers["location"])
            if route.is_fixed and not request.url.is_same_origin(next_request.url):
                raise HandshakeError(f"redirect to {next_request.url} away from the socket that was given")
            if route.sock is not None:
                raise HandshakeError("a redirect needs another connection than the socket that was given")
        except HandshakeError as error:
            error.status = response.status
            error.headers = tuple(response.headers.items())
            raise
        history.append(request.url)
        request = next_request


async def _exchange(
    request: ClientRequest, route: Route, limits: Limits, connect_timeout: float | None
) -> ClientResponse:
    http = ClientConnection(limits, max_body_size=None)
    headers = request.wire_headers()
    url = request.url
    target = url.target
    forwarder = route.forwarder(url)
    if forwarder is not None:
        target = f"{url.origin}{target}"
        if forwarder.authorization is not None:
            headers.add("Proxy-Authorization", forwarder.authorization)
    http.send_request(request.method, target, headers, request.body)
    response = ClientResponse(http, url)
    try:
        stream = await _connect(url, response, route, connect_timeout)
        stream.write(http.data_to_send())
        await response.wait_head()
    except BaseException:
        response.abort()
        raise
    return response


async def _connect(url: URL, response: ClientResponse, route: Route, timeout: float | None) -> Stream:
    try:
        async with asyncio.timeout(timeout) as deadline:
            return await open_stream(url, response, route)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise ConnectError(f"no connection to {url} within {timeout:g} seconds", timed_out=True) from error


class ClientResponse:
    """The answer of a server, on the connection that it comes over; :func:`open_response` makes it.

    Attributes:
        url: whose answer it is, after redirects.
        history: the URLs that redirected here, in order.
        status: of the answer.
        headers: of the answer.
    """

    __slots__ = (
        "_closed",
        "_consumer",
        "_end",
        "_head",
        "_http",
        "_is_held",
        "_is_lost",
        "_is_paused",
        "_pending",
        "_stream",
        "headers",
        "history",
        "status",
        "url",
    )

    def __init__(self, http: ClientConnection, url: URL) -> None:
        self.url = url
        self.history: tuple[URL, ...] = ()
        self.status = 0
        self.headers: Headers = _NO_HEADERS
        self._http = http
        loop = asyncio.get_running_loop()
        self._head: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._consumer: BodyConsumer | None = None
        self._pending: list[bytes] = []
        self._end: tuple[Exception | None] | None = None
        self._stream: Stream | None = None
        self._is_held = False  # nothing is read between the head and what becomes of the body
        self._is_paused = False  # the consumer has enough
        self._is_lost = False

    def __repr__(self) -> str:
        return f"<ClientResponse {self.status} of {self.url}>"

    async def wait_head(self) -> None:
        """Wait until status and headers are there; reading is paused then.

        Raises:
            ConnectError: the server closed the connection before.
            HandshakeError: what came is not HTTP, or over its bounds.
        """
        await self._head

    # -- the body ------------------------------------------------------------------------------------------------------

    def start(self, consumer: BodyConsumer) -> None:
        """Let the body come to a consumer.

        Raises:
            LocalProtocolError: it was started, closed or upgraded already.
        """
        if self._consumer is not None or self._stream is None:
            raise LocalProtocolError("the body of the response has its consumer already, or was given up")
        self._consumer = consumer
        pending, self._pending = self._pending, []
        for data in pending:
            if self._consumer is not None:
                self._consumer.body_received(data)
        self._is_held = False
        if self._end is not None:
            self._tell_end(self._end[0])
        elif self._stream is not None and not self._is_paused and not self._is_lost:
            self._stream.resume_reading()

    def pause_reading(self) -> None:
        """Let no more of the body come until :meth:`resume_reading`, but for what is being handled now."""
        if self._is_paused:
            return
        self._is_paused = True
        if self._stream is not None and not self._is_held and not self._is_lost:
            self._stream.pause_reading()

    def resume_reading(self) -> None:
        """Let it come again."""
        if not self._is_paused:
            return
        self._is_paused = False
        if self._stream is not None and not self._is_held and not self._is_lost:
            self._stream.resume_reading()

    async def read(self, max_size: int, *, timeout: float | None = None) -> bytes:
        """Read the body up to its end, to a size or to a time, and close the connection.

        Args:
            max_size: bytes.
            timeout: seconds.

        Returns:
            What came of it, at most ``max_size`` bytes, also if the connection broke in between.
        """
        reader = _Reader(max_size)
        self.start(reader)
        try:
            await asyncio.wait([reader.done], timeout=timeout)
        finally:
            self.abort()
        return bytes(reader.data[:max_size])

    # -- the end -------------------------------------------------------------------------------------------------------

    def upgrade(self) -> tuple[Stream, bytes]:
        """Hand over the stream after a 101.

        Returns:
            The stream, whose reading is paused and whose receiver is to be set; and what came behind the head.

        Raises:
            LocalProtocolError: the status is another one.
            ConnectError: the connection has broken since.
        """
        rest = self._http.take_rest()
        stream, self._stream = self._stream, None
        if stream is None or self._is_lost:
            raise ConnectError(f"the connection to {self.url} broke right behind the answer")
        return stream, rest

    def abort(self) -> None:
        """Cut the connection; the consumer is told nothing more. Nothing happens after an upgrade."""
        self._consumer = None
        self._pending.clear()
        self._head.cancel()
        stream, self._stream = self._stream, None
        if stream is not None and not self._is_lost:
            stream.abort()

    async def close(self) -> None:
        """Cut the connection and wait until it is gone."""
        if self._stream is not None:
            self.abort()
            await asyncio.shield(self._closed)

    # -- called by the stream ------------------------------------------------------------------------------------------

    def connection_made(self, stream: Stream) -> None:
        """The stream is open."""
        self._stream = stream

    def data_received(self, data: bytes) -> None:
        """Bytes of the server."""
        for start in range(0, len(data), _PIECE):
            self._handle(self._http.receive_data(data[start : start + _PIECE]))

    def eof_received(self) -> bool:
        """The server sends nothing more."""
        if self._head.done():
            self._handle(self._http.receive_eof())
        else:
            self._refuse(ConnectError(f"{self.url} closed the connection without an answer"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is closed."""
        self._is_lost = True
        reason = "connection lost" if exc is None else f"connection lost: {exc}"
        if not self._head.done():
            self._refuse(ConnectError(f"no answer of {self.url}: {reason}"))
        self._finish(RemoteProtocolError(f"{reason} in the middle of a response"))
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """Part of asyncio's protocol; the request is written as a whole."""

    def resume_writing(self) -> None:
        """Part of asyncio's protocol."""

    def _handle(self, events: list[ClientEvent]) -> None:
        for event in events:
            if isinstance(event, bytes):
                if self._consumer is not None:
                    self._consumer.body_received(event)
                else:
                    self._pending.append(event)
            elif isinstance(event, ResponseHead):
                self._receive_head(event)
            elif isinstance(event, EndOfBody):
                self._finish(None)
            else:
                self._finish(event)

    def _receive_head(self, head: ResponseHead) -> None:
        self.status = head.status
        self.headers = head.headers
        self._is_held = True
        if self._stream is not None:
            self._stream.pause_reading()
        if not self._head.done():
            self._head.set_result(None)

    def _refuse(self, error: Exception) -> None:
        self._end = (error,)
        self._head.set_exception(error)

    def _finish(self, error: Exception | None) -> None:
        """The body is complete, or something is wrong."""
        if self._end is not None:
            return
        if not self._head.done():
            refusal = HandshakeError(f"the answer of {self.url} is not understood: {error}")
            refusal.__cause__ = error
            self._refuse(refusal)
            return
        self._end = (error,)
        if self._consumer is not None:
            self._tell_end(error)

    def _tell_end(self, error: Exception | None) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.body_ended(error)
        self.abort()


class _Reader:
    """Takes the first bytes of a body."""

    __slots__ = ("_max_size", "data", "done")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self.data = bytearray()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def body_received(self, data: bytes) -> None:
        self.data += data
        if len(self.data) >= self._max_size:
            self.body_ended(None)

    def body_ended(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)
