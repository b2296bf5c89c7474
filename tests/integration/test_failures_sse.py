"""What has gone wrong in servers of event streams elsewhere, done to this one over sockets: the bytes on the wire,
their cost, and the next client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from elio import Event, EventStream, InvalidHeader, Limits, LocalProtocolError, Router
from support.attack import MIB, Target, deaf, target
from support.raw import DEADLINE, Raw, connect, serve, until

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
SEPARATORS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""What ``str.splitlines`` takes for the end of a line beside CR and LF."""


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with target(limits={"send_timeout": 1.0, "commit_delay": 0.05}) as running:
        yield running


@asynccontextmanager
async def body_of(*steps: Callable[[EventStream], object]) -> AsyncIterator[bytes]:
    """The body of a stream on which these were done one after the other."""
    router = Router()

    @router.sse("/")
    async def handler(stream: EventStream) -> None:
        for step in steps:
            step(stream)

    async with serve(router) as running, connect(running) as raw:
        yield (await raw.get("/")).body


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
async def test_a_line_end_in_data_begins_another_line_of_data_and_no_field(end: str) -> None:
    async with body_of(lambda stream: stream.send(f"a{end}event: evil{end}{end}id: 666{end}data: b")) as body:
        assert body == b"data: a\ndata: event: evil\ndata: \ndata: id: 666\ndata: data: b\n\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
async def test_a_line_end_in_a_comment_begins_another_comment(end: str) -> None:
    async with body_of(lambda stream: stream.send_comment(f"a{end}data: evil{end}{end}event: b")) as body:
        lines = body.decode().split("\n")
        assert all(not line or line.startswith(":") for line in lines)
        assert "\r" not in body.decode()
        assert body.endswith(b"\n\n")


@pytest.mark.parametrize("evil", ["a\ndata: evil", "a\rdata: evil", "a\r\ndata: evil", "\n", "a\n", "a\0b", "\ud800"])
async def test_what_breaks_a_line_in_a_type_or_an_id_raises_and_the_stream_goes_on(evil: str) -> None:
    def try_everything(stream: EventStream) -> None:
        with pytest.raises((InvalidHeader, LocalProtocolError)):
            stream.send_event(evil, "data")
        with pytest.raises((InvalidHeader, LocalProtocolError)):
            stream.send_event("type", "data", id=evil)
        with pytest.raises((InvalidHeader, LocalProtocolError)):
            stream.send(Event("data", type=evil))

    async with body_of(try_everything, lambda stream: stream.send("fine")) as body:
        assert body == b"data: fine\n\n"


async def test_only_cr_and_lf_end_lines() -> None:
    text = f"a{SEPARATORS}b"

    def send(stream: EventStream) -> None:
        stream.send_event(text, text, id=text)
        stream.send_comment(text)

    async with body_of(send) as body:
        assert body.decode() == f"id: {text}\nevent: {text}\ndata: {text}\n\n: {text}\n\n"


@pytest.mark.parametrize("retry", [-1.0, float("nan"), float("inf")])
async def test_an_odd_reconnection_time_raises(retry: float) -> None:
    def send(stream: EventStream) -> None:
        with pytest.raises(LocalProtocolError):
            stream.send_retry(retry)
        with pytest.raises(LocalProtocolError):
            stream.send(Event("x", retry=retry))

    async with body_of(send, lambda stream: stream.send_retry(1.5)) as body:
        assert body == b"retry: 1500\n\n"


async def test_a_last_event_id_that_comes_back_cannot_break_the_stream() -> None:
    router = Router()
    found: list[str] = []

    @router.sse("/")
    async def handler(stream: EventStream) -> None:
        found.append(stream.last_event_id)
        await stream.send(Event("again", id=stream.last_event_id))

    async with serve(router) as running, connect(running) as raw:
        answer = await raw.get("/", headers="Last-Event-ID: 1\xff\x85 data: x\r\n")
        assert answer.status == 200
        assert answer.body.count(b"\n") == 3
    async with serve(router) as running, connect(running) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 1\0\r\n\r\n")
        assert (await raw.answer()).status == 400
    assert len(found) == 1


async def test_a_tight_producer_starves_nobody(server: Target) -> None:
    async with server.connect() as raw:
        raw.send(GET % b"/tight")
        await raw.head()
        for _ in range(20):
            await raw.read(10_000)
            await server.serves()
    await server.until_members([0, 0])


async def test_a_tight_producer_waits_for_a_slow_reader_that_is_cut_off_in_the_end(server: Target) -> None:
    with server.within(4 * MIB):
        async with server.connect(receive_buffer=4096) as raw:
            deaf(raw)
            raw.send(GET % b"/tight")
            await server.until_members([0, 1])
            await server.until_members([0, 0])
    await server.serves()


@pytest.mark.parametrize("leave", [Raw.reset, Raw.send_eof], ids=["reset", "fin"])
@pytest.mark.parametrize("path", ["/quiet", "/tight"])
async def test_a_reader_that_left_is_noticed_without_sending_anything(
    server: Target, leave: Callable[[Raw], None], path: str
) -> None:
    async with server.connect() as raw:
        raw.send(GET % path.encode())
        await raw.head()
        await raw.read(10)
        await server.until_members([0, 1])
        leave(raw)
        await server.until_members([0, 0])


async def come_and_go(server: Target, count: int) -> None:
    for _ in range(count):
        async with server.connect() as raw:
            raw.send(GET % b"/quiet")
            await raw.read_until(b"welcome\n\n")
    await server.until_members([0, 0])


async def test_readers_that_come_and_go_leave_nothing_behind(server: Target) -> None:
    await come_and_go(server, 100)
    # A stream that stayed would keep its task, its request and its buffers: 10 KiB and more of each.
    with server.within(2 * MIB):
        await come_and_go(server, 400)


@pytest.mark.parametrize("at_once", [True, False])
async def test_requests_without_bound_behind_a_stream_end_it(server: Target, at_once: bool) -> None:
    # Not to read them would bound them, too; but then nobody would notice that the reader leaves.
    with server.within(4 * MIB):
        async with server.connect() as raw:
            raw.send(GET % b"/quiet")
            if not at_once:
                await raw.read_until(b"welcome\n\n")
            raw.send(GET % b"/" * 500_000)
            await raw.read_all()
            await server.until_members([0, 0])
    await server.serves()


async def test_the_end_of_the_server_ends_streams_in_order_and_at_once() -> None:
    router = Router()
    ended = asyncio.Event()

    @router.sse("/")
    async def handler(stream: EventStream) -> None:
        try:
            await stream.send("welcome")
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serve(router) as running, connect(running) as raw:
        raw.send(GET % b"/")
        await raw.head()
        assert await raw.chunk() == b"data: welcome\n\n"
        async with asyncio.timeout(DEADLINE):
            await running.close(grace=2 * DEADLINE)
        assert await raw.read_all() == b"0\r\n\r\n"
        assert ended.is_set()


async def test_a_reader_that_takes_nothing_cannot_hold_up_the_end_of_the_server() -> None:
    router = Router()

    @router.sse("/")
    async def handler(stream: EventStream) -> None:
        while True:
            await stream.send("x" * 10_000)

    async with serve(router, limits=Limits(send_timeout=None)) as running, connect(running) as raw:
        deaf(raw)
        raw.send(GET % b"/")
        await until(lambda: running.connections)
        async with asyncio.timeout(DEADLINE):
            await running.close(grace=0.2)
        assert not running.connections
