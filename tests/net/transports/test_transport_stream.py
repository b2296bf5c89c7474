"""What a stream keeps, and what its transport gets. What all streams do: tests/net/epoll/test_socket_stream.py."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from elio.net.outlet import Sink
from elio.net.stream import lasting_peer
from elio.net.transports.transport_stream import TransportStream
from support.engines import Recorder

KIB = 1024


class Transport:
    """A transport whose peer takes nothing: it holds one write, and tells when that was taken."""

    def __init__(self) -> None:
        self.stream: Any = None
        self.held: list[bytes] = []
        self.writes: list[bytes] = []
        self.calls: list[str] = []
        self.limits: int | None = None
        self.stalled = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = high

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        if self.stalled:
            self.held.append(data)
            self.stream.pause_writing()

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def take(self) -> None:
        """The peer takes what is held."""
        self.held.clear()
        self.stream.resume_writing()

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.held))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 5000) if name == "peername" else default

    def is_closing(self) -> bool:
        return "close" in self.calls

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.calls.append(name)


class Silent(Transport):
    """One that does not say that it holds several pieces before it is told its bounds again (CVE-2024-12254)."""

    def writelines(self, pieces: list[bytes]) -> None:
        self.held += pieces

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self.held:
            self.stream.pause_writing()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def stream(transport: Transport, recorder: Recorder) -> TransportStream:
    stream = transport.stream = TransportStream(recorder)
    stream.connection_made(transport)
    return stream


def test_the_receiver_gets_the_stream(stream: TransportStream, transport: Transport, recorder: Recorder) -> None:
    assert recorder.calls == ["made"]
    assert recorder.stream is stream
    assert isinstance(stream, Sink)
    assert lasting_peer(stream) == "192.0.2.1:5000"
    assert transport.limits == 0, "it says at once when it holds something"


def test_a_transport_holds_one_write_however_many_wait(stream: TransportStream, transport: Transport) -> None:
    for number in range(1000):
        stream.write(b"%03d" % number)
    assert transport.writes == [b"000"]
    assert stream.get_write_buffer_size() == 3000
    transport.take()
    assert transport.writes == [b"000", b"".join(b"%03d" % number for number in range(1, 1000))]
    assert stream.get_write_buffer_size() == 2997
    transport.take()
    assert stream.get_write_buffer_size() == 0


def test_what_was_kept_goes_out_in_pieces_of_64_kib(stream: TransportStream, transport: Transport) -> None:
    stream.write(b"first")
    stream.writelines([bytes(KIB)] * 100)
    stream.write(bytes(200 * KIB))
    sizes = []
    while stream.get_write_buffer_size():
        transport.take()
        sizes.append(transport.get_write_buffer_size())
    assert sizes == [64 * KIB, 236 * KIB, 0]


def test_a_large_write_that_waits_alone_is_not_copied(stream: TransportStream, transport: Transport) -> None:
    large = bytes(KIB * KIB)
    stream.write(b"first")
    stream.write(large)
    transport.take()
    assert transport.writes[1] is large


def test_what_is_kept_is_what_it_was(stream: TransportStream, transport: Transport) -> None:
    data = bytearray(b"before")
    stream.write(b"first")
    stream.write(data)
    data[:] = b"behind"
    transport.take()
    assert transport.writes[1] == b"before"


def test_what_is_kept_counts_for_the_water_marks(
    stream: TransportStream, transport: Transport, recorder: Recorder
) -> None:
    stream.set_write_buffer_limits(high=100)
    stream.write(bytes(60))
    stream.write(bytes(40))
    assert recorder.calls == ["made"]
    stream.write(bytes(1))
    assert recorder.calls == ["made", "pause"]
    transport.take()
    assert recorder.calls == ["made", "pause"], "41 bytes are more than a quarter of 100"
    transport.take()
    assert recorder.calls == ["made", "pause", "resume"]


def test_it_resumes_as_soon_as_little_enough_waits(
    stream: TransportStream, transport: Transport, recorder: Recorder
) -> None:
    stream.set_write_buffer_limits(high=100, low=50)
    stream.write(bytes(90))
    stream.write(bytes(20))
    transport.take()
    assert stream.get_write_buffer_size() == 20
    assert recorder.calls == ["made", "pause", "resume"]


@pytest.mark.parametrize("how", ["close", "write_eof"])
def test_the_end_comes_behind_what_is_kept(stream: TransportStream, transport: Transport, how: str) -> None:
    stream.write(b"held")
    stream.write(b"kept")
    getattr(stream, how)()
    assert how not in transport.calls
    transport.take()
    assert transport.writes == [b"held", b"kept"]
    assert transport.calls.count(how) == 1, "a transport sends first what it holds"


def test_the_end_of_input_closes_behind_what_is_kept(stream: TransportStream, transport: Transport) -> None:
    stream.write(b"held")
    stream.write(b"kept")
    assert stream.eof_received() is True, "the transport must not close yet"
    assert stream.is_closing()
    assert "close" not in transport.calls
    transport.take()
    assert transport.writes == [b"held", b"kept"]
    assert "close" in transport.calls


def test_abort_drops_what_is_kept(stream: TransportStream, transport: Transport) -> None:
    stream.write(b"held")
    stream.write(b"kept")
    stream.abort()
    assert transport.calls == ["abort"]
    assert stream.get_write_buffer_size() == 0
    stream.write(b"more")
    assert transport.writes == [b"held"]


def test_where_nothing_waits_nothing_is_kept(stream: TransportStream, transport: Transport) -> None:
    transport.stalled = False
    for data in (b"one", b"two"):
        stream.write(data)
    stream.writelines([b"three", b"four"])
    assert transport.writes == [b"one", b"two", b"threefour"]
    stream.close()
    assert transport.calls == ["close"]


def test_a_transport_that_holds_several_pieces_in_silence_is_noticed(recorder: Recorder) -> None:
    transport = Silent()
    stream = transport.stream = TransportStream(recorder)
    stream.connection_made(transport)
    stream.writelines([b"x" * 40 * KIB] * 2)
    assert recorder.calls == ["made", "pause"]
    stream.writelines([b"y"])
    assert len(transport.held) == 2
    transport.take()
    assert recorder.calls == ["made", "pause", "resume"]
    assert transport.writes == [b"y"]


def test_a_sending_half_that_cannot_be_closed_any_more_is_a_loss(recorder: Recorder) -> None:
    class Cut(Transport):
        def write_eof(self) -> None:
            raise OSError(errno.ENOTCONN, "not connected")

    transport = Cut()
    stream = transport.stream = TransportStream(recorder)
    stream.connection_made(transport)
    stream.write_eof()
    assert transport.calls == ["abort"]
