"""permessage-deflate (RFC 7692): offer, answer, compress, decompress within a limit.

Not here: frames and RSV1, which messages are compressed (the caller compares with ``threshold``), and the grammar of
the header that carries offers and answers (``extensions``).

Three things that are done otherwise than by the book of zlib:

- The receiving side keeps no zlib object between messages but the last bytes it inflated, the LZ77 window. Each message
  is inflated by a new object that starts from them and is ended with a final block of our own. So an idle connection
  costs a window and no more, a message cut short is noticed, and a final block (BFINAL) of the peer's, which ends a
  zlib object for good, is one more new beginning. This costs half a microsecond a message.
- Input is fed in slices and output taken in blocks: zlib copies its rest of the input at every return, which would be
  quadratic for a large message, and of a message over its limit one byte more than the limit is inflated.
- zlib compresses with no window below 512 bytes. Where 256 is agreed on (8 bits), our messages are compressed by
  Huffman coding alone, which refers back to nothing.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigurationError, HandshakeError, LimitExceeded, MessageTooBig, RemoteProtocolError
from .extensions import Extension, parse_extensions

__all__ = [
    "DeflateOptions",
    "PerMessageDeflate",
    "accept_answer",
    "accept_offers",
    "offer",
]

_NAME: Final = "permessage-deflate"
_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOW_BITS: Final = ("server_max_window_bits", "client_max_window_bits")
# RFC 7692 7.1.2: decimal, 8 to 15, no leading zeros. A table is stricter than int(), which takes " 9", "1_0" and "９".
_BITS: Final = {str(bits): bits for bits in range(8, 16)}

# RFC 7692 7.2.1: a sync flush ends with these four bytes, which are not sent.
_TAIL: Final = b"\x00\x00\xff\xff"
# The tail and an empty final block: whether zlib comes to its end tells whether the message was whole.
_END: Final = _TAIL + b"\x03\x00"
# RFC 7692 7.2.3.6: an empty message; also the end of a message whose last fragment is empty.
_EMPTY: Final = b"\x00"

_SLICE: Final = 16 * 1024
_BLOCK: Final = 64 * 1024
# Two bytes make a final block, and each costs a new zlib object (about a microsecond); senders write one per flush.
_MAX_FINAL_BLOCKS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflateOptions:
    """What this side wants of permessage-deflate (RFC 7692 7.1). Immutable.

    The default takes 38 KiB for a connection that sends compressed messages (256 KiB with zlib's own defaults) and at
    most 4 KiB for one that receives them. Small JSON messages shrink to a third or a fourth; without context takeover
    they would only to four fifths.

    Raises:
        ConfigurationError: a number out of its range.
    """

    server_no_context_takeover: bool = False
    """Whether the server starts each message anew: no memory between messages, small ones hardly shrink."""
    client_no_context_takeover: bool = False
    """The same for the client."""
    server_max_window_bits: int = 12
    """Size of the server's LZ77 window as a power of two, 8 to 15. With 8 it refers back to nothing."""
    client_max_window_bits: int = 12
    """The same for the client. A server can only ask for it of clients that offer it (browsers do)."""
    level: int = 4
    """zlib's compression level, 0 to 9. For JSON, 4 takes a half to three quarters of the time of 6 for 4 % more."""
    mem_level: int = 5
    """zlib's memory level, 1 to 9: the compressor takes ``2**(window bits + 2) + 2**(mem_level + 9)`` bytes."""
    threshold: int = 128
    """Bytes below which a message is not compressed: the headers of TCP and IP outweigh what could be saved."""

    def __post_init__(self) -> None:
        bounds = {"server_max_window_bits": (8, 15), "client_max_window_bits": (8, 15), "level": (0, 9)}
        bounds |= {"mem_level": (1, 9), "threshold": (0, sys.maxsize)}
        for name, (lowest, highest) in bounds.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ConfigurationError(f"{name} is {value}, allowed are {lowest} to {highest}")


class PerMessageDeflate:
    """The extension as negotiated for one connection; *own* is what this side sends and *peer* what it receives.

    Args:
        options: level, memory level and threshold are taken from here, nothing else.
        own_max_window_bits: LZ77 window of this side, 8 to 15.
        peer_max_window_bits: LZ77 window of the peer, 8 to 15.
        own_no_context_takeover: whether this side starts each message anew.
        peer_no_context_takeover: whether the peer starts each message anew.
    """

    __slots__ = (
        "_compressor",
        "_final_blocks",
        "_inflater",
        "_inflater_bits",
        "_options",
        "_window",
        "_window_size",
        "own_max_window_bits",
        "own_no_context_takeover",
        "peer_max_window_bits",
        "peer_no_context_takeover",
        "threshold",
    )

    def __init__(
        self,
        options: DeflateOptions,
        *,
        own_max_window_bits: int = 15,
        peer_max_window_bits: int = 15,
        own_no_context_takeover: bool = False,
        peer_no_context_takeover: bool = False,
    ) -> None:
        self._options = options
        self.threshold = options.threshold
        self.own_max_window_bits = own_max_window_bits
        self.peer_max_window_bits = peer_max_window_bits
        self.own_no_context_takeover = own_no_context_takeover
        self.peer_no_context_takeover = peer_no_context_takeover
        self._compressor: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None
        # Old versions of zlib compress with 9 bits where 8 were asked of them; inflating with 9 takes both.
        self._inflater_bits = max(peer_max_window_bits, 9)
        self._window_size = 1 << self._inflater_bits
        self._window = b""
        self._final_blocks = 0

    def __repr__(self) -> str:
        own = f"own {self.own_max_window_bits} bits" + " anew" * self.own_no_context_takeover
        peer = f"peer {self.peer_max_window_bits} bits" + " anew" * self.peer_no_context_takeover
        return f"<PerMessageDeflate {own}, {peer}>"

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        """Compress a whole message (RFC 7692 7.2.1).

        Data that does not compress grows by a few bytes in every 16 KiB. What was compressed must be sent, and in this
        order: later messages may refer back to it.

        Returns:
            The payload for a frame with RSV1, or for fragments of which the first has it.
        """
        return self.compress_fragment(data, last=True)

    def compress_fragment(self, data: bytes | bytearray | memoryview, *, last: bool) -> bytes:
        """Compress the next fragment of a message. The peer can inflate each one when it comes.

        Args:
            data: what is to be sent.
            last: whether the message ends with it.

        Returns:
            The payload of the frame; may be empty if ``data`` is and another fragment follows.
        """
        compressor = self._compressor
        if compressor is None:
            compressor = self._compressor = self._new_compressor()
        # zlib writes nothing for a flush with nothing new before it.
        payload = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if not last:
            return payload
        if self.own_no_context_takeover:
            self._compressor = None
        return payload[: -len(_TAIL)] or _EMPTY

    def compress_alone(self, data: bytes | bytearray | memoryview) -> bytes:
        """Compress a message that refers to nothing before it, for every connection with this window.

        Each connection that sends it must :meth:`restart`: what it compresses later must not refer back across it.
        """
        compressor = self._new_compressor()
        payload = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return payload[: -len(_TAIL)] or _EMPTY

    def restart(self) -> None:
        """Let the next message refer to nothing before it."""
        self._compressor = None

    def decompress(self, data: bytes, *, last: bool, limit: int | None) -> bytes:
        """Inflate the next piece of a message (RFC 7692 7.2.2). After an error nothing more can be inflated.

        Args:
            data: the next bytes of compressed payload, cut anywhere.
            last: whether the message ends with them (the end of the frame with FIN).
            limit: bytes that they may inflate to; ``None`` for no limit.

        Returns:
            What they inflate to, as far as it can be known.

        Raises:
            MessageTooBig: over the limit (1009), with the numbers of this piece; it was inflated no further.
            LimitExceeded: more than 256 final blocks in one message (1008).
            RemoteProtocolError: 1007, not 1002, as the frames are sound and the data in the message is not
                (RFC 6455 7.4.1): not DEFLATE, a distance beyond the window, or an end before its time.
        """
        blocks: list[bytes] = []
        room = sys.maxsize if limit is None else max(limit, 0)
        if len(data) <= _SLICE:
            self._inflate(data + _END if last else data, blocks, room)
        else:
            view = memoryview(data)
            for start in range(0, len(view), _SLICE):
                room = self._inflate(view[start : start + _SLICE], blocks, room)
            if last:
                self._inflate(_END, blocks, room)
        output = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        if last:
            self._end_message()
        return output

    def _inflate(self, data: bytes | memoryview, blocks: list[bytes], room: int) -> int:
        """Inflate a slice of input into blocks; returns the room that is left."""
        size = self._window_size
        inflater = self._inflater or self._new_inflater()
        while True:
            wanted = min(room + 1, _BLOCK)
            try:
                block = inflater.decompress(data, wanted)
            except zlib.error as error:
                raise RemoteProtocolError(f"compressed message is invalid: {error}", close_code=1007) from error
            if block:
                if len(block) > room:
                    raise _too_big(blocks, room)
                room -= len(block)
                blocks.append(block)
                self._window = (block if len(block) >= size else self._window + block)[-size:]
            if inflater.eof:
                self._inflater = None
                data = inflater.unused_data
                if not data:
                    return room
                self._count_final_block()
                inflater = self._new_inflater()
            elif len(block) == wanted:
                data = inflater.unconsumed_tail
            else:
                return room

    def _count_final_block(self) -> None:
        self._final_blocks += 1
        if self._final_blocks > _MAX_FINAL_BLOCKS:
            text = f"more than {_MAX_FINAL_BLOCKS} final blocks in one compressed message"
            size, limit = self._final_blocks, _MAX_FINAL_BLOCKS
            raise LimitExceeded(text, bound="max_final_blocks", size=size, limit=limit, close_code=1008)

    def _end_message(self) -> None:
        if self._inflater is not None:
            raise RemoteProtocolError("compressed message ends inside a block", close_code=1007)
        self._final_blocks = 0
        if self.peer_no_context_takeover:
            self._window = b""

    def _new_compressor(self) -> zlib._Compress:
        bits = self.own_max_window_bits
        strategy = zlib.Z_HUFFMAN_ONLY if bits == 8 else zlib.Z_DEFAULT_STRATEGY
        options = self._options
        return zlib.compressobj(options.level, zlib.DEFLATED, -max(bits, 9), options.mem_level, strategy)

    def _new_inflater(self) -> zlib._Decompress:
        self._inflater = zlib.decompressobj(-self._inflater_bits, zdict=self._window)
        return self._inflater


def _too_big(blocks: list[bytes], room: int) -> MessageTooBig:
    limit = sum(map(len, blocks)) + room
    return MessageTooBig(size=limit + 1, limit=limit, what="inflated message")


def _check_parameters(extension: Extension, *, is_offer: bool) -> dict[str, int]:
    """The parameters by name, window bits as numbers (RFC 7692 7.1).

    Raises:
        ValueError: an unknown parameter, one that comes twice, or an invalid value.
    """
    known: dict[str, int] = {}
    for name, value in extension.parameters:
        if name in known:
            raise ValueError(f"{name} comes twice")
        if name in _FLAGS and value is None:
            known[name] = 1
        elif name in _WINDOW_BITS and value in _BITS:
            known[name] = _BITS[value]
        elif is_offer and name == "client_max_window_bits" and value is None:
            known[name] = 15
        else:
            raise ValueError(f"{name} with value {value!r} is not defined")
    return known


def accept_offers(values: Sequence[str], options: DeflateOptions) -> tuple[str, PerMessageDeflate] | None:
    """Answer a client's offers, as a server (RFC 7692 5.1): the first acceptable one, others are declined.

    Args:
        values: every value of the request's ``Sec-WebSocket-Extensions``.
        options: what this server wants. Window sizes only shrink; the client's can only be asked for where it offered
            ``client_max_window_bits``.

    Returns:
        The value for the response's ``Sec-WebSocket-Extensions`` and the extension as agreed, or ``None``.

    Raises:
        RemoteProtocolError: see :func:`elio.websocket.extensions.parse_extensions`.
    """
    for extension in parse_extensions(values):
        if extension.name != _NAME:
            continue
        try:
            offered = _check_parameters(extension, is_offer=True)
        except ValueError:
            continue
        return _accept(offered, options)
    return None


def _accept(offered: dict[str, int], options: DeflateOptions) -> tuple[str, PerMessageDeflate]:
    server_anew = options.server_no_context_takeover or "server_no_context_takeover" in offered
    client_anew = options.client_no_context_takeover or "client_no_context_takeover" in offered
    server_bits = min(offered.get("server_max_window_bits", 15), options.server_max_window_bits)
    # RFC 7692 7.1.2.2: without client_max_window_bits in the offer there must be none in the answer.
    client_bits = 15
    if "client_max_window_bits" in offered:
        client_bits = min(offered["client_max_window_bits"], options.client_max_window_bits)
    answer = [_NAME, *_flags(server_anew, client_anew)]
    # RFC 7692 7.1.2.1: an offer with server_max_window_bits is accepted by an answer with it.
    if server_bits < 15 or "server_max_window_bits" in offered:
        answer.append(f"server_max_window_bits={server_bits}")
    if client_bits < 15:
        answer.append(f"client_max_window_bits={client_bits}")
    deflate = PerMessageDeflate(
        options,
        own_max_window_bits=server_bits,
        peer_max_window_bits=client_bits,
        own_no_context_takeover=server_anew,
        peer_no_context_takeover=client_anew,
    )
    return "; ".join(answer), deflate


def _flags(server_anew: bool, client_anew: bool) -> list[str]:
    return [name for name, is_set in zip(_FLAGS, (server_anew, client_anew), strict=True) if is_set]


def offer(options: DeflateOptions) -> str:
    """The value for a client's ``Sec-WebSocket-Extensions`` (RFC 7692 7.1).

    A server that cannot limit its window must decline an offer that asks for it, so a second one does not.
    """
    flags = _flags(options.server_no_context_takeover, options.client_no_context_takeover)
    bits = options.client_max_window_bits
    client = "client_max_window_bits" if bits == 15 else f"client_max_window_bits={bits}"
    plain = "; ".join([_NAME, *flags, client])
    if options.server_max_window_bits == 15:
        return plain
    limited = "; ".join([_NAME, *flags, f"server_max_window_bits={options.server_max_window_bits}", client])
    return f"{limited}, {plain}"


def accept_answer(values: Sequence[str], options: DeflateOptions | None) -> PerMessageDeflate | None:
    """Take a server's answer to :func:`offer`, as a client (RFC 6455 4.1, RFC 7692 7.1).

    Args:
        values: every value of the response's ``Sec-WebSocket-Extensions``.
        options: what was offered; ``None`` if nothing was.

    Returns:
        The extension as agreed, or ``None`` if the server declined.

    Raises:
        HandshakeError: malformed, not offered, or not an answer to what was offered.
    """
    try:
        extensions = parse_extensions(values)
    except RemoteProtocolError as error:
        raise HandshakeError(str(error)) from error
    if not extensions:
        return None
    extension = extensions[0]
    if options is None or extension.name != _NAME or len(extensions) > 1:
        unoffered = ", ".join(extension.name for extension in extensions)
        raise HandshakeError(f"the server chose extensions that were not offered: {unoffered}")
    try:
        answer = _check_parameters(extension, is_offer=False)
    except ValueError as error:
        raise HandshakeError(f"the server answered {_NAME} with invalid parameters: {error}") from error
    return _agree(answer, options)


def _agree(answer: dict[str, int], options: DeflateOptions) -> PerMessageDeflate:
    # Any server_max_window_bits is an answer to the second offer. The other bound is ours in the offer and the server's
    # in the answer, which may be the larger one (RFC 7692 7.1.2.2): the smaller one holds.
    client_bits = min(answer.get("client_max_window_bits", 15), options.client_max_window_bits)
    if options.server_no_context_takeover and "server_no_context_takeover" not in answer:
        raise HandshakeError(f"the server answered {_NAME} without the server_no_context_takeover that was offered")
    return PerMessageDeflate(
        options,
        own_max_window_bits=client_bits,
        peer_max_window_bits=answer.get("server_max_window_bits", 15),
        own_no_context_takeover=options.client_no_context_takeover or "client_no_context_takeover" in answer,
        peer_no_context_takeover="server_no_context_takeover" in answer,
    )
