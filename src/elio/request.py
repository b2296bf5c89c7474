"""What a handler is told about a request (RFC 9110 6, 7).

Everything but the head is found out when it is asked for: thousands of these live as long as their WebSockets. Not
here: routing, multipart forms, sessions. ``client`` is who holds the socket, or whom a proxy that the server trusts
names.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NoReturn, cast
from urllib.parse import unquote

from .auth.identity import Identity
from .auth.watch import Watch
from .body import EMPTY_BODY, Body
from .cookies import parse_cookies
from .errors import HTTPError
from .headers import Headers
from .http.message import RequestHead
from .net.runtime import Runtime
from .net.stream import Stream, peer_name
from .query import Query, hide_secrets

__all__ = ["EMPTY_BODY", "Body", "Query", "Request"]

# Only these names reach the codec registry: it imports modules by name, and keeps every unknown one for ever.
_CHARSETS: Final = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8-sig"),
    **dict.fromkeys(("us-ascii", "ascii"), "ascii"),
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1"), "latin-1"),
    **{name: name for name in ("utf-16", "utf-16le", "utf-16be", "shift_jis", "euc-jp", "euc-kr", "gbk", "gb18030")},
    **{name: name for name in ("gb2312", "big5", "koi8-r", "koi8-u")},
    **{f"iso-8859-{part}": f"iso-8859-{part}" for part in range(2, 17) if part != 12},
    **{f"windows-{page}": f"cp{page}" for page in range(1250, 1259)},
}


class Request:
    """One request.

    Args:
        head: method, target, version and headers.
        body: its body; shared and empty by default.
        client: the peer as ``"ip:port"`` or ``"[ip]:port"``; empty where there is no address (Unix sockets). Or a
            stream that remembers its peer.
        server: the own address that was connected to, in the same form.
        scheme: ``"http"`` or ``"https"``.
        params: the parameters of the route.
        tls: that of the connection.

    Attributes:
        head: as given.
        server: as given.
        scheme: as given.
        tls: facts about TLS (``version()``, ``cipher()``, ...) of the connection that the request came over; None
            without TLS.
    """

    __slots__ = (
        "_body",
        "_client",
        "_cookies",
        "_host",
        "_identity",
        "_params",
        "_query",
        "_state",
        "head",
        "scheme",
        "server",
        "tls",
    )

    def __init__(
        self,
        head: RequestHead,
        *,
        body: Body = EMPTY_BODY,
        client: str | Stream = "",
        server: str = "",
        scheme: str = "http",
        params: dict[str, str] | None = None,
        tls: ssl.SSLObject | None = None,
    ) -> None:
        self.head = head
        self._client = client
        self._host = ""
        self.server = server
        self.scheme = scheme
        self.tls = tls
        self._params = params
        self._body = body
        self._query: Query | None = None
        self._cookies: dict[str, str] | None = None
        self._identity: Identity | Watch | None = None
        self._state: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<Request {self.head.method} {hide_secrets(self.head.target)!r} from {self.client or 'unknown'}>"

    @property
    def client(self) -> str:
        """The peer, as ``"ip:port"`` or ``"[ip]:port"``; empty where it has no address."""
        if not isinstance(self._client, str):
            self._client = peer_name(self._client)
        return self._client

    def place(self, client: str, scheme: str, host: str) -> None:
        """Say where the request really comes from; a server does that for proxies that it trusts.

        Args:
            client: as in the constructor.
            scheme: "" leaves it as it is.
            host: as the client named it; "" leaves it as it is.
        """
        self._client = client
        self.scheme = scheme or self.scheme
        self._host = host

    @property
    def params(self) -> dict[str, str]:
        """The parameters of the route, percent-decoded."""
        if self._params is None:
            self._params = {}
        return self._params

    @params.setter
    def params(self, params: dict[str, str]) -> None:
        self._params = params

    # -- the head -----------------------------------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """The method, as the client wrote it: methods are case-sensitive (RFC 9110 9.1)."""
        return self.head.method

    @property
    def target(self) -> str:
        """The request target as it came, usually path and query (RFC 9112 3.2)."""
        return self.head.target

    @property
    def http_version(self) -> str:
        """``"1.0"``, ``"1.1"`` or ``"2"``."""
        return self.head.http_version

    @property
    def headers(self) -> Headers:
        """The header fields."""
        return self.head.headers

    @property
    def raw_path(self) -> str:
        """The path of the target, still percent-encoded, without the query. What routing works on."""
        target = self.head.origin_target
        return target.partition("?")[0] if "?" in target else target

    @property
    def path(self) -> str:
        """The path, percent-decoded, for people and logs: ``%2F`` and ``/`` look alike in it, unlike in ``params``."""
        return unquote(self.raw_path)

    @property
    def query_string(self) -> str:
        """What is behind the ``?``, as it came."""
        return self.head.origin_target.partition("?")[2]

    @property
    def query(self) -> Query:
        """The fields of the query.

        Raises:
            HTTPError: 400, too many fields.
        """
        if self._query is None:
            self._query = Query(self.query_string)
        return self._query

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies; of equal names the first."""
        if self._cookies is None:
            self._cookies = parse_cookies(self.head.headers.get_all("cookie"))
        return self._cookies

    @property
    def host(self) -> str:
        """Host and port as the client names them (RFC 9112 3.2.2: an absolute target goes before the header).

        Without either, as HTTP/1.0 allows, the own address.
        """
        return self._host or self.head.host or self.server

    @property
    def url(self) -> str:
        """The absolute URL, for links. It is made of what the client says its host is: trust it as far as that."""
        target = self.head.origin_target
        return f"{self.scheme}://{self.host}{'' if target == '*' else target}"

    @property
    def client_host(self) -> str:
        """The address of the peer without its port; empty where there is none."""
        return self.client.rpartition(":")[0].strip("[]")

    @property
    def client_certificate(self) -> dict[str, Any] | None:
        """The certificate that the client has shown and the server trusts, as ``ssl.SSLSocket.getpeercert`` has it.

        None without one. Servers ask for it with :class:`elio.TLSConfig`.
        """
        return None if self.tls is None else cast("dict[str, Any] | None", self.tls.getpeercert()) or None

    @property
    def content_type(self) -> str:
        """The media type of the body, in lower case and without parameters; empty if none was given."""
        return (self.headers.get("content-type") or "").partition(";")[0].strip().lower()

    @property
    def user(self) -> Any:
        """The user, as the ``authenticate`` function of the route calls it; None where there is none."""
        identity = self.identity
        return None if identity is None else identity.user

    @property
    def identity(self) -> Identity | None:
        """The user with the end of what is known of it; None where nobody was asked."""
        return self._identity.identity if isinstance(self._identity, Watch) else self._identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        if isinstance(self._identity, Watch):
            self._identity.renew(identity)
        else:
            self._identity = identity

    def watch_identity(self, runtime: Runtime, end: Callable[[], object]) -> None:
        """Call back once when the identity is over; a connection that stays open does that."""
        identity = self._identity
        if isinstance(identity, Identity) and identity.expires is not None:
            self._identity = Watch(identity, runtime, end)

    def forget_identity(self) -> None:
        """The connection has ended: its identity is looked after no longer, and may still be asked for."""
        if isinstance(self._identity, Watch):
            self._identity.stop()

    @property
    def state(self) -> dict[str, Any]:
        """A place for middleware to leave things for the handler, made when it is first asked for."""
        if self._state is None:
            self._state = {}
        return self._state

    # -- the body -----------------------------------------------------------------------------------------------------

    async def body(self, limit: int | None = None) -> bytes:
        """The whole body; a second call gives the same bytes. Raises as :meth:`Body.read` does.

        Args:
            limit: bytes that this handler takes, if fewer than the server does; over it 413.
        """
        return await self._body.read(limit)

    def stream(self) -> AsyncIterator[bytes]:
        """The body in parts, as they arrive. Raises as :meth:`Body.read` does."""
        return self._body.stream()

    async def text(self, limit: int | None = None) -> str:
        """The body as text, in the charset of its content type, UTF-8 by default.

        Raises:
            HTTPError: 415, the charset is not known; 400, the bytes do not fit it; and as :meth:`body`.
        """
        charset = _charset(self.headers.get("content-type") or "")
        codec = _CHARSETS.get(charset)
        if codec is None:
            raise HTTPError(415, f"charset {charset!r} is not supported")
        data = await self.body(limit)
        try:
            return data.decode(codec)
        except UnicodeDecodeError as error:
            raise HTTPError(400, f"request body is not {charset} at byte {error.start}") from error

    async def json(self, limit: int | None = None) -> Any:
        """The body as JSON (RFC 8259), whatever its content type says.

        Raises:
            HTTPError: 400, it is not JSON, or nested too deeply; and as :meth:`body`.
        """
        data = await self.body(limit)
        try:
            return json.loads(data, parse_constant=_refuse_constant)
        except RecursionError:
            raise HTTPError(400, "request body is not usable JSON: nested too deeply") from None
        except ValueError as error:
            raise HTTPError(400, f"request body is not JSON: {error}") from error

    async def form(self, limit: int | None = None) -> Query:
        """The fields of a form sent as ``application/x-www-form-urlencoded``.

        Raises:
            HTTPError: 415, the body is of another type; 400, too many fields; and as :meth:`body`.
        """
        if self.content_type != "application/x-www-form-urlencoded":
            raise HTTPError(415, "a form must be sent as application/x-www-form-urlencoded")
        return Query((await self.body(limit)).decode("utf-8", "replace"))


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return "utf-8"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
