"""Streams of language models, as servers of both dialects send them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from elio.client.llm import (
    AnthropicDecoder,
    Finished,
    ModelDecoder,
    ModelPart,
    OpenAIDecoder,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
    anthropic_source,
    openai_source,
    read_model,
)
from elio.errors import ModelError, RemoteProtocolError, StreamTruncated
from elio.sse.event import Event
from support.raw import DEADLINE
from support.sse_server import STREAM, answer, stream_server


def openai(*chunks: dict[str, Any]) -> list[Event]:
    return [Event(json.dumps({"object": "chat.completion.chunk", **chunk})) for chunk in chunks]


def choice(delta: dict[str, Any], *, index: int = 0, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}], "usage": None}


def anthropic(*contents: dict[str, Any]) -> list[Event]:
    return [Event(json.dumps(content), type=content["type"]) for content in contents]


def block(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def parts(decoder: ModelDecoder, events: Iterable[Event]) -> list[ModelPart]:
    return [part for event in events for part in decoder.receive_event(event)]


async def each(events: Iterable[Event]) -> AsyncIterator[Event]:
    for event in events:
        yield event


DONE = Event("[DONE]")


def test_the_parts_of_a_chat_completion() -> None:
    decoder = OpenAIDecoder()
    events = openai(
        choice({"role": "assistant", "content": ""}),
        choice({"reasoning_content": "hm"}),
        choice({"content": "Hello"}),
        choice({"content": " there", "refusal": None}, index=1),
        choice({"refusal": "no"}),
        choice({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}]}),
        choice({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}, {"index": 1, "id": "c2"}]}),
        choice({}, finish="tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}},
    )
    assert parts(decoder, events) == [
        ReasoningDelta("hm"),
        TextDelta("Hello"),
        TextDelta(" there", 1),
        TextDelta("no"),
        ToolCallDelta("", id="c1", name="f"),
        ToolCallDelta('{"a"'),
        ToolCallDelta("", 1, id="c2"),
        Finished("tool_calls"),
        Usage(3, 5),
    ]
    assert not decoder.is_complete
    assert parts(decoder, [DONE]) == []
    assert decoder.is_complete


def test_the_parts_of_a_message() -> None:
    decoder = AnthropicDecoder()
    usage = {"input_tokens": 7, "output_tokens": 1}
    events = anthropic(
        {"type": "message_start", "message": {"id": "m", "content": [], "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "ping"},
        block(0, type="thinking_delta", thinking="hm"),
        block(0, type="signature_delta", signature="x"),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        block(1, type="text_delta", text="Hello"),
        {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "f"}},
        block(2, type="input_json_delta", partial_json='{"a"'),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "something_new"},
    )
    assert parts(decoder, events) == [
        Usage(7, 1),
        ReasoningDelta("hm"),
        TextDelta("Hello", 1),
        ToolCallDelta("", 2, id="t", name="f"),
        ToolCallDelta('{"a"', 2),
        Finished("tool_use"),
        Usage(None, 9),
    ]
    assert not decoder.is_complete
    assert parts(decoder, anthropic({"type": "message_stop"})) == []
    assert decoder.is_complete


@pytest.mark.parametrize(
    ("decoder", "event", "kind", "text"),
    [
        (OpenAIDecoder(), Event('{"error": {"message": "slow down", "type": "rate_limit"}}'), "rate_limit", "slow"),
        (OpenAIDecoder(), Event('{"error": {"message": "x", "code": 500}}'), "500", "500: x"),
        (OpenAIDecoder(), Event('{"error": "broken"}'), "", "broken"),
        (
            AnthropicDecoder(),
            Event('{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', type="error"),
            "overloaded_error",
            "overloaded_error: Overloaded",
        ),
    ],
)
def test_a_failure_in_the_stream_is_raised(decoder: ModelDecoder, event: Event, kind: str, text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        decoder.receive_event(event)
    assert caught.value.kind == kind


@pytest.mark.parametrize("decoder", [OpenAIDecoder(), AnthropicDecoder()])
@pytest.mark.parametrize("data", ["", "nonsense", "[1]", "null", "{"])
def test_another_dialect_is_refused(decoder: ModelDecoder, data: str) -> None:
    with pytest.raises(RemoteProtocolError, match="of a model's stream"):
        decoder.receive_event(Event(data))


@pytest.mark.parametrize(
    "content",
    [
        {"choices": None},
        {"choices": "x"},
        {"choices": [None, {"delta": None}, {"delta": {"tool_calls": None}}, {"index": "x", "delta": {"content": 5}}]},
        {"type": "message_start"},
        {"type": "message_start", "message": {"usage": None}},
        {"type": "content_block_delta"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": None}},
        {"type": "message_delta", "delta": None},
    ],
)
def test_odd_content_says_nothing(content: dict[str, Any]) -> None:
    event = Event(json.dumps(content))
    assert OpenAIDecoder().receive_event(event) == []
    assert AnthropicDecoder().receive_event(event) == []


async def test_a_stream_that_ends_early_is_truncated() -> None:
    events = openai(choice({"content": "Hel"}))
    seen: list[ModelPart] = []
    reading = read_model(each(events), OpenAIDecoder())
    seen.append(await anext(reading))
    with pytest.raises(StreamTruncated, match="after 1 events without its end") as caught:
        await anext(reading)
    assert caught.value.events == 1
    assert seen == [TextDelta("Hel")]
    assert [part async for part in read_model(each([*events, DONE, DONE]), OpenAIDecoder())] == seen


def body(events: Iterable[Event], *, named: bool = False) -> bytes:
    names = (f"event: {event.type}\n" if named else "" for event in events)
    return "".join(f"{name}data: {event.data}\n\n" for name, event in zip(names, events, strict=True)).encode()


async def test_a_chat_completion_over_a_socket() -> None:
    events = openai(choice({"content": "Hello"}))
    server_context = stream_server(answer(STREAM, body([*events, DONE]), wait=True))
    async with (
        asyncio.timeout(DEADLINE),
        server_context as server,
        openai_source(server.url, {"model": "m"}, auth="key") as source,
    ):
        assert [part async for part in read_model(source, OpenAIDecoder())] == [TextDelta("Hello")]
    (asked,) = server.asked
    assert asked.line.startswith("POST ")
    assert json.loads(asked.body) == {"model": "m", "stream": True}
    assert asked.headers["authorization"] == "Bearer key"


async def test_a_message_over_a_socket() -> None:
    events = anthropic(block(0, type="text_delta", text="Hello"), {"type": "ping"}, {"type": "message_stop"})
    server_context = stream_server(answer(STREAM, body(events, named=True), wait=True))
    async with (
        asyncio.timeout(DEADLINE),
        server_context as server,
        anthropic_source(server.url, {"model": "m"}, api_key="k") as source,
    ):
        assert [part async for part in read_model(source, AnthropicDecoder())] == [TextDelta("Hello")]
    (asked,) = server.asked
    assert asked.headers["x-api-key"] == "k"
    assert asked.headers["anthropic-version"] == "2023-06-01"


async def test_a_cut_message_over_a_socket_is_truncated() -> None:
    events = anthropic(block(0, type="text_delta", text="Hel"))
    server_context = stream_server(answer(STREAM, body(events, named=True)))
    async with (
        asyncio.timeout(DEADLINE),
        server_context as server,
        anthropic_source(server.url, {"model": "m"}) as source,
    ):
        with pytest.raises(StreamTruncated):
            assert [part async for part in read_model(source, AnthropicDecoder())]
