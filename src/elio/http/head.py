"""Heads of HTTP/1.1 messages: bytes to values (RFC 9112 2-6), over httptools (llhttp).

llhttp, without any of its leniencies, checks the bytes: names that are tokens, values without control characters, CRLF
line ends, no folding, no white space before a colon, one ``Content-Length`` in digits, none together with
``Transfer-Encoding``. What it lets through and an origin server must not is checked here: the three words of the
request line and their spacing, the version, the form of the target, ``Host``, and transfer codings.

Not here: bodies (``framing``), and where a head ends in what was received (``http1``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import httptools

from ..errors import LimitExceeded, RemoteProtocolError
from ..limits import Limits
from . import octets
from .message import RequestHead, ResponseHead
from .wire_headers import WireHeaders

__all__ = [
    "bad_request",
    "check_head_size",
    "check_request_line",
    "check_status_line",
    "parse_request_head",
    "parse_response_head",
]

_HTTP_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
_VERSIONS: Final = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}
# One string for all requests, instead of one each.
_METHODS: Final = {
    method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
}
_WEBSOCKET: Final = ("websocket",)  # one for all, too
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 3986 3.2.2 and 3.2.3: a registered name or IPv4 address, or an IP literal, then perhaps a port. No user name.
_AUTHORITY: Final = re.compile(
    rb"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*|\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\])(?::[0-9]{0,5})?"
)
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]+)(?:[/?].*)?", re.IGNORECASE)
# 18 digits fit in 64 bits whatever they are.
_MAX_LENGTH_DIGITS: Final = 18
_HOST: Final = b"\r\nhost:"


class _Nothing:
    """The callbacks of a parser of which only the verdict is wanted: none, said so that it need not search for them."""

    on_message_begin = on_url = on_status = on_header = on_headers_complete = None
    on_body = on_message_complete = on_chunk_header = on_chunk_complete = None


_NOTHING: Final = _Nothing()
# RFC 9112 4. The space behind the status may be missing where there is no reason phrase.
_STATUS_LINE: Final = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")


def bad_request(message: str, status: int = 400) -> RemoteProtocolError:
    """What a malformed message comes to."""
    return RemoteProtocolError(message, status=status)


def check_head_size(line_size: int, headers_size: int, count: int, limits: Limits) -> None:
    """Compare a head, or what has come of one, with its limits.

    Args:
        line_size: bytes of the start line (RFC 9112 2.1), without its CRLF.
        headers_size: bytes of the header lines with their CRLFs.
        count: header lines.
        limits: the bounds.

    Raises:
        LimitExceeded: with status 414 or 431.
    """
    if line_size > limits.max_request_line_size:
        raise _over("start line", "max_request_line_size", line_size, limits.max_request_line_size)
    if headers_size > limits.max_headers_size:
        raise _over("headers", "max_headers_size", headers_size, limits.max_headers_size)
    if count > limits.max_headers:
        message = f"{count} header lines, limit {limits.max_headers}"
        raise LimitExceeded(message, bound="max_headers", size=count, limit=limits.max_headers, status=431)


def _over(what: str, bound: str, size: int, limit: int) -> LimitExceeded:
    status = 414 if bound == "max_request_line_size" else 431
    return LimitExceeded(f"{what} of {size} bytes, limit {limit}", bound=bound, size=size, limit=limit, status=status)


def check_request_line(line: bytes) -> tuple[bytes, bytes, str]:
    """Take a request line apart (RFC 9112 3): three words, one space between them.

    Returns:
        Method, target and version (``"1.1"`` or ``"1.0"``).

    Raises:
        RemoteProtocolError: with status 505 for another version of HTTP, and 400 for everything else.
    """
    words = line.split(b" ")
    if len(words) != 3:
        raise bad_request(f"request line {_shown(line)} is not made of three words")
    method, target, version = words
    known = _VERSIONS.get(version)
    if known is None:
        status = 505 if _HTTP_VERSION.fullmatch(version) else 400
        raise bad_request(f"HTTP version {_shown(version)} is not supported", status)
    if method not in _METHODS and _TOKEN.fullmatch(method) is None:
        raise bad_request(f"method {_shown(method)} is not a token")
    return method, target, known


def _shown(data: bytes) -> str:
    """What a peer sent, made safe for an error message."""
    return repr(data[:64])[1:]


def parse_request_head(raw: bytes) -> RequestHead:
    """Parse the head of a request.

    Args:
        raw: from the first byte of the request line up to and including the empty line.

    Raises:
        RemoteProtocolError: with status 400, 501 or 505.
    """
    line_end = octets.find(raw, b"\r\n", 0)
    method, target, version = check_request_line(raw[:line_end])
    _check_syntax(httptools.HttpRequestParser(_NOTHING), raw)
    lower = raw.lower()
    _check_host(lower, version)
    _check_target(method, target)
    connection = _tokens(lower, b"\r\nconnection:")
    length, has_body = _body_length(lower, version)
    return RequestHead(
        _METHODS.get(method) or method.decode("ascii"),
        target.decode("ascii"),
        version,
        WireHeaders(raw[line_end:-2]),
        keep_alive=_keeps_alive(connection, version),
        # RFC 9110 7.8: from HTTP/1.0 it must be ignored.
        upgrade=_upgrade(lower) if b"upgrade" in connection and version == "1.1" else (),
        content_length=length,
        has_body=has_body,
        expects_continue=has_body and version == "1.1" and _value(lower, b"\r\nexpect:") == b"100-continue",
    )


def check_status_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Take a status line apart (RFC 9112 4).

    Returns:
        Version, status and reason phrase.

    Raises:
        RemoteProtocolError: it is none of HTTP/1.
    """
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise bad_request(f"status line {_shown(line)} is malformed", 0)
    return match[1], match[2], match[3] or b""


def parse_response_head(raw: bytes) -> tuple[ResponseHead, bool]:
    """Parse the head of a response.

    Args:
        raw: from the first byte of the status line up to and including the empty line.

    Returns:
        The head, and whether the body is chunked. That there is no body after HEAD is not known here.

    Raises:
        RemoteProtocolError: it is malformed.
    """
    line_end = octets.find(raw, b"\r\n", 0)
    version, status, reason = check_status_line(raw[:line_end])
    # llhttp gives up on a 101 whose other headers are not those of an upgrade: that is for the caller to judge.
    checked = version + b" 200" + raw[line_end:] if status == b"101" else raw
    _check_syntax(httptools.HttpResponseParser(_NOTHING), checked)
    lower = raw.lower()
    known = _VERSIONS[version]
    length, has_body = _body_length(lower, known)
    head = ResponseHead(
        int(status),
        reason.decode("latin-1"),
        known,
        WireHeaders(raw[line_end:-2]),
        _keeps_alive(_tokens(lower, b"\r\nconnection:"), known),
        length,
    )
    return head, has_body and length is None


def _keeps_alive(connection: list[bytes], version: str) -> bool:
    """RFC 9112 9.3: what the Connection header and the version come to."""
    return b"close" not in connection and (version == "1.1" or b"keep-alive" in connection)


def _check_syntax(parser: httptools.HttpRequestParser | httptools.HttpResponseParser, raw: bytes) -> None:
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserInvalidMethodError:
        raise bad_request("method is not implemented", 501) from None
    except httptools.HttpParserError as error:
        raise bad_request(f"malformed head: {error}") from None


def _upgrade(lower: bytes) -> tuple[str, ...]:
    items = _tokens(lower, b"\r\nupgrade:")
    if len(items) == 1 and items[0] == b"websocket":
        return _WEBSOCKET
    return tuple([item.decode("latin-1") for item in items if item])


def _value(lower: bytes, name: bytes) -> bytes | None:
    """The first value of a header; ``name`` comes as ``b"\\r\\nname:"``."""
    start = octets.find(lower, name, 0)
    if start < 0:
        return None
    return octets.octets_at(lower, start + len(name))


def _tokens(lower: bytes, name: bytes) -> list[bytes]:
    """The items of a comma-separated list over all the lines of a header."""
    items: list[bytes] = []
    start = octets.find(lower, name, 0)
    while start >= 0:
        start += len(name)
        value = octets.octets_at(lower, start)
        if octets.count(value, b",", 0, len(value)):
            items += [item.strip(b" \t") for item in value.split(b",")]
        else:
            items.append(value)
        start = octets.find(lower, name, start)
    return items


def _check_host(lower: bytes, version: str) -> None:
    """RFC 9112 3.2: exactly one in HTTP/1.1, at most one in HTTP/1.0, and nothing in it that is no authority."""
    start = octets.find(lower, _HOST, 0)
    if octets.find(lower, _HOST, start + 1) >= 0 if start >= 0 else version == "1.1":
        raise bad_request(f"{lower.count(_HOST)} Host headers")
    if start >= 0 and not _is_authority(host := _value(lower, _HOST) or b""):
        raise bad_request(f"invalid Host header {_shown(host)}")


@lru_cache(maxsize=32)
def _is_authority(host: bytes) -> bool:
    """A server has few names, and checking one costs more than finding it."""
    return _AUTHORITY.fullmatch(host) is not None


def _check_target(method: bytes, target: bytes) -> None:
    """RFC 9112 3.2: the four forms of a target."""
    if method == b"CONNECT":
        # RFC 9110 9.3.6: this is an origin server. The extended CONNECT of RFC 8441 exists in HTTP/2 only.
        raise bad_request("CONNECT is not implemented", 501)
    if octets.count(target, b"#", 0, len(target)):
        raise bad_request(f"request target {_shown(target)} has a fragment")
    if target[0] == 0x2F:
        return
    if target == b"*":
        if method != b"OPTIONS":
            raise bad_request("asterisk form with another method than OPTIONS")
        return
    match = _ABSOLUTE.fullmatch(target)
    if match is None or _AUTHORITY.fullmatch(match[1]) is None or match[1][:1] == b":":
        raise bad_request(f"invalid request target {_shown(target)}")


def _body_length(lower: bytes, version: str) -> tuple[int | None, bool]:
    """How the body is delimited (RFC 9112 6.3): its length if that is announced, and whether there is one."""
    if octets.find(lower, b"\r\ntransfer-encoding:", 0) >= 0:
        _check_transfer_coding(_tokens(lower, b"\r\ntransfer-encoding:"), version)
        return None, True
    value = _value(lower, b"\r\ncontent-length:")
    if value is None:
        return None, False
    digits = value.lstrip(b"0")
    if len(digits) > _MAX_LENGTH_DIGITS:
        raise bad_request(f"Content-Length {_shown(value)} is beyond all bounds", 413)
    length = int(digits or b"0")
    return (length, True) if length else (0, False)


def _check_transfer_coding(codings: list[bytes], version: str) -> None:
    """RFC 9112 6.1: ``chunked`` alone is implemented, and HTTP/1.0 has no transfer codings."""
    if version == "1.0":
        raise bad_request("Transfer-Encoding in HTTP/1.0")
    if codings[-1] != b"chunked":
        raise bad_request("Transfer-Encoding does not end in chunked")
    if len(codings) != 1:
        raise bad_request(f"transfer coding {_shown(codings[0])} is not implemented", 501)
