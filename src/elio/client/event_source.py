"""``EventSource``: an event stream that is followed for as long as there is one (WHATWG HTML 9.2).

A task of its own asks for the stream, and asks again where the standard says so: it is the only one that connects.
Events of all bodies go through one queue, so a program sees one stream. Not here: the queue (``feed``), reading a body
(``event_body``), how long to wait (``elio.sse.reconnection``).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, Unpack

from ..errors import ConnectError, ElioError, HandshakeError, RemoteProtocolError, StreamStalled, StreamTruncated
from ..headers import Headers, HeadersLike
from ..http.coding import ContentDecoder, make_decoder
from ..http.message import reason_phrase
from ..limits import Limits
from ..net.client_loop import ClientLoop
from ..sse.parser import Parser
from ..sse.reconnection import (
    DEFAULT_RECONNECTION_TIME,
    Reconnection,
    Verdict,
    classify_response,
    is_event_stream,
    parse_retry_after,
)
from ..url import URL
from .backoff import Change, ConnectionState
from .event_body import Done, EventBody, Signs
from .event_request import EventRequest, Surroundings, split_surroundings
from .feed import EventFeed
from .http import ClientResponse, open_response
from .request import Auth

__all__ = ["EventSource"]

_MAX_ERROR_BODY: Final = 64 * 1024
_ERROR_BODY_TIMEOUT: Final = 5.0
"""Bytes of the body of a refusal that are read for its error, and seconds to wait for them."""

Classify: TypeAlias = Callable[[int, str], Verdict]


@dataclass(frozen=True, slots=True)
class _End:
    """How an attempt, or the stream that it led to, ended."""

    error: Exception | None
    is_final: bool = False
    retry_after: float | None = None


class EventSource(EventFeed):
    """An event stream of a server, asked for again whenever it breaks.

    ``async with`` waits for the first answer; ``async for event in source`` gives every :class:`elio.Event` and ends
    when the server answers 204, when ``done`` came, or when a stream ended that may not be asked for again. What goes
    wrong for good is raised once every event was taken. ``await source.receive()`` gives one event.

    A request that is not idempotent (a POST) is repeated only if an id was seen, with which the server can go on. A
    stream with ``done`` goes on by its id only, since from the beginning it would say everything twice.

    Any ``await`` may be cancelled: no event is lost by that.

    Attributes:
        headers: headers of the latest answer; None before the first.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        method: str | None = None,
        headers: HeadersLike = (),
        body: str | bytes | None = None,
        json: Any = None,
        auth: Auth | None = None,
        secret_headers: Collection[str] = (),
        last_event_id: str = "",
        done: Done | None = None,
        pings: Collection[str] = (),
        idempotent: bool | None = None,
        reconnection_time: float = DEFAULT_RECONNECTION_TIME,
        max_reconnects: int | None = None,
        classify: Classify = classify_response,
        on_change: Callable[[Change], object] | None = None,
        compression: bool = True,
        limits: Limits | None = None,
        **surroundings: Unpack[Surroundings],
    ) -> None:
        """
        Args:
            url: http or https, or http+unix for a Unix socket.
            method: POST by default if there is a body, else GET.
            headers: of the request; they go before the usual ones.
            body: of the request; text is sent as UTF-8.
            json: sent as JSON, instead of ``body``.
            auth: user and password (Basic), or a token (Bearer). No other origin gets it.
            secret_headers: names of those that no other origin gets to see if the server redirects. ``Authorization``,
                ``Cookie`` and ``Proxy-Authorization`` never go there.
            last_event_id: where to go on from, such as what :attr:`last_event_id` was before.
            done: the type or the data of the event that completes the stream, or a function that knows the event. An
                end before it is a :class:`elio.StreamTruncated`. Data that is ``done`` itself, such as ``[DONE]``, is
                not given out.
            pings: types of events that do not count as progress.
            idempotent: whether the request may be repeated; by default what the method says (RFC 9110 9.2.2).
            reconnection_time: seconds to wait before the next attempt, as long as the server asks for nothing else.
            max_reconnects: attempts in a row, behind the first, without a stable stream; None for no bound.
            classify: judges status and content type of an answer. :func:`elio.sse.classify_leniently` also tries again
                after 429, 502, 503 and 504.
            on_change: called with each :class:`Change`; what it raises ends the source.
            compression: whether the server may compress the stream.
            limits: every bound.
            surroundings: ``tls``, ``server_hostname``, ``proxy``, ``local_address`` and ``uds`` as for
                :func:`elio.connect`; ``max_event_size``, ``open_timeout``, ``response_timeout``,
                ``liveness_timeout`` and ``progress_timeout`` go before ``limits``.

        Raises:
            InvalidURL: the URL cannot be used.
            InvalidHeader: a header or the last event ID would break the wire.
            ConfigurationError: a bound or a combination of arguments cannot be.
        """
        self._route, bounds = split_surroundings(limits, surroundings)
        super().__init__(ClientLoop.current().runtime(bounds))
        self.headers: Headers | None = None
        self._request = EventRequest.make(
            url,
            method=method,
            headers=headers,
            body=body,
            data=json,
            auth=auth,
            idempotent=idempotent,
            compression=compression,
        )
        self._secrets = tuple(secret_headers)
        self._classify = classify
        self._on_change = on_change
        self._signs = Signs(done=done, pings=frozenset(pings))
        self._reconnection = _reconnection(last_event_id, reconnection_time, max_reconnects)
        self._started_from = last_event_id
        self._parser = Parser(max_event_size=self._runtime.limits.max_event_size, last_event_id=last_event_id)
        self._state = ConnectionState.CONNECTING
        self._task: asyncio.Task[None] | None = None
        self._is_complete = False
        self._opened: asyncio.Future[Exception | None] = self._runtime.loop.create_future()

    def __repr__(self) -> str:
        return f"<EventSource {self._request.url} {self._state.value}>"

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> ConnectionState:
        """Whether a stream is open."""
        return self._state

    @property
    def url(self) -> str:
        """What is asked for, without user and password."""
        return str(self._request.url)

    @property
    def is_complete(self) -> bool:
        """Whether ``done`` came."""
        return self._is_complete

    @property
    def last_event_id(self) -> str:
        """The last event ID as of the last event that was taken: where to go on from later, or elsewhere."""
        if not self._ready and not self._later:
            return self._parser.last_event_id
        return self._started_from if self._latest is None else self._latest.id or ""

    # -- life ----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._begin_receiving()
        try:
            error = await asyncio.shield(self._opened)
            if error is not None:
                raise error
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the stream and ask for it no more. Events that were not taken are dropped."""
        task = self._task
        self._finish(None)
        self._ready = []
        self._later = []
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    def _begin_receiving(self) -> None:
        if self._task is None and not self._ended:
            self._task = self._runtime.loop.create_task(self._run(), name=repr(self))

    async def _run(self) -> None:
        error: Exception | None = None
        try:
            error = await self._follow()
        except Exception as failure:
            error = failure
        finally:
            self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if self._ended:
            return
        self.end(error)
        if not self._opened.done():
            self._opened.set_result(error)
        self._change(ConnectionState.CLOSED, error)

    def _change(self, state: ConnectionState, error: Exception | None = None, *, delay: float = 0.0) -> None:
        self._state = state
        if self._on_change is not None:
            attempt = self._reconnection.attempts + 1
            self._on_change(Change(state=state, attempt=attempt, delay=delay, error=error))

    # -- one attempt after the other -----------------------------------------------------------------------------------

    async def _follow(self) -> Exception | None:
        """Follow the stream to its end.

        Returns:
            What ended it; None for an end as it should be.
        """
        while True:
            self._change(ConnectionState.CONNECTING)
            end = await self._attempt()
            if end.is_final:
                return end.error
            now = self._runtime.loop.time()
            delay = self._reconnection.lost(now, retry_after=end.retry_after)
            if delay is None:
                return self._given_up(end.error)
            self._change(ConnectionState.WAITING, end.error, delay=delay)
            await asyncio.sleep(delay)

    async def _attempt(self) -> _End:
        limits = self._runtime.limits
        request = self._request
        try:
            response = await open_response(
                request.method,
                request.url,
                request.headers_from(self._reconnection.last_event_id_header()),
                request.body,
                route=self._route,
                limits=limits,
                timeout=limits.response_timeout,
                connect_timeout=limits.open_timeout,
                max_redirects=limits.max_redirects,
                secrets=self._secrets,
            )
        except ConnectError as error:
            return _End(error, is_final=error.is_certificate or not self._may_repeat())
        except HandshakeError as error:
            return _End(error, is_final=True)
        try:
            return await self._judge(response)
        except RemoteProtocolError as error:
            return _End(error, is_final=True)
        finally:
            await response.close()

    async def _judge(self, response: ClientResponse) -> _End:
        """Find out what the answer is, and read it if it is an event stream (9.2.3)."""
        self.headers = response.headers
        content_type = response.headers.get("content-type") or ""
        verdict = self._classify(response.status, content_type)
        if verdict is Verdict.STOP:
            return _End(None, is_final=True)
        decoder = make_decoder(response.headers.get_list("content-encoding"))
        if verdict is Verdict.OPEN:
            return await self._read(response, decoder)
        error = _refusal(response, content_type, await _read_refusal(response, decoder))
        retry_after = parse_retry_after(response.headers.get("retry-after") or "", unix_time=time.time())
        is_final = verdict is Verdict.FAIL or not self._may_repeat()
        return _End(error, is_final=is_final, retry_after=retry_after)

    async def _read(self, response: ClientResponse, decoder: ContentDecoder | None) -> _End:
        """Read the stream to the end of the body."""
        parser, reconnection, before = self._parser, self._reconnection, self._count
        reconnection.opened(self._runtime.loop.time())
        self._change(ConnectionState.OPEN)
        if not self._opened.done():
            self._opened.set_result(None)
        parser.reset()
        body = EventBody(response, self, parser, self._runtime, decoder=decoder, signs=self._signs)
        try:
            response.start(body)
            error = await body.wait_ended()
        finally:
            body.close()
        reconnection.last_event_id = parser.last_event_id
        if parser.retry is not None:
            reconnection.set_retry(parser.retry)
        if self._count > before:
            reconnection.received()
        self._is_complete = body.is_done
        if body.is_done or body.is_fatal:
            return _End(error, is_final=True)
        return self._broken(error)

    def _broken(self, error: Exception | None) -> _End:
        """What the end of a body means that was not the end of the stream."""
        if self._may_repeat():
            return _End(error)
        if error is None and self._signs.done is None:
            return _End(None, is_final=True)
        return _End(self._truncated(error), is_final=True)

    def _may_repeat(self) -> bool:
        """Whether the request can be sent again."""
        if self._parser.last_event_id:
            return True
        return self._request.is_idempotent and (self._signs.done is None or not self._count)

    def _given_up(self, error: Exception | None) -> Exception | None:
        """What there is to say when no further attempt is allowed."""
        if error is None and self._signs.done is None:
            return None
        return error if isinstance(error, (ConnectError, HandshakeError)) else self._truncated(error)

    def _truncated(self, error: Exception | None) -> ElioError:
        if isinstance(error, StreamStalled):
            error.events = self._count
            error.last_event_id = self._parser.last_event_id
            return error
        text = f"event stream cut short after {self._count} events: {error or 'the server ended it'}"
        truncated = StreamTruncated(text, events=self._count, last_event_id=self._parser.last_event_id)
        truncated.__cause__ = error
        return truncated


def _reconnection(last_event_id: str, reconnection_time: float, max_reconnects: int | None) -> Reconnection:
    return Reconnection(
        random=random.random,
        last_event_id=last_event_id,
        reconnection_time=reconnection_time,
        max_attempts=max_reconnects,
    )


async def _read_refusal(response: ClientResponse, decoder: ContentDecoder | None) -> bytes:
    body = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(_ERROR_BODY_TIMEOUT):
            body = await response.read(_MAX_ERROR_BODY)
    if decoder is not None:
        with suppress(RemoteProtocolError):
            return decoder.receive_data(body)
    return body


def _refusal(response: ClientResponse, content_type: str, body: bytes) -> HandshakeError:
    status = response.status
    text = f"{response.url} answered {status} {reason_phrase(status)}".rstrip()
    if not is_event_stream(content_type):
        text += f" with content type {content_type[:100]!r}"
    return HandshakeError(
        f"{text}, an event stream is 200 with 'text/event-stream'",
        status=status,
        headers=response.headers.items(),
        body=body,
    )
