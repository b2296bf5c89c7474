"""Whatever bytes a client sends, the HTTP/1.1 protocol raises nothing, keeps to its bounds, and cuts do not matter.

The first byte of an input chooses the cuts; the rest is what the client sends. Every request is answered at once.
"""

from __future__ import annotations

from typing import TypeAlias

from harness import main, pieces

from elio.errors import RemoteProtocolError
from elio.headers import Headers
from elio.http.http1 import ServerConnection
from elio.http.message import EndOfBody, RequestHead
from elio.limits import Limits

LIMITS = Limits(
    max_request_line_size=200, max_headers=10, max_headers_size=500, max_body_size=1000, max_body_overhead=200
)

Seen: TypeAlias = bytes | EndOfBody | tuple[object, ...]


class Client:
    """One connection, with what came of it so far; pieces of a body are joined."""

    def __init__(self) -> None:
        self.server = ServerConnection(LIMITS)
        self.seen: list[Seen] = []

    def send(self, data: bytes) -> None:
        events = self.server.receive_data(data)
        while events:
            for event in events:
                self.add(event)
            events = self.go_on(events[-1])
        self.server.data_to_send()

    def add(self, event: RequestHead | bytes | EndOfBody | RemoteProtocolError) -> None:
        if isinstance(event, RequestHead):
            self.seen.append((event.method, event.target, event.http_version, tuple(event.headers.items())))
        elif isinstance(event, RemoteProtocolError):
            self.seen.append(("violation",))  # the status may differ: a line that is both wrong and too long has two
            assert 400 <= event.status <= 599
        elif isinstance(event, bytes) and self.seen and isinstance(self.seen[-1], bytes):
            self.seen[-1] += event
        else:
            self.seen.append(event)

    def go_on(self, last: object) -> list[RequestHead | bytes | EndOfBody | RemoteProtocolError]:
        """Answer a request that has come whole, and turn to the next one."""
        if isinstance(last, RequestHead) and last.upgrade:
            return self.server.decline_upgrade()
        if not isinstance(last, EndOfBody):
            return []
        self.server.send_response(200, Headers(), body_size=0)
        self.server.end_body()
        return self.server.start_next() if self.server.can_start_next else []


def check(data: bytes) -> None:
    if not data:
        return
    whole, cut = Client(), Client()
    whole.send(data[1:])
    for piece in pieces(data[1:], data[0]):
        cut.send(piece)
    assert whole.seen == cut.seen, f"whole: {whole.seen}, in pieces: {cut.seen}"
    for number, event in enumerate(whole.seen):
        if isinstance(event, bytes):
            assert len(event) <= 1000
        elif isinstance(event, tuple) and event[0] == "violation":
            assert number == len(whole.seen) - 1, "something follows a violation"
    whole.server.receive_eof()


if __name__ == "__main__":
    main("http", check)
