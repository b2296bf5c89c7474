"""The server's side of an HTTP/1.1 connection (RFC 9112), one request at a time, without I/O.

Requests come out of :meth:`ServerConnection.receive_data`; responses go in through ``send_...`` and out of
:meth:`ServerConnection.data_to_send`. What follows a request stays raw until :meth:`ServerConnection.start_next`, so
pipelined requests cost no more than their bytes, and the caller stops reading when too many of them wait.

Not here: time-outs (ask ``head_started``), the protocol after an upgrade, HTTP/2.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from ..errors import LocalProtocolError, RemoteProtocolError
from ..headers import Headers
from ..limits import Limits
from .collector import HeadCollector, measure_head, split_head
from .framing import BodyDecoder, ChunkedDecoder, LengthDecoder, body_too_large, decode_body
from .head import bad_request, check_request_line, parse_request_head
from .message import END_OF_BODY, EndOfBody, RequestHead
from .response import ResponseWriter

__all__ = ["Event", "ServerConnection"]

Event: TypeAlias = RequestHead | bytes | EndOfBody | RemoteProtocolError


class _State(Enum):
    HEAD = "waiting for a head, or in it"
    BODY = "in the body"
    UPGRADE = "behind a head that asks for an upgrade; the caller decides"
    COMPLETE = "behind a request; what follows stays raw"
    SWITCHED = "another protocol has taken over"
    FAILED = "the client broke the protocol; nothing is read any more"


# Looking up a member of an Enum costs as much as the rest of a small method.
_HEAD: Final = _State.HEAD
_BODY: Final = _State.BODY
_UPGRADE: Final = _State.UPGRADE
_COMPLETE: Final = _State.COMPLETE
_SWITCHED: Final = _State.SWITCHED
_FAILED: Final = _State.FAILED


class ServerConnection:
    """An HTTP/1.1 connection as the server sees it.

    The caller feeds what it read to :meth:`receive_data`, answers each request with one response, and calls
    :meth:`start_next` when :attr:`can_start_next` says so. If :attr:`keep_alive` is false after a response, it closes.

    Args:
        limits: the bounds of heads and bodies.
    """

    __slots__ = (
        "_body",
        "_collector",
        "_eof",
        "_head",
        "_limits",
        "_rest",
        "_state",
        "_writer",
        "expects_continue",
    )

    expects_continue: bool
    """Whether the client waits for ``100 Continue`` before it sends the body."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._writer = ResponseWriter()
        self._collector: HeadCollector | None = None  # of a head that does not come in one piece
        self._rest = b""  # what follows the present request
        self._eof = False
        self._expect_head()

    def _expect_head(self) -> None:
        self._state: _State = _HEAD
        self._head: RequestHead | None = None
        self._body: BodyDecoder | None = None
        self.expects_continue = False

    # -- questions

    @property
    def head_started(self) -> bool:
        """Whether the first bytes of a head have come and its end has not."""
        return self._state is _HEAD and self._collector is not None and self._collector.started

    @property
    def waiting_size(self) -> int:
        """Raw bytes that wait behind the present request. The caller stops reading when they are too many."""
        return len(self._rest)

    @property
    def more(self) -> bool:
        """Whether raw bytes wait for :meth:`start_next` or :meth:`take_rest`."""
        return bool(self._rest)

    @property
    def request_complete(self) -> bool:
        """Whether the present request has been received to its end."""
        return self._state is _COMPLETE

    @property
    def response_begun(self) -> bool:
        """Whether the head of the present response was sent: too late for another status."""
        return self._writer.begun

    @property
    def response_complete(self) -> bool:
        """Whether the present response was sent to its end."""
        return self._writer.complete

    @property
    def is_chunked(self) -> bool:
        """Whether the body of the present response goes in chunks; else it ends with the connection, or is counted."""
        return self._writer.chunked

    @property
    def keep_alive(self) -> bool:
        """Whether the connection can be used after the present response; until that is begun, as far as is known."""
        if self._state is _FAILED or not self._writer.keep_alive:
            return False
        return self._head is None or self._head.keep_alive

    @property
    def can_start_next(self) -> bool:
        """Whether request and response are both complete and the connection stays open."""
        return self.request_complete and self.response_complete and self.keep_alive

    # -- receiving

    def receive_data(self, data: bytes) -> list[Event]:
        """Take what was read from the connection.

        Returns:
            The head, then body data, then the end of the body. A violation is the last item, once; nothing is read
            after it. Behind a head with ``upgrade`` nothing comes until :meth:`take_rest` or :meth:`decline_upgrade`.
        """
        events: list[Event] = []
        try:
            if self._state is _HEAD:
                self._receive_head(data, events)
            elif self._state is _BODY:
                self._receive_body(data, events)
            elif self._state is not _FAILED and (self._state is not _COMPLETE or self.keep_alive):
                self._rest += data
        except RemoteProtocolError as error:
            self._fail()
            events.append(error)
        return events

    def receive_eof(self) -> list[Event]:
        """Take note that the client will send no more.

        Returns:
            A violation if it left in the middle of a request.
        """
        self._eof = True
        if self.head_started or self._state is _BODY:
            self._fail()
            return [bad_request("connection ended in the middle of a request")]
        return []

    def start_next(self) -> list[Event]:
        """Turn to the next request.

        Returns:
            What the raw bytes that waited come to; see :meth:`receive_data`.

        Raises:
            LocalProtocolError: :attr:`can_start_next` is false.
        """
        if not self.can_start_next:
            raise LocalProtocolError("the next request before the present one was received and answered")
        self._expect_head()
        self._writer.reset()
        return self._read_rest()

    def _read_rest(self) -> list[Event]:
        """Read what waited, and the end of the connection if that waited too."""
        data = self._take_rest()
        events = self.receive_data(data) if data else []
        return events + self.receive_eof() if self._eof else events

    def _take_rest(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    def _fail(self) -> None:
        self._state = _FAILED
        self._rest = b""

    def _receive_head(self, data: bytes, events: list[Event]) -> None:
        found = self._find_head(data)
        if found is None:
            return
        raw, rest = found
        head = parse_request_head(raw)
        self._begin_request(head, raw)
        events.append(head)
        if head.upgrade:
            self._state = _UPGRADE
            self._rest += rest
        elif self._body is None:
            self._state = _COMPLETE
            self._rest += rest
            events.append(END_OF_BODY)
        else:
            self._state = _BODY
            self._receive_body(rest, events)

    def _find_head(self, data: bytes) -> tuple[bytes, bytes] | None:
        if self._collector is None:
            found = split_head(data, self._limits)
            if found is not None:
                return found
            # RFC 9112 2.2: an empty line before the request line is ignored; one, not many.
            self._collector = HeadCollector(self._limits, check_request_line, empty_lines=1)
        found = self._collector.collect(data)
        if found is not None:
            self._collector = None
        return found

    def _begin_request(self, head: RequestHead, raw: bytes) -> None:
        length, limit = head.content_length, self._limits.max_body_size
        if length is not None and limit is not None and length > limit:
            raise body_too_large(length, limit)
        self._head = head
        self.expects_continue = head.expects_continue
        if length:
            self._body = LengthDecoder(length)
        elif head.has_body:
            headers_size, header_count = measure_head(raw)
            self._body = ChunkedDecoder(
                self._limits,
                max_size=limit,
                max_overhead=self._limits.max_body_overhead,
                headers_size=headers_size,
                header_count=header_count,
            )

    def _receive_body(self, data: bytes, events: list[Event]) -> None:
        decoder = self._body
        if decoder is None or not data:
            return
        self.expects_continue = False
        self._rest += decode_body(decoder, data, events.append)
        if decoder.end is not None:
            self._state = _COMPLETE
            events.append(decoder.end)

    # -- upgrading

    def take_rest(self) -> bytes:
        """What came behind the head of a request that was answered with 101: it belongs to the other protocol.

        Raises:
            LocalProtocolError: 101 was not sent.
        """
        if self._state is not _SWITCHED:
            raise LocalProtocolError("take_rest before 101 Switching Protocols")
        return self._take_rest()

    def decline_upgrade(self) -> list[Event]:
        """Treat a request that asks for an upgrade as an ordinary one (RFC 9110 7.8).

        Returns:
            Its body as far as it has come; see :meth:`receive_data`.

        Raises:
            LocalProtocolError: no upgrade is asked for.
        """
        if self._state is not _UPGRADE:
            raise LocalProtocolError("no upgrade is asked for")
        if self._body is None:
            self._state = _COMPLETE
            return [END_OF_BODY]
        self._state = _BODY
        return self._read_rest()

    # -- sending

    def send_informational(self, status: int, headers: Headers | None = None) -> None:
        """Send an interim response, such as ``100 Continue``; nothing is sent to an HTTP/1.0 client (RFC 9110 15.2).

        Raises:
            LocalProtocolError: the response was begun, there is no request, or the status is not 1xx or is 101.
        """
        if self._head is None:
            raise LocalProtocolError("interim response without a request")
        if self._head.http_version == "1.0":
            return
        self._writer.write_informational(status, headers)
        if status == 100:
            self.expects_continue = False

    def send_response(
        self,
        status: int,
        headers: Headers,
        *,
        body_size: int | None,
        head_only: bool = False,
        close: bool = False,
        date: str = "",
    ) -> None:
        """Send the head of a response.

        Content-Length, Transfer-Encoding, Connection and Date are added where they are needed and not there. Without a
        request (after a violation or a time-out), the connection closes behind the response. It also closes if a good
        part of the request's body has not come, or if a client that waits for 100 was not told to send it.

        Args:
            status: 200 to 599, or 101 to a request with ``upgrade``.
            headers: of the response; not changed.
            body_size: bytes of the body; 0 for none; ``None`` if it is not known: chunked then, or up to the close.
            head_only: announce a body and send none. The answer to HEAD does so anyway.
            close: close behind the response even if the client would like to keep the connection.
            date: value of the Date header, as :func:`elio.http.message.http_date` makes it.

        Raises:
            LocalProtocolError: nothing was sent.
        """
        if self._writer.begun:
            raise LocalProtocolError("a second response to one request")
        if status == 101:
            if body_size:
                raise LocalProtocolError("101 Switching Protocols has no body")
            self.send_switch(headers, date)
            return
        if status < 200:
            raise LocalProtocolError(f"status {status} does not end a request")
        head = self._head
        self._writer.write_head(
            status,
            headers,
            body_size=body_size,
            head_only=head_only or (head is not None and head.method == "HEAD"),
            keep_alive=head is not None and not close and self.keep_alive and self._will_be_read(),
            old_client=head is not None and head.http_version == "1.0",
            date=date,
        )
        if self._state is _UPGRADE and self._body is None:
            self._state = _COMPLETE

    def send_switch(self, headers: Headers, date: str) -> None:
        """Send ``101 Switching Protocols``: what :meth:`send_response` does with that status.

        Args:
            headers: with ``Upgrade`` and ``Connection``; not changed.
            date: value of the Date header.

        Raises:
            LocalProtocolError: nothing was sent: it was not asked for, or something was answered already.
        """
        if self._writer.begun:
            raise LocalProtocolError("a second response to one request")
        if self._state is not _UPGRADE:
            raise LocalProtocolError("101 Switching Protocols to a request that does not ask for an upgrade")
        if self._body is not None:
            # RFC 9110 7.8: not before the whole request was received; its body is no part of the other protocol.
            raise LocalProtocolError("101 Switching Protocols to a request with a body")
        self._writer.write_switch(headers, date)
        self._state = _SWITCHED

    def _will_be_read(self) -> bool:
        """Whether so little of the request is left that it is read to its end for the sake of the next one."""
        if self._body is None or self._state is _COMPLETE:
            return True
        if self._state is _UPGRADE or self.expects_continue or not isinstance(self._body, LengthDecoder):
            return False
        return self._body.remaining <= self._limits.body_buffer_size

    def send_body(self, data: bytes | bytearray | memoryview) -> None:
        """Send body data; in the answer to HEAD, nothing is sent.

        Raises:
            LocalProtocolError: it is more than was announced, or there is no response; nothing was sent.
        """
        self._writer.write_body(data)

    def end_body(self) -> None:
        """Complete the response.

        Raises:
            LocalProtocolError: it is less than was announced, or there is no response; nothing was sent.
        """
        self._writer.write_end()

    def data_to_send(self) -> bytes:
        """Everything to be sent since the last call, as one object; empty if there is nothing."""
        return self._writer.data_to_send()
