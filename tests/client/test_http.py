"""Exchanges of a client with servers that are written out byte by byte."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from elio.client.http import ClientResponse, open_response
from elio.errors import ConnectError, HandshakeError, LimitExceeded, LocalProtocolError, RemoteProtocolError
from elio.limits import Limits
from elio.net.dial import Route
from elio.url import URL
from support.raw import DEADLINE, Raw, until
from support.scripts import Script, listening

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Consumer:
    """Remembers a body; may do something with each piece."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.pieces: list[bytes] = []
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._then = then

    def body_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self._then()

    def body_ended(self, error: Exception | None) -> None:
        self.ended.set_result(error)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    async def end(self) -> Exception | None:
        async with asyncio.timeout(DEADLINE):
            return await self.ended


async def ask(port: int, target: str = "/", **options: Any) -> ClientResponse:
    defaults: dict[str, Any] = {
        "route": Route(),
        "limits": Limits(),
        "timeout": DEADLINE,
        "max_redirects": 5,
        "method": "GET",
        "headers": (),
        **options,
    }
    url = URL.parse(f"http://127.0.0.1:{port}{target}")
    return await open_response(url=url, **defaults)


def answering(*answers: bytes, asked: list[bytes] | None = None) -> Script:
    """One answer for each connection, after which it is closed."""
    left = iter(answers)

    async def script(raw: Raw) -> None:
        request = await raw.read_until(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        raw.send(next(left))
        raw.send_eof()

    return script


async def test_a_body_of_a_length_comes_to_its_consumer() -> None:
    asked: list[bytes] = []
    async with listening(answering(OK, asked=asked)) as port:
        response = await ask(port, "/a?b", headers=[("X-One", "1")])
        assert (response.status, response.headers["content-length"]) == (200, "5")
        assert (str(response.url), response.history) == (f"http://127.0.0.1:{port}/a?b", ())
        assert repr(response) == f"<ClientResponse 200 of http://127.0.0.1:{port}/a?b>"
        consumer = Consumer()
        response.start(consumer)
        assert await consumer.end() is None
        assert consumer.data == b"hello"
        await response.close()
    assert asked == [f"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-One: 1\r\n\r\n".encode()]


async def test_nothing_of_a_body_is_read_before_somebody_wants_it() -> None:
    go = asyncio.Event()

    async def script(raw: Raw) -> None:
        await raw.read_until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 200 OK\r\n\r\nfirst,")
        await raw.writer.drain()
        raw.send(b"x" * 10_000_000)
        go.set()
        await raw.writer.drain()

    async with listening(script) as port:
        response = await ask(port)
        await go.wait()
        assert sum(map(len, response._pending)) <= 256 * 1024
        consumer = Consumer()
        response.start(consumer)
        assert await consumer.end() is None
        assert consumer.data == b"first," + b"x" * 10_000_000


async def test_a_chunked_body_and_interim_answers() -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    async with listening(answering(answer)) as port:
        response = await ask(port)
        consumer = Consumer()
        response.start(consumer)
        assert await consumer.end() is None
        assert consumer.data == b"abcde"


async def test_a_body_that_breaks_off() -> None:
    async with listening(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")) as port:
        response = await ask(port)
        consumer = Consumer()
        response.start(consumer)
        error = await consumer.end()
        assert isinstance(error, RemoteProtocolError)
        assert "in the middle of a response" in str(error)
        assert consumer.data == b"half"


async def test_a_reset_in_the_body() -> None:
    async def script(raw: Raw) -> None:
        await raw.read_until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await raw.read(1)
        raw.reset()

    async with listening(script) as port:
        response = await ask(port)
        consumer = Consumer()
        response.start(consumer)
        await until(lambda: consumer.pieces)
        assert response._stream is not None
        response._stream.write(b"!")
        error = await consumer.end()
        assert isinstance(error, RemoteProtocolError)
        assert "connection lost" in str(error)


async def test_malformed_chunks_end_the_body() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"
    async with listening(answering(answer)) as port:
        response = await ask(port)
        consumer = Consumer()
        response.start(consumer)
        assert isinstance(await consumer.end(), RemoteProtocolError)
        assert consumer.data == b"abc"


async def test_a_consumer_can_pause() -> None:
    more = asyncio.Event()

    async def script(raw: Raw) -> None:
        await raw.read_until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 200 OK\r\n\r\none")
        await more.wait()
        raw.send(b"two")
        await raw.writer.drain()

    async with listening(script) as port:
        response = await ask(port)
        consumer = Consumer(then=response.pause_reading)
        response.start(consumer)
        await until(lambda: consumer.data == b"one")
        more.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert consumer.data == b"one"
        response.resume_reading()
        await until(lambda: consumer.data == b"onetwo")
        response.resume_reading()
        assert await consumer.end() is None


async def test_after_abort_the_consumer_is_told_nothing() -> None:
    async with listening(answering(OK)) as port:
        response = await ask(port)
        consumer = Consumer(then=response.abort)
        response.start(consumer)
        await response.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not consumer.ended.done()
        with pytest.raises(LocalProtocolError, match="given up"):
            response.start(Consumer())


async def test_a_body_has_one_consumer() -> None:
    async with listening(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        response = await ask(port)
        response.start(Consumer())
        with pytest.raises(LocalProtocolError, match="its consumer already"):
            response.start(Consumer())
        await response.close()


async def test_a_small_body_is_read_at_once() -> None:
    async with listening(answering(OK, OK, b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nbroken")) as port:
        assert await (await ask(port)).read(100) == b"hello"
        assert await (await ask(port)).read(2) == b"he"
        assert await (await ask(port)).read(100) == b"broken"


async def test_a_post_with_a_body() -> None:
    seen = b""

    async def script(raw: Raw) -> None:
        nonlocal seen
        seen = await raw.read_until(b"\r\n\r\n") + await raw.read(4)
        raw.send(OK)

    async with listening(script) as port:
        response = await ask(port, method="POST", body=b"data")
        assert await response.read(10) == b"hello"
    assert seen.startswith(b"POST / HTTP/1.1\r\n")
    assert seen.endswith(b"Content-Length: 4\r\n\r\ndata")


# -- redirects ---------------------------------------------------------------------------------------------------------


def to(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_redirects_are_followed() -> None:
    asked: list[bytes] = []
    async with listening(answering(to("/two"), to("three?x"), OK, asked=asked)) as port:
        response = await ask(port, "/one")
        assert response.status == 200
        assert [url.path for url in response.history] == ["/one", "/two"]
        assert response.url.target == "/three?x"
        assert await response.read(10) == b"hello"
    assert [request.split()[1] for request in asked] == [b"/one", b"/two", b"/three?x"]


async def test_secrets_do_not_go_to_another_origin() -> None:
    home: list[bytes] = []
    away: list[bytes] = []
    headers = [("Authorization", "a"), ("Cookie", "b"), ("X-Key", "c"), ("X-Other", "d")]
    async with (
        listening(answering(OK, asked=away)) as other,
        listening(answering(to(f"http://127.0.0.1:{other}/"), asked=home)) as port,
    ):
        await (await ask(port, headers=headers, secrets=["x-key"])).read(10)
    assert all(secret in home[0] for secret in (b"Authorization: a", b"Cookie: b", b"X-Key: c", b"X-Other: d"))
    assert away == [f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{other}\r\nX-Other: d\r\n\r\n".encode()]


async def test_a_circle_of_redirects_ends() -> None:
    async with listening(answering(*[to("/again")] * 4)) as port:
        with pytest.raises(HandshakeError, match="redirect number 4, limit 3") as caught:
            await ask(port, max_redirects=3)
        assert (caught.value.status, dict(caught.value.headers)["Location"]) == (302, "/again")


async def test_a_redirect_that_cannot_be_followed_has_status_and_headers() -> None:
    async with listening(answering(to("ftp://x/", 308), to("http://example.com/"))) as port:
        with pytest.raises(HandshakeError, match="cannot be followed") as caught:
            await ask(port)
        assert (caught.value.status, dict(caught.value.headers)["Location"]) == (308, "ftp://x/")
        sock = socket.create_connection(("127.0.0.1", port))
        with pytest.raises(HandshakeError, match="away from the socket"):
            await ask(port, route=Route(sock=sock))


async def test_a_socket_at_hand_is_good_for_one_answer() -> None:
    async with listening(answering(to("/two"))) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        with pytest.raises(HandshakeError, match="needs another connection"):
            await ask(port, route=Route(sock=sock))


async def test_headers_made_each_time() -> None:
    numbers = iter("12")
    asked: list[bytes] = []
    async with listening(answering(to("/"), OK, asked=asked)) as port:
        await (await ask(port, each_time=lambda: [("Number", next(numbers))])).read(1)
    assert [request.split(b"Number: ")[1][:1] for request in asked] == [b"1", b"2"]


# -- no answer ---------------------------------------------------------------------------------------------------------


async def test_silence_ends_in_time() -> None:
    async def silence(raw: Raw) -> None:
        await raw.read_all()

    async with listening(silence) as port:
        with pytest.raises(ConnectError, match=r"no answer of http://.* within 0\.05 seconds") as caught:
            await ask(port, timeout=0.05)
        assert caught.value.timed_out


async def test_a_byte_now_and_then_ends_in_time() -> None:
    async def slow(raw: Raw) -> None:
        for byte in OK * 1000:
            raw.send(bytes([byte]))
            await raw.writer.drain()
            await asyncio.sleep(0.01)

    async with listening(slow) as port:
        with pytest.raises(ConnectError, match="within") as caught:
            await ask(port, timeout=0.1)
        assert caught.value.timed_out


async def test_headers_without_end() -> None:
    async def endless(raw: Raw) -> None:
        await raw.read_until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(1_000_000):
            raw.send(b"X-%d: %s\r\n" % (number, b"x" * 100))
            await raw.writer.drain()

    async with listening(endless) as port:
        with pytest.raises(HandshakeError, match=r"is not understood: .* limit") as caught:
            await ask(port)
        assert isinstance(caught.value.__cause__, LimitExceeded)


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", b"\x16\x03\x01\x00\x05\n"]
)
async def test_an_answer_that_is_not_http(answer: bytes) -> None:
    async with listening(answering(answer)) as port:
        with pytest.raises(HandshakeError, match="is not understood"):
            await ask(port)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nA: b\r\n"])
async def test_a_server_that_hangs_up(answer: bytes) -> None:
    async with listening(answering(answer)) as port:
        with pytest.raises(ConnectError, match="closed the connection without an answer"):
            await ask(port)


async def test_a_server_that_resets() -> None:
    async def script(raw: Raw) -> None:
        await raw.read_until(b"\r\n\r\n")
        raw.reset()

    async with listening(script) as port:
        with pytest.raises(ConnectError, match=r"no answer of .*: connection lost"):
            await ask(port)


async def test_a_malformed_request_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(LocalProtocolError, match="method"):
        await ask(1, method="A B")


async def test_cancelling_leaves_nothing_open() -> None:
    come, gone = asyncio.Event(), asyncio.Event()

    async def script(raw: Raw) -> None:
        come.set()
        await raw.read_all()
        gone.set()

    async with listening(script) as port:
        task = asyncio.ensure_future(ask(port))
        async with asyncio.timeout(DEADLINE):
            await come.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(DEADLINE):
            await gone.wait()


# -- proxies and upgrades ----------------------------------------------------------------------------------------------


async def test_a_proxy_is_sent_the_whole_url() -> None:
    asked: list[bytes] = []
    async with listening(answering(OK, asked=asked)) as port:
        url = URL.parse("http://me@example.com:81/a?b")
        route = Route(proxy=f"http://you:secret@127.0.0.1:{port}")
        response = await open_response("GET", url, (), route=route, limits=Limits(), timeout=DEADLINE, max_redirects=0)
        await response.read(10)
    assert asked[0].startswith(b"GET http://example.com:81/a?b HTTP/1.1\r\nHost: example.com:81\r\n")
    assert b"Authorization: Basic bWU6\r\n" in asked[0]
    assert b"Proxy-Authorization: Basic eW91OnNlY3JldA==\r\n" in asked[0]


async def test_an_upgrade_hands_over_the_stream() -> None:
    async def script(raw: Raw) -> None:
        await raw.read_until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbehind")
        assert await raw.read(5) == b"hello"

    async with listening(script) as port:
        response = await ask(port, headers=[("Upgrade", "x"), ("Connection", "upgrade")])
        assert response.status == 101
        stream, rest = response.upgrade()
        assert rest == b"behind"
        response.abort()
        stream.write(b"hello")
        stream.close()
        await response.close()


async def test_only_a_101_is_an_upgrade() -> None:
    async with listening(answering(OK)) as port:
        response = await ask(port)
        with pytest.raises(LocalProtocolError, match="take_rest before 101"):
            response.upgrade()
        await response.close()
