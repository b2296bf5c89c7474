"""A TLS stream between a stream that only remembers and a client on paper: handshake, records, pauses, the end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from elio.net import tls_stream
from elio.net.tls_stream import TlsRuntime, TlsStream
from support.frames import random_cuts
from support.site import Certificates, make_certificates
from support.stream import FakeStream
from support.tls import Client, as_they_are, server_context

Make = Callable[..., "Pair"]


class Receiver:
    """Writes down what it is told, and may act on data."""

    def __init__(self) -> None:
        self.stream: Any = None
        self.data = bytearray()
        self.pieces: list[int] = []
        self.calls: list[Any] = []
        self.on_data: Callable[[bytes], object] = lambda data: None

    def connection_made(self, transport: Any) -> None:
        self.stream = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(len(data))
        self.on_data(data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(exc)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


class Timer:
    """The running loop, but its one timer goes off when the test says so."""

    def __init__(self) -> None:
        self.wait: float | None = None
        self._callback: Callable[[], object] = lambda: None
        running = asyncio.get_running_loop()
        self.call_soon = running.call_soon
        self.call_exception_handler = running.call_exception_handler

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        self.wait, self._callback = seconds, callback
        return self

    def time(self) -> float:
        return 0.0

    def when(self) -> float:
        return self.wait or 0.0

    def cancel(self) -> None:
        self.wait = None

    def pass_time(self) -> None:
        assert self.wait is not None
        self._callback()


class Pair(Client):
    """The stream under test and a client of OpenSSL's, without a network between them."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, timeout: float = 60.0) -> None:
        super().__init__(client)
        self.raw = FakeStream()
        self.receiver = Receiver()
        self.loop = Timer()
        self.stream = TlsStream(TlsRuntime(self.loop, server, timeout), self.receiver)  # type: ignore[arg-type]
        self.stream.connection_made(self.raw)

    def exchange(self) -> None:
        """Let the bytes of both sides arrive."""
        self._in.write(self.raw.take())
        data = self._out.read()
        if data:
            self.stream.data_received(data)

    def shake_hands(self) -> None:
        for _ in range(5):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.exchange()
            else:
                break
        self.exchange()

    def received(self) -> bytes:
        """What the client gets to read."""
        return self.read(self.raw.take())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def contexts(certificates: Certificates) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return server_context(certificates), certificates.client()


@pytest.fixture(params=["fastest", "module"])
async def make(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    """Makes pairs; what they pass goes the fastest way to OpenSSL that is built, and through the module `ssl`."""
    pairs: list[Pair] = []
    if request.param == "module":
        monkeypatch.setattr(tls_stream, "direct", as_they_are)

    def make(*, timeout: float = 60.0, version: ssl.TLSVersion | None = None, shake: bool = True) -> Pair:
        server, client = contexts
        if version is not None:
            client.minimum_version = client.maximum_version = version
        pairs.append(Pair(server, client, timeout))
        if shake:
            pairs[-1].shake_hands()
        return pairs[-1]

    yield make
    for pair in pairs:
        pair.stream.connection_lost(None)


# -- the handshake -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_receiver_hears_of_the_stream_behind_the_handshake(make: Make, version: ssl.TLSVersion) -> None:
    pair = make(version=version, shake=False)
    assert pair.receiver.calls == []
    assert "handshake" in repr(pair.stream)
    pair.shake_hands()
    assert pair.receiver.calls == ["made"]
    assert pair.receiver.stream is pair.stream
    assert pair.stream.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
    assert pair.stream.get_extra_info("peername") == ("127.0.0.1", 50000)
    assert pair.stream.get_extra_info("nothing", 7) == 7
    assert "open" in repr(pair.stream)


async def test_data_may_follow_the_handshake_at_once(make: Make) -> None:
    pair = make(version=ssl.TLSVersion.TLSv1_3, shake=False)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.do_handshake()
    pair.exchange()
    pair._in.write(pair.raw.take())
    pair.client.do_handshake()
    pair.stream.data_received(pair.sent(b"early bird"))  # behind the Finished, in one piece with it
    assert pair.receiver.data == b"early bird"


async def test_a_handshake_in_single_bytes(make: Make) -> None:
    pair = make(shake=False)
    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            pair.client.do_handshake()
        for byte in pair._out.read():
            pair.stream.data_received(bytes([byte]))
        pair._in.write(pair.raw.take())
    assert pair.receiver.calls == ["made"]


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x00\x04\xff\xff\xff\xff", bytes(100)]
)
async def test_what_is_no_handshake_is_closed_with_an_alert(make: Make, data: bytes) -> None:
    pair = make(shake=False)
    pair.stream.data_received(data)
    assert pair.raw.is_closed
    assert pair.raw.take()[:1] in (b"\x15", b"")
    pair.stream.data_received(data)
    pair.stream.connection_lost(None)
    assert pair.receiver.calls == []


async def test_a_handshake_has_its_time(make: Make) -> None:
    pair = make(timeout=7.0, shake=False)
    assert pair.loop.wait == 7.0
    pair.loop.pass_time()
    assert pair.raw.is_aborted
    assert make().loop.wait is None


async def test_who_leaves_during_the_handshake_is_never_heard_of(make: Make) -> None:
    pair = make(shake=False)
    pair.stream.pause_writing()
    pair.stream.resume_writing()
    assert pair.stream.eof_received() is False
    pair.stream.connection_lost(ConnectionResetError())
    assert pair.receiver.calls == []
    other = make(shake=False)
    other.stream.close()
    assert other.raw.is_aborted


# -- records -----------------------------------------------------------------------------------------------------------

SIZES = [1, 2, 16383, 16384, 16385, 32768, 70000, 300_000]


@pytest.mark.parametrize("size", SIZES)
async def test_bytes_arrive_as_they_were_sent_in_any_cuts(make: Make, size: int) -> None:
    rng = random.Random(size)
    pair = make()
    data = rng.randbytes(size)
    expected = b""
    for longest in (1 << 30, 70_000, 9000, 700):
        for piece in random_cuts(pair.sent(data), rng, longest=longest):
            pair.stream.data_received(piece)
        expected += data
        assert pair.receiver.data == expected
    assert max(pair.receiver.pieces) <= 131072


async def test_bytes_arrive_one_by_one(make: Make) -> None:
    pair = make()
    for byte in pair.sent(b"hello") + pair.sent(b"world"):
        pair.stream.data_received(bytes([byte]))
    assert pair.receiver.data == b"helloworld"


@pytest.mark.parametrize("size", [0, *SIZES])
async def test_what_is_written_is_read(make: Make, size: int) -> None:
    pair = make()
    data = random.Random(size).randbytes(size)
    pair.received()
    pair.stream.write(data)
    assert bool(pair.raw.writes) == bool(data)
    assert pair.received() == data
    pair.raw.waiting = 5
    assert pair.stream.get_write_buffer_size() == 5
    pair.stream.set_write_buffer_limits(high=1000)
    assert pair.raw.high == 1000


@pytest.mark.parametrize("sizes", [[], [0], [10, 65536], [16384, 1, 0, 300_000], [65536, 65536]])
async def test_pieces_are_read_one_behind_the_other(make: Make, sizes: list[int]) -> None:
    pair = make()
    parts = [random.Random(size).randbytes(size) for size in sizes]
    pair.received()
    pair.stream.writelines(parts)
    assert bool(pair.raw.writes) == any(sizes)
    assert pair.received() == b"".join(parts)
    pair.stream.abort()
    pair.stream.writelines(parts)
    assert not pair.raw.writes


async def test_a_damaged_record_ends_the_stream_with_its_reason(make: Make) -> None:
    pair = make()
    record = bytearray(pair.sent(b"hello"))
    record[-1] ^= 1
    pair.stream.data_received(pair.sent(b"") + bytes(record) + pair.sent(b"never"))
    assert pair.receiver.data == b""
    assert pair.raw.is_closed
    assert pair.stream.is_closing()
    pair.stream.write(b"dropped")
    pair.stream.connection_lost(None)
    assert isinstance(pair.receiver.calls[-1], ssl.SSLError)


async def test_another_receiver_is_told_from_within(make: Make) -> None:
    pair, other = make(), Receiver()
    pair.receiver.on_data = lambda data: pair.stream.set_protocol(other)
    pair.stream.data_received(pair.sent(b"upgrade"))
    pair.stream.data_received(pair.sent(b"frames"))
    assert (pair.receiver.data, other.data) == (b"upgrade", b"frames")
    pair.stream.pause_writing()
    pair.stream.resume_writing()
    assert other.calls == ["pause", "resume"]


# -- pauses ------------------------------------------------------------------------------------------------------------


async def test_nothing_arrives_while_reading_is_paused_and_all_of_it_later(make: Make) -> None:
    pair = make()
    data = random.Random(5).randbytes(200_000)
    records = pair.sent(data)
    pair.receiver.on_data = lambda _: pair.stream.pause_reading()
    pair.stream.data_received(records[:150_000])
    assert not pair.raw.reading
    assert 0 < len(pair.receiver.data) <= 131072
    pair.stream.data_received(records[150_000:])  # a transport may have had it in hand
    for _ in range(20):
        pair.stream.pause_reading()
        pair.stream.resume_reading()
        assert pair.raw.reading
        await asyncio.sleep(0)
    assert pair.receiver.data == data


async def test_a_pause_before_its_turn_comes_holds(make: Make) -> None:
    pair = make()
    pair.stream.pause_reading()
    pair.stream.data_received(pair.sent(b"later"))
    pair.stream.resume_reading()
    pair.stream.pause_reading()
    await asyncio.sleep(0)
    assert pair.receiver.data == b""
    pair.stream.resume_reading()
    await asyncio.sleep(0)
    assert pair.receiver.data == b"later"


async def test_the_peers_end_waits_behind_a_pause(make: Make) -> None:
    pair = make()
    pair.receiver.on_data = lambda data: pair.stream.pause_reading()
    pair.stream.data_received(pair.sent(b"bye") + pair.end())
    assert pair.receiver.data == b"bye"
    assert pair.receiver.calls == ["made"]
    pair.stream.resume_reading()
    await asyncio.sleep(0)
    assert pair.receiver.calls == ["made", "eof"]
    assert pair.raw.is_closed


async def test_a_receiver_that_fails_behind_a_pause_is_cut_off(make: Make) -> None:
    pair = make()
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    pair.stream.pause_reading()
    pair.stream.data_received(pair.sent(b"x"))
    pair.receiver.on_data = lambda data: 1 // 0
    pair.stream.resume_reading()
    await asyncio.sleep(0)
    assert [type(error) for error in told] == [ZeroDivisionError]
    assert pair.raw.is_aborted


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_a_close_is_announced_and_answered(make: Make) -> None:
    pair = make()
    pair.received()
    pair.stream.write(b"last words")
    pair.stream.close()
    pair.stream.close()
    assert pair.stream.is_closing()
    assert pair.raw.eof_written
    assert not pair.raw.is_closed
    assert pair.received() == b"last words"
    assert pair.got_end
    pair.stream.write(b"dropped")
    pair.stream.data_received(pair.sent(b"dropped, too"))
    assert not pair.raw.is_closed
    pair.client.unwrap()
    pair.stream.data_received(pair._out.read())
    assert pair.raw.is_closed
    assert pair.raw.take() == b""
    pair.stream.connection_lost(None)
    assert pair.receiver.calls == ["made", None]
    assert pair.receiver.data == b""


async def test_a_peer_that_does_not_answer_the_end_is_not_waited_for(make: Make) -> None:
    pair = make()
    pair.stream.close()
    assert pair.loop.wait == 1.0
    pair.loop.pass_time()
    assert pair.raw.is_closed


async def test_a_close_while_reading_is_paused_reads_on(make: Make) -> None:
    pair = make()
    pair.stream.pause_reading()
    pair.stream.close()
    assert pair.raw.reading
    pair.stream.data_received(pair.sent(b"dropped") + pair.end())
    assert pair.raw.is_closed


async def test_the_peers_end_is_told_and_answered(make: Make) -> None:
    pair = make()
    pair.received()
    pair.stream.data_received(pair.sent(b"bye") + pair.end())
    assert pair.receiver.data == b"bye"
    assert pair.receiver.calls == ["made", "eof"]
    assert pair.raw.is_closed
    pair._in.write(pair.raw.take())
    pair.client.unwrap()  # the answer has come
    assert not pair.stream.can_write_eof()
    pair.stream.write_eof()


async def test_an_end_without_a_word_is_a_loss(make: Make) -> None:
    pair = make()
    assert pair.stream.eof_received() is False
    pair.stream.connection_lost(None)
    assert pair.receiver.calls == ["made", None]


async def test_an_abort_is_at_once(make: Make) -> None:
    pair = make()
    pair.receiver.on_data = lambda data: pair.stream.abort()
    pair.stream.data_received(pair.sent(bytes(200_000)))
    assert len(pair.receiver.pieces) == 1
    assert pair.raw.is_aborted
    pair.stream.close()
    assert not pair.raw.eof_written
