"""Publishing to Redis: what is published in one turn of the loop goes out in one script for each bucket.

A script that has begun is not taken back when the server refuses one of its messages. So whatever was refused together
is published one by one, as messages that may have been published already: those that were are found, and the error is
told to whom it belongs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ....errors import EngineError, EngineLost
from .link import RedisLink
from .resp import Argument
from .scripts import PUBLISH

__all__ = ["Publisher"]

_MAX_MESSAGES: Final = 128
"""Of one script: while it runs, a millisecond or two, the server does nothing else."""

_MAX_SIZE: Final = 128 * 1024
"""Bytes of their payloads, about."""


_AGAIN: Final = "1"
"""A message that may have been published already."""


class _Message(NamedTuple):
    """What is to be published, and who waits for the answer."""

    channel: str
    payload: bytes
    nonce: str
    again: str
    key: str
    answer: asyncio.Future[bytes]

    def fail(self, error: EngineError) -> None:
        """Tell whoever waits. After a loss nobody knows of what was sent before."""
        if self.answer.done():
            return
        if isinstance(error, EngineLost):
            self.answer.set_exception(EngineLost(str(error), is_unknown=error.is_unknown or self.again == _AGAIN))
        else:
            self.answer.set_exception(EngineError(str(error), code=error.code))


class Publisher:
    """Publishes over a link.

    Args:
        link: the connections.
        remember: seconds for which idempotency keys are kept.
        waits: whether to wait for a connection while there is none.
    """

    def __init__(self, link: RedisLink, *, remember: int, waits: bool) -> None:
        self._link = link
        self._remember = remember
        self._waits = waits
        self._messages: list[_Message] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, channel: str, payload: bytes, nonce: str, key: str, *, is_again: bool) -> asyncio.Future[bytes]:
        """Publish at the end of this turn of the loop. What was cancelled before it is sent is not published.

        Args:
            channel: where.
            payload: what.
            nonce: another one for each message.
            key: its idempotency key, "" for none.
            is_again: whether it may have been published already.

        Returns:
            Its place, ``EPOCH:OFFSET``; or an ``EngineLost``, or an ``EngineError`` if the server refuses.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        if not self._messages:
            loop.call_soon(self._send_all)
        self._messages.append(_Message(channel, payload, nonce, _AGAIN if is_again else "0", key, answer))
        return answer

    async def close(self) -> None:
        """Wait for nothing any more: who waits is told that nobody knows."""
        self._waits = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send_all(self) -> None:
        messages, self._messages = self._messages, []
        by_bucket: dict[int, list[_Message]] = {}
        for message in messages:
            by_bucket.setdefault(self._link.bucket(message.channel), []).append(message)
        for bucket, wanted in by_bucket.items():
            for batch in _batches(wanted):
                self._send(bucket, batch)

    def _send(self, bucket: int, batch: Sequence[_Message]) -> None:
        task = asyncio.get_running_loop().create_task(self._publish(bucket, batch))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            _fail(batch, EngineLost("closed", is_unknown=True))  # without effect, unless it was broken off

        task.add_done_callback(ended)

    async def _publish(self, bucket: int, batch: Sequence[_Message]) -> None:
        try:
            await self._link.ready(bucket, waits=self._waits)
            await self._run(bucket, [message for message in batch if not message.answer.done()])
        except EngineLost as error:
            _fail(batch, error)
        except EngineError as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            for message in batch:
                await self._publish(bucket, [message._replace(again=_AGAIN)])

    async def _run(self, bucket: int, batch: Sequence[_Message]) -> None:
        words: list[Argument] = [self._remember]
        for message in batch:
            words += message[:-1]
        places = await self._link.run(PUBLISH, bucket, words, waits=self._waits)
        for message, place in zip(batch, places, strict=True):
            if not message.answer.done():
                message.answer.set_result(place)


def _batches(messages: Sequence[_Message]) -> Iterator[Sequence[_Message]]:
    """Messages in their order, so many at once as one script may have."""
    start = size = 0
    for number, message in enumerate(messages):
        size += len(message.payload)
        if number > start and (size > _MAX_SIZE or number - start == _MAX_MESSAGES):
            yield messages[start:number]
            start, size = number, len(message.payload)
    yield messages[start:]


def _fail(batch: Iterable[_Message], error: EngineError) -> None:
    for message in batch:
        message.fail(error)
