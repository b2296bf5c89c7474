"""Streams of language models: what comes in pieces over an event stream, as small values.

Two dialects: ``OpenAIDecoder`` for chat completions as many servers have them, which end with ``[DONE]``, and
``AnthropicDecoder`` for messages, which end with ``message_stop``. Both give the same values, and both refuse to take a
stream for complete whose end did not come::

    async with openai_source(url, {"model": "m", "messages": [...]}, auth=token) as source:
        async for part in read_model(source, OpenAIDecoder()):
            if isinstance(part, TextDelta):
                print(part.text, end="")

Threads have the same through :meth:`ModelDecoder.receive_event`. Not here: what a request may contain, and putting
pieces together.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from ..errors import ModelError, RemoteProtocolError, StreamTruncated
from ..headers import Headers, HeadersLike
from ..sse.event import Event
from .event_source import EventSource

__all__ = [
    "AnthropicDecoder",
    "Finished",
    "ModelDecoder",
    "ModelPart",
    "OpenAIDecoder",
    "ReasoningDelta",
    "TextDelta",
    "ToolCallDelta",
    "Usage",
    "anthropic_source",
    "openai_source",
    "read_model",
]

_OPENAI_DONE: Final = "[DONE]"
_ANTHROPIC_DONE: Final = "message_stop"
_ANTHROPIC_PING: Final = "ping"
_ANTHROPIC_VERSION: Final = "2023-06-01"


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer.

    Attributes:
        text: what is new.
        index: which of several answers, or which block of one.
    """

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of what the model thinks before it answers."""

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a call of a tool: the first one has id and name, the others only arguments.

    Attributes:
        arguments: what is new of a text that is JSON once it is complete.
        index: which call.
        id: of the call, "" if it was told before.
        name: of the tool, "" if it was told before.
    """

    arguments: str
    index: int = 0
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted so far; None for what was not told."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Why an answer is complete, in the server's words, such as ``stop``, ``length``, ``tool_use``."""

    reason: str
    index: int = 0


ModelPart: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Usage | Finished


class ModelDecoder(Protocol):
    """Reads the events of one stream.

    Attributes:
        is_complete: whether the end has come.
    """

    is_complete: bool

    def receive_event(self, event: Event) -> list[ModelPart]:
        """What an event says, in order; nothing for pings and for what is not known.

        Raises:
            ModelError: it says that the model failed.
            RemoteProtocolError: its data is not what this dialect has.
        """
        ...


class OpenAIDecoder:
    """Chat completions: every event is a chunk with pieces of one or several answers, the last one is ``[DONE]``."""

    def __init__(self) -> None:
        self.is_complete = False

    def receive_event(self, event: Event) -> list[ModelPart]:
        """See :meth:`ModelDecoder.receive_event`."""
        if event.data == _OPENAI_DONE:
            self.is_complete = True
            return []
        chunk = _object(event)
        if chunk.get("error"):
            raise _failure(chunk["error"])
        parts: list[ModelPart] = []
        for choice in _items(chunk, "choices"):
            parts += _read_choice(choice)
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            parts.append(Usage(usage.get("prompt_tokens"), usage.get("completion_tokens")))
        return parts


def _read_choice(choice: dict[str, Any]) -> Iterator[ModelPart]:
    index = _index(choice)
    delta = choice.get("delta")
    if isinstance(delta, dict):
        # The two names under which servers send what OpenAI's own does not.
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str):
            yield ReasoningDelta(reasoning, index)
        for name in ("content", "refusal"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                yield TextDelta(text, index)
        for call in _items(delta, "tool_calls"):
            function = call.get("function")
            told: dict[str, Any] = function if isinstance(function, dict) else {}
            yield ToolCallDelta(
                told.get("arguments") or "", _index(call), id=call.get("id") or "", name=told.get("name") or ""
            )
    reason = choice.get("finish_reason")
    if isinstance(reason, str):
        yield Finished(reason, index)


class AnthropicDecoder:
    """Messages: blocks that begin, grow and end, then why the message ended, then ``message_stop``."""

    def __init__(self) -> None:
        self.is_complete = False

    def receive_event(self, event: Event) -> list[ModelPart]:
        """See :meth:`ModelDecoder.receive_event`."""
        content = _object(event)
        match content.get("type", event.type):
            case "error":
                raise _failure(content.get("error"))
            case "message_start":
                message = content.get("message")
                return _read_usage(message) if isinstance(message, dict) else []
            case "content_block_start":
                return _read_block(content, "content_block")
            case "content_block_delta":
                return _read_block(content, "delta")
            case "message_delta":
                return [*_read_reason(content), *_read_usage(content)]
            case "message_stop":
                self.is_complete = True
        return []


def _read_block(content: dict[str, Any], name: str) -> list[ModelPart]:
    index = _index(content)
    match content.get(name):
        case {"type": "text" | "text_delta", "text": str(text)} if text:
            return [TextDelta(text, index)]
        case {"type": "thinking" | "thinking_delta", "thinking": str(text)} if text:
            return [ReasoningDelta(text, index)]
        case {"type": "tool_use" | "server_tool_use", "id": str(call), "name": str(tool)}:
            return [ToolCallDelta("", index, id=call, name=tool)]
        case {"type": "input_json_delta", "partial_json": str(text)}:
            return [ToolCallDelta(text, index)]
    return []


def _read_reason(content: dict[str, Any]) -> list[ModelPart]:
    delta = content.get("delta")
    reason = delta.get("stop_reason") if isinstance(delta, dict) else None
    return [Finished(reason)] if isinstance(reason, str) else []


def _read_usage(content: dict[str, Any]) -> list[ModelPart]:
    usage = content.get("usage")
    return [Usage(usage.get("input_tokens"), usage.get("output_tokens"))] if isinstance(usage, dict) else []


def _object(event: Event) -> dict[str, Any]:
    try:
        content = json.loads(event.data)
    except ValueError as error:
        raise RemoteProtocolError(f"event {event.data[:100]!r} of a model's stream is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise RemoteProtocolError(f"event {event.data[:100]!r} of a model's stream is no JSON object")
    return content


def _items(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects; some servers send null for an empty one."""
    found = content.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _index(content: dict[str, Any]) -> int:
    index = content.get("index")
    return index if isinstance(index, int) else 0


def _failure(error: Any) -> ModelError:
    if not isinstance(error, dict):
        return ModelError(str(error))
    kind = error.get("type") or error.get("code") or ""
    return ModelError(str(error.get("message") or ""), kind=str(kind))


async def read_model(source: AsyncIterable[Event], decoder: ModelDecoder) -> AsyncIterator[ModelPart]:
    """The parts of an answer, up to its end.

    Args:
        source: an event source, or anything that gives the events of one stream.
        decoder: a new one of the right dialect.

    Raises:
        StreamTruncated: the stream ended before the answer was complete.
        ModelError: the server says that the model failed.
        RemoteProtocolError: the stream is of another dialect.
    """
    count = 0
    async for event in source:
        count += 1
        for part in decoder.receive_event(event):
            yield part
        if decoder.is_complete:
            return
    # A source that knows what completes its stream has kept that to itself, and raised if it did not come.
    if not getattr(source, "is_complete", False):
        raise StreamTruncated(f"the model's stream ended after {count} events without its end", events=count)


def openai_source(url: str, request: dict[str, Any], **options: Any) -> EventSource:
    """An event source for a chat completion.

    Args:
        url: such as ``https://api.openai.com/v1/chat/completions``.
        request: the JSON of the request; ``stream`` is added.
        options: of :class:`EventSource`; ``auth`` is the API key.
    """
    return EventSource(url, json={**request, "stream": True}, done=_OPENAI_DONE, **options)


def anthropic_source(
    url: str, request: dict[str, Any], *, api_key: str = "", headers: HeadersLike = (), **options: Any
) -> EventSource:
    """An event source for a message.

    Args:
        url: such as ``https://api.anthropic.com/v1/messages``.
        request: the JSON of the request; ``stream`` is added.
        api_key: sent as ``x-api-key``.
        headers: of the request.
        options: of :class:`EventSource`.
    """
    sent = Headers(headers)
    sent.setdefault("anthropic-version", _ANTHROPIC_VERSION)
    if api_key:
        sent.setdefault("x-api-key", api_key)
    return EventSource(
        url,
        json={**request, "stream": True},
        headers=sent,
        done=_ANTHROPIC_DONE,
        pings=(_ANTHROPIC_PING,),
        secret_headers=("x-api-key",),
        **options,
    )
