"""Event streams of a channel: no handler runs while they last, and no task.

The handler, if there is one, has its say before the stream begins: it may refuse, and send first events. What is
published meanwhile comes behind them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..channels.names import check_pattern, is_pattern
from ..errors import ConfigurationError, HTTPError, InvalidChannel
from ..event_stream import EventStream
from ..request import Request

__all__ = ["ChannelFeed", "ChannelName"]

ChannelName: TypeAlias = str | Callable[[Request], str]
"""A channel whose name has parameters of the route, such as ``news.{topic}``, or a function that names it."""

_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(slots=True)
class ChannelFeed:
    """The handler of a route whose streams are fed by a channel.

    Args:
        channel: which.
        policy: for readers that are too slow.
        backlog: messages that a reader gets first if it does not go on from an earlier stream.

    Attributes:
        before: the handler of the program, called before the stream joins the channel.

    Raises:
        ConfigurationError: it is no channel.
    """

    channel: ChannelName
    policy: str = "block"
    backlog: int = 0
    before: Callable[[EventStream], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.channel, str):
            try:
                check_pattern(_PARAMETER.sub("x", self.channel))
            except InvalidChannel as error:
                raise ConfigurationError(f"channel {self.channel!r} cannot be used: {error}") from error

    async def __call__(self, stream: EventStream) -> None:
        """Let the program have its say, then join; the stream goes on when this returns."""
        channels = stream.runtime.channels
        if channels is None:
            raise ConfigurationError("the server has no channels: use Router(channels=channels)")
        channel = self._name(stream.request)
        since = stream.last_event_id or stream.request.query.get("since")
        if self.before is not None:
            if not since and not self.backlog:
                # What the program sends opens the stream, and who sees it open counts on all that follows.
                since = await channels.cursor(channel)
            await self.before(stream)
        await channels.join(stream, channel, since=since, backlog=self.backlog, policy=self.policy)

    def _name(self, request: Request) -> str:
        if not isinstance(self.channel, str):
            return self.channel(request)

        def value(match: re.Match[str]) -> str:
            found = request.params.get(match[1], "")
            # A parameter is one token: whoever writes the path chooses no other channel, and no pattern.
            if not found or "." in found or is_pattern(found):
                raise HTTPError(404)
            return found

        name = _PARAMETER.sub(value, self.channel)
        try:
            return check_pattern(name)
        except InvalidChannel:
            raise HTTPError(404) from None
