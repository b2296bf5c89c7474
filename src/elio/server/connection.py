"""One HTTP connection of a server: bytes to the protocol, requests to exchanges, one after the other.

The protocol is :mod:`elio.http`; a request that becomes a WebSocket takes the stream with it.
"""

from __future__ import annotations

from math import inf
from typing import Any, Final

from ..causes import Aborted, Cause, Closed, IdleTimeout, OverLimit, RequestTimeout
from ..errors import ClientDisconnected, HTTPError, RemoteProtocolError
from ..event_stream import EventStream
from ..http.http1 import Event, ServerConnection
from ..http.message import EndOfBody, RequestHead
from ..net.outlet import Outlet
from ..net.stream import lasting_peer, peer_name
from ..session import WebSocket
from .context import Context
from .exchange import Exchange, Line
from .failures import error_response, too_many

__all__ = ["HttpConnection"]

_LINGER: Final = 1.0
"""Seconds for which input is still taken (and dropped) after an early answer, so that it is not lost to a reset."""

_LAST_CALL: Final = 1.0
"""Seconds for the first request of a connection that was accepted just before the server began to end."""

_HALF_CLOSED: Final = 0.03
"""Seconds in which an answer has to go on after its client has ended its half of the connection."""

_REFUSALS: Final = 256
"""Connections beyond a bound that are answered, before the next ones are cut off: answers take memory, too."""

_READ_AHEAD: Final = 64 * 1024
"""Bytes of pipelined requests that are kept; reading stops above."""


class HttpConnection(Line):
    """The receiver of one accepted stream.

    Args:
        context: of the server.
        client: the peer as ``"ip:port"``, if somebody else than the stream knows it.
    """

    __slots__ = (
        "_asked_at",
        "_bucket",
        "_deadline",
        "_exchange",
        "_idle",
        "_lingering",
        "_reading_paused",
        "_shutting_down",
    )

    def __init__(self, context: Context, client: str = "") -> None:
        self.context = context
        self.http = ServerConnection(context.runtime.limits)
        self.client = client
        self._exchange: Exchange | None = None
        self._asked_at = inf
        self._bucket = -1
        self._deadline = inf
        self._idle = False
        self._lingering = False
        self._reading_paused = False
        self._shutting_down = False

    # -- called by the stream ------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The stream is open; for TLS, behind its handshake."""
        Outlet.__init__(self, transport, self.context.runtime)
        transport.set_write_buffer_limits(high=self._runtime.limits.write_limit)
        if not self.client:
            self.client = lasting_peer(transport)
        self.context.counters.accepted += 1
        if self.context.closing and transport.get_extra_info("ssl_object") is not None:
            self.explain(self.context.drain)
            self.context.addresses.enter(self.client)
            transport.close()  # its handshake took longer than the server was there
            return
        self.context.connections[self] = None
        excess = self.context.enter(self.client)
        if excess is None:
            self._set_deadline(self._runtime.limits.headers_timeout)
        elif excess.size > excess.allowed + _REFUSALS:
            self._cut(excess)
        else:
            self._fail(too_many(excess), excess)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._runtime.traffic.bytes_received += len(data)
        if self._lingering:
            return
        was_idle, self._idle = self._idle, False
        self._handle(self.http.receive_data(data))
        if was_idle and self._exchange is None and not self._lingering:
            self._set_deadline(self._runtime.limits.headers_timeout)
        self.regulate()
        self._answer()

    def eof_received(self) -> bool:
        """The client sends nothing more. It may still read an answer, but not a stream of events, which has no end."""
        exchange = self._exchange
        if exchange is None or exchange.events is not None or exchange.websocket is not None or self._lingering:
            return False
        exchange.client_sends_no_more()
        self._handle(self.http.receive_eof())
        self._shutting_down = True
        self._answer()
        if self._exchange is exchange and not exchange.is_done:
            self._watch_half_closed(exchange)
        return self._stream.can_write_eof()

    def _watch_half_closed(self, exchange: Exchange) -> None:
        self._runtime.loop.call_later(_HALF_CLOSED, self._check_half_closed, exchange, self._written)

    def _check_half_closed(self, exchange: Exchange, written: int) -> None:
        """A client that sends no more may still read, or be gone. As long as its answer flows, it is there."""
        if self._lost or self._exchange is not exchange or exchange.is_done:
            return
        if self._paused or self._written != written:
            self._watch_half_closed(exchange)
            return
        exchange.client_left(None, self._departed(None))

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is closed."""
        self._lost = True
        self.context.forget(self)
        self.context.addresses.leave(self.client)
        self._runtime.timer.forget(self, self._bucket)
        exchange = self._exchange
        if exchange is not None and exchange.events is not None and self.cause is None:
            self.cause = exchange.events.cause
        cause = self._departed(exc)
        self._wake_writers()
        if exchange is not None:
            exchange.client_left(exc, cause)
            if exchange.is_done:
                self._exchange = None  # each has the other
        self.context.ended("http", cause, self.age, self.client)

    def pause_writing(self) -> None:
        """The client takes too little."""
        Outlet.pause_writing(self)
        if self._exchange is not None and self._exchange.events is not None:
            self._exchange.events.pause_writing()
        self.regulate()
        self._schedule()

    def resume_writing(self) -> None:
        """The client has taken enough."""
        Outlet.resume_writing(self)
        if self._exchange is not None and self._exchange.events is not None:
            self._exchange.events.resume_writing()
        self.regulate()
        if self._stream.is_closing():
            self._watch_rest()

    # -- requests ------------------------------------------------------------------------------------------------------

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, bytes):
                if self._exchange is not None:
                    self._exchange.body.feed(event)
            elif isinstance(event, RequestHead):
                self._begin(event)
            elif isinstance(event, EndOfBody):
                if self._exchange is not None:
                    self._exchange.body_complete()
                self._next()
            else:
                self._violated(event)

    def _begin(self, head: RequestHead) -> None:
        self._deadline = inf
        self._exchange = Exchange(self, head)
        if head.upgrade and (head.has_body or not head.asks_for("websocket")):
            self._handle(self.http.decline_upgrade())

    def _answer(self) -> None:
        """Begin to answer a request of which all that has come is known. It may be answered behind this."""
        exchange = self._exchange
        if exchange is not None and not exchange.has_begun:
            exchange.begin()

    def _violated(self, error: RemoteProtocolError) -> None:
        """The client broke the protocol: in a head this is the answer, in a body the handler is told first."""
        if self._exchange is None or self._exchange.is_done:
            self._fail(error, error.cause)
        else:
            self.explain(error.cause)
            self._exchange.body.fail(HTTPError(error.status or 400, str(error)))

    def done(self) -> None:
        """The answer is complete, or will never be."""
        exchange = self._exchange
        if self._lost or exchange is None:
            self._exchange = None
            return
        self.flush()
        if not self.http.response_complete:
            self._cut(Aborted())  # too late to say that something went wrong: end where no end is
        elif not self.http.keep_alive or self.is_last:
            self.explain(Closed())
            self._close_behind_response()
        else:
            exchange.body.discard()
            self._next()

    def _next(self) -> None:
        """Turn to the next request, if the present one was received and answered to its end."""
        if self._lost or not self.http.can_start_next:
            return
        self._exchange = None
        self._handle(self.http.start_next())
        if self._exchange is None and not self._lingering:
            self._idle = not self.http.head_started
            limits = self._runtime.limits
            self._set_deadline(limits.keep_alive_timeout if self._idle else limits.headers_timeout)
        self.regulate()
        self._answer()

    # -- for exchanges -------------------------------------------------------------------------------------------------

    @property
    def is_last(self) -> bool:
        """Whether the connection closes behind the present exchange: its end is near, or explained already."""
        return self._shutting_down or self.context.closing or self.cause is not None

    def stream_opened(self) -> None:
        """The present answer is an event stream, which looks after its time by itself."""
        self._runtime.timer.forget(self, self._bucket)
        self._asked_at = inf
        self.regulate()

    def leave(self, ws: WebSocket) -> None:
        """The stream belongs to the WebSocket now, and this object is done."""
        self._stream.set_protocol(ws)
        self.context.forget(self)
        self._runtime.timer.forget(self, self._bucket)
        if self._reading_paused:
            self._stream.resume_reading()
        if self._paused:
            ws.pause_writing()
        self._exchange = None

    # -- ends ----------------------------------------------------------------------------------------------------------

    @property
    def events(self) -> EventStream | None:
        """The event stream that it carries at present."""
        exchange = self._exchange
        return exchange.events if exchange is not None and exchange.has_events else None

    @property
    def peer(self) -> str:
        """Who is at the other end: an address with a port, "" where there is none."""
        return self.client if isinstance(self.client, str) else peer_name(self.client)

    @property
    def is_leaving(self) -> bool:
        """Whether it has been told to end, and so has the event stream that it carries."""
        exchange = self._exchange
        return self._shutting_down and (exchange is None or not exchange.has_events)

    def shut_down(self) -> None:
        """Close when the present answer is complete, to which an event stream comes now; at once if there is none."""
        self._shutting_down = True
        self.explain(self.context.drain)
        if self._exchange is not None:
            self._exchange.end_events(self.context.drain.word)
        elif self._idle:
            self._close()
        elif not self._lingering:
            self._set_deadline(_LAST_CALL)

    def abort(self) -> None:
        """Close now."""
        self.explain(self.context.drain)
        if self._exchange is not None:
            self._exchange.cancel(self.context.drain.word)
        self._stream.abort()

    def _fail(self, error: HTTPError | RemoteProtocolError, cause: Cause) -> None:
        """Answer what is no request, and close."""
        self.explain(cause)
        response = error_response(error)
        body = response.body if isinstance(response.body, bytes) else b""
        if not self.http.response_begun:
            self.http.send_response(
                response.status, response.headers, body_size=len(body), close=True, date=self.context.date()
            )
            self.http.send_body(body)
            self.http.end_body()
            client = self.client if isinstance(self.client, str) else peer_name(self.client)
            self.context.log_access("-", client, response.status, 0.0)
        self.flush()
        self._linger()

    def _close_behind_response(self) -> None:
        if self.http.request_complete and not self.http.more:
            self._close()
        else:
            self._linger()

    def _close(self) -> None:
        """Close once the client has taken the rest."""
        self._stream.close()
        self._watch_rest()

    def _watch_rest(self) -> None:
        """A client has as much time for the rest as for anything else, however little it is."""
        if not self._lost and self._stream.get_write_buffer_size():
            if not self._paused:
                Outlet.pause_writing(self)
            self._schedule()

    def _linger(self) -> None:
        """Say that nothing more comes, and drop what the client still sends until it has understood."""
        self._lingering = True
        if self._exchange is not None:
            self._exchange.body.discard()
        if self._stream.can_write_eof():
            self._stream.write_eof()
        self._set_deadline(_LINGER)
        self.regulate()

    def _take_output(self) -> bytes:
        return self.http.data_to_send()

    def _closed_error(self) -> Exception:
        return ClientDisconnected(0 if self._exchange is None else self._exchange.body.received)

    # -- flow and time -------------------------------------------------------------------------------------------------

    def regulate(self) -> None:
        """Read from the stream or stop it, as there is room."""
        if self._lost:
            return
        if self._streams and self.http.waiting_size > _READ_AHEAD:
            # Whoever is not read from cannot be seen leaving, and a stream may have no end.
            self._cut(OverLimit("read_ahead", self.http.waiting_size, _READ_AHEAD))
            return
        exchange = self._exchange
        full = exchange is not None and exchange.body.is_full
        wanted = self._lingering or not (
            full or self.http.waiting_size > _READ_AHEAD or (self._paused and exchange is None)
        )
        if wanted and self._reading_paused:
            self._reading_paused = False
            self._stream.resume_reading()
        elif not wanted and not self._reading_paused:
            self._reading_paused = True
            self._stream.pause_reading()

    def _set_deadline(self, seconds: float | None) -> None:
        self._deadline = inf if seconds is None else self._runtime.timer.now() + seconds
        self._schedule()

    def _schedule(self) -> None:
        """A deadline that moved away costs nothing: the timer asks at the old one."""
        when = self._deadline
        if self._paused and not self._streams:
            timeout = self._runtime.limits.send_timeout
            when = when if timeout is None else min(when, self._stalled_since + timeout)
        if when >= self._asked_at:
            return
        timer = self._runtime.timer
        timer.forget(self, self._bucket)
        self._bucket = timer.schedule(self, when)
        self._asked_at = when

    @property
    def _streams(self) -> bool:
        """Whether an event stream looks after stalling by itself."""
        exchange = self._exchange
        return exchange is not None and exchange.events is not None and exchange.events.is_active

    def check_time(self, now: float) -> None:
        """Called by the coarse timer."""
        self._asked_at = inf
        if self._lost:
            return
        if not self._streams and self._is_stalled(now):
            self._cut_stalled()
        elif now >= self._deadline:
            self._expire()
        else:
            self._schedule()

    def _expire(self) -> None:
        self._deadline = inf
        limits = self._runtime.limits
        late = RequestTimeout("headers_timeout", limits.headers_timeout or 0.0)
        if self._lingering:
            self._stream.abort()
        elif not self.http.head_started:
            self.explain(IdleTimeout(limits.keep_alive_timeout or 0.0) if self._idle else late)
            self._close()
        else:
            self._fail(HTTPError(408, late.text), late)
