"""What has gone wrong in HTTP servers elsewhere, done to this one over sockets: the answer, its cost, and the next
client."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from elio import Limits, Request, Response, Router, Server
from support.attack import MIB, Target, deaf, target
from support.frames import frame
from support.raw import DEADLINE, Raw, connect, serve, until

HOST = b"Host: localhost\r\n"
CHUNKED = b"POST /digest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /members HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with target(limits={"send_timeout": 1.0}) as running:
        yield running


def post(*headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /digest HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body


# -- request smuggling -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
        post(b"Content-Length: 0", b"Content-Length: 42"),
        post(b"Content-Length: 0, 42"),
        post(b"Content-Length: +5", body=b"12345"),
        post(b"Content-Length: -5", body=b"12345"),
        post(b"Content-Length: 5_0", body=b"12345"),
        post(b"Content-Length: 0x5", body=b"12345"),
        post(b"Content-Length: \xb2", body=b"12"),
        post(b"Content-Length: 5\x0b", body=b"12345"),
        post(b"Content-Length:", body=b"12345"),
        post(b"Content-Length : 5", body=b"12345"),
        post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding:", body=b"0\r\n\r\n"),
        post(b" Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"X: y", b" folded", body=b""),
        post(b"X: y\nTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"X: y\rTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"X: y\0z"),
        post(b"Transfer\0-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"no colon"),
        post(b": no name"),
        post(b"Host: other"),
        b"POST /digest HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\nHost: localhost\n\n",
        b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
        b"G\xc3\x84T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.\xc2\xb9\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_what_two_parsers_could_read_differently_is_refused_and_nothing_behind_it_read(
    server: Target, data: bytes
) -> None:
    async with server.connect() as raw:
        raw.send(data + HIDDEN)
        answer = await raw.answer()
        assert answer.status in (400, 501, 505)
        assert answer.headers["connection"] == "close"
        assert await raw.read_all() == b""
    await server.serves()


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5 ;\0\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"\xd9\xa5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\nX: a\nb\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nContent-Length\0: 5\r\n\r\n",
    ],
)
async def test_bad_chunks_are_refused_and_nothing_behind_them_read(server: Target, body: bytes) -> None:
    async with server.connect() as raw:
        raw.send(CHUNKED + body + HIDDEN)
        answer = await raw.answer()
        assert answer.status in (400, 413)
        assert answer.headers["connection"] == "close"
        assert await raw.read_all() == b""
    await server.serves()


async def test_a_bare_lf_is_refused_at_once_and_leaks_into_no_other_answer(server: Target) -> None:
    for piece in (b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nX-Secret: leaked\n"):
        async with server.connect() as raw:
            for byte in piece:
                raw.send(bytes([byte]))
                await raw.writer.drain()
            answer = await raw.answer()  # though nothing more has come
            assert answer.status == 400
            assert b"leaked" not in answer.body
        async with server.connect() as raw:
            raw.send(b"GET\r\n\r\n")
            answer = await raw.answer()
            assert answer.status == 400
            assert b"leaked" not in answer.body
    await server.serves()


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.parametrize("behind", [b"", b"\0\0\0\x04\0\0\0\0\0", (b"\0\0\0\x04\0\0\0\0\0" * 100_000)[:MIB]])
async def test_the_preface_of_http_2_is_505_whatever_follows(server: Target, behind: bytes) -> None:
    with server.within(2 * MIB):
        async with server.connect() as raw:
            raw.send(PREFACE + behind)
            answer = await raw.answer()
            assert answer.status == 505
            assert answer.headers["connection"] == "close"
            assert await raw.read_all() == b""
    await server.serves()


async def test_a_wish_for_http_2_is_answered_in_http_1(server: Target) -> None:
    async with server.connect() as raw:
        headers = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
        answer = await raw.get("/", headers=headers)
        assert (answer.status, answer.body) == (200, b"hello")
        assert (await raw.get("/")).status == 200


async def test_extended_connect_opens_nothing(server: Target) -> None:
    async with server.connect() as raw:
        raw.send(b"CONNECT /ws HTTP/1.1\r\nHost: localhost\r\n:protocol: websocket\r\n\r\n")
        assert (await raw.answer()).status == 400
    for protocol in (b"websocket", b"foo"):
        async with server.connect() as raw:
            raw.send(b"CONNECT /ws HTTP/1.1\r\nHost: localhost\r\nProtocol: " + protocol + b"\r\n\r\n")
            assert (await raw.answer()).status >= 400
    await server.serves()


# -- input without end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "endless", "statuses"),
    [
        (b"GET /", b"x", {414}),
        (b"", b"G", {400, 414}),
        (b"", b"\r\n", {400}),
        (b"GET / HTTP/1.1\r\nX: ", b"y", {431}),
        (b"GET / HTTP/1.1\r\nX", b"y", {400, 431}),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n", {431}),
        (CHUNKED + b"5;", b"x", {413}),
        (CHUNKED + b"5;x=", b'"x"', {400, 413}),
        (CHUNKED, b"0", {400, 413}),
        (CHUNKED, b"1\r\nx\r\n", {413}),
        (CHUNKED, b"1;extension\r\nx\r\n", {413}),
        (CHUNKED + b"0\r\n", b"X: y\r\n", {431}),
        (CHUNKED + b"0\r\nX: ", b"y", {431}),
        (CHUNKED, b"8000\r\n" + b"x" * 0x8000 + b"\r\n", {413}),
    ],
    ids=[
        "target",
        "method",
        "empty lines",
        "header value",
        "header name",
        "headers",
        "chunk extension",
        "quoted extension",
        "chunk size",
        "tiny chunks",
        "extensions",
        "trailers",
        "trailer",
        "body",
    ],
)
async def test_what_has_no_end_is_refused_at_its_limit(
    server: Target, begin: bytes, endless: bytes, statuses: set[int]
) -> None:
    # The body has a limit of 10 MiB, and whoever reads it whole needs it twice for a moment.
    with server.within(32 * MIB if len(endless) > 1000 else 4 * MIB):
        async with server.connect() as raw:
            raw.send(begin + endless * (12 * MIB // len(endless)))
            assert (await raw.answer()).status in statuses
    await server.serves()


async def test_a_limit_holds_across_segments(server: Target) -> None:
    with server.within(2 * MIB):
        async with server.connect() as raw:
            raw.send(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(400):
                raw.send(b"y" * 100)
                await raw.writer.drain()
                await asyncio.sleep(0)
            assert (await raw.answer()).status == 431


async def test_pipelined_requests_behind_a_slow_one_are_not_read_without_bound(server: Target) -> None:
    with server.within(8 * MIB):
        async with server.connect() as raw:
            raw.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN * 500_000)
            assert await server.until_it_reads_no_more(raw) > 0


async def test_a_client_that_takes_no_answers_asks_no_more_questions(server: Target) -> None:
    with server.within(8 * MIB):
        async with server.connect(receive_buffer=4096) as raw:
            deaf(raw)
            raw.send(HIDDEN * 500_000)
            assert await server.until_it_reads_no_more(raw) > 0


async def test_an_endless_body_waits_for_a_slow_reader_and_is_cut_off_in_the_end(server: Target) -> None:
    with server.within(4 * MIB):
        async with server.connect(receive_buffer=4096) as raw:
            deaf(raw)
            raw.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await server.until_it_reads_no_more(raw)
            async with asyncio.timeout(DEADLINE):
                while not raw.writer.is_closing():
                    await server.serves()
                    raw.send(b"x")


# -- processor time ----------------------------------------------------------------------------------------------------


async def cost(server: Target, data: bytes, status: int) -> float:
    """Processor seconds of one request."""
    before = server.processor_time()
    async with server.connect() as raw:
        raw.send(data)
        assert (await raw.answer()).status == status
    return server.processor_time() - before


async def test_a_body_of_small_chunks_costs_linear_time(server: Target) -> None:
    chunk = b"40\r\n" + b"x" * 64 + b"\r\n"
    # 64 bytes a chunk are as small as the limit on framing lets them be for long.
    small = await cost(server, CHUNKED + chunk * 3_000 + b"0\r\n\r\n", 200)
    large = await cost(server, CHUNKED + chunk * 60_000 + b"0\r\n\r\n", 200)
    assert large < 20 * small * 5 + 0.1


@pytest.mark.parametrize(
    "cookie",
    ["a=b; " * 6_000, ";" * 30_000, 'a="' + "\\" * 30_000, 'a="' + '\\"' * 15_000, "a" * 30_000, '"\\012' * 6_000],
    ids=["many", "empty", "backslashes", "quotes", "no value", "octal"],
)
async def test_cookies_are_parsed_in_linear_time(server: Target, cookie: str) -> None:
    # A quadratic parser needs seconds for 30,000 characters.
    assert (
        await cost(server, f"GET /cookies HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode(), 200) < 0.5
    )
    await server.serves()


@pytest.mark.parametrize("name", ["X", "Cookie", "Connection", "Accept", "Expect", "If-None-Match", "Upgrade"])
async def test_repeated_headers_cost_linear_time(server: Target, name: str) -> None:
    line = f"{name}: {'a,' * 150}a\r\n".encode()
    head = b"GET /cookies HTTP/1.1\r\nHost: localhost\r\n"
    before = server.processor_time()
    async with server.connect() as raw:
        raw.send(head + line * 90 + b"\r\n")
        assert (await raw.answer()).status in (200, 400, 417)
    assert server.processor_time() - before < 0.5
    assert await cost(server, head + line * 101 + b"\r\n", 431) < 0.5


# -- time --------------------------------------------------------------------------------------------------------------

QUICK = Limits(headers_timeout=0.3, body_timeout=0.3, keep_alive_timeout=0.3)


@pytest.fixture
async def quick() -> AsyncIterator[Server]:
    router = Router()

    @router.post("/digest")
    async def digest(request: Request) -> Response:
        return Response.text(str(len(await request.body())))

    async with serve(router, limits=QUICK) as running:
        yield running


async def test_slowloris_is_408_however_often_it_sends_a_byte(quick: Server) -> None:
    async with connect(quick) as raw:
        raw.send(b"GET / HTTP/1.1\r\nX: ")
        answer = asyncio.ensure_future(raw.answer())
        while not answer.done():
            raw.send(b"y")
            await asyncio.sleep(0.02)
        assert (await answer).status == 408
    await until(lambda: not quick.connections)


async def test_a_body_that_stops_is_408_and_frees_its_connection(quick: Server) -> None:
    async with connect(quick) as raw:
        raw.send(b"POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
        answer = await raw.answer()
        assert answer.status == 408
        assert answer.body == b"408 Request Timeout: the body of the request paused for 0.3 s\n"
    await until(lambda: not quick.connections)
    assert quick.counters.ends == {("http", "request_timeout"): 1}
    assert quick.counters.limits == {"body_timeout": 1}


@pytest.mark.parametrize("begin", [b"", b"POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"])
async def test_idle_connections_are_closed(quick: Server, begin: bytes) -> None:
    async with connect(quick) as raw:
        if begin:
            raw.send(begin)
            assert (await raw.answer()).status == 200
        assert await raw.read_all() == b""
    await until(lambda: not quick.connections)


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Raw]:
    root = tmp_path / "www"
    (root / "sub").mkdir(parents=True)
    (root / "evil.example").mkdir()
    (tmp_path / "www-private").mkdir()
    (root / "evil.example" / "index.html").write_bytes(b"index")
    (root / "a.txt").write_bytes(b"0123456789" * 100)
    (tmp_path / "www-private" / "secret").write_bytes(b"secret")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    router = Router()
    router.static("/", root)
    router.static("/static", root)
    async with serve(router) as running, connect(running) as raw:
        yield raw


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret",
        "/static/../../secret",
        "/static/..%2fsecret",
        "/static/%2e%2e/secret",
        "/static/%2e%2e%2fsecret",
        "/static/..%5csecret",
        "/static/%252e%252e/secret",
        "/static/sub/../../secret",
        "/static/../www-private/secret",
        "/static-private/secret",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/link",
        "/static/a.txt%00.html",
        "/static/.%00./secret",
        "/../secret",
        "//secret",
    ],
)
async def test_no_path_leads_out_of_a_directory_of_files(files: Raw, path: str) -> None:
    answer = await files.get(path)
    assert answer.status in (400, 404)
    assert not answer.body.startswith(b"secret")
    assert (await files.get("/static/a.txt")).status == 200


@pytest.mark.parametrize(
    "path", ["//evil.example", "//evil.example/..", "/%5cevil.example", "/\\evil.example", "///evil.example"]
)
async def test_no_redirect_leads_to_another_host(files: Raw, path: str) -> None:
    answer = await files.get(path)
    location = answer.headers.get("location", "/")
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


async def test_a_directory_without_a_slash_redirects_within_this_host(files: Raw) -> None:
    answer = await files.get("/evil.example")
    assert answer.status in (301, 302, 307, 308)
    assert re.fullmatch(r"(/|\./)?evil\.example/", answer.headers["location"])


@pytest.mark.parametrize(
    "ranges",
    ["0-0," * 7_000 + "0-0", "0-" * 15_000, "0-" + "9" * 30_000, "," * 30_000, " " * 30_000 + "0-1", "-" * 30_000],
    ids=["many", "dashes", "digits", "commas", "blanks", "only dashes"],
)
async def test_lists_of_ranges_cost_one_file_at_most(files: Raw, ranges: str) -> None:
    answer = await files.get("/static/a.txt", headers=f"Range: bytes={ranges}\r\n")
    assert answer.status in (200, 206, 416)
    assert len(answer.body) <= 1000


# -- descriptors -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["reactor-asyncio", "reactor-uvloop", "transports-asyncio", "transports-uvloop"])
def scarce(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """A server that may open 40 files, by the reactor and by the transports of both loops."""
    carrier, _, loop = request.param.partition("-")
    monkeypatch.setenv("ELIO_REACTOR", "1" if carrier == "reactor" else "0")
    with target(descriptors=40, loop=loop) as running:
        yield running


async def test_without_descriptors_a_server_rests_and_serves_again_when_there_are_some(scarce: Target) -> None:
    with ExitStack() as held:
        for _ in range(80):
            held.enter_context(socket.create_connection(("127.0.0.1", scarce.port)))
        before = scarce.processor_time()
        await asyncio.sleep(1.5)  # not to wait for something: how much a server does in that time is the question
        spent = scarce.processor_time() - before
        complaints = scarce.log.count("Too many open files")
        held.close()
        await scarce.serves()
    assert spent < 0.3
    assert 1 <= complaints <= 3


async def test_whoever_waits_for_a_descriptor_is_served_when_there_is_one(scarce: Target) -> None:
    with ExitStack() as held:
        for _ in range(60):
            held.enter_context(socket.create_connection(("127.0.0.1", scarce.port)))
        async with scarce.connect() as raw:
            await until(lambda: "Too many open files" in scarce.log)
            held.close()
            assert (await raw.get("/")).body == b"hello"


async def test_a_websocket_stays_alive_while_there_are_no_descriptors(scarce: Target) -> None:
    async with scarce.connect() as raw:
        await raw.upgrade()
        with ExitStack() as held:
            for _ in range(80):
                held.enter_context(socket.create_connection(("127.0.0.1", scarce.port)))
            for _ in range(20):
                raw.send(frame(0x81, b"still here"))
                assert await raw.receive_frame() == (0x81, b"still here")
    await scarce.serves()
