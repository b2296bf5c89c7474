"""The wire between the processes of one machine and their hub.

A frame is its size in four bytes, most significant first, then a line of JSON, then bytes. The JSON is an object, and
the bytes are a payload, or several ones behind each other whose sizes the object tells.

Requests have an ``id`` and an ``op``; the answer has the same ``id``. ``{"record": [channel, epoch, offset]}`` with the
payload is a record of a channel that is listened to.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from ....errors import EngineLost

__all__ = ["MAX_FRAME_SIZE", "FrameProtocol", "frame"]

MAX_FRAME_SIZE: Final = 1 << 28
"""Bytes: 256 MiB. What is longer is no frame of ours."""

_HEAD: Final = 4


def frame(head: Mapping[str, object], body: bytes = b"") -> bytes:
    """Encode a frame."""
    line = json.dumps(head, separators=(",", ":")).encode()
    return (len(line) + 1 + len(body)).to_bytes(_HEAD, "big") + line + b"\n" + body


class FrameProtocol(asyncio.Protocol):
    """One end of a connection. Frames of one turn of the loop go out in one write."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._why = ""

    @property
    def waiting(self) -> int:
        """Bytes that the other end has not taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The stream is there."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        """The stream has ended."""
        self._transport = None
        self.lost(self._why or (str(error) if error else "closed by the other end"))

    def data_received(self, data: bytes) -> None:
        """Bytes of the other end."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _HEAD:
            size = int.from_bytes(buffer[start : start + _HEAD], "big")
            if size > MAX_FRAME_SIZE:
                self.abort(f"frame of {size} bytes, limit {MAX_FRAME_SIZE}")
                return
            end = start + _HEAD + size
            if len(buffer) < end:
                break
            if not self._take(bytes(buffer[start + _HEAD : end])):
                return
            start = end
        del buffer[:start]
        self.settled()

    def _take(self, data: bytes) -> bool:
        line, _, body = data.partition(b"\n")
        try:
            head = json.loads(line)
            self.received(head, body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.abort(f"not a frame of this protocol: {error!r}")
            return False
        return True

    def send(self, head: Mapping[str, object], body: bytes = b"") -> None:
        """Send a frame at the end of this turn of the loop."""
        self.send_frame(frame(head, body))

    def send_frame(self, data: bytes) -> None:
        """Send what :func:`frame` has made."""
        if self._transport is None:
            raise EngineLost(self._why or "not connected")
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def abort(self, why: str = "it could not be made") -> None:
        """Cut the connection."""
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(out))

    # -- for subclasses ------------------------------------------------------------------------------------------------

    def received(self, head: dict[str, Any], body: bytes) -> None:
        """A frame came. What it raises of a malformed one ends the connection."""
        raise NotImplementedError

    def settled(self) -> None:
        """All that came at once was received."""

    def lost(self, why: str) -> None:
        """The connection has ended."""
