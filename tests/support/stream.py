"""A stream that only remembers what was done to it."""

from __future__ import annotations

import socket
from typing import Any


class FakeStream:
    """Takes every write; :meth:`stall` makes it keep what comes from then on."""

    def __init__(self, *, half_close: bool = True, peername: Any = ("127.0.0.1", 50000)) -> None:
        self.written = bytearray()
        self.writes: list[bytes] = []
        self.waiting = 0
        self.stalled = False
        self.is_closed = False
        self.is_aborted = False
        self.eof_written = False
        self.reading = True
        self.half_close = half_close
        self.high: int | None = None
        self.protocol: Any = None
        self.remembers_peer = False
        self.socket: socket.socket | None = None
        self._peername = peername

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))
        self.written += data
        if self.stalled:
            self.waiting += len(data)

    def writelines(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def take(self) -> bytes:
        """What was written since the last call."""
        data = bytes(self.written)
        self.written.clear()
        self.writes.clear()
        return data

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_closed or self.is_aborted

    def can_write_eof(self) -> bool:
        return self.half_close

    def write_eof(self) -> None:
        self.eof_written = True

    def pause_reading(self) -> None:
        if not self.reading:
            raise RuntimeError("reading was paused already")
        self.reading = False

    def resume_reading(self) -> None:
        if self.reading:
            raise RuntimeError("reading was not paused")
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": self._peername, "socket": self.socket}.get(name, default)

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol
