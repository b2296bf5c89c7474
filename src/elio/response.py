"""What a handler answers with (RFC 9110 15).

A response is data: nothing is sent, opened or read when it is made, but everything that could break the wire raises
then. Not here: ``Content-Length``, ``Transfer-Encoding``, ``Connection`` and ``Date``, which the connection writes.
"""

from __future__ import annotations

import json
import mimetypes
import os
import stat
from collections.abc import AsyncIterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypedDict, Unpack, cast
from urllib.parse import quote, urlsplit

from .conditional import Facts, select
from .cookies import SameSite, format_set_cookie
from .errors import HTTPError, InvalidHeader, LocalProtocolError
from .file_body import FileBody, identity_of
from .headers import Headers, HeadersLike, check_header
from .http.message import may_have_body

__all__ = ["BodyLike", "CookieAttributes", "FileBody", "Response", "content_type_of"]

Octets: TypeAlias = bytes
Body: TypeAlias = bytes | AsyncIterable[bytes] | FileBody
BodyLike: TypeAlias = str | bytearray | memoryview | Body
PathLike: TypeAlias = str | os.PathLike[str]

_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ASCII_JSON: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES: Final = mimetypes.MimeTypes()
"""Python's own table, not the system's: the same everywhere. What it lacks in some version stands here."""
for _suffix, _type in {
    ".avif": "image/avif",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}.items():
    _TYPES.add_type(_type, _suffix)
# Text whose media type does not say so and whose charset is not fixed, as that of JSON is.
_TEXT_TYPES: Final = frozenset({"application/xml", "image/svg+xml"})


class CookieAttributes(TypedDict, total=False):
    """The attributes of a cookie; :func:`elio.cookies.format_set_cookie` explains each and has the defaults."""

    max_age: int | None
    expires: datetime | None
    path: str
    domain: str
    secure: bool
    http_only: bool
    same_site: SameSite | None
    partitioned: bool


class Response:
    """One response.

    Args:
        body: bytes; text, sent as UTF-8; an async iterable of bytes, whose length is not known; or a part of a file.
        status: 100 to 599.
        headers: further header fields.
        content_type: goes before one in ``headers``. Without either, text is ``text/plain`` and bytes are
            ``application/octet-stream``. Text types get ``charset=utf-8`` if they name none.

    Attributes:
        status: as given.
        headers: a copy that middleware may change.
        body: bytes, an async iterable of bytes, or a :class:`FileBody`.

    Raises:
        InvalidHeader: a header would break the wire.
        LocalProtocolError: there is no such status, or it goes without a body and there is one.
    """

    __slots__ = ("_facts", "body", "headers", "status")

    def __init__(
        self,
        body: BodyLike = b"",
        *,
        status: int = 200,
        headers: HeadersLike | None = None,
        content_type: str | None = None,
    ) -> None:
        if not 100 <= status <= 599:
            raise LocalProtocolError(f"status {status} is not between 100 and 599")
        self.status = status
        self.headers = Headers(headers)
        self.body: Body = _encode_body(body)
        self._facts: Facts | None = None
        if not may_have_body(status) and self.body != b"":
            raise LocalProtocolError(f"a response with status {status} has no body")
        if content_type is not None and headers is None:
            self.headers = Headers.from_trusted([("Content-Type", _checked_type(content_type))])
        elif content_type is not None:
            self.headers["Content-Type"] = _with_charset(content_type)
        elif self.body != b"" or isinstance(body, str):
            default = "text/plain; charset=utf-8" if isinstance(body, str) else "application/octet-stream"
            self.headers.setdefault("Content-Type", default)

    def _stand_for(self, status: int) -> None:
        """Be a response without a body; all that ``__init__`` comes to for one."""
        self.status = status
        self.headers = Headers()
        self.body = b""
        self._facts = None

    def __repr__(self) -> str:
        content_type = self.headers.get("content-type") or "no content"
        size = self.body_size
        return f"<Response {self.status} {content_type}, {'streamed' if size is None else f'{size} bytes'}>"

    # -- kinds ---------------------------------------------------------------------------------------------------------

    @classmethod
    def text(cls, text: str, *, status: int = 200, headers: HeadersLike | None = None) -> Response:
        """Plain text."""
        return cls(text, status=status, headers=headers, content_type="text/plain")

    @classmethod
    def html(cls, text: str, *, status: int = 200, headers: HeadersLike | None = None) -> Response:
        """An HTML page. Escape what others wrote with ``html.escape``."""
        return cls(text, status=status, headers=headers, content_type="text/html")

    @classmethod
    def json(cls, value: Any, *, status: int = 200, headers: HeadersLike | None = None) -> Response:
        """A value as JSON, compact, in UTF-8 (RFC 8259).

        Raises:
            TypeError: the value has a part that JSON does not know.
            ValueError: it has a NaN or an infinity, or contains itself.
        """
        return cls(_encode_json(value), status=status, headers=headers, content_type="application/json")

    @classmethod
    def bytes(
        cls,
        data: Octets,
        *,
        content_type: str = "application/octet-stream",
        status: int = 200,
        headers: HeadersLike | None = None,
    ) -> Response:
        """Bytes as they are."""
        return cls(data, status=status, headers=headers, content_type=content_type)

    @classmethod
    def empty(cls, status: int = 204, *, headers: HeadersLike | None = None) -> Response:
        """No body at all."""
        return cls(b"", status=status, headers=headers)

    @classmethod
    def stream(
        cls,
        chunks: AsyncIterable[Octets],
        *,
        content_type: str = "application/octet-stream",
        status: int = 200,
        headers: HeadersLike | None = None,
    ) -> Response:
        """Bytes that are made while they are sent; the server asks for the next when the client has taken the last.

        It closes the iterable if the client leaves.
        """
        return cls(chunks, status=status, headers=headers, content_type=content_type)

    @classmethod
    def redirect(cls, location: str, *, status: int = 303, headers: HeadersLike | None = None) -> Response:
        """Send the client elsewhere (RFC 9110 15.4).

        303 makes the next request a GET; 307 and 308 keep method and body; 301 and 308 are remembered for good.

        Args:
            location: a path with a query, or a whole ``http`` or ``https`` URL; other characters than those of a URL
                are percent-encoded. Do not pass on what a client sent (``?next=…``): any site could be in it.

        Raises:
            InvalidHeader: control characters; ``//host`` and anything with a backslash, which browsers take for another
                host; schemes such as ``javascript:``.
            LocalProtocolError: the status is not 301, 302, 303, 307 or 308.
        """
        if status not in (301, 302, 303, 307, 308):
            raise LocalProtocolError(f"status {status} does not redirect")
        response = cls(b"", status=status, headers=headers)
        response.headers["Location"] = _check_location(location)
        return response

    @classmethod
    def file(
        cls,
        path: PathLike,
        *,
        download: str | None = None,
        content_type: str | None = None,
        headers: HeadersLike | None = None,
    ) -> Response:
        """A file, with ``ETag`` and ``Last-Modified``; :meth:`select` makes parts and 304 of it.

        Never build the path from what a client sent; static directories do that safely.

        Args:
            path: the file.
            download: the name under which a browser saves it, instead of showing it.
            content_type: guessed from the name by default.
            headers: further header fields.

        Raises:
            HTTPError: 404, there is no such file.
        """
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise HTTPError(404) from error
        if not stat.S_ISREG(status.st_mode):
            raise HTTPError(404)
        body = FileBody(os.fspath(path), 0, status.st_size, identity_of(status))
        guessed = content_type_of(body.path) if content_type is None else content_type
        response = cls.with_facts(body, Facts.from_stat(status), headers=headers, content_type=guessed)
        if download is not None:
            response.headers["Content-Disposition"] = _attachment(download)
        return response

    @classmethod
    def with_facts(
        cls, body: Octets | FileBody, facts: Facts, *, headers: HeadersLike | None = None, content_type: str
    ) -> Response:
        """A body that :meth:`select` may answer conditional and range requests from."""
        response = cls(body, headers=headers, content_type=content_type)
        for name, value in facts.headers:
            response.headers.setdefault(name, value)
        response._facts = facts
        return response

    # -- the rest -----------------------------------------------------------------------------------------------------

    @property
    def body_size(self) -> int | None:
        """Bytes of the body; ``None`` if it is streamed."""
        if isinstance(self.body, FileBody):
            return self.body.length
        return len(self.body) if isinstance(self.body, Octets) else None

    def set_cookie(self, name: str, value: str, **attributes: Unpack[CookieAttributes]) -> None:
        """Add a cookie: by default for every path of this host, until the browser closes, ``HttpOnly``,
        ``SameSite=Lax``.

        Raises:
            InvalidHeader: see :func:`elio.cookies.format_set_cookie`.
        """
        self.headers.add("Set-Cookie", format_set_cookie(name, value, **attributes))

    def delete_cookie(self, name: str, *, path: str = "/", domain: str = "") -> None:
        """Remove a cookie; path and domain must be those that it was set with."""
        secure = name.lower().startswith(("__host-", "__secure-"))
        self.set_cookie(name, "", path=path, domain=domain, max_age=0, expires=_EPOCH, secure=secure)

    def select(self, method: str, headers: Headers) -> Response:
        """The response to a conditional or range request: 206, 304, 412, 416, or this one (RFC 9110 13, 14).

        It is this one too if another status or a body of another size was set since it was made.

        Args:
            method: of the request.
            headers: of the request.
        """
        if self._facts is None or self.status != 200 or self.body_size != self._facts.size:
            return self
        chosen = select(method, headers, self._facts)
        if chosen.status == 200:
            return self
        body = _part(self.body, chosen.offset, chosen.length) if chosen.status == 206 else b""
        response = Response(body, status=chosen.status, headers=self.headers)
        if chosen.status != 206:
            del response.headers["Content-Type"]
            del response.headers["Content-Disposition"]
        if chosen.content_range:
            response.headers["Content-Range"] = chosen.content_range
        return response


def _encode_body(body: BodyLike) -> Body:
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytearray | memoryview) else body


def content_type_of(path: str) -> str:
    """The content type that the name of a file suggests, with a charset for text (UTF-8)."""
    guessed, encoding = _TYPES.guess_type(path)
    if guessed is None or encoding is not None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed in _TEXT_TYPES else _with_charset(guessed)


def _with_charset(content_type: str) -> str:
    lower = content_type.lower()
    return f"{content_type}; charset=utf-8" if lower.startswith("text/") and "charset=" not in lower else content_type


@lru_cache(maxsize=256)
def _checked_type(content_type: str) -> str:
    """A program has few content types, and checking one costs more than the rest of a short response."""
    value = _with_charset(content_type)
    check_header("Content-Type", value)
    return value


def _encode_json(value: Any) -> bytes:
    try:
        return _JSON.encode(value).encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8; escaped it is legal (RFC 8259 8.2).
        return _ASCII_JSON.encode(value).encode()


def _check_location(location: str) -> str:
    if any(char < " " or char == "\x7f" for char in location):
        raise InvalidHeader(f"location {location!r} has a control character", name="Location", value=location)
    if "\\" in location or location.startswith("//"):
        raise InvalidHeader(f"location {location!r} leads to another host", name="Location", value=location)
    try:
        parts = urlsplit(location)
    except ValueError as error:
        raise InvalidHeader(f"location {location!r} is no URL", name="Location", value=location) from error
    if not location or parts.scheme not in ("", "http", "https") or (parts.scheme and not parts.netloc):
        raise InvalidHeader(f"location {location!r} is no path or http URL", name="Location", value=location)
    return quote(location, safe="%/:?#[]@!$&'()*+,;=~")


def _attachment(name: str) -> str:
    """RFC 6266 4: a plain name for old clients and, if it is not plain, the exact one (RFC 8187)."""
    plain = "".join(char if " " <= char <= "~" and char not in '"\\%/' else "_" for char in name)
    exact = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{exact}'


def _part(body: Body, offset: int, length: int) -> Body:
    if isinstance(body, FileBody):
        return FileBody(body.path, body.offset + offset, length, body.identity)
    return cast(bytes, body)[offset : offset + length]
