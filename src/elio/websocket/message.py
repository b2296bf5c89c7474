"""Frames to messages (RFC 6455 5.4, 5.6, 8.1; RFC 7692 6.2) for one direction of a connection.

Fragments are put together in one growing buffer, text is checked as its bytes arrive, compressed messages are inflated
as they arrive, and every bound on what a peer may send is kept here: size of a message, number of its fragments, frames
in a row that carry no data, work for one call. Control frames come out between messages, in their order.

Not here: answers. What has to be sent, and when the connection ends, is the business of ``connection.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, cast

from ..errors import LimitExceeded, LocalProtocolError, MessageTooBig, RemoteProtocolError
from ..limits import bound
from . import octets
from .codes import CloseCode, Opcode, may_be_sent
from .frame import ENDS, MAX_LENGTH, STARTS, WHOLE, FrameDecoder

__all__ = ["Close", "Deflate", "Event", "MessageDecoder", "Ping", "Pong", "decode_close", "encode_close"]

_MAX_REASON_SIZE: Final = 123

# Opcodes as plain integers: comparing with members of an IntEnum takes twice the time.
_CONTINUATION: Final = int(Opcode.CONTINUATION)
_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)
_WHOLE_TEXT: Final = 0x80 | _TEXT
_WHOLE_BINARY: Final = 0x80 | _BINARY
_CONTROL: Final = 0x08
_CLOSE: Final = int(Opcode.CLOSE)
_PING: Final = int(Opcode.PING)

# Stands for the buffer between messages; nothing is written to it.
_NO_BUFFER: Final = octets.MessageBuffer(False)


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping frame (RFC 6455 5.5.2). The pong is sent without asking."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong frame (RFC 6455 5.5.3)."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Close:
    """A close frame (RFC 6455 5.5.1).

    Attributes:
        code: the close code; 1005 if the frame has none.
        reason: the close reason, at most 123 bytes of UTF-8.
    """

    code: int = CloseCode.NO_STATUS
    reason: str = ""


Event: TypeAlias = str | bytes | Ping | Pong | Close | RemoteProtocolError
"""What comes out of a connection: a text message is a ``str``, a binary one is ``bytes``."""


class Deflate(Protocol):
    """What a connection needs of permessage-deflate (RFC 7692)."""

    @property
    def threshold(self) -> int:
        """Bytes below which a message goes uncompressed."""
        ...

    @property
    def own_max_window_bits(self) -> int:
        """The window that this side compresses with."""
        ...

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        """Compress a whole message."""
        ...

    def compress_alone(self, data: bytes | bytearray | memoryview) -> bytes:
        """Compress a message that refers to nothing before it."""
        ...

    def restart(self) -> None:
        """Let the next message refer to nothing before it."""
        ...

    def compress_fragment(self, data: bytes | bytearray | memoryview, *, last: bool) -> bytes:
        """Compress the next fragment of a message."""
        ...

    def decompress(self, data: bytes, *, last: bool, limit: int | None) -> bytes:
        """Inflate the next piece of a message, to at most ``limit`` bytes."""
        ...


def encode_close(code: int | None, reason: str = "") -> bytes:
    """Encode the payload of a close frame (RFC 6455 5.5.1).

    Raises:
        LocalProtocolError: a code that may not be sent, a reason without a code or over 123 bytes of UTF-8.
    """
    if code is None:
        if reason:
            raise LocalProtocolError("close reason without a close code")
        return b""
    if not may_be_sent(code):
        raise LocalProtocolError(f"close code {code} may not be sent: 1000-1003, 1007-1014 and 3000-4999 may")
    try:
        encoded = reason.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"close reason is not UTF-8: {error}") from error
    if len(encoded) > _MAX_REASON_SIZE:
        raise LocalProtocolError(f"close reason of {len(encoded)} bytes, limit {_MAX_REASON_SIZE}")
    return code.to_bytes(2, "big") + encoded


def decode_close(payload: bytes) -> Close:
    """Decode the payload of a close frame (RFC 6455 5.5.1).

    Raises:
        RemoteProtocolError: one byte, a code that may not be sent (1002), a reason that is not UTF-8 (1007).
    """
    if not payload:
        return Close()
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1:
        raise RemoteProtocolError("close frame of 1 byte", close_code=CloseCode.PROTOCOL_ERROR)
    if not may_be_sent(code):
        raise RemoteProtocolError(f"close frame with code {code}", close_code=CloseCode.PROTOCOL_ERROR)
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("close reason is not UTF-8", close_code=CloseCode.INVALID_DATA) from error


class MessageDecoder:
    """Turns what one peer sends into messages and control frames.

    Args:
        masked: whether the peer masks: True on a server, False on a client.
        deflate: permessage-deflate, if it was negotiated.
        max_message_size: bytes of one message after decompression; None for no limit.
        max_fragments: fragments of one message; None for no limit.
        max_empty_frames: frames in a row without data; None for no limit.

    Raises:
        ConfigurationError: a limit is negative, or too large to be counted.

    Attributes:
        more: whether the last call stopped because it had done enough, and input is left.
        pongs_expected: pongs that the peer owes for pings of ours; they do not count as empty frames.
        empty_frames: frames without data seen in a row.
    """

    __slots__ = (
        "_buffer",
        "_compressed",
        "_deflate",
        "_final",
        "_fragments",
        "_frames",
        "_inflated",
        "_max_empty_frames",
        "_max_fragments",
        "_opcode",
        "_size",
        "_stopped",
        "empty_frames",
        "more",
        "pongs_expected",
    )

    def __init__(
        self,
        *,
        masked: bool,
        deflate: Deflate | None = None,
        max_message_size: int | None = None,
        max_fragments: int | None = None,
        max_empty_frames: int | None = None,
    ) -> None:
        self._frames = FrameDecoder(masked=masked, rsv1=deflate is not None, max_message_size=max_message_size)
        self._deflate = deflate
        self._max_fragments = bound("max_fragments", max_fragments)
        self._max_empty_frames = bound("max_empty_frames", max_empty_frames)
        self._opcode = 0
        self._compressed = False
        self._size = 0
        self._fragments = 0
        self._buffer = _NO_BUFFER
        self._inflated = 0
        self._stopped = False
        self._final: Close | RemoteProtocolError | None = None
        self.empty_frames = 0
        self.pongs_expected = 0
        self.more = False

    @property
    def inside_message(self) -> bool:
        """Whether a message or a frame has begun and is not complete."""
        return self._opcode != 0 or self._frames.inside_frame

    def stop(self) -> None:
        """Drop what waits and what is unfinished; everything fed later is dropped too."""
        self._stopped = True
        self._final = None
        self.more = False
        self._frames.discard()
        self._finish_message()

    def receive(self, data: bytes, events: list[Event], burst: int, burst_size: int) -> bool:
        """Take bytes of the peer and add what they complete to ``events``.

        A close frame, or a violation, is only added to a list that is empty; if others are before it, it waits for the
        next call (``more``). Everything that follows it is dropped.

        Args:
            data: what arrived; may be empty to go on after ``more``.
            events: is extended.
            burst: frames, or parts of frames, after which the call stops.
            burst_size: bytes of payload after which the call stops.

        Returns:
            False if there are only messages among the new events, for certain.
        """
        if not self._stopped:
            self._frames.feed(data)
            self._inflated = 0
            try:
                special = self._receive(events, burst, burst_size)
                if self._frames.error is not None:
                    self._finish(self._frames.error)
            except RemoteProtocolError as error:
                self._finish(_without_origin(error))
                special = True
            if self._final is None:
                return special
        return self._add_final(events)

    def _receive(self, events: list[Event], burst: int, burst_size: int) -> bool:
        frames = self._frames
        special = False
        while True:
            if not self._opcode:
                before = len(events)
                burst_size -= frames.take_messages(events, burst, burst_size - self._inflated)
                if len(events) > before:
                    self.empty_frames = 0
                    burst -= len(events) - before
            if burst <= 0 or burst_size <= self._inflated:
                self.more = frames.waiting_size > 0
                if not self.more:
                    frames.release()
                return special
            if not frames.next_part():
                self.more = False
                return special
            head = frames.head
            if head & _CONTROL:
                special = True
                self._add_control(head & 0x0F, frames.read_payload(), events)
            elif frames.part == WHOLE and head & 0x80 and not self._opcode:
                self.empty_frames = 0
                self._add_whole(head, frames.read_payload(), events)
            else:
                self._add_part(head, events)
            burst -= 1
            burst_size -= frames.size

    def _finish(self, final: Close | RemoteProtocolError) -> None:
        self.stop()
        self._final = final

    def _add_final(self, events: list[Event]) -> bool:
        """Add the close frame or the violation, if no messages of this call go before it."""
        final = self._final
        self.more = final is not None and len(events) > 0
        if final is not None and not events:
            events.append(final)
            self._final = None
        return len(events) > 0

    def _add_whole(self, head: int, payload: bytes, events: list[Event]) -> None:
        opcode = head & 0x0F
        if opcode == _CONTINUATION:
            raise _violation("continuation frame without a message to continue")
        data = self._inflate(payload, True) if head & 0x40 else payload
        events.append(_decode_text(data) if opcode == _TEXT else data)

    def _add_control(self, opcode: int, payload: bytes, events: list[Event]) -> None:
        if opcode == _CLOSE:
            self._finish(decode_close(payload))
            return
        if opcode == _PING:
            self._count_empty_frame()
            events.append(Ping(payload))
            return
        if self.pongs_expected:
            self.pongs_expected -= 1
        else:
            self._count_empty_frame()
        events.append(Pong(payload))

    def _add_part(self, head: int, events: list[Event]) -> None:
        frames = self._frames
        part = frames.part
        size = frames.size
        if part & STARTS:
            self._begin_fragment(head, part == WHOLE and not size)
        last = head & 0x80 != 0 and part & ENDS != 0
        good = True
        if self._compressed:
            if size or last:
                data = self._inflate(frames.read_payload(), last)
                size = len(data)
                good = self._buffer.write(data)
        else:
            if part & ENDS:
                frames.max_payload_size = frames.max_message_size - self._size - size
            good = frames.pour(self._buffer)
        if not good:
            raise _invalid_text()
        self._size += size
        if size or last:
            self.empty_frames = 0
        if last:
            self._end_message(events)

    def _begin_fragment(self, head: int, empty: bool) -> None:
        opcode = head & 0x0F
        if opcode == _CONTINUATION:
            if not self._opcode:
                raise _violation("continuation frame without a message to continue")
        elif self._opcode:
            raise _violation("new message before the end of a fragmented one")
        else:
            self._opcode = opcode
            self._compressed = self._frames.compressed = head & 0x40 != 0
            self._buffer = octets.MessageBuffer(opcode == _TEXT)
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise _limit_exceeded("max_fragments", "fragments of one message", self._fragments, self._max_fragments)
        if empty and not head & 0x80:
            self._count_empty_frame()

    def _end_message(self, events: list[Event]) -> None:
        message = self._buffer.finish()
        if message is None:
            raise _invalid_text()
        events.append(message)
        self._finish_message()

    def _finish_message(self) -> None:
        frames = self._frames
        frames.max_payload_size = frames.max_message_size
        frames.compressed = self._compressed = False
        self._buffer = _NO_BUFFER
        self._opcode = self._size = self._fragments = 0

    def _inflate(self, payload: bytes, last: bool) -> bytes:
        limit = self._frames.max_message_size
        rest = None if limit == MAX_LENGTH else limit - self._size
        # The frame decoder lets RSV1 through only where deflate was negotiated.
        deflate = cast(Deflate, self._deflate)
        try:
            data = deflate.decompress(payload, last=last, limit=rest)
        except MessageTooBig as error:
            size = self._size + error.size
        else:
            self._inflated += len(data)
            return data
        raise MessageTooBig(size=size, limit=limit, what="inflated message")

    def _count_empty_frame(self) -> None:
        self.empty_frames += 1
        if self.empty_frames > self._max_empty_frames:
            size, limit = self.empty_frames, self._max_empty_frames
            raise _limit_exceeded("max_empty_frames", "frames in a row without data", size, limit)


def _decode_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    # Raised here and not in the handler, so that the error does not keep the message alive.
    raise _invalid_text()


def _without_origin(error: RemoteProtocolError) -> RemoteProtocolError:
    """The error alone: where it came from would keep the data alive, and the list that it is put into."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _violation(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, close_code=CloseCode.PROTOCOL_ERROR)


def _invalid_text() -> RemoteProtocolError:
    return RemoteProtocolError("text message is not UTF-8", close_code=CloseCode.INVALID_DATA)


def _limit_exceeded(bound: str, what: str, size: int, limit: int) -> LimitExceeded:
    message = f"{size} {what}, limit {limit}"
    return LimitExceeded(message, bound=bound, size=size, limit=limit, close_code=CloseCode.POLICY_VIOLATION)
