"""One HTTP connection of a server: bytes to the protocol, requests to the router, responses to the stream.

Requests of one connection are answered one after the other. The protocol is :mod:`elio.http`; a request that becomes a
WebSocket leaves this connection behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from ..body import EMPTY_BODY, Body
from ..errors import ClientDisconnected, ElioError, HTTPError, RemoteProtocolError
from ..event_stream import EventStream
from ..headers import Headers
from ..http.http1 import Event, ServerConnection
from ..http.message import EndOfBody, RequestHead
from ..net.outlet import Outlet
from ..net.runtime import Runtime
from ..net.stream import Stream, peer_name
from ..request import Request
from ..response import Response
from ..session import WebSocket
from ..websocket.handshake import host_allowed, is_websocket_upgrade
from .context import Context
from .failures import error_response, respond
from .upgrade import Streaming, Upgrade, open_websocket, run_stream, run_websocket

__all__ = ["HttpConnection"]

_LINGER: Final = 1.0
"""Seconds for which input is still taken (and dropped) after an early answer, so that it is not lost to a reset."""

_READ_AHEAD: Final = 64 * 1024
"""Bytes of pipelined requests that are kept; reading stops above."""


class HttpConnection(Outlet):
    """The receiver of one accepted stream."""

    __slots__ = (
        "_body",
        "_bucket",
        "_context",
        "_deadline",
        "_events",
        "_http",
        "_idle",
        "_lingering",
        "_reading_paused",
        "_request",
        "_shutting_down",
        "_started",
        "_task",
        "_websocket",
        "client",
        "server",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._http = ServerConnection(context.runtime.limits)
        self._body: Body = EMPTY_BODY
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._events: EventStream | None = None
        self._websocket: WebSocket | None = None
        self._bucket = -1
        self._deadline = 0.0
        self._started = 0.0
        self._idle = False
        self._lingering = False
        self._reading_paused = False
        self._shutting_down = False
        self.client = ""
        self.server = ""

    # -- called by the stream ------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The stream is open; for TLS, behind its handshake."""
        super().__init__(transport, self._context.runtime)
        transport.set_write_buffer_limits(high=self.runtime.limits.write_limit)
        self.client = peer_name(transport)
        self._context.connections.add(self)
        if self._is_one_too_many():
            self._fail(HTTPError(503, "too many connections", headers=[("Retry-After", "5")]))
            return
        self._set_deadline(self.runtime.limits.headers_timeout)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._lingering:
            return
        if self._idle:
            self._idle = False
            self._set_deadline(self.runtime.limits.headers_timeout)
        self._handle(self._http.receive_data(data))
        self._update_reading()

    def eof_received(self) -> bool:
        """The client sends nothing more. It may still read, unless it reads a stream of events, which has no end."""
        if self._task is None or self._events is not None or self._websocket is not None or self._lingering:
            return False
        self._handle(self._http.receive_eof())
        self._shutting_down = True
        return self._stream.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is closed."""
        self._lost = True
        self._context.forget(self)
        self.runtime.timer.forget(self, self._bucket)
        self._wake_writers()
        if not self._body.is_complete:
            self._body.fail(ClientDisconnected(self._body.received))
        if self._websocket is not None:
            self._websocket.connection_lost(exc)
        elif self._events is not None:
            self._events.connection_lost()
            if self._task is not None:
                self._task.cancel("the client has disconnected")

    def pause_writing(self) -> None:
        """The client takes too little."""
        super().pause_writing()
        if self._events is not None:
            self._events.pause_writing()
        self._update_reading()
        self._schedule()

    def resume_writing(self) -> None:
        """The client has taken enough."""
        super().resume_writing()
        if self._events is not None:
            self._events.resume_writing()
        self._update_reading()

    # -- requests ------------------------------------------------------------------------------------------------------

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, bytes):
                self._body.feed(event)
            elif isinstance(event, RequestHead):
                self._begin(event)
            elif isinstance(event, EndOfBody):
                self._body.feed_eof()
                self._next()
            else:
                self._violated(event)

    def _begin(self, head: RequestHead) -> None:
        self._set_deadline(None)
        limits = self.runtime.limits
        self._body = EMPTY_BODY
        if head.has_body:
            self._body = Body(
                size=head.content_length,
                buffer_size=limits.body_buffer_size,
                timeout=limits.body_timeout,
                pause=self._update_reading,
                resume=self._update_reading,
                on_first_read=self._send_continue if head.expects_continue else None,
            )
        self._started = perf_counter()
        self._request = Request(
            head, body=self._body, client=self.client, server=self.server, scheme=self._context.scheme
        )
        self._task = self.runtime.loop.create_task(self._serve(self._request))
        if head.upgrade and (head.has_body or not is_websocket_upgrade(head.method, head.headers)):
            self._handle(self._http.decline_upgrade())

    def _violated(self, error: RemoteProtocolError) -> None:
        """The client broke the protocol: in the head this is the answer, in the body the handler is told first."""
        if self._task is None:
            self._fail(error)
            return
        self._body.fail(HTTPError(error.status or 400, str(error)))

    def _send_continue(self) -> None:
        if not self._http.response_begun and not self._lost:
            self._http.send_informational(100)
            self.flush()

    async def _serve(self, request: Request) -> None:
        if not host_allowed(request.host, self._context.allowed_hosts):
            response = error_response(HTTPError(421, f"host {request.host!r} is not served here"))
        else:
            response = await respond(self._context, request)
        try:
            if isinstance(response, Upgrade):
                self._begin_websocket(request, response)
                return
            if isinstance(response, Streaming) and request.method != "HEAD":
                await self._serve_stream(request, response)
            else:
                await self.answer(request, response)
        except (HTTPError, RemoteProtocolError) as error:
            await self.answer(request, error_response(error))
        except ElioError:
            self._stream.abort()  # the client left while it was answered
        finally:
            if self._websocket is None:
                self._done(request)

    async def answer(self, request: Request, response: Response) -> None:
        """Send a response; the caller waits until the client has taken most of it."""
        response = response.select(request.method, request.headers)
        body = response.body
        http = self._http
        http.send_response(
            response.status,
            response.headers,
            body_size=response.body_size,
            close=self._shutting_down or self._context.closing,
            date=self._context.date(),
        )
        self._context.log_access(
            f"{request.method} {request.target}",
            self.client,
            response.status,
            perf_counter() - self._started,
        )
        if isinstance(body, bytes):
            if body:
                http.send_body(body)
            http.end_body()
            self.flush()
            await self._room(len(body))
            return
        if request.method != "HEAD":
            self.flush()
            await self._send_parts(body)
        http.end_body()
        self.flush()
        await self._room(0)

    async def _send_parts(self, body: Any) -> None:
        parts = aiter(body)
        try:
            async for part in parts:
                if self._lost:
                    raise self._closed_error()
                self._http.send_body(part)
                self.flush()
                await self._room(len(part))
        finally:
            close = getattr(parts, "aclose", None)
            if close is not None:
                await close()

    def _done(self, request: Request) -> None:
        """The response is complete, or will never be."""
        self._task = None
        self._events = None
        if self._lost:
            return
        self.flush()
        if not self._http.response_complete:
            self._stream.abort()  # too late to say that something went wrong: end where no end is
        elif not self._http.keep_alive or self._shutting_down:
            self._close_behind_response()
        else:
            self._body.discard()
            self._next()

    def _next(self) -> None:
        """Turn to the next request, if this one was received and answered to its end."""
        if self._task is not None or self._lost or not self._http.can_start_next:
            return
        self._request = None
        self._body = EMPTY_BODY
        self._handle(self._http.start_next())
        if self._task is None and not self._lingering:
            self._idle = not self._http.head_started
            limits = self.runtime.limits
            self._set_deadline(limits.keep_alive_timeout if self._idle else limits.headers_timeout)
        self._update_reading()

    # -- upgrades (an elio.server.upgrade.Carrier) ---------------------------------------------------------------------

    @property
    def stream(self) -> Stream:
        """The stream below."""
        return self._stream

    @property
    def runtime(self) -> Runtime:
        """The surroundings."""
        return self._context.runtime

    def _begin_websocket(self, request: Request, response: Upgrade) -> None:
        ws = open_websocket(self, request, response, origins=self._context.origins)
        self._websocket = ws
        task = self.runtime.loop.create_task(self._run_websocket(ws, response))
        self._task = task
        self._context.websockets[ws] = task

    async def _run_websocket(self, ws: WebSocket, response: Upgrade) -> None:
        try:
            await run_websocket(ws, response.route)
        finally:
            self._context.forget(ws)
            if self._websocket is ws:  # refused: this connection goes on
                self._websocket = None
                if ws.request is not None:
                    self._done(ws.request)

    def switch(self, ws: WebSocket, headers: Headers) -> bytes:
        """Answer 101, and let the stream's bytes come to the WebSocket from now on."""
        self._http.send_response(101, headers, body_size=0, date=self._context.date())
        self.flush()
        rest = self._http.take_rest()
        self._stream.set_protocol(ws)
        self._context.forget(self)
        self.runtime.timer.forget(self, self._bucket)
        if self._reading_paused:
            self._stream.resume_reading()
        if self._paused:
            ws.pause_writing()
        request = ws.request
        if request is not None:
            took = perf_counter() - self._started
            self._context.log_access(f"{request.method} {request.target}", self.client, 101, took)
        self._websocket = None
        self._task = None
        return rest

    async def _serve_stream(self, request: Request, response: Streaming) -> None:
        if not await run_stream(self, request, response, adopt=self._adopt):
            self._stream.close()
            return
        if not self._lost:
            self._http.end_body()

    def _adopt(self, stream: EventStream) -> None:
        self._events = stream

    def begin_stream(self, stream: EventStream, headers: Headers) -> Callable[[bytes], bytes]:
        """Send the head of an event stream."""
        http = self._http
        http.send_response(
            200, headers, body_size=None, close=self._shutting_down or self._context.closing, date=self._context.date()
        )
        self.flush()
        request = stream.request
        took = perf_counter() - self._started
        self._context.log_access(f"{request.method} {request.target}", self.client, 200, took)

        def frame(data: bytes) -> bytes:
            http.send_body(data)
            return http.data_to_send()

        return frame

    # -- ends ----------------------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """Close when the present response is complete; at once if there is none."""
        self._shutting_down = True
        if self._task is None and not self._lingering:
            self._stream.close()
        elif self._events is not None and self._task is not None:
            self._task.cancel("the server is going away")

    def abort(self) -> None:
        """Close now."""
        if self._task is not None:
            self._task.cancel("the server is going away")
        self._stream.abort()

    def _fail(self, error: HTTPError | RemoteProtocolError) -> None:
        """Answer what is no request, and close."""
        response = error_response(error)
        body = response.body if isinstance(response.body, bytes) else b""
        self._http.send_response(
            response.status, response.headers, body_size=len(body), close=True, date=self._context.date()
        )
        self._http.send_body(body)
        self._http.end_body()
        self._context.log_access("-", self.client, response.status, 0.0)
        self.flush()
        self._linger()

    def _close_behind_response(self) -> None:
        if self._http.request_complete and not self._http.more:
            self._stream.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Say that nothing more comes, and drop what the client still sends until it has understood."""
        self._lingering = True
        self._body.discard()
        if self._stream.can_write_eof():
            self._stream.write_eof()
        self._set_deadline(_LINGER)
        self._update_reading()

    def _is_one_too_many(self) -> bool:
        bound = self.runtime.limits.max_connections
        open_now = len(self._context.connections) + len(self._context.websockets)
        return bound is not None and open_now > bound

    def _take_output(self) -> bytes:
        return self._http.data_to_send()

    def _closed_error(self) -> Exception:
        return ClientDisconnected(self._body.received)

    # -- flow and time -------------------------------------------------------------------------------------------------

    def _update_reading(self) -> None:
        if self._lost:
            return
        wanted = self._lingering or not (
            self._body.is_full or self._http.waiting_size > _READ_AHEAD or (self._paused and self._task is None)
        )
        if wanted and self._reading_paused:
            self._reading_paused = False
            self._stream.resume_reading()
        elif not wanted and not self._reading_paused:
            self._reading_paused = True
            self._stream.pause_reading()

    def _set_deadline(self, seconds: float | None) -> None:
        self._deadline = 0.0 if seconds is None else self.runtime.timer.now() + seconds
        self._schedule()

    def _schedule(self) -> None:
        """A deadline that moved away costs nothing: the timer asks at the old one."""
        wishes = [self._deadline] if self._deadline else []
        timeout = self.runtime.limits.send_timeout
        if self._paused and timeout is not None and self._events is None:
            wishes.append(self._stalled_since + timeout)
        if not wishes:
            return
        self.runtime.timer.forget(self, self._bucket)
        self._bucket = self.runtime.timer.schedule(self, min(wishes))

    def check_time(self, now: float) -> None:
        """Called by the coarse timer."""
        if self._lost:
            return
        if self._events is None and self._is_stalled(now):
            self.abort()
        elif self._deadline and now >= self._deadline:
            self._expire()
        else:
            self._schedule()

    def _expire(self) -> None:
        self._deadline = 0.0
        if self._lingering:
            self._stream.abort()
        elif self._idle or not self._http.head_started:
            self._stream.close()
        else:
            seconds = self.runtime.limits.headers_timeout
            self._fail(HTTPError(408, f"the head of the request was not complete after {seconds:g} seconds"))
