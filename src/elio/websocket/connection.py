"""One WebSocket connection after its opening handshake, without I/O (RFC 6455 5 to 7), either side.

Bytes of the peer go in by ``receive_data`` and come out as events; what is sent goes in by ``send_...`` and comes out
as bytes by ``data_to_send``, which has to be asked after every call of either kind. Pongs, the answer to a close frame
and the close frame for a violation queue by themselves.

Not here: the opening handshake, time, sockets. The connection never waits and closes nothing; ``next_step`` says what
is to be done with TCP.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..limits import LARGE
from . import octets
from .codes import CloseCode, Opcode
from .frame import encode_head
from .mask import masking_keys
from .message import Close, Deflate, Event, MessageDecoder, Ping, Pong, encode_close

__all__ = ["Close", "Connection", "Event", "NextStep", "Ping", "Pong", "Role", "State"]

# The first bytes of frames are put together from these; plain integers, as members of an IntEnum take twice the time.
_FIN: Final = 0x80
_RSV1: Final = 0x40
_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)
_CLOSE: Final = _FIN | Opcode.CLOSE
_CONTROL: Final = 0x08
_PING: Final = _FIN | Opcode.PING
_PONG: Final = _FIN | Opcode.PONG

# A payload of so many bytes is not copied behind its header: two pieces are written in one system call.
_LARGE: Final = LARGE

# With so many frames unsent, only the pong for the latest ping is kept: no peer can fill memory with pings.
_MAX_FRAMES_BEFORE_PONG: Final = 128


class Role(Enum):
    """Which side this is."""

    CLIENT = "client"
    SERVER = "server"


class State(Enum):
    """How far the closing handshake is (RFC 6455 7.1)."""

    OPEN = "open"
    """Messages go both ways."""
    CLOSING = "closing"
    """We have sent a close frame; messages of the peer may still come before its own."""
    CLOSED = "closed"
    """Nothing more is sent or received: both close frames have passed, the connection has failed, or TCP has ended."""


# Looking up a member of an Enum costs as much as the rest of a small method.
_OPEN: Final = State.OPEN
_CLOSING: Final = State.CLOSING
_CLOSED: Final = State.CLOSED
_CLIENT: Final = Role.CLIENT
_SERVER: Final = Role.SERVER
_NO_STATUS: Final = CloseCode.NO_STATUS


class NextStep(Enum):
    """What is to be done with TCP once everything in ``data_to_send`` is out."""

    CONTINUE = "continue"
    """Go on reading."""
    WAIT = "wait"
    """Read on, and drop it, until the server closes TCP; for a while only (RFC 6455 7.1.1)."""
    CLOSE = "close"
    """Close TCP now."""


class Connection:
    """The state of one connection.

    Args:
        role: which side this is.
        deflate: permessage-deflate, if it was negotiated.
        max_message_size: bytes of one received message after decompression; 1009 as soon as a header announces more.
        max_fragments: fragments of one received message; over it 1008.
        max_empty_frames: pings, unasked pongs and empty fragments in a row; over it 1008. See ``reset_empty_frames``.
        burst: frames that one call of ``receive_data`` handles at most.
        burst_size: bytes of payload, inflated, after which a call of ``receive_data`` stops.

    Raises:
        ConfigurationError: a bound is negative, or too large to be counted.

    Attributes:
        role: which side this is.
        state: how far the closing handshake is.
        close_sent: the close frame that was queued by us, if any.
        close_received: the close frame of the peer, if any.
        error: the violation that failed the connection, if any.
        more: whether input is left that the last call did not come to. Call ``receive_data(b"")`` for it when there is
            room for more events, and read nothing from the socket before.
    """

    __slots__ = (
        "_burst",
        "_burst_size",
        "_deflate",
        "_eof",
        "_has_large",
        "_is_client",
        "_last_pong",
        "_messages",
        "_out",
        "_sending",
        "_sending_compressed",
        "close_received",
        "close_sent",
        "error",
        "more",
        "role",
        "state",
    )

    def __init__(
        self,
        role: Role,
        *,
        deflate: Deflate | None = None,
        max_message_size: int | None = 1024 * 1024,
        max_fragments: int | None = 131_072,
        max_empty_frames: int | None = 1_000,
        burst: int = 64,
        burst_size: int = 64 * 1024,
    ) -> None:
        self.role = role
        self.state: State = _OPEN
        self.close_sent: Close | None = None
        self.close_received: Close | None = None
        self.error: RemoteProtocolError | None = None
        self._is_client = role is _CLIENT
        self._deflate = deflate
        self._burst = burst
        self._burst_size = burst_size
        self._messages = MessageDecoder(
            masked=role is _SERVER,
            deflate=deflate,
            max_message_size=max_message_size,
            max_fragments=max_fragments,
            max_empty_frames=max_empty_frames,
        )
        self.more = False
        self._out: bytes | list[bytes] | None = None
        self._last_pong = -1
        self._sending = 0
        self._sending_compressed = False
        self._has_large = False
        self._eof = False

    def __repr__(self) -> str:
        return f"<Connection {self.role.value}, {self.state.value}>"

    # -- receiving ---------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes of the peer.

        Args:
            data: what was read; empty to go on after ``more``.

        Returns:
            What they complete, in order: messages (``str`` and ``bytes``), pings, pongs, a close frame, a violation.
            The last two come in a list of their own (after ``more``), so that what the caller sends in return for
            earlier messages goes out before the close frame that answers them; whatever follows them is dropped.
            Call ``data_to_send`` next.
        """
        events: list[Event] = []
        if self._messages.receive(data, events, self._burst, self._burst_size):
            self._answer(events)
        self.more = self._messages.more
        if self._eof and not self.more:
            self._end()
        return events

    def receive_eof(self) -> list[Event]:
        """Take the end of the TCP stream.

        Returns:
            As ``receive_data``. Once there is no ``more``, the state is ``CLOSED``; without a close frame of the peer
            the close code is then 1006.
        """
        self._eof = True
        return self.receive_data(b"")

    @property
    def inside_message(self) -> bool:
        """Whether the peer has begun a message or a frame and not ended it."""
        return self._messages.inside_message

    def reset_empty_frames(self) -> None:
        """Count frames without data from 0 again.

        Call it at intervals (with every keep-alive ping, say), so that the pings of a quiet but healthy peer do not add
        up to a flood in the course of hours.
        """
        self._messages.empty_frames = 0

    def _answer(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Ping):
                self._queue_pong(event.payload)
            elif isinstance(event, Close):
                self._receive_close(event)
            elif isinstance(event, RemoteProtocolError):
                self._fail(event)

    def _receive_close(self, close: Close) -> None:
        """Answer with a close frame of the same code, unless one was sent (RFC 6455 5.5.1)."""
        self.close_received = close
        if self.close_sent is None:
            self._queue_close(None if close.code == _NO_STATUS else close.code)
        self.state = _CLOSED

    def _fail(self, error: RemoteProtocolError) -> None:
        """Send a close frame, unless one was sent, and receive no more (RFC 6455 7.1.7)."""
        self.error = error
        if self.close_sent is None:
            self._queue_close(error.close_code, _cut_reason(str(error)))
        self.state = _CLOSED

    def _end(self) -> None:
        self.state = _CLOSED
        self._messages.stop()

    # -- sending -----------------------------------------------------------------------------------------------------

    def send_text(self, text: str) -> None:
        """Queue a text message in one frame.

        Raises:
            LocalProtocolError: the connection is not open, a fragmented message is not finished, or the text has lone
                surrogates.
        """
        if self._deflate is not None:
            self._send_message(_TEXT, _encode_text(text))
            return
        if self.state is not _OPEN or self._sending:
            self._refuse_message()
        try:
            frame = octets.framed_text(_FIN | _TEXT, text, masking_keys.next_key() if self._is_client else None)
        except UnicodeEncodeError as error:
            raise _not_utf8(error) from None
        self._push(frame)

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        """Queue a binary message in one frame.

        Raises:
            LocalProtocolError: the connection is not open, or a fragmented message is not finished.
        """
        self._send_message(_BINARY, _as_bytes(data))

    def send_fragment(self, data: str | bytes | bytearray | memoryview, *, last: bool) -> None:
        """Queue the next fragment of a message (RFC 6455 5.4).

        Until the last one is queued, no other message can be sent; pings, pongs and a close frame can.

        Args:
            data: ``str`` for a text message, bytes-like for a binary one, the same for all fragments.
            last: whether the message ends here.

        Raises:
            LocalProtocolError: the connection is not open, the kind is not that of the first fragment, or the text has
                lone surrogates.
        """
        self._check_open()
        opcode = _TEXT if isinstance(data, str) else _BINARY
        if self._sending not in (0, opcode):
            raise LocalProtocolError("fragments of one message must be all text or all binary")
        payload = _encode_text(data) if isinstance(data, str) else _as_bytes(data)
        first = not self._sending
        deflate = self._deflate
        if first:
            self._sending_compressed = deflate is not None and not (last and len(payload) < deflate.threshold)
        if deflate is not None and self._sending_compressed:
            payload = deflate.compress_fragment(payload, last=last)
        rsv1 = first and self._sending_compressed
        self._queue((opcode if first else 0) | (_RSV1 if rsv1 else 0) | (_FIN if last else 0), payload)
        self._sending = 0 if last else opcode

    def send_ping(self, payload: bytes = b"") -> None:
        """Queue a ping (RFC 6455 5.5.2).

        Raises:
            LocalProtocolError: the connection is not open, or the payload has more than 125 bytes.
        """
        self._check_open()
        self._queue(_PING, payload)
        self._messages.pongs_expected += 1

    def send_pong(self, payload: bytes = b"") -> None:
        """Queue a pong that nobody asked for (RFC 6455 5.5.3); those for pings queue by themselves.

        Raises:
            LocalProtocolError: the connection is not open, or the payload has more than 125 bytes.
        """
        self._check_open()
        self._queue(_PONG, payload)

    def send_close(self, code: int | None = CloseCode.NORMAL, reason: str = "") -> None:
        """Queue a close frame and begin the closing handshake (RFC 6455 7.1.2). Messages of the peer may still come.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999; None for a close frame without a code.
            reason: at most 123 bytes of UTF-8.

        Raises:
            LocalProtocolError: the connection is not open, or the code or the reason may not be sent.
        """
        self._check_open()
        self._queue_close(code, reason)
        self.state = _CLOSING

    # -- sending the same to many ------------------------------------------------------------------------------------

    @property
    def fan_out_group(self) -> int | None:
        """Connections with the same number take the same encoded messages; None takes nobody else's.

        0 is for those that do not compress; others are told apart by their window. A client masks each frame anew.
        """
        if self._is_client:
            return None
        return 0 if self._deflate is None else self._deflate.own_max_window_bits

    def encode_shared(self, message: str | bytes | bytearray | memoryview) -> bytes:
        """Encode a message for every connection of this one's :attr:`fan_out_group`; nothing is queued.

        Raises:
            LocalProtocolError: the text has lone surrogates, or this is a client.
        """
        if self._is_client:
            raise LocalProtocolError("a client masks each frame anew and shares none")
        opcode = _TEXT if isinstance(message, str) else _BINARY
        payload = _encode_text(message) if isinstance(message, str) else _as_bytes(message)
        deflate = self._deflate
        if deflate is None or len(payload) < deflate.threshold:
            return encode_head(opcode | _FIN, payload, None)
        return encode_head(opcode | _FIN | _RSV1, deflate.compress_alone(payload), None)

    def send_shared(self, frame: bytes) -> None:
        """Queue what :meth:`encode_shared` of a connection of the same group returned.

        Raises:
            LocalProtocolError: the connection is not open, or a fragmented message is not finished.
        """
        if self.state is not _OPEN or self._sending:
            self._refuse_message()
        if frame[0] & _RSV1 and self._deflate is not None:
            self._deflate.restart()
        self._push(frame)

    def data_to_send(self) -> bytes:
        """Everything that was queued since the last call, for the wire; ``b""`` if nothing was."""
        out = self._out
        if out is None:
            return b""
        self._out = None
        self._last_pong = -1
        self._has_large = False
        return b"".join(out) if isinstance(out, list) else out

    def pieces_to_send(self) -> bytes | list[bytes]:
        """The same in pieces, where joining them would copy a large payload."""
        out = self._out
        if not isinstance(out, list) or not self._has_large:
            return self.data_to_send()
        self._out = None
        self._last_pong = -1
        self._has_large = False
        return out

    def _check_open(self) -> None:
        if self.state is not _OPEN:
            raise LocalProtocolError(f"nothing can be sent: the connection is {self.state.value}")

    def _refuse_message(self) -> None:
        self._check_open()
        raise LocalProtocolError("a fragmented message is not finished")

    def _send_message(self, opcode: int, payload: bytes | memoryview) -> None:
        if self.state is not _OPEN or self._sending:
            self._refuse_message()
        deflate = self._deflate
        if deflate is None or len(payload) < deflate.threshold:
            self._queue(opcode | _FIN, payload)
        else:
            self._queue(opcode | _FIN | _RSV1, deflate.compress(payload))

    def _queue(self, head: int, payload: bytes | memoryview) -> None:
        if isinstance(payload, bytes) and len(payload) >= _LARGE and not (self._is_client or head & _CONTROL):
            self._push(octets.header(head, len(payload)))
            self._push(payload)
            self._has_large = True
            return
        self._push(encode_head(head, payload, masking_keys.next_key() if self._is_client else None))

    def _push(self, frame: bytes) -> None:
        out = self._out
        if out is None:
            self._out = frame
        elif isinstance(out, list):
            out.append(frame)
        else:
            self._out = [out, frame]

    def _queue_close(self, code: int | None, reason: str = "") -> None:
        self._queue(_CLOSE, encode_close(code, reason))
        self.close_sent = Close(_NO_STATUS if code is None else code, reason)

    def _queue_pong(self, payload: bytes) -> None:
        """Queue a pong, in place of the last one where too much waits to be sent already (RFC 6455 5.5.3)."""
        self._queue(_PONG, payload)
        out = self._out
        if not isinstance(out, list) or len(out) <= _MAX_FRAMES_BEFORE_PONG:
            return
        if self._last_pong < 0:
            self._last_pong = len(out) - 1
        else:
            out[self._last_pong] = out.pop()

    # -- how it ended ------------------------------------------------------------------------------------------------

    @property
    def close_code(self) -> int | None:
        """The close code of the connection (RFC 6455 7.1.5): that of the peer's close frame, 1005 if it has none.

        1006 if the connection ended without a close frame of the peer; None as long as it has not ended.
        """
        if self.close_received is not None:
            return self.close_received.code
        return CloseCode.ABNORMAL if self.state is _CLOSED else None

    @property
    def close_reason(self) -> str:
        """The close reason of the connection (RFC 6455 7.1.6): that of the peer's close frame."""
        return "" if self.close_received is None else self.close_received.reason

    @property
    def closed_cleanly(self) -> bool:
        """Whether the closing handshake was completed (RFC 6455 7.1.4)."""
        return self.close_received is not None and self.close_sent is not None

    @property
    def next_step(self) -> NextStep:
        """What is to be done with TCP once ``data_to_send`` is out: the server closes first (RFC 6455 7.1.1)."""
        if self.state is not _CLOSED:
            return NextStep.CONTINUE
        return NextStep.WAIT if self._is_client and not self._eof else NextStep.CLOSE


def _encode_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _not_utf8(error) from None


def _not_utf8(error: UnicodeEncodeError) -> LocalProtocolError:
    return LocalProtocolError(f"text is not UTF-8: {error.reason} at {error.start}")


def _as_bytes(data: bytes | bytearray | memoryview) -> bytes | memoryview:
    """The same bytes, as something that has a length in bytes."""
    if isinstance(data, bytes):
        return data
    view = memoryview(data)
    return view.cast("B") if view.c_contiguous else view.tobytes()


def _cut_reason(text: str) -> str:
    """As much of the text as fits into a close frame."""
    return text.encode(errors="replace")[:123].decode(errors="ignore")
