"""Whatever bytes a peer sends, a WebSocket connection raises nothing, keeps to its bounds, and cuts do not matter.

The first byte of an input chooses the side, compression and the cuts; the rest is what the peer sends.
"""

from __future__ import annotations

from typing import TypeAlias

from harness import main, pieces

from elio.errors import RemoteProtocolError
from elio.websocket.codes import may_be_sent
from elio.websocket.connection import Connection, Role, State
from elio.websocket.deflate import DeflateOptions, accept_offers
from elio.websocket.message import Close, Ping, Pong

MAX_MESSAGE_SIZE = 2048

Seen: TypeAlias = str | bytes | Ping | Pong | Close | tuple[str, int]


def connection(choice: int) -> Connection:
    deflate = None
    if choice & 2:
        accepted = accept_offers(["permessage-deflate; client_no_context_takeover"], DeflateOptions())
        deflate = accepted[1] if accepted else None
    role = Role.CLIENT if choice & 1 else Role.SERVER
    return Connection(role, deflate=deflate, max_message_size=MAX_MESSAGE_SIZE, max_fragments=50, max_empty_frames=50)


def receive(peer: Connection, data: bytes) -> list[Seen]:
    """Everything that the bytes come to, with violations reduced to what is promised of them."""
    seen: list[Seen] = []
    events = peer.receive_data(data)
    while events or peer.more:
        for event in events:
            if isinstance(event, RemoteProtocolError):
                seen.append((type(event).__name__, event.close_code))
            else:
                seen.append(event)
        events = peer.receive_data(b"")
    peer.data_to_send()
    return seen


def check(data: bytes) -> None:
    if not data:
        return
    whole, cut = connection(data[0]), connection(data[0])
    seen = receive(whole, data[1:])
    parts = [event for piece in pieces(data[1:], data[0] >> 2) for event in receive(cut, piece)]
    assert seen == parts, f"whole: {seen}, in pieces: {parts}"
    assert whole.state is cut.state
    for number, event in enumerate(seen):
        if isinstance(event, str | bytes):
            size = len(event.encode() if isinstance(event, str) else event)
            assert size <= MAX_MESSAGE_SIZE
        elif isinstance(event, tuple):
            assert number == len(seen) - 1, "something follows a violation"
            assert may_be_sent(event[1])
        elif isinstance(event, Close):
            assert number == len(seen) - 1, "something follows a close frame"
    whole.receive_eof()
    assert whole.state is State.CLOSED


if __name__ == "__main__":
    main("websocket", check)
