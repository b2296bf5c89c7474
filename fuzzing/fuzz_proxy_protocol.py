"""Whatever bytes a connection begins with, the parser of the PROXY protocol ends with one event at most, raises
nothing, keeps nothing beyond its bound, and cuts do not matter.

The first byte of an input chooses the cuts; the rest is the connection.
"""

from __future__ import annotations

from ipaddress import ip_address

from harness import main, pieces

from elio.errors import RemoteProtocolError
from elio.proxy_protocol import MAX_HEADER_SIZE, Event, ProxyHeader, ProxyParser


def reduced(events: list[Event]) -> list[ProxyHeader | str]:
    """The events, with a violation reduced to that it happened."""
    return ["violation" if isinstance(event, RemoteProtocolError) else event for event in events]


def check(data: bytes) -> None:
    if not data:
        return
    whole, cut = ProxyParser(), ProxyParser()
    seen = reduced(whole.receive_data(data[1:]))
    parts: list[ProxyHeader | str] = []
    rest = b""
    for piece in pieces(data[1:], data[0]):
        rest = rest + piece if parts else b""
        parts += reduced(cut.receive_data(piece))
        assert len(cut._data) < MAX_HEADER_SIZE
    assert seen == parts, f"whole: {seen}, in pieces: {parts}"
    assert len(seen) <= 1
    for event in seen:
        if isinstance(event, ProxyHeader):
            assert whole.rest == cut.rest + rest
            assert data.endswith(whole.rest)
            for name in filter(None, (event.source, event.destination)):
                ip_address(name.rpartition(":")[0].strip("[]"))
    assert len(seen) + len(whole.receive_eof()) == 1


if __name__ == "__main__":
    main("proxy_protocol", check)
