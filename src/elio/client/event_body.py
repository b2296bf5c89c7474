"""One body of an event stream: decoded, parsed, watched for silence, held back while the program is behind.

Compressed bodies are decoded block by block, and only as long as there is room: a bomb is a slow stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, cast

from ..errors import EventTooBig, RemoteProtocolError, StreamStalled
from ..http.coding import ContentDecoder
from ..net.runtime import Runtime
from ..sse.event import Event
from ..sse.parser import Parser
from .feed import EventFeed

__all__ = ["Body", "Done", "EventBody", "Signs"]

Done: TypeAlias = str | Callable[[Event], object]
"""What completes a stream: the type or the data of its last event, or a function that knows that event."""

_BLOCKS: Final = 16
"""Blocks of a compressed body that are decoded in one turn of the loop before others have theirs."""


class Body(Protocol):
    """The response whose body is read."""

    def pause_reading(self) -> None:
        """Stop telling what arrives."""
        ...

    def resume_reading(self) -> None:
        """Go on telling it."""
        ...

    def abort(self) -> None:
        """Close the connection now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What events tell of a stream beside what they say.

    Attributes:
        done: what completes the stream; None for one without an end.
        pings: types of events that are signs of life and no progress.
    """

    done: Done | None = None
    pings: frozenset[str] = field(default_factory=frozenset)


class EventBody:
    """Reads one body into the feed.

    Attributes:
        is_done: whether the event came that completes the stream.
        is_fatal: whether it ended with what another attempt would not better.
    """

    __slots__ = (
        "_body",
        "_bucket",
        "_decoder",
        "_end",
        "_error",
        "_feed",
        "_heard_at",
        "_is_open",
        "_is_over",
        "_parser",
        "_progress_at",
        "_reading_paused",
        "_runtime",
        "_scheduled",
        "_signs",
        "_timer",
        "is_done",
        "is_fatal",
    )

    def __init__(
        self,
        body: Body,
        feed: EventFeed,
        parser: Parser,
        runtime: Runtime,
        *,
        decoder: ContentDecoder | None,
        signs: Signs,
    ) -> None:
        self._body = body
        self._feed = feed
        self._parser = parser
        self._runtime = runtime
        self._timer = runtime.timer
        self._decoder = decoder
        self._signs = signs
        self._end: asyncio.Future[Exception | None] = runtime.loop.create_future()
        self._error: Exception | None = None
        self._is_open = True
        self._is_over = False
        self._reading_paused = False
        self._scheduled = False
        self._heard_at = self._progress_at = self._timer.now()
        self._bucket = -1
        self.is_done = False
        self.is_fatal = False
        self._schedule()

    async def wait_ended(self) -> Exception | None:
        """Wait for the end of the body; nothing is put into the feed after it.

        Returns:
            What cut it short; None for an end as HTTP has it.
        """
        return await asyncio.shield(self._end)

    def close(self) -> None:
        """Read no more."""
        self._finish(None, abort=True)

    # -- called by the response ----------------------------------------------------------------------------------------

    def body_received(self, data: bytes) -> None:
        """Bytes of the body."""
        if not self._is_open:
            return
        self._heard_at = self._timer.now()
        if self._decoder is None:
            self._parse(data)
        else:
            self._decode(data)
        self._update_reading()

    def body_ended(self, error: Exception | None) -> None:
        """The body is complete, or was cut short by an error."""
        self._is_over = True
        self._error = error
        if self._decoder is None or not self._decoder.more:
            self._complete()

    def _complete(self) -> None:
        """Everything that came of the body is in the feed."""
        error = self._error
        if error is None and self._decoder is not None:
            try:
                self._decoder.receive_eof()
            except RemoteProtocolError as cut:
                error = cut
        self._finish(error)

    def _finish(self, error: Exception | None, abort: bool = False) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._timer.forget(self, self._bucket)
        self._feed.when_room(None)
        self._parser.receive_eof()
        if not self._end.done():
            self._end.set_result(error)
        if abort:
            self._body.abort()

    def _fail(self, error: Exception) -> None:
        """The server sent what another attempt would not better."""
        self.is_fatal = True
        self._finish(error, abort=True)

    # -- events --------------------------------------------------------------------------------------------------------

    def _parse(self, data: bytes) -> None:
        found = self._parser.receive_data(data)
        if not found:
            return
        failure = found[-1]
        if isinstance(failure, EventTooBig):
            found.pop()
        events = cast("list[Event]", found)
        signs = self._signs
        if signs.done is not None:
            self._cut_behind_done(events, signs.done)
        if not signs.pings or any(event.type not in signs.pings for event in events):
            self._progress_at = self._heard_at
        if self.is_done:
            self._finish(None, abort=True)
        elif isinstance(failure, EventTooBig):
            self._fail(failure)
        self._feed.put(events)

    def _cut_behind_done(self, events: list[Event], done: Done) -> None:
        """Drop what follows the event that completes the stream, and that event too if its data says nothing else."""
        for number, event in enumerate(events):
            if done(event) if callable(done) else event.type == done:
                kept = number + 1
            elif event.data == done:
                kept = number
            else:
                continue
            self.is_done = True
            del events[kept:]
            return

    # -- flow control --------------------------------------------------------------------------------------------------

    def _decode(self, data: bytes) -> None:
        """Decode and parse as long as there is room, but not for too long."""
        decoder = cast(ContentDecoder, self._decoder)
        try:
            self._parse(decoder.receive_data(data))
            blocks = 1
            while decoder.more and blocks < _BLOCKS and self._is_open and not self._feed.is_full:
                self._parse(decoder.receive_data())
                blocks += 1
        except RemoteProtocolError as error:
            self._fail(error)

    def _go_on(self) -> None:
        self._scheduled = False
        if not self._is_open:
            return
        if self._decoder is not None and self._decoder.more and not self._feed.is_full:
            self._decode(b"")
        self._update_reading()

    def _update_reading(self) -> None:
        """Read, decode, or wait until the program has taken some."""
        if not self._is_open:
            return
        is_full = self._feed.is_full
        more = self._decoder is not None and self._decoder.more
        if is_full:
            self._feed.when_room(self._update_reading)
        elif more and not self._scheduled:
            self._scheduled = True
            self._runtime.loop.call_soon(self._go_on)
        elif not more and self._is_over:
            self._complete()
            return
        wanted = not is_full and not more
        if wanted and self._reading_paused:
            self._reading_paused = False
            self._heard_at = self._progress_at = self._timer.now()
            self._body.resume_reading()
        elif not wanted and not self._reading_paused and not self._is_over:
            self._reading_paused = True
            self._body.pause_reading()

    # -- time ----------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        limits = self._runtime.limits
        wishes = []
        if limits.liveness_timeout is not None:
            wishes.append(self._heard_at + limits.liveness_timeout)
        if limits.progress_timeout is not None:
            wishes.append(self._progress_at + limits.progress_timeout)
        if wishes:
            self._bucket = self._timer.schedule(self, max(min(wishes), self._timer.now()))

    def check_time(self, now: float) -> None:
        """Called by the coarse timer."""
        if not self._is_open:
            return
        limits = self._runtime.limits
        if self._reading_paused or self._is_over:
            self._heard_at = self._progress_at = now  # it is the program that is late
        elif limits.liveness_timeout is not None and now - self._heard_at >= limits.liveness_timeout:
            self._stall("byte", limits.liveness_timeout)
            return
        elif limits.progress_timeout is not None and now - self._progress_at >= limits.progress_timeout:
            self._stall("event", limits.progress_timeout)
            return
        self._schedule()

    def _stall(self, what: str, seconds: float) -> None:
        error = StreamStalled(what=what, seconds=seconds)
        self._finish(error, abort=True)
