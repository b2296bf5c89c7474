"""Content codings: from what a body carries to what it means (RFC 9110 8.4), for gzip, deflate, br and zstd.

How much comes out of one call is bounded, whatever went in: a bomb of a kilobyte is a megabyte in blocks, and who reads
them may stop in between. So memory is what is kept of the input, and one block.

gzip and deflate are always there; br and zstd where the packages ``brotli`` (1.2 or later: earlier ones cannot bound
their output) and ``zstandard`` are installed. Not here: encoding.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final, Protocol

from ..errors import RemoteProtocolError

__all__ = ["BLOCK_SIZE", "ContentDecoder", "accept_encoding", "make_decoder"]

BLOCK_SIZE: Final = 64 * 1024
"""Bytes that come out of one call, about: zstd may exceed it by what a slice of its input can hold."""

# A block of zstd has up to 128 KiB and needs four bytes (RFC 8878 3.1.1.2), so one slice gives 2 MiB at most.
_ZSTD_SLICE: Final = 64
# RFC 9659: what a decoder of this content coding must support, and may refuse above.
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
# More than one coding is rare, and each is a factor of a bomb.
_MAX_CODINGS: Final = 3
_ALIASES: Final = {"x-gzip": "gzip"}


class ContentDecoder(Protocol):
    """Decodes a body step by step.

    Attributes:
        more: whether :meth:`receive_data` has to be called again, without data, for what it already has.
    """

    more: bool

    def receive_data(self, data: bytes = b"") -> bytes:
        """Take what was received of the body.

        Returns:
            The next block, of about ``BLOCK_SIZE`` at most; more of it follows while :attr:`more` is true.

        Raises:
            RemoteProtocolError: the body is corrupt; nothing can be decoded any more.
        """
        ...

    def receive_eof(self) -> None:
        """The body has ended, and every block was taken.

        Raises:
            RemoteProtocolError: it was cut short.
        """
        ...


class _Coding(ABC):
    """One coding. Subclasses make the single steps."""

    name: str
    error: type[Exception]

    def __init__(self) -> None:
        self.more = False
        self._input = b""
        self._is_complete = True  # between two members, where a body may end

    def receive_data(self, data: bytes = b"") -> bytes:
        """See :meth:`ContentDecoder.receive_data`."""
        self._input += data
        blocks: list[bytes] = []
        room = BLOCK_SIZE
        pos = 0
        try:
            while room > 0:
                block, end = self._step(self._input, pos, room)
                if not block and end == pos:
                    break
                pos = end
                room -= len(block)
                blocks.append(block)
        except self.error as error:
            raise RemoteProtocolError(f"corrupt {self.name} data: {error}") from error
        self._input = self._input[pos:]
        self.more = room <= 0
        return b"".join(blocks)

    def receive_eof(self) -> None:
        """See :meth:`ContentDecoder.receive_eof`."""
        if self._input or not self._is_complete:
            raise RemoteProtocolError(f"body ended in the middle of its {self.name} data")

    @abstractmethod
    def _step(self, data: bytes, pos: int, room: int) -> tuple[bytes, int]:
        """Decode from a position on, into about so many bytes.

        Returns:
            What came out, and the position up to which input was taken. An empty block without progress: no more now.
        """
        ...


class _Zlib(_Coding):
    error = zlib.error
    _inflater: Any = None

    def _step(self, data: bytes, pos: int, room: int) -> tuple[bytes, int]:
        inflater = self._inflater
        if inflater is None:
            if pos == len(data):
                return b"", pos
            inflater = self._inflater = zlib.decompressobj(self._window_bits(data[pos]))
            self._is_complete = False
        block = inflater.decompress(data[pos:] if pos else data, room)
        if inflater.eof:
            self._end_member()
            return block, len(data) - len(inflater.unused_data)
        return block, len(data) - len(inflater.unconsumed_tail)

    def _end_member(self) -> None:
        self._is_complete = True
        self._inflater = None

    @abstractmethod
    def _window_bits(self, first: int) -> int:
        """What zlib is to expect, judged by the first byte."""
        ...


class _Gzip(_Zlib):
    """One member behind the other (RFC 1952 2.2)."""

    name = "gzip"

    def _window_bits(self, first: int) -> int:
        return zlib.MAX_WBITS | 16


class _Deflate(_Zlib):
    """The zlib format (RFC 1950), or bare deflate data (RFC 1951), as some servers have it (RFC 9110 8.4.1.2)."""

    name = "deflate"
    _is_over = False

    def _window_bits(self, first: int) -> int:
        if self._is_over:
            raise zlib.error("data behind the end")
        # The method in the first byte is 8. In bare data that would be a stored block padded with ones.
        return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS

    def _end_member(self) -> None:
        super()._end_member()
        self._is_over = True


class _Brotli(_Coding):
    name = "br"

    def __init__(self) -> None:
        super().__init__()
        import brotli

        self.error = brotli.error
        self._decompressor = brotli.Decompressor()
        self._may_have_more = False

    def _step(self, data: bytes, pos: int, room: int) -> tuple[bytes, int]:
        decompressor = self._decompressor
        piece = data[pos:] if decompressor.can_accept_more_data() else b""
        if not piece and not self._may_have_more:
            return b"", pos
        block = decompressor.process(piece, output_buffer_limit=room)
        self._may_have_more = len(block) >= room or not decompressor.can_accept_more_data()
        self._is_complete = decompressor.is_finished()
        return block, pos + len(piece)


class _Zstd(_Coding):
    """One frame behind the other (RFC 8878 3.1)."""

    name = "zstd"

    def __init__(self) -> None:
        super().__init__()
        import zstandard

        self.error = zstandard.ZstdError
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._decompressor: Any = None

    def _step(self, data: bytes, pos: int, room: int) -> tuple[bytes, int]:
        piece = data[pos : pos + _ZSTD_SLICE]
        if not piece:
            return b"", pos
        if self._decompressor is None:
            self._decompressor = self._context.decompressobj()
            self._is_complete = False
        decompressor = self._decompressor
        block = decompressor.decompress(piece)
        if not decompressor.eof:
            return block, pos + len(piece)
        self._decompressor = None
        self._is_complete = True
        return block, pos + len(piece) - len(decompressor.unused_data)


class _Chain:
    """Several codings: what was applied last is decoded first."""

    def __init__(self, stages: Sequence[ContentDecoder]) -> None:
        self.more = False
        self._stages = stages
        self._input = b""

    def receive_data(self, data: bytes = b"") -> bytes:
        self._input += data
        # Only the last stage that has more may go on, so that no block waits between two stages.
        first = max((number for number, stage in enumerate(self._stages) if stage.more), default=0)
        block = b""
        if not first:
            block, self._input = self._input, b""
        for stage in self._stages[first:]:
            block = stage.receive_data(block)
        self.more = bool(self._input) or any(stage.more for stage in self._stages)
        return block

    def receive_eof(self) -> None:
        for stage in self._stages:
            stage.receive_eof()


@cache
def _decoders() -> dict[str, Callable[[], ContentDecoder]]:
    """What is installed, in the order of browsers."""
    found: dict[str, Callable[[], ContentDecoder]] = {"gzip": _Gzip, "deflate": _Deflate}
    with suppress(ImportError):
        import brotli

        if hasattr(brotli.Decompressor, "can_accept_more_data"):
            found["br"] = _Brotli
    with suppress(ImportError):
        import zstandard  # noqa: F401

        found["zstd"] = _Zstd
    return found


def accept_encoding() -> str:
    """The value of ``Accept-Encoding`` (RFC 9110 12.5.3): every coding that can be decoded here."""
    return ", ".join(_decoders())


def make_decoder(codings: Sequence[str]) -> ContentDecoder | None:
    """A decoder for a body.

    Args:
        codings: the list in ``Content-Encoding``, in the order in which they were applied.

    Returns:
        None if there is nothing to decode.

    Raises:
        RemoteProtocolError: a coding that was not offered, or too many of them.
    """
    decoders = _decoders()
    names = [_ALIASES.get(name, name) for coding in reversed(codings) if (name := coding.lower()) != "identity"]
    for name in names:
        if name not in decoders:
            raise RemoteProtocolError(f"content coding {name!r}, accepted are {accept_encoding()}")
    if len(names) > _MAX_CODINGS:
        raise RemoteProtocolError(f"{len(names)} content codings, limit {_MAX_CODINGS}")
    stages = [decoders[name]() for name in names]
    return _Chain(stages) if len(stages) > 1 else stages[0] if stages else None
