"""A TLS stream over another stream: the side of a server (RFC 8446, RFC 5246).

It is the receiver of the stream below, and the stream of a receiver of its own, which hears of it once the handshake is
complete. A connection holds no buffer. Not here: contexts, clients, half-closed streams: an end of one side is an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Iterable
from typing import Any, Final

from ..causes import Cause, HandshakeTimeout, cause_of_loss
from .outlet import Sink
from .stream import Stream

__all__ = ["Gate", "TlsRuntime", "TlsStream"]

logger = logging.getLogger("elio.server")

_RECORD: Final = 16_384
"""Bytes of plaintext that one record has at most (RFC 8446 5.1)."""

_PIECE: Final = 5 * (_RECORD + 256 + 5)
"""Bytes of ciphertext that OpenSSL is given at a time: its buffer for a connection grows to that and stays."""

_OUT: Final = 4 * _RECORD
"""Bytes of plaintext that OpenSSL is given at a time: its buffer for a connection grows to twice that at most."""

_BUFFER: Final = 8 * _RECORD
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

    __slots__ = ("buffer", "context", "gate", "handshake_timeout", "loop", "view")

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
        self.view = memoryview(self.buffer)


class TlsStream(Sink):
    """One connection.

    Args:
        shared: what it shares with others.
        receiver: who is told what arrives.
    """

    __slots__ = (
        "_at_end",
        "_engine",
        "_error",
        "_incoming",
        "_left",
        "_offset",
        "_outgoing",
        "_reading_paused",
        "_receiver",
        "_shared",
        "_state",
        "_stream",
        "_timer",
        "_tls",
        "_told",
        "_unread",
    )

    def __init__(self, shared: TlsRuntime, receiver: Any) -> None:
        self._shared = shared
        self._receiver = receiver
        self._state = _HANDSHAKE
        self._stream: Any = None
        self._tls: Any = None
        self._engine: Any = None
        self._incoming: Any = None
        self._outgoing: Any = None
        self._error: Exception | None = None
        self._left = b""  # ciphertext from the offset on, that OpenSSL has not got yet
        self._offset = 0
        self._unread = False  # whether OpenSSL has got what it has not read
        self._at_end = False
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
        if self._left:
            self._left = self._left[self._offset :] + data
            self._offset = 0
            return
        self._left = data
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
        if self._tls is None:
            self._incoming = ssl.MemoryBIO()
            self._outgoing = ssl.MemoryBIO()
            self._tls = self._shared.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
            # What it calls in its turn, where it has that: one frame of the interpreter less for each read and write.
            self._engine = getattr(self._tls, "_sslobj", self._tls)
        self._feed()
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._unread = False
            self._send_out()
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._fail("handshake", error)
            return
        self._unread = self._incoming.pending > 0
        self._send_out()
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
        while self._left or self._unread:
            if self._state == _HANDSHAKE:
                self._shake_hands()
            elif self._state == _CLOSED or self._reading_paused:
                return
            else:
                if not self._unread:
                    self._feed()
                self._read()

    def _feed(self) -> None:
        """Give OpenSSL the next piece of what has come."""
        data = self._left
        start = self._offset
        size = len(data) - start
        if size > _PIECE:
            size = _PIECE
            self._offset = start + size
        else:
            self._left = b""
            self._offset = 0
        self._incoming.write(data if size == len(data) else memoryview(data)[start : start + size])
        self._unread = True

    def _read(self) -> None:
        """Hand on the records that are there."""
        engine = self._engine
        incoming = self._incoming
        buffer = self._shared.buffer
        data = buffer
        view = self._shared.view
        count = 0
        while count <= _BUFFER - _RECORD:
            try:
                size = engine.read(_BUFFER - count, view[count:] if count else view)
            except ssl.SSLWantReadError:
                self._unread = False
                break
            except ssl.SSLZeroReturnError:
                size = 0
            except ssl.SSLError as error:
                self._error = error.with_traceback(None)
                size = 0
            if not size:
                self._unread = False
                self._at_end = True
                break
            count += size
            # Asking once more where nothing is left would cost an exception.
            if not incoming.pending:
                self._unread = False
                break
        if self._outgoing.pending:
            self._send_out()  # an answer of the protocol itself, as to a change of keys
        if count and self._state == _OPEN:
            self._receiver.data_received(bytes(data[:count]))
        if self._at_end and not self._reading_paused:
            self._end_of_input()

    def _end_of_input(self) -> None:
        """The peer's close_notify has come, or what nobody can read."""
        if self._state == _CLOSED:
            return
        if self._error is not None:
            self._fail("stream", self._error)
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
        if self._left or self._at_end or self._unread:
            self._shared.loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._reading_paused:
            return
        try:
            self._go_on()
            if self._at_end and not self._reading_paused:
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
                self._engine.write(data)
                self._stream.write(self._outgoing.read())
            else:
                self._write_pieces((data,))
        except ssl.SSLError as error:
            self._fail("stream", error)

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        """Write several pieces, one behind the other."""
        if self._state != _OPEN:
            return
        try:
            self._write_pieces(list_of_data)
        except ssl.SSLError as error:
            self._fail("stream", error)

    def _write_pieces(self, list_of_data: Iterable[bytes]) -> None:
        outgoing = self._outgoing
        pieces = []
        for data in list_of_data:
            view = memoryview(data)
            size = len(view)
            for start in range(0, size, _OUT):
                self._engine.write(view[start : start + _OUT])
                if outgoing.pending >= _OUT:
                    pieces.append(outgoing.read())
        if outgoing.pending:
            pieces.append(outgoing.read())
        if pieces:
            self._stream.writelines(pieces)

    def _send_out(self) -> None:
        """Send what OpenSSL has made, unless our end is out already: nothing may follow it."""
        if self._state < _CLOSING and self._outgoing is not None and self._outgoing.pending:
            self._stream.write(self._outgoing.read())

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
            return self._tls
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
        with contextlib.suppress(ssl.SSLError):  # as a rule, since the peer has yet to answer
            self._tls.unwrap()
        self._send_out()

    def _drop(self) -> None:
        """Nothing goes in or out any more."""
        self._state = _CLOSED
        self._left = b""
        self._offset = 0

    def abort(self) -> None:
        """Close now; what has not gone out is lost."""
        self._drop()
        self._stream.abort()
