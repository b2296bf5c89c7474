"""The client of event streams, with servers that are written out byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from elio.client.backoff import Change, ConnectionState
from elio.client.event_source import EventSource
from elio.errors import (
    ConnectError,
    EventTooBig,
    HandshakeError,
    InvalidHeader,
    InvalidURL,
    RemoteProtocolError,
    StreamClosed,
    StreamStalled,
    StreamTruncated,
)
from elio.headers import Headers
from elio.limits import Limits
from elio.sse import classify_leniently
from elio.sse.event import Event
from support.raw import DEADLINE, Raw, until
from support.sse_server import STREAM, StreamServer, answer, chunk, stream_server

HEAD = "HTTP/1.1 %s\r\nContent-Type: text/event-stream\r\n%s\r\n"
STOP = answer(b"HTTP/1.1 204 No Content\r\n\r\n")
FAST = {"reconnection_time": 0.0}


def head(status: str = "200 OK", *headers: str) -> bytes:
    return (HEAD % (status, "".join(f"{header}\r\n" for header in headers))).encode("latin-1")


@asynccontextmanager
async def source_of(server: StreamServer, **options: Any) -> AsyncIterator[EventSource]:
    async with asyncio.timeout(DEADLINE), EventSource(server.url, **{**FAST, **options}) as source:
        yield source


async def read(server: StreamServer, **options: Any) -> list[str]:
    """The data of every event, to the end."""
    async with source_of(server, **options) as source:
        return [event.data async for event in source]


# -- the state machine of the standard ---------------------------------------------------------------------------------


async def test_a_stream_is_read_and_followed_until_204() -> None:
    async with stream_server(answer(STREAM, b"id: 1\ndata: a\n\n"), answer(STREAM, b"data: b\n\n"), STOP) as server:
        async with source_of(server) as source:
            assert source.state is ConnectionState.OPEN
            assert source.headers is not None
            assert source.headers["content-type"] == "text/event-stream"
            events = [event async for event in source]
            assert source.state is ConnectionState.CLOSED
        assert events == [Event("a", type="message", id="1"), Event("b", type="message", id="1")]
    assert [asked.line for asked in server.asked] == ["GET /events HTTP/1.1"] * 3
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "1", "1"]
    first = server.asked[0].headers
    assert first["accept"] == "text/event-stream"
    assert first["cache-control"] == "no-cache"
    assert first["accept-encoding"] == "gzip, deflate, br, zstd"


async def test_204_ends_at_once() -> None:
    async with stream_server(STOP) as server:
        assert await read(server) == []
        async with source_of(server) as source:
            with pytest.raises(StreamClosed):
                await source.receive()


@pytest.mark.parametrize(
    ("response", "what"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi", "answered 200 OK with content"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "with content type ''"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\nhi", "answered 404"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nhi", "answered 503 Service Unavailable"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "answered 304"),
    ],
)
async def test_a_wrong_status_or_type_fails_for_good(response: bytes, what: str) -> None:
    async with stream_server(answer(response)) as server:
        with pytest.raises(HandshakeError, match=re.escape(what)) as caught:
            await read(server)
        assert caught.value.status == int(response[9:12])
        assert caught.value.body == (b"" if b"304" in response else b"hi")
        assert Headers(caught.value.headers).get("content-length") == (None if b"304" in response else "2")
    assert len(server.asked) == 1


async def test_a_wrong_status_fails_for_good_on_a_reconnection_too() -> None:
    server_context = stream_server(answer(STREAM, b"data: a\n\n"), answer(b"HTTP/1.1 500 No\r\n\r\n"))
    async with server_context as server, source_of(server) as source:
        assert (await source.receive()).data == "a"
        with pytest.raises(HandshakeError, match="answered 500"):
            await source.receive()
    assert len(server.asked) == 2


async def test_the_body_of_a_refusal_is_decoded() -> None:
    body = gzip.compress(b'{"error": "no"}')
    coded = b"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with stream_server(answer(coded)) as server:
        with pytest.raises(HandshakeError) as caught:
            await read(server)
    assert caught.value.body == b'{"error": "no"}'


async def test_what_passes_by_itself_is_tried_again_if_asked_for() -> None:
    busy = answer(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
    async with stream_server(busy, answer(STREAM, b"data: a\n\n"), STOP) as server:
        assert await read(server, classify=classify_leniently) == ["a"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(status: int) -> None:
    redirect = answer(b"HTTP/1.1 %d Moved\r\nLocation: /elsewhere\r\n\r\n" % status)
    async with stream_server(redirect, answer(STREAM, b"data: a\n\n"), STOP) as server:
        assert await read(server) == ["a"]
    assert [asked.line.split()[1] for asked in server.asked] == ["/events", "/elsewhere", "/events"]


async def test_a_byte_order_mark_is_no_part_of_the_first_event() -> None:
    async with stream_server(answer(STREAM, b"\xef\xbb", b"\xbfdata: a\n\n"), STOP) as server:
        assert await read(server) == ["a"]


async def test_every_body_begins_anew() -> None:
    cut = answer(STREAM, b"data: half")
    async with stream_server(cut, answer(STREAM, b"\xef\xbb\xbfdata: a\n\n"), STOP) as server:
        assert await read(server) == ["a"]


async def test_an_id_beyond_ascii_goes_back_as_utf_8() -> None:
    async with stream_server(answer(STREAM, "id: ü→😀\ndata: a\n\n".encode()), STOP) as server:
        assert await read(server) == ["a"]
    assert server.asked[1].headers["last-event-id"].encode("latin-1").decode() == "ü→😀"


async def test_an_id_with_control_characters_is_kept_and_not_sent() -> None:
    async with (
        stream_server(answer(STREAM, b"id: a\x01b\ndata: a\n\n"), answer(STREAM, b"data: b\n\n"), STOP) as server,
        source_of(server) as source,
    ):
        assert [event.id async for event in source] == ["a\x01b", "a\x01b"]
    assert "last-event-id" not in server.asked[1].headers


async def test_one_can_start_from_an_id() -> None:
    server_context = stream_server(answer(STREAM, b"data: a\n\n"), STOP)
    async with server_context as server, source_of(server, last_event_id="40") as source:
        assert source.last_event_id == "40"
        assert [event.id async for event in source] == ["40"]
    assert server.asked[0].headers["last-event-id"] == "40"


async def test_the_last_event_id_is_that_of_the_last_event_taken() -> None:
    events = b"id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\n\n"
    async with stream_server(answer(STREAM + events, wait=True)) as server, source_of(server) as source:
        await until(lambda: source._ready)
        assert source.last_event_id == ""
        await source.receive()
        assert source.last_event_id == "1"
        await source.receive()
        assert source.last_event_id == "3"


# -- requests ----------------------------------------------------------------------------------------------------------


async def test_method_body_headers_and_authentication_are_sent() -> None:
    async with stream_server(answer(STREAM, b"data: a\n\n")) as server:
        options = {"method": "PUT", "json": {"a": 1}, "headers": {"X-A": "b"}, "auth": ("u", "p"), "max_reconnects": 0}
        assert await read(server, **options) == ["a"]
    (asked,) = server.asked
    assert asked.line == "PUT /events HTTP/1.1"
    assert asked.body == b'{"a":1}'
    assert asked.headers["x-a"] == "b"
    assert asked.headers["authorization"] == "Basic dTpw"
    assert asked.headers["content-type"] == "application/json"


async def test_secrets_do_not_go_to_another_origin() -> None:
    async with stream_server(answer(STREAM, b"data: a\n\n")) as target:
        place = target.url.encode()
        redirect = answer(b"HTTP/1.1 307 Elsewhere\r\nLocation: %b\r\n\r\n" % place)
        async with stream_server(redirect) as server:
            headers = {"Cookie": "c=1", "X-Api-Key": "k", "X-Open": "o"}
            options = {"auth": "token", "headers": headers, "secret_headers": ["x-api-key"], "max_reconnects": 0}
            assert await read(server, **options) == ["a"]
    assert server.asked[0].headers["authorization"] == "Bearer token"
    there = target.asked[0].headers
    assert not {"authorization", "cookie", "x-api-key"} & there.keys()
    assert there["x-open"] == "o"


@pytest.mark.parametrize("url", ["ws://127.0.0.1/", "nonsense"])
async def test_urls_are_checked_at_once(url: str) -> None:
    with pytest.raises(InvalidURL):
        EventSource(url)


async def test_a_last_event_id_that_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(InvalidHeader):
        EventSource("http://127.0.0.1/", last_event_id="a\nb")


# -- bodies ------------------------------------------------------------------------------------------------------------


async def test_chunks_and_lengths_are_no_part_of_the_events() -> None:
    body = b"id: 1\ndata: two\n\n"
    chunked = [head("200 OK", "Transfer-Encoding: chunked"), *(chunk(body[i : i + 3]) for i in range(0, len(body), 3))]
    sized = head("200 OK", f"Content-Length: {len(body)}")
    server_context = stream_server(answer(*chunked, b"0\r\n\r\n"), answer(sized, body, wait=True), STOP)
    async with server_context as server, source_of(server) as source:
        assert [(event.data, event.id) async for event in source] == [("two", "1")] * 2


async def test_codings_are_undone() -> None:
    body = gzip.compress(b"data: a\n\n")
    async with stream_server(answer(head("200 OK", "Content-Encoding: gzip"), body), STOP) as server:
        assert await read(server) == ["a"]


async def test_a_coding_that_was_not_offered_fails_for_good() -> None:
    async with stream_server(answer(head("200 OK", "Content-Encoding: compress"))) as server:
        with pytest.raises(RemoteProtocolError, match="content coding 'compress'"):
            await read(server)


# -- what may be repeated ----------------------------------------------------------------------------------------------


async def test_a_post_without_ids_ends_with_its_answer() -> None:
    async with stream_server(answer(STREAM, b"data: a\n\n")) as server:
        assert await read(server, body="x") == ["a"]
    assert len(server.asked) == 1


async def test_a_post_that_is_cut_is_truncated() -> None:
    cut = answer(head("200 OK", "Transfer-Encoding: chunked"), chunk(b"data: a\n\n"), b"ff\r\ndata")
    async with stream_server(cut) as server, source_of(server, body="x") as source:
        assert (await source.receive()).data == "a"
        with pytest.raises(StreamTruncated, match="cut short after 1 events") as caught:
            await source.receive()
    assert (caught.value.events, caught.value.last_event_id) == (1, "")
    assert isinstance(caught.value.__cause__, RemoteProtocolError)


async def test_a_post_goes_on_by_its_id_or_if_it_is_said_to_be_idempotent() -> None:
    async with stream_server(answer(STREAM, b"id: 1\ndata: a\n\n"), STOP) as server:
        assert await read(server, body="x") == ["a"]
    assert [(asked.body, asked.headers.get("last-event-id")) for asked in server.asked] == [(b"x", None), (b"x", "1")]
    async with stream_server(answer(STREAM, b"data: a\n\n"), STOP) as server:
        assert await read(server, body="x", idempotent=True) == ["a"]
    assert len(server.asked) == 2


async def test_a_stream_with_an_end_is_truncated_without_it() -> None:
    async with stream_server(answer(STREAM, b"data: a\n\n")) as server:
        with pytest.raises(StreamTruncated, match="the server ended it"):
            await read(server, done="[DONE]")
    server_context = stream_server(answer(STREAM, b"data: a\n\ndata: [DONE]\n\n", wait=True))
    async with server_context as server, source_of(server, done="[DONE]") as source:
        assert [event.data async for event in source] == ["a"]
        assert source.is_complete
    assert len(server.asked) == 1


async def test_a_stream_with_an_end_goes_on_by_its_id_only() -> None:
    first, rest = answer(STREAM, b"id: 1\ndata: a\n\n"), answer(STREAM, b"data: b\n\nevent: end\ndata: c\n\n")
    async with stream_server(first, rest) as server:
        assert await read(server, done="end") == ["a", "b", "c"]
    assert server.asked[1].headers["last-event-id"] == "1"
    async with stream_server(answer(STREAM), rest) as server:
        assert await read(server, done="end") == ["b", "c"]


async def test_attempts_can_be_bounded() -> None:
    async with stream_server(answer(STREAM, b"data: a\n\n")) as server:
        assert await read(server, max_reconnects=2) == ["a", "a", "a"]
    assert len(server.asked) == 3


# -- time, size, and servers that mean no good -------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    async with stream_server(STOP) as server:
        pass
    with pytest.raises(ConnectError, match="cannot connect to"):
        await read(server, max_reconnects=1)


async def test_silence_before_the_answer() -> None:
    async with stream_server(answer(wait=True)) as server:
        with pytest.raises(ConnectError, match=r"no answer of .* within 0.1 seconds") as caught:
            await read(server, response_timeout=0.1, max_reconnects=0)
        assert caught.value.timed_out


async def test_silence_in_the_stream() -> None:
    async with stream_server(answer(STREAM, b"data: a\n\n", wait=True)) as server:
        async with source_of(server, liveness_timeout=0.1, max_reconnects=0) as source:
            assert (await source.receive()).data == "a"
            with pytest.raises(StreamStalled, match=r"no byte within 0.1 seconds") as caught:
                await source.receive()
        assert caught.value.events == 1


async def test_a_silent_stream_is_asked_for_again() -> None:
    async with stream_server(
        answer(STREAM, b"id: 1\ndata: a\n\n", wait=True), answer(STREAM, b"data: b\n\n"), STOP
    ) as server:
        assert await read(server, liveness_timeout=0.1) == ["a", "b"]
    assert server.asked[1].headers["last-event-id"] == "1"


async def comments(raw: Raw) -> None:
    raw.send(STREAM + b"event: ping\ndata: {}\n\n")
    while True:
        raw.send(b": still there\n\nevent: ping\ndata: {}\n\n")
        await raw.writer.drain()
        await asyncio.sleep(0.01)


async def test_comments_for_ever_are_no_progress() -> None:
    server_context = stream_server(comments)
    async with (
        server_context as server,
        source_of(server, progress_timeout=0.2, pings=["ping"], max_reconnects=0) as source,
    ):
        with pytest.raises(StreamStalled, match=r"no event within 0.2 seconds"):
            assert {event.type async for event in source} == {"ping"}


async def endless(raw: Raw, piece: bytes) -> None:
    raw.send(STREAM)
    while True:
        raw.send(piece)
        await raw.writer.drain()


@pytest.mark.parametrize(("piece", "what"), [(b"x" * 9000, "line"), (b"data: x\n" * 1000, "event")])
async def test_endless_lines_and_events_fail_for_good(piece: bytes, what: str) -> None:
    async with stream_server(lambda raw: endless(raw, piece)) as server:
        with pytest.raises(EventTooBig, match=rf"{what} of \d+ bytes, limit 50000") as caught:
            await read(server, max_event_size=50_000)
        assert 50_000 < caught.value.size <= 50_000 + 512 * 1024
    assert len(server.asked) == 1


async def test_a_redirect_loop_ends() -> None:
    async with stream_server(answer(b"HTTP/1.1 307 Again\r\nLocation: /events\r\n\r\n")) as server:
        with pytest.raises(HandshakeError, match="redirect number 6, limit 5") as caught:
            await read(server)
        assert caught.value.status == 307
    assert len(server.asked) == 6


async def test_corrupt_data_fails_for_good() -> None:
    async with stream_server(answer(head("200 OK", "Content-Encoding: gzip"), b"data: plain\n\n" * 9)) as server:
        with pytest.raises(RemoteProtocolError, match="corrupt gzip data"):
            await read(server)
    assert len(server.asked) == 1


async def test_a_bomb_of_one_event_fails_for_good() -> None:
    bomb = gzip.compress(b"data: " + bytes(100_000_000))
    async with stream_server(answer(head("200 OK", "Content-Encoding: gzip"), bomb)) as server:
        with pytest.raises(EventTooBig):
            await read(server)


async def test_what_is_not_http_fails_for_good() -> None:
    async with stream_server(answer(b"SSH-2.0-OpenSSH_9.2\r\n")) as server:
        with pytest.raises(HandshakeError, match="is not understood"):
            await read(server)


async def test_retry_0_makes_no_hammer() -> None:
    changes: list[Change] = []
    async with stream_server(answer(STREAM, b"retry: 0\n\n")) as server:
        await read(server, max_reconnects=3, reconnection_time=30.0, on_change=changes.append)
    waits = [change.delay for change in changes if change.delay]
    assert len(waits) == 3
    assert min(waits) >= 0.1
    assert max(waits) < 5.0


# -- the object --------------------------------------------------------------------------------------------------------


async def test_every_change_of_the_state_is_told() -> None:
    changes: list[Change] = []
    cut = answer(head("200 OK", "Transfer-Encoding: chunked"), chunk(b"data: a\n\n"))
    async with stream_server(cut, STOP) as server:
        assert await read(server, on_change=changes.append) == ["a"]
    states = [change.state.name for change in changes]
    assert states == ["CONNECTING", "OPEN", "WAITING", "CONNECTING", "CLOSED"]
    assert isinstance(changes[2].error, RemoteProtocolError)
    assert [change.attempt for change in changes[:3]] == [1, 1, 2]
    assert changes[4].error is None


async def test_a_hook_that_raises_ends_the_source() -> None:
    def hook(change: Change) -> None:
        if change.state is ConnectionState.OPEN:
            raise KeyError("hook")

    async with stream_server(answer(STREAM, wait=True)) as server:
        with pytest.raises(KeyError, match="hook"):
            await read(server, on_change=hook)


async def test_it_works_without_a_context() -> None:
    async with stream_server(answer(STREAM, b"data: a\n\n", wait=True)) as server:
        source = EventSource(server.url)
        assert repr(source) == f"<EventSource {server.url} connecting>"
        async with asyncio.timeout(DEADLINE):
            assert (await source.receive()).data == "a"
        await source.close()
        assert source.url == server.url
        assert source.state is ConnectionState.CLOSED
        with pytest.raises(StreamClosed):
            await source.receive()
        await source.close()


async def test_closing_wakes_who_waits_and_drops_what_waits() -> None:
    async with stream_server(answer(STREAM, wait=True)) as server, source_of(server) as source:
        task = asyncio.ensure_future(source.receive())
        await asyncio.sleep(0)
        await source.close()
        with pytest.raises(StreamClosed):
            await task
    async with stream_server(answer(STREAM, b"data: a\n\n", wait=True)) as server, source_of(server) as source:
        await until(lambda: source._ready)
        await source.close()
        with pytest.raises(StreamClosed):
            await source.receive()


async def test_closing_while_it_waits_for_the_next_attempt() -> None:
    async with stream_server(answer(STREAM, b"retry: 50000\n\n")) as server, source_of(server) as source:
        await until(lambda: source.state is ConnectionState.WAITING)
    assert source.state is ConnectionState.CLOSED


async def test_closing_from_within_an_event() -> None:
    server_context = stream_server(answer(STREAM, b"data: a\n\ndata: b\n\n", wait=True))
    async with server_context as server, source_of(server) as source:
        async for event in source:
            assert event.data == "a"
            await source.close()


async def test_entering_can_be_cancelled() -> None:
    async with stream_server(answer(wait=True)) as server:
        source = EventSource(server.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), source:
                raise AssertionError
        assert source.state is ConnectionState.CLOSED


async def test_a_slow_program_slows_the_server_down() -> None:
    sent = 0

    async def flood(raw: Raw) -> None:
        nonlocal sent
        raw.send(STREAM)
        while sent < 50_000_000:
            raw.send(b"data: %b\n\n" % bytes(10_000))
            sent += 10_000
            await raw.writer.drain()

    async with stream_server(flood) as server, source_of(server, limits=Limits(max_queue=4)) as source:
        await source.receive()
        await until(lambda: source._on_room is not None)
        assert sent < 40_000_000
        assert len(source._ready) + len(source._later) < 1000
