"""One request and its answer on an HTTP connection; gone once both are complete."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Any, Final, cast

from ..body import EMPTY_BODY, Body
from ..causes import Cause, HandlerError, RequestTimeout
from ..errors import ClientDisconnected, HTTPError, LocalProtocolError
from ..event_stream import EventStream
from ..headers import Headers
from ..http.http1 import ServerConnection
from ..http.message import RequestHead
from ..http.response import encode_chunk
from ..net.outlet import Outlet
from ..net.ready import running_task
from ..net.runtime import Runtime
from ..net.stream import Stream, peer_name
from ..net.task import start_task
from ..query import hide_secrets
from ..request import Request
from ..response import Response
from ..session import WebSocket
from ..websocket.handshake import host_allowed
from .context import Context
from .failures import error_response, log_failure, respond, response_to, too_many
from .upgrade import Run, Streaming, StreamRun, Upgrade, WebSocketRun, open_websocket
from .watch.pace import Pace

__all__ = ["Exchange", "Line"]

_NO_LINE: Final[Any] = None


class Line(Outlet):
    """Base of the connection below, as far as an exchange needs it.

    Attributes:
        context: of the server.
        http: the protocol.
        client: the peer as ``"ip:port"``, or a stream that remembers it.
    """

    __slots__ = ("client", "context", "http")

    context: Context
    http: ServerConnection
    client: str | Stream

    @property
    def runtime(self) -> Runtime:
        """The surroundings."""
        return self.context.runtime

    @property
    def is_last(self) -> bool:
        """Whether the connection closes behind this exchange."""
        raise NotImplementedError

    def room(self, size: int) -> Coroutine[Any, Any, None]:
        """What a sender of so many bytes awaits."""
        return self._room(size)

    def regulate(self) -> None:
        """Read from the stream or stop it, as the body has room."""
        raise NotImplementedError

    def stream_opened(self) -> None:
        """The present answer is an event stream, which looks after its time by itself."""
        raise NotImplementedError

    def leave(self, ws: WebSocket) -> None:
        """The stream belongs to the WebSocket now."""
        raise NotImplementedError

    def done(self) -> None:
        """The answer is complete, or will never be."""
        raise NotImplementedError


class Exchange:
    """A request, the task that answers it, and what it may become (an :class:`elio.server.upgrade.Carrier`)."""

    __slots__ = (
        "_context",
        "_counted",
        "_is_over",
        "_line",
        "_pace",
        "_standing",
        "_started",
        "_task",
        "body",
        "events",
        "has_begun",
        "request",
        "websocket",
    )

    def __init__(self, line: Line, head: RequestHead) -> None:
        self._line = line
        self._context = line.context
        self._started = perf_counter() if self._context.logs_access else 0.0
        self.body = self._make_body(head) if head.has_body else EMPTY_BODY
        self.request = Request(head, body=self.body, client=line.client, scheme=self._context.scheme)
        if self._context.scheme == "https":
            self.request.tls = line.stream.get_extra_info("ssl_object")
        if self._context.proxies is not None:
            self.request.place(*self._context.proxies.origin(head.headers, self.request.client))
        self.events: EventStream | None = None
        self.websocket: WebSocket | None = None
        self._task: asyncio.Task[None] | None = None
        self._standing: Run | None = None
        self._pace: Pace | None = None
        self._counted: str | Stream = ""  # who is counted for this request, and not for the connection
        self._is_over = False
        self.has_begun = False

    @property
    def is_done(self) -> bool:
        """Whether the answer is complete, or will never be."""
        return self._task is not None and self._task.done()

    def begin(self) -> None:
        """Answer the request; it may have been answered when this returns."""
        self.has_begun = True
        if self.body is not EMPTY_BODY:
            runtime = self._line.runtime
            self._pace = Pace.of(self.body, runtime.timer, runtime.limits, self._body_is_slow)
        task = start_task(self._serve(), self._line.runtime.loop)
        if self._standing is None:
            self._task = task

    @property
    def _running(self) -> asyncio.Task[Any]:
        """The task that answers: the current one as long as its first step lasts."""
        task = self._task or cast("asyncio.Task[Any] | None", running_task(self._line.runtime.loop))
        if task is None:
            raise LocalProtocolError("the request is not being answered")
        return task

    def cancel(self, message: str) -> None:
        """Cancel the task that answers, or end what goes on without one."""
        standing, self._standing = self._standing, None
        if standing is not None:
            self._over(standing)
        elif self.has_begun and not self._is_over and not self.is_done:
            self._running.cancel(message)

    @property
    def has_events(self) -> bool:
        """Whether the answer is an event stream that is still open."""
        return self.events is not None and self.events.is_active

    def end_events(self, message: str) -> None:
        """If the answer is an event stream, complete it and cancel its handler."""
        stream = self.events
        if stream is None:
            return
        if stream.is_active:
            stream.explain(self._context.drain)
            stream.begin()  # a refusal would be for ever (WHATWG HTML 9.2.3), an end is not
            stream.finish()
            self.end_stream()
            self._line.flush()
        self.cancel(message)

    def _make_body(self, head: RequestHead) -> Body:
        limits = self._line.runtime.limits
        return Body(
            size=head.content_length,
            buffer_size=limits.body_buffer_size,
            timeout=limits.body_timeout,
            pause=self._line.regulate,
            resume=self._resume_body,
            on_first_read=self._send_continue if head.expects_continue else None,
            on_silence=self._body_is_silent,
        )

    def _send_continue(self) -> None:
        if not self._line.http.response_begun and not self._line.is_lost:
            self._line.http.send_informational(100)
            self._line.flush()
        self._count_anew()

    def _resume_body(self) -> None:
        self._count_anew()
        self._line.regulate()

    def _count_anew(self) -> None:
        if self._pace is not None:
            self._pace.begin()

    def _stop_pace(self) -> None:
        pace, self._pace = self._pace, None
        if pace is not None:
            pace.stop()

    def _body_is_silent(self, cause: Cause) -> None:
        self._line.explain(cause)

    def _body_is_slow(self, cause: RequestTimeout) -> None:
        self._pace = None
        self._line.explain(cause)
        self.body.fail(HTTPError(408, cause.text))

    def body_complete(self) -> None:
        """All of the body has come."""
        self._stop_pace()
        self.body.feed_eof()

    def client_sends_no_more(self) -> None:
        """The client has closed its sending half."""
        self._stop_pace()
        if not self.body.is_complete:
            self.body.fail(ClientDisconnected(self.body.received))

    def client_left(self, error: Exception | None, cause: Cause) -> None:
        """The stream is closed. A handler that waits for the body learns it there; any other one is cancelled."""
        told = self.body.is_awaited
        self.client_sends_no_more()
        if self.websocket is not None:
            self.websocket.connection_lost(error)
            return
        if self.events is not None:
            self.events.connection_lost(cause)
        if told:
            grace = self._line.runtime.limits.disconnect_grace
            self._line.runtime.loop.call_later(grace, self.cancel, cause.word)
        else:
            self.cancel(cause.word)

    # -- the answer ----------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """The whole task. While a handler of a WebSocket or an event stream runs, this is all there is around it."""
        run = await self._answer()
        if run is None:
            return
        try:
            try:
                await run.start()
            except Exception as error:
                end = run.failed(error)
            else:
                if run.stays:
                    self._standing, self._task = run, None
                    return
                end = run.returned()
            await end
        except asyncio.CancelledError:
            run.cancelled()
            raise
        finally:
            if self._standing is None:
                self._over(run)

    async def _answer(self) -> Run | None:
        """Call the application and send its response. Returns what is to be run if it is none of the ordinary ones."""
        request = self.request
        run: Run | None = None
        try:
            refusal = self._refusal()
            answer = respond(self._context, request) if refusal is None else error_response(refusal)
            response = answer if isinstance(answer, Response) else await answer
            if isinstance(response, Upgrade):
                run = self._open_websocket(response)
            elif isinstance(response, Streaming) and request.method != "HEAD":
                run = await self._open_stream(response)
            else:
                await self._send(response)
        except ClientDisconnected:
            self._line.stream.abort()  # it left while it was answered: nobody's mistake
        except Exception as error:
            await self.fail(error)
        finally:
            if run is None:
                self._leave()
                self._line.done()
        return run

    def _refusal(self) -> HTTPError | None:
        """Why the application is not asked at all."""
        request, context = self.request, self._context
        if not host_allowed(request.host, context.allowed_hosts):
            return HTTPError(421, f"host {request.host!r} is not served here")
        if context.proxies is None or request.client == _name(self._line.client):
            return None
        self._counted = request.client
        excess = context.enter_address(request.client)
        if excess is None:
            return None
        context.counters.count_limit(excess.bound)
        return too_many(excess)

    def _leave(self) -> None:
        """Who was counted for this request is no more."""
        counted, self._counted = self._counted, ""
        if counted:
            self._context.addresses.leave(counted)

    def _over(self, run: Run) -> None:
        """The handler of a WebSocket or an event stream has ended."""
        self._is_over = True
        self._leave()
        self.request.forget_identity()
        if isinstance(run, WebSocketRun):
            self._context.forget(run.ws)
            if self.websocket is None:  # the stream was its own
                return
            self.websocket = None  # it was refused: the connection goes on
        elif self.events is not None and self.events.has_begun:
            self._context.ended("sse", self.events.cause, self.events.age, self.request)
        self._line.done()

    async def fail(self, error: Exception) -> None:
        """What went wrong behind the handler: an answer, if it is not too late for one."""
        if self._line.http.response_begun:
            self._line.explain(HandlerError(type(error).__name__))
            log_failure(self.request, error)
            return
        with contextlib.suppress(ClientDisconnected):
            await self._send(await response_to(self._context, self.request, error))

    async def answer(self, response: Response) -> None:
        """Send a response; wait until the client has taken most of it."""
        await self._send(response)

    def _send(self, response: Response) -> Awaitable[None]:
        """Send a response, at least its head; returns what is to be waited for."""
        line = self._line
        http = line.http
        request = self.request
        response = response.select(request.method, request.headers)
        body = response.body
        http.send_response(
            response.status,
            response.headers,
            body_size=response.body_size,
            close=line.is_last,
            date=line.context.date(),
        )
        self._log(response.status)
        if request.head.upgrade and request.head.asks_for("websocket"):
            self._context.counters.count_handshake(str(response.status))
        if not isinstance(body, bytes) and request.method != "HEAD":
            return self._send_parts(body)
        if isinstance(body, bytes):
            http.send_body(body)
        http.end_body()
        line.flush()
        return line.room(0)

    async def _send_parts(self, body: Any) -> None:
        self._line.flush()
        parts = aiter(body)
        try:
            async for part in parts:
                if self._line.is_lost:
                    raise ClientDisconnected(self.body.received)
                self._line.http.send_body(part)
                self._line.flush()
                await self._line.room(len(part))
        finally:
            close = getattr(parts, "aclose", None)
            if close is not None:
                await close()
        self._line.http.end_body()
        self._line.flush()
        await self._line.room(0)

    def _log(self, status: int) -> None:
        if self._started:
            line = f"{self.request.method} {hide_secrets(self.request.target)}"
            self._context.log_access(line, self.request.client, status, perf_counter() - self._started)

    # -- what it may become (an elio.server.upgrade.Carrier) -----------------------------------------------------------

    @property
    def stream(self) -> Stream:
        """The stream below."""
        return self._line.stream

    @property
    def runtime(self) -> Runtime:
        """The surroundings."""
        return self._line.runtime

    @property
    def context(self) -> Context:
        """What all connections of the server share."""
        return self._context

    def _open_websocket(self, response: Upgrade) -> WebSocketRun:
        context = self._context
        ws = self.websocket = open_websocket(self, self.request, response, context.origins)
        context.websockets[ws] = self._running
        self.request.watch_identity(ws.runtime, ws.expire)
        return WebSocketRun(ws, response.route, context)

    def switch(self, ws: WebSocket, headers: Headers) -> bytes:
        """Answer 101, and let the stream's bytes come to the WebSocket from now on."""
        line = self._line
        line.http.send_switch(headers, self._context.date())
        line.flush()
        self._log(101)
        self._context.counters.count_handshake("101")
        self._context.observers.started(self.request, "websocket")
        self.websocket = None
        self._counted = self._counted or line.client
        line.leave(ws)
        self._line = _NO_LINE  # all of HTTP is over, and its memory free
        return line.http.take_rest()

    async def _open_stream(self, response: Streaming) -> StreamRun:
        if self.request.head.has_body:
            await self.request.body()
        run = StreamRun(self, self.request, response)
        self.events = run.stream
        self._line.stream_opened()
        self.request.watch_identity(self.runtime, run.expire)
        return run

    def begin_stream(self, stream: EventStream, headers: Headers) -> Callable[[bytes], bytes]:
        """Send the head of an event stream."""
        line = self._line
        http = line.http
        http.send_response(200, headers, body_size=None, close=line.is_last, date=line.context.date())
        line.flush()
        self._log(200)
        self._context.counters.event_streams += 1
        self._context.observers.started(self.request, "sse")
        return encode_chunk if http.is_chunked else bytes

    def end_stream(self) -> None:
        """Complete the body of an event stream, if its reader is still there and it is not complete already."""
        line = self._line
        if not line.is_lost and not line.http.response_complete:
            line.http.end_body()
            line.flush()


def _name(client: str | Stream) -> str:
    return client if isinstance(client, str) else peer_name(client)
