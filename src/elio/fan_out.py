"""``broadcast``: the same message to many connections, encoded once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, overload

from .event_stream import EventStream
from .session import WebSocket
from .sse.encoder import encode_event
from .sse.event import Event

__all__ = ["broadcast"]


@overload
def broadcast(targets: Iterable[WebSocket], message: str | bytes | bytearray | memoryview) -> int: ...


@overload
def broadcast(targets: Iterable[EventStream], message: Event | str) -> int: ...


def broadcast(
    targets: Iterable[WebSocket] | Iterable[EventStream], message: Event | str | bytes | bytearray | memoryview
) -> int:
    """Send a message to many WebSockets, or an event to many event streams.

    It is encoded once (for WebSockets that compress, once for each size of their window) and handed to each connection
    in one write. Nobody is waited for: one that is slow does not delay the others, and is cut off when more than
    ``max_backlog`` bytes are queued towards it. Those that are not open are passed over.

    Args:
        targets: WebSockets or event streams; not changed, and not to be changed meanwhile.
        message: as ``send`` takes it: text or bytes for WebSockets, an event or its data for event streams.

    Returns:
        How many connections it is on its way to.

    Raises:
        TypeError: the message is of no kind that such connections send.
        LocalProtocolError: text with lone surrogates.
    """
    return _share(targets, message)


def _share(targets: Any, message: Any) -> int:
    count = 0
    frames: dict[int, bytes] = {}
    pieces: dict[object, bytes] = {}
    event: bytes | None = None
    for target in targets:
        if isinstance(target, WebSocket):
            if not frames:
                _check(message)
            ws = target
            count += ws.share(message, frames)
        else:
            if event is None:
                event = _encode(message)
            stream = target
            count += stream.share(event, pieces)
    return count


def _check(message: object) -> None:
    if not isinstance(message, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"a message is str or bytes, not {type(message).__name__}")


def _encode(message: Event | str | bytes | bytearray | memoryview) -> bytes:
    if isinstance(message, str):
        return encode_event(Event(message))
    if not isinstance(message, Event):
        raise TypeError(f"an event is an Event or str, not {type(message).__name__}")
    return encode_event(message)
