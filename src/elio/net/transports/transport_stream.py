"""A stream over a transport of the event loop, for the server where the reactor does not run.

It keeps what waits for the peer itself, as the reactor does: transports differ in what they keep beside it, some an
object for each write. They get one piece at a time, and the next when that is out. The rest of what a transport does is
left to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from ..outlet import Outlet, Sink

__all__ = ["TransportStream"]

_PIECE: Final = 64 * 1024
"""Bytes that a transport gets at once of what was kept, unless a single write was larger."""

_HIGH_WATER: Final = 64 * 1024


def _as_bytes(data: object) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")


class TransportStream(Sink):
    """Protocol of a transport and stream of a receiver, who hears of it with ``connection_made``.

    Args:
        receiver: who is told what arrives.
    """

    __slots__ = (
        "_blocked",
        "_closing",
        "_ending",
        "_high",
        "_kept",
        "_kept_size",
        "_lost",
        "_low",
        "_receiver",
        "_transport",
        "_writing_paused",
    )

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        self._transport: Any = None
        self._kept: list[bytes] | None = None
        self._kept_size = 0
        self._high = _HIGH_WATER
        self._low = _HIGH_WATER // 4
        self._blocked = False  # whether the transport holds a piece
        self._writing_paused = False
        self._closing = False  # whether to close, or to end the output, once nothing is kept
        self._ending = False
        self._lost = False

    def __repr__(self) -> str:
        return f"<TransportStream kept={self._kept_size} over {self._transport!r}>"

    # -- called by the transport ---------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The connection is open."""
        self._transport = transport
        transport.set_write_buffer_limits(high=0)
        self._receiver.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer."""
        receiver = self._receiver
        if isinstance(receiver, Outlet):
            outlet = receiver
            outlet.data_received(data)
        else:
            receiver.data_received(data)

    def eof_received(self) -> bool | None:
        """The peer sends nothing more. What is kept still goes out, whatever the receiver says."""
        keep: bool | None = self._receiver.eof_received()
        if keep or self._kept is None:
            return keep
        self.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._lose()
        receiver, self._receiver = self._receiver, None
        receiver.connection_lost(exc)

    def pause_writing(self) -> None:
        """The transport holds a piece, and gets no more until that is out."""
        self._blocked = True

    def resume_writing(self) -> None:
        """The transport holds nothing."""
        self._blocked = False
        if self._lost:
            return
        while self._kept is not None and not self._blocked:
            self._transport.write(self._next_piece())
        self._end_as_asked()
        if self._writing_paused and self.get_write_buffer_size() <= self._low:
            self._writing_paused = False
            self._tell("resume_writing")

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send at once what the system takes, and keep the rest.

        Raises:
            RuntimeError: the sending half was closed.
            TypeError: these are no bytes.
        """
        if type(data) is not bytes:
            data = _as_bytes(data)
        if self._ending:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._blocked or self._lost:
            self._keep(data)
        else:
            self._transport.write(data)
        if self._blocked:
            self._pause_receiver()

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        """Write several pieces, one behind the other.

        Raises:
            RuntimeError: the sending half was closed.
            TypeError: these are no bytes.
        """
        # Python 3.12 and later try for ever to send an empty piece that stands last.
        pieces = [piece for data in list_of_data if (piece := _as_bytes(data))]
        if self._ending:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if self._blocked or self._lost:
            for data in pieces:
                self._keep(data)
        else:
            self._transport.writelines(pieces)
            if not self._blocked and self._transport.get_write_buffer_size():
                # Python before 3.12.9 and 3.13.2 does not say by itself that it holds some (CVE-2024-12254).
                self._transport.set_write_buffer_limits(high=0)
        if self._blocked:
            self._pause_receiver()

    def _keep(self, data: bytes) -> None:
        if self._closing or self._lost or not data:
            return
        if self._kept is None:
            self._kept = []
        self._kept.append(data)
        self._kept_size += len(data)

    def _next_piece(self) -> bytes:
        """Take from what was kept."""
        kept = self._kept or []
        size = count = 0
        while count < len(kept) and size < _PIECE:
            size += len(kept[count])
            count += 1
        piece = kept[0] if count == 1 else b"".join(kept[:count])
        if count == len(kept):
            self._kept = None
        else:
            del kept[:count]
        self._kept_size -= size
        return piece

    def _pause_receiver(self) -> None:
        if not self._writing_paused and self.get_write_buffer_size() > self._high:
            self._writing_paused = True
            self._tell("pause_writing")

    def _tell(self, name: str) -> None:
        """A receiver that raises is reported, as transports do."""
        try:
            getattr(self._receiver, name)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            context = {"message": f"protocol.{name}() failed", "exception": error, "transport": self}
            asyncio.get_running_loop().call_exception_handler({**context, "protocol": self._receiver})

    def get_write_buffer_size(self) -> int:
        """Bytes written and not yet taken by the system."""
        if self._lost:
            return 0
        waiting: int = self._transport.get_write_buffer_size()
        return waiting + self._kept_size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low-water and the high-water mark."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """From how many such bytes on the receiver is told to pause writing, and from how few on to go on."""
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high = high
        self._low = low
        self._pause_receiver()

    # -- reading, facts ------------------------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        """Whether the receiver is told what arrives."""
        return not self._closing and not self._lost and bool(self._transport.is_reading())

    def pause_reading(self) -> None:
        """Stop telling the receiver what arrives."""
        if not self.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on telling it."""
        if not self.is_closing():
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Facts about the connection."""
        return self._transport.get_extra_info(name, default)

    def get_protocol(self) -> Any:
        """The receiver."""
        return self._receiver

    def set_protocol(self, protocol: Any) -> None:
        """Tell another receiver from now on."""
        self._receiver = protocol

    # -- the end -------------------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Whether the stream is closed or about to be."""
        return self._closing or self._lost or bool(self._transport.is_closing())

    def can_write_eof(self) -> bool:
        """Whether the sending half can be closed alone."""
        return bool(self._transport.can_write_eof())

    def write_eof(self) -> None:
        """Close the sending half once everything written has gone out."""
        if not self.is_closing():
            self._ending = True
            self._end_as_asked()

    def close(self) -> None:
        """Close once everything written has gone out."""
        if self._closing:
            return
        if self._kept is not None:
            self.pause_reading()  # as a transport that closes: nobody is told anything any more
        self._closing = True
        self._end_as_asked()

    def _end_as_asked(self) -> None:
        if self._kept is not None or self._lost:
            return
        if self._closing:
            self._transport.close()
        elif self._ending:
            try:
                self._transport.write_eof()
            except OSError:  # the peer has cut it, which nobody has heard yet
                self._transport.abort()

    def abort(self) -> None:
        """Close now; what has not gone out is lost."""
        self._lose()
        if self._transport is not None:
            self._transport.abort()

    def _lose(self) -> None:
        self._lost = True
        self._kept = None
        self._kept_size = 0
