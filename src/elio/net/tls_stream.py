"""A TLS stream over another stream: the side of a server (RFC 8446, RFC 5246).

It is the receiver of the stream below, and the stream of a receiver of its own, which hears of it once the handshake is
complete. A connection holds no buffer. Not here: contexts, clients, half-closed streams: an end of one side is an end.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable
from typing import Any, Final

from ..causes import Cause, HandshakeTimeout, cause_of_loss
from .outlet import Sink
from .records.memory import RECORD, MemoryRecords
from .records.records import Records
from .stream import Stream

try:
    from .records._openssl import direct
except ImportError:

    def direct(records: MemoryRecords) -> Records:
        """The records as they are: OpenSSL is reached through the module `ssl` only."""
        return records


__all__ = ["Gate", "TlsRuntime", "TlsStream"]

logger = logging.getLogger("elio.server")

_RECORD: Final = RECORD

_BUFFER: Final = 8 * RECORD
"""Bytes of plaintext that the receiver is told at a time."""

_CLOSE_TIMEOUT: Final = 1.0
"""Seconds in which the peer may answer our end with its own before the stream is closed below."""

_HANDSHAKE: Final = 0
_OPEN: Final = 1
_CLOSING: Final = 2
_CLOSED: Final = 3


class Gate:
    """Who is told of handshakes, and which of them may begin: here all of them."""

    def begin(self, stream: Stream, receiver: Any) -> bool:
        """A connection is there. Returns whether it is let in; if not, nothing more is told of it."""
        return True

    def complete(self, stream: Stream, receiver: Any) -> None:
        """Its handshake is complete."""

    def failed(self, stream: Stream, receiver: Any, cause: Cause, seconds: float) -> None:
        """Its handshake, begun so many seconds ago, will never be complete."""


class TlsRuntime:
    """What all TLS streams of a server share.

    Args:
        loop: the running loop.
        context: certificates and versions, of handshakes that begin from now on; it may be replaced.
        handshake_timeout: seconds for a handshake, from the accept on.
        gate: who is told of handshakes.
    """

    __slots__ = ("buffer", "context", "gate", "handshake_timeout", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        handshake_timeout: float,
        gate: Gate | None = None,
    ) -> None:
        self.loop = loop
        self.context = context
        self.handshake_timeout = handshake_timeout
        self.gate = gate or Gate()
        self.buffer = bytearray(_BUFFER)


class TlsStream(Sink):
    """One connection.

    Args:
        shared: what it shares with others.
        receiver: who is told what arrives.
    """

    __slots__ = (
        "_error",
        "_reading_paused",
        "_receiver",
        "_records",
        "_shared",
        "_state",
        "_stream",
        "_timer",
        "_told",
    )

    def __init__(self, shared: TlsRuntime, receiver: Any) -> None:
        self._shared = shared
        self._receiver = receiver
        self._state = _HANDSHAKE
        self._stream: Any = None
        self._records: Any = None  # until the first bytes of the peer
        self._error: Exception | None = None
        self._reading_paused = False
        self._told = False
        self._timer: Any = shared.loop.call_later(shared.handshake_timeout, self._give_up)

    def __repr__(self) -> str:
        state = ("handshake", "open", "closing", "closed")[self._state]
        return f"<TlsStream {state} over {self._stream!r}>"

    # -- called by the stream below ------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The stream below is open."""
        self._stream = transport
        if not self._shared.gate.begin(transport, self._receiver):
            self._receiver = None
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Ciphertext of the peer."""
        if self._records is None:
            if self._state == _CLOSED:
                return
            self._records = MemoryRecords(self._shared.context, self._shared.buffer)
        if self._records.add(data):
            self._go_on()

    def eof_received(self) -> bool:
        """The peer's end without a close_notify: what was on its way may be missing, so it is a loss."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream below is closed."""
        self._drop()
        error = exc if self._error is None else self._error
        if self._told:
            self._told = False
            self._receiver.connection_lost(error)
        else:
            self._fail_handshake(cause_of_loss(error))
        self._stop_timer()
        self._receiver = None

    def pause_writing(self) -> None:
        """The peer takes too little."""
        if self._told:
            self._receiver.pause_writing()

    def resume_writing(self) -> None:
        """The peer has taken enough."""
        if self._told:
            self._receiver.resume_writing()

    # -- the handshake -------------------------------------------------------------------------------------------------

    def _shake_hands(self) -> None:
        records: Any = self._records
        try:
            is_complete = records.shake_hands()
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._fail("handshake", error)
            return
        self._send_out()
        if not is_complete:
            return
        self._records = direct(records)
        self._stop_timer()
        self._state = _OPEN
        self._told = True
        self._shared.gate.complete(self._stream, self._receiver)
        self._receiver.connection_made(self)

    def _give_up(self) -> None:
        """Time is over: for the handshake, or for the peer's answer to our end."""
        if self._stream is None or self._state == _CLOSED:
            return
        if self._state == _HANDSHAKE:
            self._fail_handshake(HandshakeTimeout(self._shared.handshake_timeout))
            self.abort()
        else:
            self._stream.close()

    def _fail_handshake(self, cause: Cause) -> None:
        """It is known why the handshake will never be complete: the first cause counts."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            shared = self._shared
            begun = self._timer.when() - shared.handshake_timeout
            shared.gate.failed(self._stream, receiver, cause, shared.loop.time() - begun)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, what: str, error: Exception) -> None:
        """Say goodbye with the alert that OpenSSL has made, and close. A peer's mistake is no trouble of ours."""
        logger.debug("TLS %s failed: %s", what, error)
        self._error = error.with_traceback(None)
        self._send_out()
        self._drop()
        self._stream.close()

    # -- reading -------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Take what has come, as long as it is wanted."""
        while self._records.has_input():
            if self._state == _HANDSHAKE:
                self._shake_hands()
            elif self._state == _CLOSED or self._reading_paused:
                return
            else:
                self._read()

    def _read(self) -> None:
        """Hand on the records that are there."""
        data = self._records.read()
        self._send_out()  # an answer of the protocol itself, as to a change of keys
        if data and self._state == _OPEN:
            self._receiver.data_received(data)
        if self._records.at_end and not self._reading_paused:
            self._end_of_input()

    def _end_of_input(self) -> None:
        """The peer's close_notify has come, or what nobody can read."""
        if self._state == _CLOSED:
            return
        if self._records.error is not None:
            self._fail("stream", self._records.error)
            return
        if self._state == _OPEN:
            self._receiver.eof_received()
        self._end_output()
        self._drop()
        self._stream.close()

    def pause_reading(self) -> None:
        """Stop telling the receiver what arrives."""
        if not self._reading_paused and self._state == _OPEN:
            self._reading_paused = True
            self._stream.pause_reading()

    def resume_reading(self) -> None:
        """Go on telling it."""
        if not self._reading_paused:
            return
        self._reading_paused = False
        self._stream.resume_reading()
        if self._records is not None and (self._records.has_input() or self._records.at_end):
            self._shared.loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._reading_paused:
            return
        try:
            self._go_on()
            if self._records.at_end and not self._reading_paused:
                self._end_of_input()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._shared.loop.call_exception_handler(
                {"message": "protocol.data_received() failed", "exception": error, "transport": self}
            )
            self.abort()

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send at once what the system takes, and keep the rest."""
        if self._state != _OPEN or not data:
            return
        try:
            if len(data) <= _RECORD:
                self._stream.write(self._records.write(data))
            else:
                self._stream.writelines(self._records.write_pieces((data,)))
        except ssl.SSLError as error:
            self._fail("stream", error)

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        """Write several pieces, one behind the other."""
        if self._state != _OPEN:
            return
        try:
            pieces = self._records.write_pieces(list_of_data)
        except ssl.SSLError as error:
            self._fail("stream", error)
            return
        if pieces:
            self._stream.writelines(pieces)

    def _send_out(self) -> None:
        """Send what OpenSSL has made, unless our end is out already: nothing may follow it."""
        if self._state >= _CLOSING or self._records is None:
            return
        data = self._records.take()
        if data:
            self._stream.write(data)

    def get_write_buffer_size(self) -> int:
        """Bytes of ciphertext not yet taken by the system."""
        size: int = self._stream.get_write_buffer_size()
        return size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """From how many such bytes on the receiver is told to pause writing."""
        self._stream.set_write_buffer_limits(high=high, low=low)

    # -- facts ---------------------------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``ssl_object`` has the facts about TLS; the rest is known below."""
        if name == "ssl_object":
            return None if self._records is None else self._records.tls
        return self._stream.get_extra_info(name, default)

    def set_protocol(self, protocol: Any) -> None:
        """Tell another receiver from now on."""
        self._receiver = protocol

    def is_closing(self) -> bool:
        """Whether the stream is closed or about to be."""
        return self._state >= _CLOSING

    # -- the end -------------------------------------------------------------------------------------------------------

    def can_write_eof(self) -> bool:
        """An end of one side is an end."""
        return False

    def write_eof(self) -> None:
        """Nothing: see :meth:`can_write_eof`."""

    def close(self) -> None:
        """Close once everything written has gone out, with a close_notify. The peer has a moment to answer it.

        What it still sends is dropped: a connection closed over unread input is reset, which loses what is on its way.
        """
        if self._state == _HANDSHAKE:
            self.abort()
        if self._state != _OPEN:
            return
        self._end_output()
        self._state = _CLOSING
        if self._stream.can_write_eof():
            self._stream.write_eof()
        self._timer = self._shared.loop.call_later(_CLOSE_TIMEOUT, self._give_up)
        self.resume_reading()

    def _end_output(self) -> None:
        """Send our close_notify, once."""
        if self._state != _OPEN:
            return
        self._records.end()
        self._send_out()

    def _drop(self) -> None:
        """Nothing goes in or out any more."""
        self._state = _CLOSED
        if self._records is not None:
            self._records.drop_input()

    def abort(self) -> None:
        """Close now; what has not gone out is lost."""
        self._drop()
        self._stream.abort()
