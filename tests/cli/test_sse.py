"""``elio sse`` as a program of its own."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from elio import Event, EventStream, Response, Router, Server
from elio.request import Request
from support.programs import DEADLINE, elio
from support.terminal import on_terminal


class Place:
    """A server with event streams, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, str | None]] = []
        self.left = asyncio.Event()
        self.port = 0
        self.router = Router()
        self.router.sse("/three", methods=["GET", "POST"])(self.three)
        self.router.sse("/open")(self.open)
        self.router.sse("/endless")(self.endless)
        self.router.get("/page")(self.page)
        self.router.get("/over")(self.over)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def three(self, stream: EventStream) -> None:
        request = stream.request
        body = await request.body()
        self.asked.append((request.method, stream.last_event_id, body, request.headers.get("x-one")))
        await stream.send_retry(0.01)
        await stream.send(Event("one", id="1"))
        await stream.send(Event("two\nlines", type="tick", id="2"))
        await stream.send(Event("\x1b[31mthree", id="3"))

    async def open(self, stream: EventStream) -> None:
        await stream.send("one")
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()

    async def endless(self, stream: EventStream) -> None:
        while True:
            await stream.send("again")

    async def page(self, request: Request) -> Response:
        return Response.text("no events\x1b[2J")

    async def over(self, request: Request) -> Response:
        return Response(status=204)


ONCE = ("--max-reconnects", "0")


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    async with Server(place.router, port=0) as server:
        place.port = server.port
        yield place


async def test_the_data_of_events_is_lines(place: Place, tmp_path: Path) -> None:
    async with elio("sse", place.url("/three"), *ONCE, cwd=tmp_path) as program:
        for line in ("one", "two", "lines", "\x1b[31mthree"):
            await program.says(re.escape(line))
        assert await program.ends() == 0


async def test_json_has_type_and_id(place: Place, tmp_path: Path) -> None:
    async with elio("sse", place.url("/three"), "--json", "--event", "tick", *ONCE, cwd=tmp_path) as program:
        line = await program.says(".*")
        assert json.loads(line[0]) == {"type": "tick", "data": "two\nlines", "id": "2"}
        assert await program.ends() == 0


async def test_options_reach_the_request(place: Place, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"from a file")
    options = ["-H", "X-One: 1", "--last-event-id", "7", "--count", "1"]
    for more, data in (([], b""), (["--data", "x=1"], b"x=1"), (["--data", "@body"], b"from a file")):
        async with elio("sse", place.url("/three"), *options, *more, cwd=tmp_path) as program:
            await program.says("one")
            assert await program.ends() == 0
        assert place.asked.pop() == ("POST" if more else "GET", "7", data, "1")


async def test_the_body_may_be_the_input(place: Place, tmp_path: Path) -> None:
    options = ["--data", "@-", "--count", "1"]
    async with elio("sse", place.url("/three"), *options, cwd=tmp_path, stdin=PIPE) as program:
        program.feed(b"typed")
        await program.feed_eof()
        await program.says("one")
        assert await program.ends() == 0
    assert place.asked[0][2] == b"typed"


async def test_a_stream_that_breaks_is_asked_for_again(place: Place, tmp_path: Path) -> None:
    options = ["--count", "4", "--json", "-v"]
    async with elio("sse", place.url("/three"), *options, cwd=tmp_path) as program:
        ids = [json.loads((await program.says(".*"))[0])["id"] for _ in range(4)]
        assert ids == ["1", "2", "3", "1"]
        await program.complains("connecting")
        await program.complains("open")
        await program.complains(r"waiting \d+\.\d seconds for attempt 2")
        assert await program.ends(silently=False) == 0
    assert [asked[1] for asked in place.asked] == ["", "3"]


async def test_a_stream_that_ends_before_it_is_done_is_cut_short(place: Place, tmp_path: Path) -> None:
    async with elio("sse", place.url("/three"), "--done", "[DONE]", *ONCE, cwd=tmp_path) as program:
        for _ in range(4):
            await program.says(".*")
        await program.complains("elio: event stream cut short after 3 events: the server ended it")
        assert await program.ends() == 5


async def test_204_is_an_orderly_end(place: Place, tmp_path: Path) -> None:
    async with elio("sse", place.url("/over"), cwd=tmp_path) as program:
        assert await program.ends() == 0


@pytest.mark.parametrize(
    ("arguments", "sentence", "status"),
    [
        (["http://127.0.0.1:{port}/page"], r".* 200 OK with content type 'text/plain.*: no events\\x1b\[2J", 4),
        (["http://127.0.0.1:1/", *ONCE], "cannot connect to 127.0.0.1:1: Connection refused", 3),
        (["ws://127.0.0.1/"], "ws://127.0.0.1/ is the URL of a WebSocket, an event stream is http or https", 1),
        (["http://127.0.0.1/", "--data", "@none"], "'none' cannot be read: No such file or directory", 1),
        (["http://127.0.0.1/", "-H", "a b: c"], ".*'a b'.*", 1),
        ([], "either a URL or --replay is needed, and not both", 1),
        (["http://127.0.0.1/", "--replay", "x"], "either a URL or --replay is needed, and not both", 1),
        (["--replay", "none"], "'none' cannot be read: No such file or directory", 1),
        (["--replay", "wrong"], "line 1 of 'wrong' is not an event: 'type' and 'id' are strings", 1),
        (["--replay", "broken"], "line 1 of 'broken' is not an event: .*", 1),
    ],
)
async def test_what_does_not_work_is_one_sentence(
    place: Place, tmp_path: Path, arguments: list[str], sentence: str, status: int
) -> None:
    (tmp_path / "wrong").write_text('{"data":"","id":5}\n')
    (tmp_path / "broken").write_text('{"data":"","id":"a\\nb"}\n')
    filled = [argument.format(port=place.port) for argument in arguments]
    async with elio("sse", *filled, cwd=tmp_path) as program:
        await program.complains(f"elio: {sentence}")
        assert await program.ends() == status


async def test_what_was_recorded_can_be_replayed(place: Place, tmp_path: Path) -> None:
    options = ["--record", "file", "--event", "tick", *ONCE]
    async with elio("sse", place.url("/three"), *options, cwd=tmp_path) as program:
        await program.says("two")
        await program.says("lines")
        assert await program.ends() == 0
    async with elio("sse", "--replay", "file", "--speed", "inf", "--json", cwd=tmp_path) as program:
        replayed = [json.loads((await program.says(".*"))[0]) for _ in range(3)]
        assert await program.ends() == 0
    assert [event["id"] for event in replayed] == ["1", "2", "3"]
    assert replayed[1] == {"type": "tick", "data": "two\nlines", "id": "2"}


async def test_ctrl_c_leaves_the_stream(place: Place, tmp_path: Path) -> None:
    async with elio("sse", place.url("/open"), cwd=tmp_path) as program:
        await program.says("one")
        program.kill(signal.SIGINT)
        assert await program.ends() == 130
    async with asyncio.timeout(DEADLINE):
        await place.left.wait()


async def test_the_time_may_be_bounded(place: Place, tmp_path: Path) -> None:
    async with elio("sse", place.url("/open"), "--max-time", "0.5", cwd=tmp_path) as program:
        await program.says("one")
        await program.complains("elio: not at an end within 0.5 seconds")
        assert await program.ends() == 124


async def test_a_reader_that_leaves_ends_it_silently(place: Place, tmp_path: Path) -> None:
    async with elio("sse", place.url("/endless"), cwd=tmp_path) as program:
        await program.says("again")
        await program.leave()
        assert await program.ends(silently=False) == 141


async def test_a_terminal_is_shown_no_control_characters(place: Place, tmp_path: Path) -> None:
    async with on_terminal("sse", place.url("/three"), *ONCE, cwd=tmp_path) as terminal:
        await terminal.shows("one", "two", "lines", "\\x1b[31mthree", "")
        assert await terminal.ends() == 0
