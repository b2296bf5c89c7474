"""Bytes to frames and frames to bytes (RFC 6455 5.2), both directions.

A header is judged when its bytes are in, before any payload: reserved bits and opcodes, minimal length encoding, the
direction of the mask, the size of control frames, what a message may still add up to. The payload of a data frame comes
out as it arrives, unmasked; a control frame comes out whole.

Not here: the order of frames and what they add up to (``message.py``), close codes, anything that answers.
"""

from __future__ import annotations

from typing import Any, Final

from ..errors import LocalProtocolError, MessageTooBig, RemoteProtocolError
from ..limits import bound
from . import octets
from .codes import CloseCode, Opcode
from .mask import apply_mask

__all__ = ["ENDS", "MAX_LENGTH", "STARTS", "WHOLE", "FrameDecoder", "encode_frame", "encode_head"]

MAX_LENGTH: Final = (1 << 63) - 1
"""The longest payload the wire can announce, in bytes: the most significant bit must be 0."""

STARTS: Final = 1
"""The part has the start of its frame."""
ENDS: Final = 2
"""The part has the end of its frame."""
WHOLE: Final = STARTS | ENDS

_FIN: Final = 0x80
_WHOLE_TEXT: Final = 0x81
_WHOLE_BINARY: Final = 0x82
_RSV1: Final = 0x40
_MASKED: Final = 0x80
_CONTROL: Final = 0x08
_MAX_CONTROL_SIZE: Final = 125

# The first bytes of a header that are allowed: known opcodes, no reserved bit, control frames with FIN only.
_PLAIN: Final = frozenset((0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A))
# RFC 7692 6: RSV1 marks the first frame of a compressed message, and no other.
_DEFLATED: Final = frozenset((0x41, 0x42, 0xC1, 0xC2))


def _table(allowed: frozenset[int]) -> bytes:
    return bytes(byte in allowed for byte in range(256))


_ALLOWED: Final = _table(_PLAIN)
_ALLOWED_WITH_RSV1: Final = _table(_PLAIN | _DEFLATED)


def encode_frame(
    opcode: int,
    payload: bytes | bytearray | memoryview,
    *,
    fin: bool = True,
    rsv1: bool = False,
    masking_key: bytes | None = None,
) -> bytes:
    """Encode one frame (RFC 6455 5.2) with the shortest form of its length.

    Args:
        opcode: see :class:`Opcode`.
        payload: bytes-like; a memoryview must be one of bytes.
        fin: whether the message ends with this frame.
        rsv1: whether the message is compressed (RFC 7692 6); on its first frame only.
        masking_key: 4 bytes on a client; None on a server.

    Raises:
        LocalProtocolError: a control frame that is fragmented or has more than 125 bytes (RFC 6455 5.5).
    """
    return encode_head((opcode | _FIN if fin else opcode) | (_RSV1 if rsv1 else 0), payload, masking_key)


def encode_head(head: int, payload: bytes | bytearray | memoryview, masking_key: bytes | None) -> bytes:
    """Encode one frame of which the first byte is made already; see :func:`encode_frame`."""
    size = len(payload)
    if head & _CONTROL and (size > _MAX_CONTROL_SIZE or head < _FIN):
        fault = f"control frame of {size} bytes" if head >= _FIN else "fragmented control frame"
        raise LocalProtocolError(f"{fault}; at most {_MAX_CONTROL_SIZE} bytes in one frame are allowed")
    return octets.framed(head, payload, masking_key)


class FrameDecoder:
    """Cuts what one peer sends into frames, and long frames into the parts that have arrived.

    Feed bytes, then call :meth:`next_part` until it says False; the attributes ``part``, ``head`` and ``size`` hold
    what it found until the next call. Nothing is allocated by what a peer announces, and no buffer is held while there
    is no input.

    Args:
        masked: whether the peer masks: True on a server, False on a client (RFC 6455 5.1).
        rsv1: whether permessage-deflate was negotiated.
        max_message_size: bytes of one message; None for no limit. ``ConfigurationError`` if no frame can have so many.

    Attributes:
        part: ``WHOLE``, or what of its frame the part has: ``STARTS``, ``ENDS`` or neither (0).
        head: the first byte of the frame: FIN, RSV1 and opcode.
        size: bytes of payload in the part. They are had by :attr:`payload` or by :meth:`pour`.
        max_message_size: bytes of one message.
        max_payload_size: bytes that the next data frame may have; the layer above lowers it inside a message.
        compressed: set by the layer above while continuation frames belong to a compressed message.
        error: why :meth:`next_part` said False, if it was the peer's fault. Nothing comes out after it.
    """

    __slots__ = (
        "_allowed",
        "_buffer",
        "_end",
        "_key",
        "_mask_bit",
        "_next_key",
        "_position",
        "_remaining",
        "_source",
        "_start",
        "compressed",
        "error",
        "head",
        "max_message_size",
        "max_payload_size",
        "part",
        "size",
    )

    def __init__(self, *, masked: bool, rsv1: bool = False, max_message_size: int | None = None) -> None:
        self._allowed = _ALLOWED_WITH_RSV1 if rsv1 else _ALLOWED
        self._mask_bit = _MASKED if masked else 0
        self._buffer = b""
        self._position = 0
        self._remaining = 0
        # Where the payload of the part is, and its key; both keys are empty where nothing is masked.
        self._source = b""
        self._start = 0
        self._end = 0
        self._key = b""
        self._next_key = b""
        self.max_message_size = bound("max_message_size", max_message_size)
        self.max_payload_size = self.max_message_size
        self.compressed = False
        self.part = WHOLE
        self.head = 0
        self.size = 0
        self.error: RemoteProtocolError | None = None

    @property
    def waiting_size(self) -> int:
        """Bytes that were fed and have not come out yet."""
        return len(self._buffer) - self._position

    @property
    def inside_frame(self) -> bool:
        """Whether bytes of an unfinished frame have been seen."""
        return self._remaining > 0 or self.waiting_size > 0

    def feed(self, data: bytes) -> None:
        """Take bytes of the peer, behind those that have not come out yet. After an ``error`` they are dropped."""
        if self.error is not None:
            return
        if self._position == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def release(self) -> None:
        """Drop what has come out, and the part at hand; whoever read it may read into it again."""
        self._need_more()

    def discard(self) -> None:
        """Drop what waits, and the part at hand."""
        self._buffer = b""
        self._position = 0
        self._remaining = 0
        self._set_part(b"", 0, 0, b"")

    @property
    def payload(self) -> bytes:
        """The payload of the part, unmasked."""
        return self.read_payload()

    def read_payload(self) -> bytes:
        """The payload of the part, unmasked."""
        if self._key:
            return apply_mask(self._source[self._start : self._end], self._key)
        return octets.plain(self._source, self._start, self._end)

    def pour(self, buffer: octets.MessageBuffer) -> bool:
        """Write the payload of the part into the buffer of its message, unmasked.

        Returns:
            False if the message is text and not UTF-8.
        """
        return buffer.write_part(self._source, self._start, self._end, self._key, self._remaining)

    def _set_part(self, source: bytes, start: int, end: int, key: bytes) -> None:
        self._source = source
        self._start = start
        self._end = end
        self._key = key
        self.size = end - start

    def take_messages(self, messages: list[Any], count: int, size: int) -> int:
        """Take the messages at hand that are one frame each, whole and not compressed: the fast way for what is usual.

        Anything else ends the run and is left for :meth:`next_part`, faults included.

        Args:
            messages: is extended, by ``str`` for text and ``bytes`` for binary messages.
            count: messages to take at most.
            size: bytes of payload after which to stop.

        Returns:
            The bytes of payload that were taken.
        """
        if self._remaining:
            return 0
        buffer = self._buffer
        data = buffer
        position = self._position
        available = len(buffer)
        masked = self._mask_bit
        taken = 0
        while count > 0 and taken < size and available - position >= 2:
            head = data[position]
            second = data[position + 1]
            if (head != _WHOLE_TEXT and head != _WHOLE_BINARY) or (second & _MASKED) != masked:
                break
            start = position + 2
            length = second & 0x7F
            if length == 126:
                start += 2
                if start > available:
                    break
                length = data[position + 2] << 8 | data[position + 3]
                if length < 126:
                    break
            elif length == 127:
                start += 8
                if start > available:
                    break
                length = int.from_bytes(buffer[position + 2 : start], "big")
                if length < 65536:
                    break
            if masked:
                start += 4
            if start > available:
                break
            rest = available - start
            if length > rest or length > self.max_payload_size:
                break
            end = start + length
            try:
                if head == _WHOLE_TEXT:
                    messages.append(octets.unmasked_text(buffer, start, end) if masked else buffer[start:end].decode())
                else:
                    messages.append(octets.unmasked(buffer, start, end) if masked else octets.plain(buffer, start, end))
            except UnicodeDecodeError:
                break
            position = end
            taken += end - start
            count -= 1
        self._position = position
        return taken

    def next_part(self) -> bool:
        """Find the next frame, or the next part of one.

        A data frame that is not all there comes out as what is there, the header alone if need be, so that it is
        checked at once.

        Returns:
            False if more bytes are needed, or after an ``error``.
        """
        if self._remaining:
            return self._next_of_payload()
        buffer = self._buffer
        data = buffer
        allowed = self._allowed
        position = self._position
        available = len(buffer) - position
        if available < 2:
            return self._need_more()
        head = data[position]
        second = data[position + 1]
        if not allowed[head] or (second & _MASKED) != self._mask_bit:
            return self._refuse_head(head)
        size = second & 0x7F
        start = position + 2
        if size > 125:
            if head & _CONTROL:
                return self._fail(f"control frame of more than {_MAX_CONTROL_SIZE} bytes")
            start += 2 if size == 126 else 8
            if start - position > available:
                return self._need_more()
            if size == 126:
                size = data[position + 2] << 8 | data[position + 3]
            else:
                size = int.from_bytes(buffer[position + 2 : start], "big")
            if not self._is_minimal(size, start - position):
                return False
        if size > self.max_payload_size and not head & _CONTROL and not self._fits_inflated(head, size):
            return False
        if self._mask_bit:
            start += 4
        if start > len(buffer):
            return self._start_of_frame(head, start, size)
        rest = len(buffer) - start
        if size > rest:
            return self._start_of_frame(head, start, size)
        end = start + size
        self._set_part(buffer, start, end, octets.plain(buffer, start - 4, start) if self._mask_bit else b"")
        self.head = head
        self.part = WHOLE
        self._position = end
        return True

    def _start_of_frame(self, head: int, start: int, size: int) -> bool:
        if head & _CONTROL or start > len(self._buffer):
            return self._need_more()
        self.head = head
        self.part = STARTS
        self._next_key = self._buffer[start - 4 : start] if self._mask_bit else b""
        self._position = start
        self._take(size)
        return True

    def _next_of_payload(self) -> bool:
        if self._position == len(self._buffer):
            return self._need_more()
        self.part = 0
        self._take(self._remaining)
        return True

    def _take(self, size: int) -> None:
        """Take what has arrived of a payload that has ``size`` bytes to go."""
        position = self._position
        taken = len(self._buffer) - position
        # Compared before anything is added: a length from the wire may be as large as it likes.
        if size < taken:
            taken = size
        key = self._next_key
        turn = taken & 3
        if turn:
            self._next_key = key[turn:] + key[:turn]
        self._set_part(self._buffer, position, position + taken, key)
        self._position = position + taken
        self._remaining = size - taken
        if not self._remaining:
            self.part |= ENDS

    def _need_more(self) -> bool:
        """Keep the rest, which is shorter than a header or a control frame, and nothing else."""
        if self._position == len(self._buffer):
            self._buffer = b""
        elif self._position:
            self._buffer = self._buffer[self._position :]
        self._position = 0
        self._set_part(b"", 0, 0, b"")
        return False

    def _is_minimal(self, size: int, header_size: int) -> bool:
        if size > MAX_LENGTH:
            return self._fail("length with the most significant bit set")
        if size < (126 if header_size == 4 else 65536):
            return self._fail(f"length {size} is not in its shortest form")
        return True

    def _fits_inflated(self, head: int, size: int) -> bool:
        """Whether a frame that is too long may belong to a message that is within its limit once it is inflated.

        Deflate makes data longer by an eighth and a little at the worst, with the fixed codes; what it inflates to is
        held to the limit byte by byte.
        """
        limit = self.max_message_size
        compressed = self.compressed or head & _RSV1
        if compressed and size <= limit + (limit >> 3) + 64:
            return True
        self.discard()
        self.error = MessageTooBig(size=size if compressed else limit - self.max_payload_size + size, limit=limit)
        return False

    def _refuse_head(self, head: int) -> bool:
        if not self._allowed[head]:
            return self._fail(_fault_of(head))
        if self._mask_bit:
            return self._fail("frame of a client without a mask")
        return self._fail("frame of a server with a mask")

    def _fail(self, message: str) -> bool:
        self.discard()
        self.error = RemoteProtocolError(message, close_code=CloseCode.PROTOCOL_ERROR)
        return False


def _fault_of(head: int) -> str:
    """What is wrong with the first byte of a header."""
    opcode = head & 0x0F
    if head & 0x70:
        return f"reserved bits {head >> 4 & 7:03b} on a frame with opcode {opcode:#x}"
    if opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
        return f"fragmented control frame with opcode {opcode:#x}"
    return f"reserved opcode {opcode:#x}"
