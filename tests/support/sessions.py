"""A WebSocket on a stream that only remembers, called back as the loop does it: with no task current."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from elio.headers import Headers, HeadersLike
from elio.http.message import RequestHead
from elio.limits import Limits
from elio.net.runtime import Runtime
from elio.request import Request
from elio.session import WebSocket
from elio.websocket.connection import Connection, Role
from support.stream import FakeStream


def make_request(target: str = "/ws") -> Request:
    headers = Headers([("Host", "localhost")])
    return Request(
        RequestHead(method="GET", target=target, http_version="1.1", headers=headers, upgrade=("websocket",))
    )


class FakeOpening:
    """An opening handshake that is answered on paper."""

    def __init__(self, rest: bytes = b"") -> None:
        self.accepted: list[tuple[str | None, HeadersLike]] = []
        self.rejected: list[tuple[int, str | bytes]] = []
        self._rest = rest

    def accept(self, ws: WebSocket, subprotocol: str | None, headers: HeadersLike) -> None:
        self.accepted.append((subprotocol, headers))
        ws.opened(subprotocol or ws.subprotocol, self._rest)

    async def reject(self, status: int, body: str | bytes, headers: HeadersLike) -> None:
        self.rejected.append((status, body))


class Session:
    """A WebSocket with its stream and what the peer does to it."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        role: Role = Role.SERVER,
        opening: FakeOpening | None = None,
        **options: Any,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.stream = FakeStream()
        self.runtime = Runtime(self.loop, limits or Limits())
        self.connection = Connection(role, **options)
        request = make_request() if role is Role.SERVER else None
        self.ws = WebSocket(self.connection, self.stream, self.runtime, request=request, opening=opening)

    async def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call from the loop, as a transport does; returns behind it."""
        done = self.loop.create_future()

        def run() -> None:
            try:
                function(*arguments)
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)

        self.loop.call_soon(run)
        await done

    async def feed(self, data: bytes) -> None:
        """Bytes of the peer."""
        await self.call(self.ws.data_received, data)

    async def lose(self) -> None:
        """The stream ends."""
        if not self.ws._lost:
            await self.call(self.ws.connection_lost, None)

    async def pass_time(self, seconds: float) -> None:
        """What the coarse timer would do after so many seconds."""
        now = self.runtime.timer.now() + seconds
        await self.call(self.ws.check_time, now)

    def close(self) -> None:
        self.runtime.close()
