"""The client's side of an HTTP/1.1 connection (RFC 9112), one request at a time, without I/O.

For opening handshakes and event streams: a request goes out as a whole, its response comes in piece by piece.

Not here: redirects, cookies, content codings, time-outs, the protocol after an upgrade.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, TypeAlias

from ..errors import InvalidHeader, LocalProtocolError, RemoteProtocolError
from ..headers import Headers, is_token
from ..limits import Limits
from .collector import HeadCollector, measure_head
from .framing import BodyDecoder, ChunkedDecoder, LengthDecoder, UntilCloseDecoder, body_too_large, decode_body
from .head import bad_request, check_status_line, parse_response_head
from .message import END_OF_BODY, EndOfBody, ResponseHead, may_have_body
from .response import encode_headers

__all__ = ["ClientConnection", "ClientEvent"]

ClientEvent: TypeAlias = ResponseHead | bytes | EndOfBody | RemoteProtocolError

# RFC 9112 3.2: no white space and no control characters; what is not ASCII is percent-encoded before.
_TARGET: Final = re.compile(r"[\x21-\x7e]+")
# These have a body by nature, so that its absence is announced too (RFC 9110 8.6).
_BODY_METHODS: Final = ("POST", "PUT", "PATCH")
# Interim responses before a final one: a server that sends them for ever would keep us in the head for ever.
_MAX_INTERIM: Final = 32


class _State(Enum):
    IDLE = "no response is outstanding"
    HEAD = "waiting for a head, or in it"
    BODY = "in the body"
    SWITCHED = "another protocol has taken over"
    CLOSED = "nothing is read any more"


class ClientConnection:
    """An HTTP/1.1 connection as the client sees it.

    Args:
        limits: the bounds of heads.
        max_body_size: the most bytes of a body; ``None`` for event streams, which have no end.
    """

    __slots__ = (
        "_body",
        "_collector",
        "_interim",
        "_keep_alive",
        "_limits",
        "_max_body_size",
        "_method",
        "_out",
        "_rest",
        "_state",
        "_upgrade_sent",
    )

    def __init__(self, limits: Limits, *, max_body_size: int | None) -> None:
        self._limits = limits
        self._max_body_size = max_body_size
        self._collector = HeadCollector(limits, check_status_line, empty_lines=0)
        self._body: BodyDecoder | None = None
        self._state = _State.IDLE
        self._keep_alive = True
        self._interim = 0
        self._method = ""
        self._upgrade_sent = False
        self._rest = b""
        self._out = b""

    @property
    def keep_alive(self) -> bool:
        """Whether another request can be sent now."""
        return self._state is _State.IDLE and self._keep_alive

    # -- sending

    def send_request(self, method: str, target: str, headers: Headers, body: bytes = b"") -> None:
        """Send a request. Content-Length is added where it is needed and not there.

        Args:
            method: a token.
            target: path and query, or an absolute URL for a proxy; percent-encoded.
            headers: with ``Host``; not changed.
            body: the whole of it.

        Raises:
            LocalProtocolError: the connection is not ready, or the request is malformed; nothing was sent.
        """
        if not self.keep_alive:
            raise LocalProtocolError("request on a connection that is in use or closed")
        if not is_token(method) or method == "CONNECT":
            raise LocalProtocolError(f"method {method!r}")
        if _TARGET.fullmatch(target) is None:
            raise LocalProtocolError(f"request target {target!r}")
        if len(headers.get_all("host")) != 1 or "transfer-encoding" in headers:
            raise InvalidHeader("a request has one Host header and no Transfer-Encoding")
        block = encode_headers(headers) + _length_line(method, headers, body)
        self._out += f"{method} {target} HTTP/1.1\r\n".encode("ascii") + block + b"\r\n" + body
        self._method = method
        self._upgrade_sent = "upgrade" in headers
        self._interim = 0
        self._keep_alive = not headers.has_token("connection", "close")
        self._state = _State.HEAD

    def data_to_send(self) -> bytes:
        """Everything to be sent since the last call, as one object; empty if there is nothing."""
        data = self._out
        self._out = b""
        return data

    # -- receiving

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """Take what was read from the connection.

        Returns:
            The head, then body data, then the end of the body. Interim responses are skipped. A violation is the last
            item, once; nothing is read after it. Behind a head with status 101 nothing comes: see :meth:`take_rest`.
        """
        events: list[ClientEvent] = []
        try:
            self._receive(data, events)
        except RemoteProtocolError as error:
            self._state = _State.CLOSED
            events.append(error)
        return events

    def receive_eof(self) -> list[ClientEvent]:
        """Take note that the server will send no more.

        Returns:
            The end of a body that the end of the connection delimits, or a violation in the middle of a response.
        """
        state, body = self._state, self._body
        if state is _State.SWITCHED:
            return []
        self._state = _State.CLOSED
        if state is _State.BODY and isinstance(body, UntilCloseDecoder):
            return [END_OF_BODY]
        if state in (_State.HEAD, _State.BODY):
            return [bad_request("connection ended in the middle of a response", 0)]
        return []

    def take_rest(self) -> bytes:
        """What came behind the head of a response with status 101: it belongs to the other protocol.

        Raises:
            LocalProtocolError: there was no such response.
        """
        if self._state is not _State.SWITCHED:
            raise LocalProtocolError("take_rest before 101 Switching Protocols")
        rest = self._rest
        self._rest = b""
        return rest

    def _receive(self, data: bytes, events: list[ClientEvent]) -> None:
        while data and self._state is _State.HEAD:
            found = self._collector.collect(data)
            if found is None:
                return
            raw, data = found
            self._receive_head(raw, events)
        if self._state is _State.SWITCHED:
            self._rest += data
        elif self._state is _State.BODY and self._body is not None:
            data = self._receive_body(self._body, data, events)
        if self._state is _State.IDLE and data:
            # RFC 9112 6.3: what was not asked for is dropped, so that nobody takes it for the next response.
            self._keep_alive = False

    def _receive_head(self, raw: bytes, events: list[ClientEvent]) -> None:
        head, chunked = parse_response_head(raw)
        if head.status == 101:
            if not self._upgrade_sent:
                raise bad_request("101 Switching Protocols that was not asked for", 0)
            self._state = _State.SWITCHED
        elif head.status < 200:
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise bad_request(f"more than {_MAX_INTERIM} interim responses", 0)
            return
        else:
            self._keep_alive = self._keep_alive and head.keep_alive
            self._body = self._choose_decoder(head, raw, chunked=chunked)
            self._state = _State.IDLE if self._body is None else _State.BODY
        events.append(head)
        if self._state is _State.IDLE:
            events.append(END_OF_BODY)

    def _choose_decoder(self, head: ResponseHead, raw: bytes, *, chunked: bool) -> BodyDecoder | None:
        """How the body is delimited (RFC 9112 6.3)."""
        if self._method == "HEAD" or not may_have_body(head.status) or head.content_length == 0:
            return None
        length, limit = head.content_length, self._max_body_size
        if chunked:
            headers_size, header_count = measure_head(raw)
            return ChunkedDecoder(
                self._limits,
                max_size=limit,
                max_overhead=None,
                headers_size=headers_size,
                header_count=header_count,
            )
        if length is None:
            self._keep_alive = False
            return UntilCloseDecoder(limit)
        if limit is not None and length > limit:
            raise body_too_large(length, limit)
        return LengthDecoder(length)

    def _receive_body(self, decoder: BodyDecoder, data: bytes, events: list[ClientEvent]) -> bytes:
        rest = decode_body(decoder, data, events.append)
        if decoder.end is not None:
            self._state = _State.IDLE
            events.append(decoder.end)
        return rest


def _length_line(method: str, headers: Headers, body: bytes) -> bytes:
    given = headers.get("content-length")
    if given is not None:
        if given != str(len(body)):
            raise InvalidHeader(f"Content-Length {given!r} with a body of {len(body)} bytes")
        return b""
    return b"Content-Length: %d\r\n" % len(body) if body or method in _BODY_METHODS else b""
