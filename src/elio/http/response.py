"""Responses as an HTTP/1.1 server sends them: status line, framing headers, body (RFC 9112 4, 6, 7, 9).

Nothing reaches the wire unchecked: status, header lines, and the number of body bytes that was announced.

Not here: when a response may be sent (``http1``), and what headers a response should have otherwise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ..errors import InvalidHeader, LocalProtocolError
from ..headers import Headers, check_header
from . import octets
from .message import may_have_body, reason_phrase

__all__ = ["ResponseWriter", "encode_chunk", "encode_headers"]

_STATUS_LINES: Final[dict[int, bytes]] = {}


def _status_line(status: int) -> bytes:
    """The version is ours, whatever the client's was (RFC 9110 6.2)."""
    line = _STATUS_LINES.get(status)
    if line is None:
        if not 100 <= status <= 599:
            raise LocalProtocolError(f"status {status}, allowed are 100 to 599")
        line = _STATUS_LINES[status] = f"HTTP/1.1 {int(status)} {reason_phrase(status)}\r\n".encode("ascii")
    return line


def encode_headers(headers: Headers) -> bytes:
    """Encode, and see for the last time that there are as many lines as headers."""
    count = len(headers)
    try:
        block = headers.encode()
    except UnicodeEncodeError:
        raise InvalidHeader("header with a character beyond Latin-1") from None
    size = len(block)
    newlines, returns = octets.count(block, b"\n", 0, size), octets.count(block, b"\r", 0, size)
    if newlines != count or returns != count or octets.count(block, b"\0", 0, size):
        raise InvalidHeader("header with CR, LF or NUL")
    return block


def encode_chunk(data: bytes | bytearray | memoryview) -> bytes:
    """One chunk of a chunked body (RFC 9112 7.1). Data must not be empty: that would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), bytes(data))


class ResponseWriter:
    """Writes the responses of one connection, one after the other.

    Attributes:
        begun: whether the head of the present response was written.
        chunked: whether its body goes in chunks.
        complete: whether the present response is complete.
        keep_alive: whether the connection can be used after it.
    """

    __slots__ = ("_head_only", "_out", "_remaining", "begun", "chunked", "complete", "keep_alive")

    def __init__(self) -> None:
        self._out: list[bytes] | None = None
        self.reset()

    def reset(self) -> None:
        """Prepare for the next response."""
        self.begun = False
        self.complete = False
        self.keep_alive = True
        self._head_only = False
        self.chunked = False
        self._remaining: int | None = 0  # body bytes still to be sent; None if their number is not announced

    def write_informational(self, status: int, headers: Headers | None) -> None:
        """Write an interim response (RFC 9110 15.2)."""
        if self.begun:
            raise LocalProtocolError(f"status {status} after the response was begun")
        if not 100 <= status <= 199 or status == 101:
            raise LocalProtocolError(f"status {status} is not an interim one")
        block = encode_headers(headers) if headers is not None else b""
        self._push(_status_line(status) + block + b"\r\n")

    def write_switch(self, headers: Headers, date: str) -> None:
        """Write the whole of a response with status 101 (RFC 9110 15.2.2).

        Args:
            headers: with ``Upgrade`` and ``Connection``; without those that speak of a body.
            date: the ``Date`` header; empty for none.

        Raises:
            LocalProtocolError: nothing was written.
        """
        head = _status_line(101) + encode_headers(headers)
        lower = head.lower()
        if octets.find(lower, b"\r\ncontent-length:", 0) >= 0 or octets.find(lower, b"\r\ntransfer-encoding:", 0) >= 0:
            raise LocalProtocolError("101 Switching Protocols has no body, and no header that speaks of one")
        asks = octets.find(lower, b"\r\nconnection: upgrade\r\n", 0) >= 0 or headers.has_token("Connection", "Upgrade")
        if not asks or octets.find(lower, b"\r\nupgrade:", 0) < 0:
            raise LocalProtocolError("101 Switching Protocols needs Upgrade and Connection: Upgrade")
        line = _date_line(date) if date and octets.find(lower, b"\r\ndate:", 0) < 0 else b""
        self._push(head + line + b"\r\n")
        self.begun = self.complete = True

    def write_head(
        self,
        status: int,
        headers: Headers,
        *,
        body_size: int | None,
        head_only: bool,
        keep_alive: bool,
        old_client: bool,
        date: str,
    ) -> None:
        """Write the head of a response and choose how its body is delimited.

        Args:
            status: 200 to 599.
            headers: what is there already is not added again.
            body_size: bytes of the body; ``None`` if that is not known yet.
            head_only: the answer to HEAD: announces a body and has none.
            keep_alive: whether the connection is to be kept; the headers or the framing may decide against it.
            old_client: whether the client speaks HTTP/1.0.
            date: the ``Date`` header; empty for none.

        Raises:
            LocalProtocolError: nothing was written.
        """
        line = _status_line(status)
        given = _framing_headers(headers)
        no_body = head_only or not may_have_body(status)
        size = _announced_size(status, given, body_size, no_body)
        unknown = size is None and not no_body
        chunked = unknown and not old_client
        if given.coding and not chunked:
            raise LocalProtocolError("Transfer-Encoding with a body that is not chunked")
        keep_alive = keep_alive and "close" not in given.connection and not (unknown and old_client)
        parts = [line, encode_headers(headers)]
        if date and not given.date:
            parts.append(_date_line(date))
        if chunked and not given.coding:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        elif size is not None and given.length is None and may_have_body(status):
            parts.append(b"Content-Length: %d\r\n" % size)
        parts.append(_connection_line(given.connection, keep_alive, old_client))
        parts.append(b"\r\n")
        self._push(b"".join(parts))
        self.begun = True
        self.keep_alive = keep_alive
        self._head_only = no_body
        self.chunked = chunked
        self._remaining = size

    def write_body(self, data: bytes | bytearray | memoryview) -> None:
        """Write body data; nothing is written if the response has no body."""
        if not self.begun or self.complete:
            raise LocalProtocolError("body data outside a response")
        # Of a memoryview, only the bytes tell how many there are.
        data = bytes(data)
        size = len(data)
        if self._head_only or not size:
            return
        if self.chunked:
            self._push(encode_chunk(data))
            return
        if self._remaining is not None:
            if size > self._remaining:
                raise LocalProtocolError(f"body data of {size} bytes, {self._remaining} are left of what was announced")
            self._remaining -= size
        self._push(data)

    def write_end(self) -> None:
        """Complete the response."""
        if not self.begun or self.complete:
            raise LocalProtocolError("end of a body outside a response")
        if self._remaining and not self._head_only:
            raise LocalProtocolError(f"{self._remaining} bytes are missing of the body that was announced")
        if self.chunked:
            self._push(b"0\r\n\r\n")
        self.complete = True

    def _push(self, data: bytes) -> None:
        if self._out is None:
            self._out = [data]
        else:
            self._out.append(data)

    def data_to_send(self) -> bytes:
        """Everything written since the last call, as one object."""
        out = self._out
        if out is None:
            return b""
        self._out = None
        return out[0] if len(out) == 1 else b"".join(out)


class _Given:
    """What the headers of a response say about framing already."""

    __slots__ = ("coding", "connection", "date", "length")

    def __init__(self) -> None:
        self.length: int | None = None
        self.coding = False
        self.connection: list[str] = []
        self.date = False


def _framing_headers(headers: Headers) -> _Given:
    given = _Given()
    for name, value in headers.items():
        match name.lower():
            case "content-length":
                if given.length is not None or not _is_size(value):
                    raise InvalidHeader(f"Content-Length {value!r}", name=name, value=value)
                given.length = int(value)
            case "transfer-encoding":
                if given.coding or value.lower() != "chunked":
                    raise InvalidHeader(f"Transfer-Encoding {value!r}", name=name, value=value)
                given.coding = True
            case "connection":
                given.connection += [token.strip(" \t") for token in value.lower().split(",")]
            case "date":
                given.date = True
    return given


def _is_size(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 18


def _announced_size(status: int, given: _Given, body_size: int | None, no_body: bool) -> int | None:
    """Bytes of the body as announced by the argument, by Content-Length, or by both alike."""
    if body_size is not None and body_size < 0:
        raise LocalProtocolError(f"body of {body_size} bytes")
    if not may_have_body(status) and status != 304:
        if given.length is not None or body_size:
            raise LocalProtocolError(f"body or Content-Length with status {status}")
        return 0
    if given.length is None:
        return body_size
    if body_size is not None and body_size != given.length and not no_body:
        raise LocalProtocolError(f"Content-Length {given.length} with a body of {body_size} bytes")
    return given.length


def _connection_line(given: list[str], keep_alive: bool, old_client: bool) -> bytes:
    """What Connection must say beyond what the headers say (RFC 9112 9.3, 9.6)."""
    if not keep_alive:
        return b"" if "close" in given else b"Connection: close\r\n"
    return b"Connection: keep-alive\r\n" if old_client and "keep-alive" not in given else b""


@lru_cache(maxsize=4)
def _date_line(date: str) -> bytes:
    """Changes once a second, and is the same for all connections."""
    check_header("Date", date)
    return f"Date: {date}\r\n".encode("latin-1")
