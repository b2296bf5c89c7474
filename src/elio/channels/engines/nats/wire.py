"""The link to NATS: a connection that is kept, with its subscriptions, and requests to JetStream over it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ....errors import EngineError, EngineLost, InvalidURL
from ..line import Line, answer_within
from .connection import Message, NatsConnection

__all__ = ["WRONG_SEQUENCE", "Server", "Wire", "parse_servers"]

_PORT: Final = 4222
# Of json.loads this is what an answer needs: one comes for each message that is published.
_read: Final = json.JSONDecoder().raw_decode
WRONG_SEQUENCE: Final = 10071
"""The code of the error that somebody else wrote to the subject meanwhile."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and who may come in.

    Attributes:
        host: name or address.
        port: of TCP.
        username: or a token, if there is no password.
        password: "" for none.
        has_tls: whether TLS is insisted on; where the server does, it is used anyway.
    """

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    has_tls: bool = False

    @property
    def credentials(self) -> dict[str, object]:
        """What the server is told of them."""
        if self.password:
            return {"user": self.username, "pass": self.password}
        return {"auth_token": self.username} if self.username else {}


def parse_servers(url: str) -> tuple[Server, ...]:
    """Parse ``nats://[user:password@]host[:port]`` or ``tls://``; more servers behind commas.

    Raises:
        InvalidURL: another scheme, no host, or a bad port.
    """
    found: list[Server] = []
    for part in url.split(","):
        try:
            parts = urlsplit(part if "://" in part else f"{url.partition('://')[0]}://{part}")
            if parts.scheme not in ("nats", "tls") or not parts.hostname:
                raise ValueError("it must be nats://host or tls://host")
            names = unquote(parts.username or ""), unquote(parts.password or "")
            found.append(Server(parts.hostname, parts.port or _PORT, *names, parts.scheme == "tls"))
        except ValueError as error:
            raise InvalidURL(f"a URL of NATS that cannot be used: {error}", url=url) from None
    return tuple(found)


class Wire:
    """Requests and subscriptions over one connection at a time, to one of several servers.

    Args:
        url: see :func:`parse_servers`.
        timeout: seconds that an answer may take.
        tls: None trusts what the system trusts.
        on_up: called when the connection was made, or made again.
        on_down: called with the reason when it was lost.
        on_settled: called when all that came at once has been told.

    Attributes:
        server: the name that the server of the newest connection has given itself; another one with each start.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        tls: ssl.SSLContext | None,
        on_up: Callable[[], object],
        on_down: Callable[[str], object],
        on_settled: Callable[[], object],
    ) -> None:
        servers = parse_servers(url)
        self.server = ""
        self._servers = cycle(servers)
        self._timeout = timeout
        self._tls = tls
        self._on_up = on_up
        self._on_settled = on_settled
        self._numbers = count(1)
        self._subscriptions: dict[str, tuple[str, Callable[[Message], object]]] = {}
        places = ", ".join(f"{server.host}:{server.port}" for server in servers)
        self._line = Line(f"nats at {places}", self._open, on_up=self._up, on_down=on_down, timeout=timeout)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect.

        Raises:
            EngineLost: that is not possible in time.
        """
        self._line.start()
        await self._line.ready(self._timeout)

    async def close(self) -> None:
        """Hang up."""
        await self._line.close()

    async def ready(self) -> None:
        """Wait for the connection."""
        await self._line.ready(None)

    async def check(self) -> None:
        """See that the server answers.

        Raises:
            EngineLost: it does not.
        """
        await (await self._line.ready(0.0)).ping()

    def watch(self) -> None:
        """Give up what is overdue."""
        if self._line.connection is not None:
            self._line.connection.check(self._timeout)

    async def _open(self, on_lost: Callable[[str], object]) -> NatsConnection:
        server = next(self._servers)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: NatsConnection(on_lost, self._on_settled), server.host, server.port
        )
        try:
            info = await connection.greeted()
            if server.has_tls or info.get("tls_required"):
                context = self._tls or ssl.create_default_context()
                transport = await loop.start_tls(connection.transport, connection, context, server_hostname=server.host)
                if transport is not None:
                    connection.connection_made(transport)
            said = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "name": "elio"}
            connection.introduce({**said, "lang": "python", "version": "0", "protocol": 1, **server.credentials})
            await connection.ping()
        except BaseException:
            connection.abort("it could not be used")
            raise
        self.server = str(info.get("server_id", ""))
        return connection

    async def _up(self, connection: NatsConnection) -> None:
        for number, (subject, taker) in self._subscriptions.items():
            connection.subscribe(number, subject, taker)
        await connection.ping()
        self._on_up()

    # -- requests ------------------------------------------------------------------------------------------------------

    def request(self, subject: str, payload: bytes = b"", headers: bytes = b"") -> Coroutine[Any, Any, Message]:
        """Send a request.

        Returns:
            Its answer, to be awaited.

        Raises:
            EngineLost: there is no connection, or no answer in time.
        """
        connection = self._line.connection
        if connection is None or connection.room is not None:
            return self._request_later(subject, payload, headers)
        return connection.request(subject, payload, headers)

    async def _request_later(self, subject: str, payload: bytes, headers: bytes) -> Message:
        connection = await self._line.ready(0.0)
        if connection.room is not None:
            await asyncio.shield(connection.room)
        return await connection.request(subject, payload, headers)

    async def call(self, name: str, arguments: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Use the API of JetStream.

        Raises:
            EngineError: it says no.
        """
        return _checked(await self.request(f"$JS.API.{name}", json.dumps(arguments).encode() if arguments else b""))

    async def publish(self, subject: str, payload: bytes, headers: bytes = b"") -> int:
        """Append to a stream.

        Returns:
            The sequence of the message, that of the first one with the same ID.

        Raises:
            EngineError: the stream does not take it; with the code ``WRONG_SEQUENCE`` since the last message of the
                subject is not the one that the headers expect.
        """
        return int(_checked(await self.request(subject, payload, headers))["seq"])

    async def last(self, stream: str, subject: str) -> Message | None:
        """The newest message of a subject, with its place in its headers."""
        answer = await self.request(f"$JS.API.DIRECT.GET.{stream}.{subject}")
        if answer.status not in (b"", b"404"):
            raise EngineLost(f"JetStream does not answer: status {answer.status.decode(errors='replace')}")
        return None if answer.status else answer

    async def read(self, subject: str, request: Mapping[str, object], count: int) -> list[Message]:
        """Ask for several messages at once.

        Args:
            subject: of the request.
            request: what to ask.
            count: how many there are.

        Returns:
            As many as there still were.

        Raises:
            EngineLost: it does not answer, or breaks off.
        """
        found: list[Message] = []
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def take(message: Message) -> None:
            if not message.status:
                found.append(message)
            if (message.status or len(found) == count) and not done.done():
                done.set_result(message.status)

        connection = await self._line.ready(0.0)
        number = str(next(self._numbers))
        inbox = f"_INBOX.elio.{id(self):x}.{number}"
        connection.subscribe(number, inbox, take)
        try:
            connection.publish(subject, json.dumps(request).encode(), inbox.encode())
            async with answer_within(self._timeout):
                status = await done
        finally:
            connection.unsubscribe(number)
        if status not in (b"", b"404", b"408"):
            raise EngineLost(f"JetStream has broken off: status {status.decode(errors='replace')}", is_unknown=True)
        return found

    # -- subscriptions -------------------------------------------------------------------------------------------------

    async def subscribe(self, subject: str, taker: Callable[[Message], object]) -> str:
        """Messages of a subject come when this returns, and again after each loss of the connection.

        Returns:
            What :meth:`unsubscribe` wants.
        """
        number = str(next(self._numbers))
        self._subscriptions[number] = subject, taker
        try:
            connection = await self._line.ready(self._timeout)
            connection.subscribe(number, subject, taker)
            async with answer_within(self._timeout):
                await connection.ping()
        except BaseException:
            self.unsubscribe(number)
            raise
        return number

    def unsubscribe(self, number: str) -> None:
        """They come no more."""
        self._subscriptions.pop(number, None)
        if self._line.connection is not None:
            self._line.connection.unsubscribe(number)


def _checked(answer: Message) -> dict[str, Any]:
    if answer.status:
        raise EngineLost("JetStream does not answer")
    try:
        said: dict[str, Any] = _read(answer.data.decode())[0]
    except ValueError:
        raise EngineError(f"not an answer of JetStream: {answer.data[:100]!r}") from None
    error = said.get("error")
    if error is None:
        return said
    text, code = error.get("description", "error"), error.get("err_code", 0)
    if error.get("code") == 503:
        raise EngineLost(text)
    raise EngineError(f"{text} ({code})", code=code)
