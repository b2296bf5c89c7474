"""The body of a request between the connection that feeds it and the handler that reads it.

The connection calls :meth:`Body.feed`, :meth:`Body.feed_eof` or :meth:`Body.fail`, and lends four callbacks: ``pause``
when more waits than is good, ``resume`` when it was read, ``on_first_read`` when a handler waits for the first byte
(that is when ``100 Continue`` is due, RFC 9110 10.1.1), ``on_silence`` when nothing more comes. What was fed and not
read is kept, also when a reader was cancelled.

Not here: framing and the limit of the whole body; the protocol below counts that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from .causes import RequestTimeout
from .errors import ConcurrencyError, HTTPError, LocalProtocolError
from .limits import Limits

__all__ = ["EMPTY_BODY", "Body"]

_DEFAULTS: Final = Limits()


class Body:
    """Bytes that arrive while they are read.

    Args:
        size: what ``Content-Length`` announced, in bytes; ``None`` if nothing did.
        buffer_size: bytes that may wait before ``pause`` is called; :meth:`read` lifts it, since it wants them all.
        timeout: seconds of silence that a reader waits through before it gets 408; ``None``: for ever.
        pause: called when more than ``buffer_size`` bytes wait; the feeder stops reading from its socket.
        resume: called when reading may go on; always after ``pause``, and once for each.
        on_first_read: called once, when a reader has to wait and nothing has been received yet.
        on_silence: told the cause when a reader has waited for too long; the body has failed then.
    """

    __slots__ = (
        "_buffer",
        "_buffer_size",
        "_collecting",
        "_data",
        "_discarding",
        "_eof",
        "_error",
        "_on_first_read",
        "_on_silence",
        "_pause",
        "_paused",
        "_received",
        "_resume",
        "_size",
        "_streamed",
        "_timeout",
        "_waiter",
    )

    def __init__(
        self,
        *,
        size: int | None = None,
        buffer_size: int = _DEFAULTS.body_buffer_size,
        timeout: float | None = _DEFAULTS.body_timeout,
        pause: Callable[[], object] | None = None,
        resume: Callable[[], object] | None = None,
        on_first_read: Callable[[], object] | None = None,
        on_silence: Callable[[RequestTimeout], object] | None = None,
    ) -> None:
        self._size = size
        self._buffer_size = buffer_size
        self._timeout = timeout
        self._pause = pause
        self._resume = resume
        self._on_first_read = on_first_read
        self._on_silence = on_silence
        self._buffer = bytearray()
        self._data: bytes | None = None
        self._received = 0
        self._eof = self._paused = self._collecting = self._streamed = self._discarding = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    @classmethod
    def from_bytes(cls, data: bytes = b"") -> Body:
        """A body that is complete."""
        self = cls(size=len(data))
        self._data = data
        self._received = len(data)
        self._eof = True
        return self

    def __repr__(self) -> str:
        state = "failed" if self._error else "complete" if self._eof else "arriving"
        return f"<Body {state}, {self._received} bytes received, {len(self._buffer)} waiting>"

    # -- the feeding side ---------------------------------------------------------------------------------------------

    @property
    def received(self) -> int:
        """Bytes that have been fed."""
        return self._received

    @property
    def size(self) -> int | None:
        """What was announced, in bytes; after the end what was received; ``None`` while it is not known."""
        return self._received if self._eof else self._size

    @property
    def is_full(self) -> bool:
        """Whether the feeder is asked to pause."""
        return self._paused

    @property
    def is_complete(self) -> bool:
        """Whether the end has been fed: only then may the connection go on to its next request."""
        return self._eof

    @property
    def is_awaited(self) -> bool:
        """Whether a reader waits for more of it."""
        return self._waiter is not None

    @property
    def is_withheld(self) -> bool:
        """Whether its sender may be waiting to be asked for it (``100 Continue``)."""
        return self._on_first_read is not None and not self._received

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived. Behind a failure they only count."""
        self._received += len(data)
        if not self._discarding and self._error is None:
            self._buffer += data
            self._regulate()
        self._wake()

    def feed_eof(self) -> None:
        """Say that the body is complete. The callbacks are let go of. Ignored behind a failure."""
        if not self._eof and self._error is None:
            self._eof = True
            self._release()

    def fail(self, error: BaseException) -> None:
        """Say that the rest will never come; readers get what is here, then this error. Ignored after the end."""
        if not self._eof and self._error is None:
            self._error = error
            self._release()

    def _release(self) -> None:
        self._unpause()
        self._pause = self._resume = self._on_first_read = self._on_silence = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _regulate(self) -> None:
        """Pause the feeder if more waits than may, unless someone collects it all."""
        if len(self._buffer) > self._buffer_size and not (self._paused or self._collecting) and self._pause is not None:
            self._paused = True
            self._pause()

    def _unpause(self) -> None:
        if self._paused:
            self._paused = False
            if self._resume is not None:
                self._resume()

    # -- the reading side ---------------------------------------------------------------------------------------------

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body; a second call gives the same bytes.

        Args:
            limit: bytes that the caller takes, if fewer than the server does.

        Raises:
            HTTPError: 413, more bytes than the limit, announced or received; 408, silence for too long.
            ClientDisconnected: the client left before the end.
            LocalProtocolError: parts of it were streamed or discarded before.
            ConcurrencyError: another task is reading.
        """
        if self._data is None:
            self._check_alone()
            self._check_limit(limit)
            await self._collect(limit)
            self._data = bytes(self._buffer)
            self._buffer = bytearray()
        self._check_limit(limit)
        return self._data

    def stream(self) -> AsyncIterator[bytes]:
        """The body in parts, as they arrive; in one part if it was read before. Raises as :meth:`read` does."""
        return _Stream(self)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Stream(self)

    def discard(self) -> None:
        """Throw away what is here and what will come; reading is an error from now on. A body that was read stays."""
        if self._data is None:
            self._discarding = True
            self._buffer = bytearray()
            self._unpause()

    async def drain(self, limit: int) -> bool:
        """Discard the rest, so that the connection can be kept.

        Args:
            limit: bytes that this may cost at most; more than that is not worth keeping the connection.

        Returns:
            Whether the end was reached.
        """
        self.discard()
        end = self._received + limit
        while not self._eof:
            if self._error is not None or self._received > end:
                return False
            try:
                await self._wait()
            except HTTPError:
                return False
        return True

    async def _collect(self, limit: int | None) -> None:
        self._collecting = True
        try:
            self._check_whole()
            self._unpause()
            while not self._eof:
                await self._wait_for_more()
                self._check_limit(limit)
            self._check_whole()
        finally:
            self._collecting = False
            self._regulate()

    async def _next(self) -> bytes:
        """The next part; empty at the end."""
        self._check_alone()
        while not self._buffer:
            if self._discarding:
                raise LocalProtocolError("the request body was discarded already")
            if self._eof:
                return b""
            await self._wait_for_more()
        self._streamed = True
        data = bytes(self._buffer)
        self._buffer.clear()
        self._unpause()
        return data

    async def _wait_for_more(self) -> None:
        if self._error is not None:
            raise self._error
        if self._on_first_read is not None:
            callback, self._on_first_read = self._on_first_read, None
            if not self._received:
                callback()
        await self._wait()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        before = self._received
        try:
            async with asyncio.timeout(self._timeout):
                await self._waiter
        except TimeoutError:
            # A loop that was blocked finds in one turn what has come long since, and that time is up.
            if self._received == before and not self._eof and self._error is None:
                raise self._silent() from None
        finally:
            self._waiter = None

    def _silent(self) -> HTTPError:
        """Nothing came for too long: the body has failed."""
        cause = RequestTimeout("body_timeout", self._timeout or 0.0)
        if self._on_silence is not None:
            self._on_silence(cause)
        error = HTTPError(408, cause.text)
        self.fail(error)
        return error

    def _check_alone(self) -> None:
        if self._collecting or self._waiter is not None:
            raise ConcurrencyError("two tasks read one request body at the same time")

    def _check_whole(self) -> None:
        if self._discarding or self._streamed:
            raise LocalProtocolError(f"the request body was {'discarded' if self._discarding else 'streamed'} already")

    def _check_limit(self, limit: int | None) -> None:
        size = max(self._size or 0, self._received)
        if limit is not None and size > limit:
            raise HTTPError(413, f"request body of {size} bytes, limit {limit}")


class _Stream:
    """One pass over a body. A plain iterator: leaving it early needs no closing."""

    __slots__ = ("_body", "_done")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._done = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._done:
            raise StopAsyncIteration
        data = self._body._data
        if data is None:
            data = await self._body._next()
        else:
            self._done = True
        if not data:
            self._done = True
            raise StopAsyncIteration
        return data


EMPTY_BODY: Final = Body.from_bytes()
"""The body of every request that has none: complete, and never changed."""
