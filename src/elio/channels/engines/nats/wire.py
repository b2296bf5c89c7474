"""Requests to JetStream over one connection of nats-py: many under way at once, each with a time limit.

nats-py connects, logs in, comes back after a loss and knows the servers of a cluster. Here is what it has no fast way
for: answers to any number of requests through one subscription.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from ....errors import ConfigurationError, EngineError, EngineLost
from ..line import answer_within

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

__all__ = ["Wire", "WrongSequence"]

_PING_INTERVAL: Final = 1.0
_MAX_PINGS: Final = 2
"""A server that does not answer is given up within 3 seconds."""
_MAX_PENDING: Final = 64 * 1024 * 1024
_WRONG_SEQUENCE: Final = 10071


class WrongSequence(EngineError):
    """Somebody else wrote to the subject meanwhile."""


class Wire:
    """A connection to NATS.

    Args:
        url: one or more, with commas between them.
        timeout: seconds that an answer may take.
        on_up: called when the connection was made again.
        on_down: called with the reason when it was lost.

    Raises:
        ConfigurationError: nats-py is not installed.
    """

    def __init__(
        self, url: str, *, timeout: float, on_up: Callable[[], object], on_down: Callable[[str], object]
    ) -> None:
        try:
            from nats.aio.client import Client
        except ImportError:
            raise ConfigurationError("NATS needs the package nats-py: pip install elio-web[nats]") from None
        self._client: Client = Client()
        self._urls = [part.strip() for part in url.split(",")]
        self._timeout = timeout
        self._on_up = on_up
        self._on_down = on_down
        self._why = "not connected yet"
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._inbox = ""
        self._came_back = asyncio.Event()

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect.

        Raises:
            EngineLost: that is not possible in time.
        """
        options: dict[str, Any] = {
            "servers": self._urls,
            "allow_reconnect": True,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": 0.25,
            "connect_timeout": 2,
            "ping_interval": _PING_INTERVAL,
            "max_outstanding_pings": _MAX_PINGS,
            "pending_size": _MAX_PENDING,
            "error_cb": self._failed,
            "disconnected_cb": self._lost,
            "reconnected_cb": self._back,
        }
        try:
            async with answer_within(self._timeout):
                await self._client.connect(**options)
        except EngineLost:
            raise EngineLost(f"no connection to nats at {', '.join(self._urls)}: {self._why}") from None
        except Exception as error:
            raise EngineLost(f"no connection to nats: {error}") from error
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", cb=self._answered, pending_bytes_limit=-1, pending_msgs_limit=-1)

    async def close(self) -> None:
        """Hang up."""
        with suppress(Exception):
            await self._client.close()
        self._fail("closed")

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent."""
        return self._client.is_connected

    async def ready(self, timeout: float | None) -> None:
        """Wait for the connection.

        Raises:
            EngineLost: there is none in time.
        """
        if self.is_connected:
            return
        try:
            async with asyncio.timeout(timeout):
                while not self.is_connected:
                    self._came_back.clear()
                    await self._came_back.wait()
        except TimeoutError:
            raise EngineLost(f"no connection to nats: {self._why}") from None

    async def _failed(self, error: Exception) -> None:
        self._why = str(error) or type(error).__name__

    async def _lost(self) -> None:
        self._fail(self._why)
        self._on_down(self._why)

    async def _back(self) -> None:
        self._came_back.set()
        self._on_up()

    def _fail(self, why: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(EngineLost(why, is_unknown=True))

    # -- requests ------------------------------------------------------------------------------------------------------

    async def request(
        self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None
    ) -> Msg:
        """Send a request, and wait for its answer.

        Raises:
            EngineLost: there is none in time.
        """
        if not self.is_connected:
            raise EngineLost(f"no connection to nats: {self._why}")
        number = str(next(self._numbers))
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._client.publish(subject, payload, f"{self._inbox}.{number}", headers)
            async with answer_within(self._timeout):
                return await answer
        except EngineError:
            raise
        except Exception as error:
            raise EngineLost(str(error) or type(error).__name__, is_unknown=True) from error
        finally:
            self._waiting.pop(number, None)

    async def _answered(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject.rpartition(".")[2])
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def call(self, name: str, arguments: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Use the API of JetStream.

        Raises:
            EngineError: it says no.
        """
        answer = await self.request(f"$JS.API.{name}", json.dumps(arguments).encode() if arguments else b"")
        return _checked(answer)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> int:
        """Append to a stream.

        Returns:
            The sequence of the message, that of the first one with the same ID.

        Raises:
            WrongSequence: the last message of the subject is not the one that the headers expect.
            EngineError: the stream does not take it.
        """
        return int(_checked(await self.request(subject, payload, headers))["seq"])

    async def last(self, stream: str, subject: str) -> Msg | None:
        """The newest message of a subject, with its place in its headers."""
        answer = await self.request(f"$JS.API.DIRECT.GET.{stream}.{subject}")
        return None if _status(answer) == "404" else answer

    async def read(self, subject: str, request: Mapping[str, object], count: int) -> list[Msg]:
        """Ask for several messages at once.

        Args:
            subject: of the request.
            request: what to ask.
            count: how many there are.
        """
        found: list[Msg] = []
        done = asyncio.get_running_loop().create_future()

        async def take(message: Msg) -> None:
            if not _status(message):
                found.append(message)
            if (_status(message) or len(found) == count) and not done.done():
                done.set_result(None)

        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox, cb=take)
        try:
            await self._client.publish(subject, json.dumps(request).encode(), inbox)
            async with answer_within(self._timeout):
                await done
        finally:
            with suppress(Exception):
                await subscription.unsubscribe()
        return found

    # -- news ----------------------------------------------------------------------------------------------------------

    async def subscribe(self, subject: str, news: Callable[[Msg], object]) -> Callable[[], Any]:
        """Messages of a subject come from now on, and again after each loss of the connection.

        Returns:
            What ends it; to be awaited.
        """

        async def take(message: Msg) -> None:
            news(message)

        await self.ready(self._timeout)
        subscription = await self._client.subscribe(subject, cb=take, pending_bytes_limit=_MAX_PENDING, pending_msgs_limit=-1)
        try:
            async with answer_within(self._timeout):
                await self._client.flush(ceil_of(self._timeout))
        except EngineLost:
            raise
        except Exception as error:
            raise EngineLost(str(error) or type(error).__name__) from error

        async def end() -> None:
            with suppress(Exception):
                await subscription.unsubscribe()

        return end


def ceil_of(seconds: float) -> int:
    """Whole seconds that are enough."""
    return int(seconds) + 1


def _status(message: Msg) -> str:
    """The status of an answer that is no message; "" for a message."""
    return (message.headers or {}).get("Status", "")


def _checked(answer: Msg) -> dict[str, Any]:
    if _status(answer) == "503":
        raise EngineLost("JetStream does not answer")
    said: dict[str, Any] = json.loads(answer.data or b"{}")
    error = said.get("error")
    if error is None:
        return said
    text = f"{error.get('description', 'error')} ({error.get('err_code', error.get('code'))})"
    if error.get("err_code") == _WRONG_SEQUENCE:
        raise WrongSequence(text)
    if error.get("code") == 503:
        raise EngineLost(text)
    raise EngineError(text)
