"""The stream of JetStream that is the history of all channels: its settings, and how it is read.

Messages are stored under ``PREFIX.c.CHANNEL`` and republished by the server under ``PREFIX.r.CHANNEL`` with their
sequence and that of the message before them in the same channel, by which holes are seen. Sequences count all channels
together; they are the offsets. The epoch is the stream's time of birth, and the word for its life, which stands in its
description with the sequence that it began behind: messages up to there belong to no history any more.

What JetStream drops it drops silently. That nothing is missing behind a sequence is certain in two cases:

- an older message of the channel is still there, for the oldest go first;
- the stream as a whole still reaches back to it, so that nothing was dropped for its age, and the channel has fewer
  messages than it may have, so that none was dropped for their number.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Coroutine
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final

from ....errors import EngineError, EngineLost
from ..._made import made
from ...backend import History, Position, Record
from .connection import Message
from .wire import Wire

__all__ = ["State", "Stream"]

_NANOSECONDS: Final = 1_000_000_000
_IN_USE: Final = 10058
_NO_MESSAGE: Final = 10037
_LIFE: Final = re.compile(r"elio life ([0-9a-f]+) behind ([0-9]+)")


@dataclass(frozen=True, slots=True)
class State:
    """A stream at one moment.

    Attributes:
        epoch: from its time of birth and the word for its life.
        start: sequence behind which its life began.
        first: sequence of its oldest message.
        last: sequence of its newest message.
        counts: number of messages of each channel that was asked for.
    """

    epoch: str
    start: int
    first: int
    last: int
    counts: dict[str, int]


class Stream:
    """The stream of one prefix.

    Args:
        wire: the connection.
        prefix: begins the subjects; in capitals it is the name.
        history: messages kept of each channel.
        ttl: seconds for which they are kept.
        replicas: servers that keep them.
    """

    def __init__(self, wire: Wire, *, prefix: str, history: int, ttl: float, replicas: int) -> None:
        self.name = prefix.upper().replace(".", "_")
        self._wire = wire
        self._stored = f"{prefix}.c."
        self._republished = f"{prefix}.r."
        # One more than history, so that the end of what is wanted can be seen.
        self._max = history + 1
        self._ttl = max(int(ttl * _NANOSECONDS), _NANOSECONDS // 10)
        self._replicas = replicas

    async def create(self) -> None:
        """Make the stream, or give it these settings.

        Raises:
            EngineError: JetStream is not there, or refuses.
        """
        settings = {
            "name": self.name,
            "subjects": [f"{self._stored}>"],
            "max_msgs_per_subject": self._max,
            "max_age": self._ttl,
            "duplicate_window": self._ttl,
            "num_replicas": self._replicas,
            "storage": "file",
            "retention": "limits",
            "discard": "old",
            "allow_direct": True,
            "republish": {"src": f"{self._stored}>", "dest": f"{self._republished}>"},
        }
        try:
            await self._wire.call(f"STREAM.CREATE.{self.name}", settings)
        except EngineError as error:
            if error.code != _IN_USE:
                raise
            await self._update(settings)

    async def _update(self, settings: dict[str, object]) -> None:
        """Give the stream these settings, and leave it the others; none if it has them."""
        config = (await self._wire.call(f"STREAM.INFO.{self.name}"))["config"]
        if any(config.get(name) != value for name, value in settings.items()):
            await self._wire.call(f"STREAM.UPDATE.{self.name}", {**config, **settings})

    async def begin_life(self, before: str) -> State:
        """Let positions of before be void: the stream has forgotten messages that were seen.

        Args:
            before: the epoch of when they were seen. In another one somebody else has done it.

        Returns:
            What it has from now on.
        """
        state = await self.state()
        if state.epoch == before:
            await self._update({"description": f"elio life {token_hex(4)} behind {state.last}"})
            state = await self.state()
        return state

    # -- names ---------------------------------------------------------------------------------------------------------

    def stored(self, channel: str) -> str:
        """The subject under which a channel, or a pattern, is stored."""
        return self._stored + channel

    def republished(self, channel: str) -> str:
        """The subject under which its news come."""
        return self._republished + channel

    def record(self, message: Message, epoch: str) -> tuple[Record, int]:
        """A record from news, and the sequence of the one before it."""
        channel = message.subject[len(self._republished) :].decode()
        record = made(Record, (channel, epoch, int(message.header(b"Nats-Sequence")), message.data))
        return record, int(message.header(b"Nats-Last-Sequence"))

    # -- publishing ----------------------------------------------------------------------------------------------------

    def publish(self, channel: str, payload: bytes, key: str | None) -> Coroutine[Any, Any, int]:
        """Append a message. With the same key as an earlier one of the channel it is not appended.

        Returns:
            Its sequence, to be awaited.
        """
        headers = b""
        if key is not None:
            name = sha256(f"{channel}\0{key}".encode()).hexdigest()
            headers = b"Nats-Msg-Id: %b\r\n" % name.encode()
        return self._wire.publish(self._stored + channel, payload, headers)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def state(self, pattern: str = "") -> State:
        """What the stream has.

        Args:
            pattern: of channels to count.
        """
        counts: dict[str, int] = {}
        first: dict[str, Any] = {}
        while True:
            request = {"subjects_filter": self._stored + pattern, "offset": len(counts)} if pattern else None
            info = await self._wire.call(f"STREAM.INFO.{self.name}", request)
            # What is born between two pages may be on none: it must be behind the state that is told.
            first = first or info
            found = info["state"].get("subjects") or {}
            counts.update((subject[len(self._stored) :], number) for subject, number in found.items())
            if not found or len(counts) >= info.get("total", 0):
                return _state(first, counts)

    async def last(self, channel: str) -> int:
        """The sequence of the newest message of a channel; 0 if none is kept."""
        message = await self._wire.last(self.name, self._stored + channel)
        return 0 if message is None else int(message.header(b"Nats-Sequence"))

    async def at(self, sequence: int) -> tuple[str, bytes] | None:
        """Channel and payload of a message; None if it is not kept."""
        try:
            answer = await self._wire.call(f"STREAM.MSG.GET.{self.name}", {"seq": sequence})
        except EngineError as error:
            if error.code != _NO_MESSAGE:
                raise
            return None
        message = answer["message"]
        return message["subject"][len(self._stored) :], b64decode(message.get("data", ""))

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """Read what is kept of a channel.

        Raises:
            EngineLost: the server does not answer, or did not send what it has.
        """
        state = await self.state(channel)
        count = state.counts.get(channel, 0)
        newest = await self.last(channel) if count else state.last
        position = Position(state.epoch, newest)
        start = state.start + 1
        if after is None:
            messages = await self._read(channel, start, count)
            is_all = count <= limit and await self._has_dropped_nothing(channel, start)
            return History(self._records(channel, state, messages[-limit:]), is_all, position)
        if after.epoch != state.epoch or after.offset > state.last:
            return History(self._records(channel, state, await self._read(channel, start, limit)), False, position)
        last = max(after.offset, state.start)
        is_behind = count > 0 and newest > last
        messages = await self._read(channel, last + 1, limit) if is_behind else []
        # Asked when all is read: what was dropped meanwhile is missing too.
        is_complete = await self._has_dropped_nothing(channel, last + 1) or await self._has_before(channel, last, count)
        if is_behind and not messages:  # asked again, it has them, or says that they are gone
            raise EngineLost("JetStream did not send what it has")
        return History(self._records(channel, state, messages), is_complete, position)

    async def _has_dropped_nothing(self, channel: str, start: int) -> bool:
        """Whether all messages of a channel from a sequence on are certainly there."""
        state = await self.state(channel)
        return state.first <= start and state.counts.get(channel, 0) < self._max

    async def _has_before(self, channel: str, sequence: int, count: int) -> bool:
        """Whether a message of a channel at or before a sequence is still there."""
        if not count:
            return False
        request = {"seq": 1, "next_by_subj": self._stored + channel}
        try:
            found = await self._wire.call(f"STREAM.MSG.GET.{self.name}", request)
        except EngineError as error:
            if error.code != _NO_MESSAGE:  # no answer is no reason for a gap
                raise
            return False
        return bool(found["message"]["seq"] <= sequence)

    async def _read(self, channel: str, start: int, limit: int) -> list[Message]:
        """Up to so many messages of a channel from a sequence on."""
        if limit < 1:
            return []
        consumer = await self._wire.call(
            f"CONSUMER.CREATE.{self.name}",
            {
                "stream_name": self.name,
                "config": {
                    "deliver_policy": "by_start_sequence",
                    "opt_start_seq": start,
                    "filter_subject": self._stored + channel,
                    "ack_policy": "none",
                    "mem_storage": True,
                    "inactive_threshold": 5 * _NANOSECONDS,
                },
            },
        )
        count = min(consumer["num_pending"], limit)
        if not count:
            return []
        request = {"batch": count, "no_wait": True}
        return await self._wire.read(f"$JS.API.CONSUMER.MSG.NEXT.{self.name}.{consumer['name']}", request, count)

    def _records(self, channel: str, state: State, messages: list[Message]) -> list[Record]:
        return [Record(channel, state.epoch, _sequence(message), message.data) for message in messages]


def _state(info: dict[str, Any], counts: dict[str, int]) -> State:
    description = info["config"].get("description", "")
    life = _LIFE.fullmatch(description)
    word, start = (life[1], int(life[2])) if life else ("", 0)
    epoch = sha256(f"{info['created']}{word}".encode()).hexdigest()[:12]
    return State(epoch, start, info["state"]["first_seq"], info["state"]["last_seq"], counts)


def _sequence(message: Message) -> int:
    """The sequence of what a consumer delivers: ``$JS.ACK.stream.consumer.deliveries.sequence``...."""
    words = message.reply.split(b".")
    # With domains and accounts in front there are at least eleven words, the last of them random.
    return int(words[5] if len(words) == 9 else words[7])
