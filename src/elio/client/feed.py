"""The queue of an event source: events go in as a read of the socket made them, and come out one by one.

A task that waits for an event runs inside the call that brings it, without another turn of the loop, and takes the rest
of the read in the same go. Not here: where events come from (``event_body``) and what follows the end of a response
(``event_source``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import ConcurrencyError, StreamClosed
from ..net.ready import Steps, Wakeup
from ..net.runtime import Runtime
from ..sse.event import Event

__all__ = ["EventFeed", "ReceiveEvent"]


class ReceiveEvent(Steps):
    """One ``receive`` of one task. :meth:`EventFeed._begin` makes it."""

    __slots__ = ()

    def step(self) -> Any:
        """The event, or what the task has to wait for.

        Raises:
            StreamClosed: there will be none, or another error that ended the stream.
            CancelledError: the wait was cancelled.
        """
        feed = self._source
        wakeup = self._wakeup
        if wakeup is not None:
            if not wakeup.is_done:
                wakeup._asyncio_future_blocking = True
                return wakeup
            self._wakeup = None
            wakeup.result()
            feed._spare = wakeup
        event = feed._next(self._iterating)
        if event is None:
            wakeup = self._wakeup = feed._wait()
            wakeup._asyncio_future_blocking = True
            return wakeup
        feed._receiving = self
        return event

    def close(self) -> None:
        """Wait no more. No event gets lost: it leaves the queue in the step that returns it."""
        feed = self._source
        wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None and feed._waiter is wakeup:
            feed._waiter = None


class EventFeed:
    """Hands events to the task that receives them."""

    __slots__ = (
        "_count",
        "_ended",
        "_error",
        "_later",
        "_latest",
        "_max_queue",
        "_on_room",
        "_ready",
        "_receiving",
        "_runtime",
        "_spare",
        "_waiter",
    )

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._max_queue = runtime.limits.max_queue
        # Events that can be taken, the next one last; and what came after them, in order.
        self._ready: list[Event] = []
        self._later: list[Event] = []
        self._latest: Event | None = None
        self._count = 0
        self._on_room: Callable[[], object] | None = None
        self._waiter: Wakeup | None = None
        self._spare: Wakeup | None = None
        # What has given out its event and can be awaited anew: a new one would be a tenth of an event's time.
        self._receiving: ReceiveEvent | None = None
        self._error: Exception | None = None
        self._ended = False

    # -- taking --------------------------------------------------------------------------------------------------------

    def receive(self) -> Coroutine[Any, Any, Event]:
        """The next event.

        Raises:
            StreamClosed: the stream has ended as it should, and every event was received.
            StreamTruncated: it ended too early, and cannot go on.
            HandshakeError: the server does not answer with an event stream.
            ConnectError: the server cannot be reached, and no further attempt is allowed.
            EventTooBig: the server sent more than ``max_event_size`` bytes as one event or line.
            RemoteProtocolError: the server sent what cannot be decoded.
            ConcurrencyError: another task is receiving from this source.
        """
        return self._begin(False)

    def __aiter__(self) -> EventFeed:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        return self._begin(True)

    def _begin(self, iterating: bool) -> ReceiveEvent:
        """What a task awaits to receive.

        Args:
            iterating: whether an end as it should be is the end of an iteration instead of an exception.
        """
        receive = self._receiving
        if receive is None:
            receive = ReceiveEvent.__new__(ReceiveEvent)
            receive._source = self
            receive._wakeup = None
        else:
            self._receiving = None
        receive._iterating = iterating
        return receive

    def _next(self, iterating: bool) -> Event | None:
        """The next event for a task that receives; None if it has to wait."""
        ready = self._ready
        if not ready:
            ready = self._later
            if not ready:
                self._miss(iterating)
                return None
            ready.reverse()
            self._ready = ready
            self._later = []
        event = ready.pop()
        self._latest = event
        if self._on_room is not None and len(ready) < self._max_queue:
            self._tell_room()
        return event

    def _miss(self, iterating: bool) -> None:
        """There is none: see to it that the task may wait, or raise."""
        if self._waiter is not None:
            raise ConcurrencyError("another task is receiving from this event source already")
        if not self._ended:
            self._begin_receiving()
            return
        if self._error is not None:
            raise self._error
        if iterating:
            raise StopAsyncIteration
        raise StreamClosed("the event stream has ended")

    def _begin_receiving(self) -> None:
        """The program wants an event."""

    def _wait(self) -> Wakeup:
        """What the task that receives waits for; the same object serves one wait after the other."""
        wakeup = self._spare
        if wakeup is None:
            wakeup = Wakeup(self._runtime.loop)
        else:
            self._spare = None
            wakeup.reset()
        self._waiter = wakeup
        return wakeup

    def _tell_room(self) -> None:
        on_room, self._on_room = self._on_room, None
        if on_room is not None:
            on_room()

    # -- putting -------------------------------------------------------------------------------------------------------

    def put(self, events: list[Event]) -> None:
        """Put events behind those that wait, and let the task that waits for them run. The list is the feed's then."""
        self._count += len(events)
        if self._ready:
            self._later += events
        else:
            events.reverse()
            self._ready = events
        self.wake()

    def end(self, error: Exception | None) -> None:
        """No further event will come.

        Args:
            error: what a task gets that has taken every event; None for an end as it should be.
        """
        if not self._ended:
            self._ended = True
            self._error = error
            self.wake()

    def wake(self) -> None:
        """Let the task that waits look again."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.wake()

    @property
    def is_full(self) -> bool:
        """Whether so many events wait that no more should come."""
        return len(self._ready) + len(self._later) >= self._max_queue

    def when_room(self, callback: Callable[[], object] | None) -> None:
        """Call back once, when the queue is not full any more; it replaces an earlier callback."""
        self._on_room = callback
