"""URLs of WebSockets and HTTP: parse, check, resolve (RFC 3986, RFC 6455 3).

Schemes are ws, wss, http and https, and ws+unix and http+unix for a Unix socket, in the form
``ws+unix:///run/app.sock:/path?query``. What comes out is ready for the wire: ASCII only, host in lower case.

Not here: query strings as mappings, and IDNA 2008. Python carries IDNA 2003; the few names that the two encode
differently are refused rather than sent elsewhere than a browser would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote, unquote

from .errors import InvalidURL

__all__ = ["URL", "parse_authority"]

_PORTS: Final = {"ws": 80, "wss": 443, "http": 80, "https": 443, "ws+unix": 80, "http+unix": 80}
_WEBSOCKET_OF: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_UNIX: Final = "+unix"
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
# No backslash in the authority: browsers end it there and other parsers do not, so they would see different hosts.
_FORM: Final = re.compile(r"([^:/?#]+)://([^/?#\\]*)(/[^?#]*)?(?:\?([^#]*))?(#.*)?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOSTNAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 3986 3.3 and 3.4, and the brackets that browsers leave alone.
_SAFE: Final = "/:@!$&'()*+,;=?%[]~"
# Sharp s, final sigma and the two joiners: IDNA 2003 maps them away, IDNA 2008 keeps them.
_DEVIATIONS: Final = re.compile("[\u00df\u03c2\u200c\u200d]")


@dataclass(frozen=True, slots=True)
class URL:
    """A URL that was parsed and checked. Make it with :meth:`parse`; ``str`` gives it back without user and password.

    Attributes:
        scheme: in lower case.
        host: name in lower case and ASCII (IDNA), or address; an IPv6 address has no brackets.
        port: as given, or that of the scheme.
        path: percent-encoded, begins with ``/``.
        query: percent-encoded, without the question mark.
        username: percent-decoded; ``None`` if there is none.
        password: percent-decoded; ``None`` if there is none.
        socket_path: path of the Unix socket; ``None`` for TCP.
    """

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    socket_path: str | None = None

    @classmethod
    def parse(cls, url: str) -> URL:
        """Parse and check a URL. What is not ASCII is encoded; the fragment of an http URL is dropped.

        Raises:
            InvalidURL: another scheme, a control character or space, a bad host or port, or a fragment in the URL of a
                WebSocket (RFC 6455 3).
        """
        try:
            return cls._parse(url)
        except InvalidURL as error:
            error.url = url
            raise

    @classmethod
    def _parse(cls, url: str) -> URL:
        _check_characters(url)
        parts = _FORM.fullmatch(url)
        if parts is None:
            raise InvalidURL("not of the form scheme://host[:port][/path][?query]")
        scheme, authority, path, query, fragment = parts.groups("")
        scheme = scheme.lower()
        if scheme not in _PORTS:
            raise InvalidURL(f"scheme {scheme!r} is none of {', '.join(_PORTS)}")
        if fragment and scheme.startswith("ws"):
            raise InvalidURL("the URL of a WebSocket has no fragment; a # in it is written %23")
        if scheme.endswith(_UNIX):
            return cls._parse_unix(scheme, authority, path, query)
        userinfo, at, authority = authority.rpartition("@")
        username, password = _parse_userinfo(userinfo) if at else (None, None)
        host, port = parse_authority(authority)
        return cls(scheme, host, port or _PORTS[scheme], _encode(path) or "/", _encode(query), username, password)

    @classmethod
    def _parse_unix(cls, scheme: str, authority: str, path: str, query: str) -> URL:
        socket_path, _, target = path.partition(":")
        if authority or len(socket_path) < 2 or (target and not target.startswith("/")):
            raise InvalidURL(f"not of the form {scheme}:///path/of/socket[:/path][?query]")
        socket_path = _decode(socket_path)
        return cls(scheme, "localhost", 80, _encode(target) or "/", _encode(query), socket_path=socket_path)

    @property
    def is_secure(self) -> bool:
        """Whether it goes over TLS."""
        return self.scheme in ("wss", "https")

    @property
    def is_websocket(self) -> bool:
        """Whether it is the URL of a WebSocket."""
        return self.scheme.startswith("ws")

    @property
    def host_header(self) -> str:
        """Value of the ``Host`` header: host (an IPv6 address in brackets), and port unless it is the scheme's."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """The request target: path and query (RFC 6455 3 calls it the resource name)."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def origin(self) -> str:
        """The origin as in an ``Origin`` header (RFC 6454 6.2); for a WebSocket that of its pages, http or https."""
        return f"{self._http_scheme}://{self.host_header}"

    @property
    def _http_scheme(self) -> str:
        return "https" if self.is_secure else "http"

    def __str__(self) -> str:
        if self.socket_path is None:
            return f"{self.scheme}://{self.host_header}{self.target}"
        return f"{self.scheme}://{quote(self.socket_path)}:{self.target}"

    def is_same_origin(self, other: URL) -> bool:
        """Whether secrets meant for this URL may be sent to the other: same security, host, port and Unix socket."""
        return (self.origin, self.socket_path) == (other.origin, other.socket_path)

    def resolve(self, reference: str) -> URL:
        """Resolve a reference, such as the ``Location`` of a redirect, against this URL (RFC 3986 5).

        A redirected WebSocket stays one: http becomes ws and https wss. Fragments are dropped. User and password stay
        on the same origin unless the reference has its own; to another origin they are not carried over.

        Raises:
            InvalidURL: see :meth:`parse`; also a reference from http to ws, or from anywhere to a Unix socket, which
                is not for a peer to choose.
        """
        try:
            return self._resolve(reference)
        except InvalidURL as error:
            error.url = reference
            raise

    def _join(self, reference: str) -> str:
        # Not urljoin: it loses empty segments and takes "http:x" and "//" for references to a path.
        if _SCHEME.match(reference):
            return reference
        if reference.startswith("//"):
            return f"{self._http_scheme}:{reference}"
        path, question, query = reference.partition("?")
        if not path:
            return f"{self.origin}{self.path}?{query if question else self.query}"
        if not path.startswith("/"):
            path = self.path[: self.path.rindex("/") + 1] + path
        return f"{self.origin}{_remove_dots(path)}?{query}"

    def _resolve(self, reference: str) -> URL:
        _check_characters(reference)
        url = URL._parse(self._join(reference.partition("#")[0]))
        if url.socket_path is not None:
            raise InvalidURL("a reference cannot lead to a Unix socket")
        if url.is_websocket and not self.is_websocket:
            raise InvalidURL("a reference cannot lead from http to a WebSocket")
        if self.socket_path is not None and url.origin == self.origin:
            # A server on a Unix socket that speaks of its localhost means itself.
            return replace(self, path=url.path, query=url.query)
        if self.is_websocket:
            url = replace(url, scheme=_WEBSOCKET_OF[url.scheme])
        if url.username is None and self.is_same_origin(url):
            url = replace(url, username=self.username, password=self.password)
        return url


def parse_authority(text: str) -> tuple[str, int | None]:
    """Parse and check a host with or without a port, as in a ``Host`` header (RFC 9110 7.2, RFC 3986 3.2.2).

    Returns:
        The host, in lower case and ASCII, an IPv6 address in its short form without brackets; and the port if one is
        given.

    Raises:
        InvalidURL: no host, a name or an address that cannot be, or a port that is not 1 to 65535.
    """
    if not text.startswith("["):
        host, _, port = text.partition(":")
        return _parse_host(host), _parse_port(port)
    address, bracket, port = text[1:].partition("]")
    if not bracket or (port and not port.startswith(":")):
        raise InvalidURL(f"{text!r} is not an address in brackets with or without a port")
    return _parse_ipv6(address), _parse_port(port[1:])


def _parse_port(text: str) -> int | None:
    if not text:
        return None
    if _PORT.fullmatch(text) is None or not 1 <= int(text) <= 65535:
        raise InvalidURL(f"port {text!r} is not 1 to 65535")
    return int(text)


def _parse_ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise InvalidURL(f"{text!r} is not an IPv6 address") from error
    if address.scope_id:
        raise InvalidURL(f"{text!r} has a zone, which means something on one machine only")
    if address.ipv4_mapped is None:
        return address.compressed
    # Python 3.13 writes these with dots; browsers, older Pythons and this module do not.
    number = int(address)
    return f"::ffff:{number >> 16 & 0xFFFF:x}:{number & 0xFFFF:x}"


def _parse_host(text: str) -> str:
    host = (text if text.isascii() else _to_ascii(text)).lower()
    if len(host) > 254 or _HOSTNAME.fullmatch(host) is None:
        raise InvalidURL(f"{text[:254]!r} is not a host name")
    # Resolvers read 127.1, 2130706433 and 0x7f.0.0.1 as addresses; only the common form is one here.
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            IPv4Address(host)
        except ValueError as error:
            raise InvalidURL(f"{text!r} is not an IPv4 address") from error
    return host


def _to_ascii(text: str) -> str:
    # The codec takes time that grows with the square of the length.
    if len(text) > 254 or _DEVIATIONS.search(text):
        raise InvalidURL(f"host name {text[:254]!r} cannot be encoded safely; write it in its xn-- form")
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise InvalidURL(f"host name {text!r} cannot be encoded: {error}") from error


def _parse_userinfo(text: str) -> tuple[str | None, str | None]:
    if "@" in text:
        raise InvalidURL("more than one @ before the path; in a user or password it is written %40")
    username, colon, password = text.partition(":")
    return _decode(username), _decode(password) if colon else None


def _remove_dots(path: str) -> str:
    """RFC 3986 5.2.4, for a path that begins with a slash."""
    segments: list[str] = []
    _, *others, last = path.split("/")
    for segment in others:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    if last == "..":
        del segments[-1:]
    segments.append("" if last in (".", "..") else last)
    return "/" + "/".join(segments)


def _check_characters(text: str) -> None:
    if found := _FORBIDDEN.search(text):
        raise InvalidURL(f"forbidden character {found[0]!r} at {found.start()}")


def _encode(text: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", text), safe=_SAFE)


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidURL("percent-encoded bytes are not UTF-8") from error
