"""Listening, many connections, the want of descriptors, several loops, and bytes cut at random places."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import random
import resource
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from support import scarce
from support.engines import DEADLINE, HAS_REACTOR, Engine, Recorder, on_engines, reset, runner_of

if HAS_REACTOR:
    from elio.net.epoll.reactor import Reactor, SocketStream

pytestmark = pytest.mark.skipif(not HAS_REACTOR, reason="the reactor is not built or switched off")

on_tcp = on_engines("reactor", families=("AF_INET",))
on_all = on_engines("reactor")


class Echo(scarce.Echo):
    """Sends back what it receives, and reads no more while that is not taken."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def pause_writing(self) -> None:
        self.stream.pause_reading()

    def resume_writing(self) -> None:
        self.stream.resume_reading()


async def gone(echoes: Sequence[Echo]) -> None:
    """Wait until all of them were told that their streams are closed, and what follows is done."""
    await asyncio.wait_for(asyncio.gather(*(echo.lost.wait() for echo in echoes)), DEADLINE)
    await asyncio.sleep(0)


@contextlib.contextmanager
def listening_socket(engine: Engine, tmp: str | None = None) -> Iterator[socket.socket]:
    if engine.family is socket.AF_UNIX:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(f"\0elio-test-{os.getpid()}-{id(engine)}")
        sock.listen()
    else:
        sock = socket.create_server(("127.0.0.1", 0))
    with sock:
        yield sock


async def connect(engine: Engine, sock: socket.socket) -> socket.socket:
    peer = socket.socket(engine.family)
    peer.setblocking(False)
    await engine.loop.sock_connect(peer, sock.getsockname())
    return peer


# -- listening ---------------------------------------------------------------------------------------------------------


@on_all
async def test_connections_are_accepted_and_served(engine: Engine) -> None:
    assert engine.reactor is not None
    with listening_socket(engine) as sock:
        listener = engine.reactor.listen(sock, Echo, backlog=10)
        for number in range(5):
            with await connect(engine, sock) as peer:
                await engine.send(peer, b"hello %d" % number)
                assert await engine.receive(peer, 7) == b"hello %d" % number
        assert listener.accepted == 5
        assert listener.rests == 0


@on_all
async def test_an_accepted_stream_knows_its_addresses_and_has_no_delay(engine: Engine) -> None:
    assert engine.reactor is not None
    recorder = Recorder()
    with listening_socket(engine) as sock:
        engine.reactor.listen(sock, lambda: recorder, backlog=10)
        with await connect(engine, sock) as peer:
            await recorder.until_told("made")
            stream = recorder.stream
            assert engine.reactor.streams == [stream]
            assert stream.get_extra_info("peername") == peer.getsockname()
            assert stream.get_extra_info("sockname") == sock.getsockname()
            option = stream.get_extra_info("socket")
            if engine.family is not socket.AF_UNIX:
                assert option.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not os.get_inheritable(option.fileno())
        await recorder.until_told("lost")
        await engine.turns()
        assert engine.reactor.streams == []
        assert option.fileno() == -1


@on_all
async def test_a_closed_listener_accepts_nothing_and_its_connections_go_on(engine: Engine) -> None:
    assert engine.reactor is not None
    with listening_socket(engine) as sock:
        listener = engine.reactor.listen(sock, Echo, backlog=10)
        address = sock.getsockname()
        with await connect(engine, sock) as peer:
            await engine.send(peer, b"x")
            await engine.receive(peer, 1)
            listener.close()
            listener.close()
            listener.pause()
            listener.resume()
            assert sock.fileno() == -1
            with socket.socket(engine.family) as late, pytest.raises(ConnectionRefusedError):
                late.connect(address)
            await engine.send(peer, b"y")
            assert await engine.receive(peer, 1) == b"y"


@on_all
async def test_a_paused_listener_leaves_connections_to_the_backlog(engine: Engine) -> None:
    assert engine.reactor is not None
    with listening_socket(engine) as sock:
        listener = engine.reactor.listen(sock, Echo, backlog=10)
        listener.pause()
        with await connect(engine, sock) as peer:
            await engine.send(peer, b"x")
            await engine.turns(20)
            assert listener.accepted == 0
            listener.resume()
            assert await engine.receive(peer, 1) == b"x"


@on_tcp
async def test_a_listener_may_be_closed_while_it_accepts(engine: Engine) -> None:
    assert engine.reactor is not None

    def make() -> Echo:
        listener.close()
        return Echo()

    with listening_socket(engine) as sock:
        peers = [await connect(engine, sock) for _ in range(3)]
        listener = engine.reactor.listen(sock, make, backlog=10)
        await engine.send(peers[0], b"x")
        assert await engine.receive(peers[0], 1) == b"x"
        for peer in peers[1:]:
            with pytest.raises(ConnectionResetError):
                await engine.receive(peer, 1)
        assert listener.accepted == 1
        for peer in peers:
            peer.close()


@on_all
async def test_a_factory_that_raises_is_reported_and_the_next_connection_is_served(engine: Engine) -> None:
    assert engine.reactor is not None
    receivers: list[Any] = []

    with listening_socket(engine) as sock:
        engine.reactor.listen(sock, lambda: receivers.pop(), backlog=10)
        first = await connect(engine, sock)
        with contextlib.suppress(ConnectionResetError):
            assert await engine.receive(first, 1) == b""
        assert isinstance(engine.failures[0]["exception"], IndexError)
        first.close()
        receivers.append(Echo())
        with await connect(engine, sock) as peer:
            await engine.send(peer, b"x")
            assert await engine.receive(peer, 1) == b"x"


@on_tcp
async def test_connections_that_were_reset_before_they_were_accepted_harm_nobody(engine: Engine) -> None:
    assert engine.reactor is not None
    with listening_socket(engine) as sock:
        for _ in range(10):
            peer = socket.create_connection(sock.getsockname())
            reset(peer)
        engine.reactor.listen(sock, Echo, backlog=100)
        with await connect(engine, sock) as peer:
            await engine.send(peer, b"x")
            assert await engine.receive(peer, 1) == b"x"


@on_tcp
async def test_a_thousand_connections_are_served(engine: Engine) -> None:
    assert engine.reactor is not None
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    echoes: list[Echo] = []

    def make() -> Echo:
        echoes.append(Echo())
        return echoes[-1]

    with listening_socket(engine) as sock:
        engine.reactor.listen(sock, make, backlog=1000)
        peers = [await connect(engine, sock) for _ in range(1000)]
        for number, peer in enumerate(peers):
            await engine.send(peer, b"%03d" % number)
        for number, peer in enumerate(peers):
            assert await engine.receive(peer, 3) == b"%03d" % number
        assert len(engine.reactor.streams) == 1000
        for number, peer in enumerate(peers):
            if number % 3:
                reset(peer)
            else:
                peer.close()
        await gone(echoes)
        assert engine.reactor.streams == []


# -- want of descriptors -----------------------------------------------------------------------------------------------


def test_without_descriptors_accepting_rests_and_resumes_without_spinning() -> None:
    scarce.check_scarce("reactor", "asyncio")


@on_tcp
async def test_a_listener_can_be_closed_while_it_rests(engine: Engine) -> None:
    assert engine.reactor is not None
    exhausted: asyncio.Future[OSError] = engine.loop.create_future()
    with listening_socket(engine) as sock:
        listener = engine.reactor.listen(sock, Echo, backlog=10, on_error=exhausted.set_result)
        sock.shutdown(socket.SHUT_RDWR)  # accept4 fails with EINVAL from now on
        assert (await asyncio.wait_for(exhausted, DEADLINE)).errno == errno.EINVAL
        await engine.turns(50)
        assert listener.rests == 1
        assert "resting" in repr(listener)
        listener.close()


# -- the reactor itself ------------------------------------------------------------------------------------------------


@on_all
async def test_closing_the_reactor_cuts_everything_once(engine: Engine) -> None:
    assert engine.reactor is not None
    recorder = Recorder()
    stream, _ = await engine.pair(recorder)
    stream.write(bytes(8 * 1024 * 1024))
    with listening_socket(engine) as sock:
        engine.reactor.listen(sock, Echo, backlog=10)
        engine.reactor.close()
        engine.reactor.close()
        assert recorder.calls[-1] != "lost"
        await recorder.until_told("lost")
        assert recorder.errors == [None]
        assert sock.fileno() == -1
    for late in (lambda: engine.reactor.listen(sock, Echo, backlog=1), lambda: engine.reactor.adopt(sock, Echo())):  # type: ignore
        with pytest.raises(RuntimeError, match="closed"):
            late()


@on_all
async def test_closing_the_reactor_inside_a_callback_is_safe(engine: Engine) -> None:
    assert engine.reactor is not None
    recorders = [Recorder() for _ in range(10)]
    peers = [(await engine.pair(recorder))[1] for recorder in recorders]
    for recorder, peer in zip(recorders, peers, strict=True):
        recorder.on_data = lambda _: engine.reactor.close()  # type: ignore[union-attr]
        peer.send(b"x")
    for recorder in recorders:
        await recorder.until_told("lost")
    assert sum(len(recorder.data) for recorder in recorders) == 1
    assert all(recorder.errors == [None] for recorder in recorders)


@on_all
async def test_a_stream_closed_by_another_ones_callback_hears_nothing(engine: Engine) -> None:
    recorders = [Recorder() for _ in range(10)]
    pairs = [await engine.pair(recorder) for recorder in recorders]
    await engine.turns()

    def cut_all(_: bytes) -> None:
        for stream, _peer in pairs:
            stream.abort()

    for recorder, (_, peer) in zip(recorders, pairs, strict=True):
        recorder.on_data = cut_all
        peer.send(b"x")
    for recorder in recorders:
        await recorder.until_told("lost")
    assert sum(len(recorder.data) for recorder in recorders) == 1


@on_all
async def test_a_descriptor_that_is_used_again_gets_no_event_of_its_past(engine: Engine) -> None:
    first = Recorder()
    stream, peer = await engine.pair(first)
    copy = stream.get_extra_info("socket").dup()  # keeps the connection, so events could go on
    stream.abort()
    await first.until_told("lost")
    second = Recorder()
    await engine.pair(second)
    peer.send(b"not for the second")
    await engine.turns(20)
    assert first.calls == ["made", "lost"]
    assert second.calls == ["made"]
    copy.close()


@on_all
async def test_an_exit_inside_a_callback_loses_no_event_of_the_others(engine: Engine) -> None:
    recorders = [Recorder() for _ in range(5)]
    pairs = [await engine.pair(recorder) for recorder in recorders]
    await engine.turns()

    def leave(_: bytes) -> None:
        raise SystemExit

    reactor = engine.reactor
    for recorder, (_, peer) in zip(recorders, pairs, strict=True):
        recorder.on_data = leave
        peer.send(b"x")
    for _ in recorders:
        with pytest.raises(SystemExit):
            reactor._on_turn()  # type: ignore[union-attr]
    assert all(recorder.data == b"x" for recorder in recorders)


@on_all
async def test_no_stream_is_read_twice_before_the_others_are_read_once(engine: Engine) -> None:
    order: list[str] = []
    greedy, modest = Recorder(), Recorder()
    greedy.on_data = lambda data: order.append("greedy")
    modest.on_data = lambda data: order.append("modest")
    _, much = await engine.pair(greedy)
    _, little = await engine.pair(modest)
    await engine.turns()
    much.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
    greedy.stream.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += much.send(bytes(65536))
    little.send(b"x")
    await modest.until_received(1)
    assert order.count("greedy") <= 2
    await greedy.until_received(sent)


def test_it_is_available_unless_the_environment_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, is_available in (("", True), ("1", True), ("0", False)):
        monkeypatch.setenv("ELIO_REACTOR", value)
        assert Reactor.is_available() is is_available
    monkeypatch.delenv("ELIO_REACTOR")
    assert Reactor.is_available()


def test_a_reactor_that_is_not_closed_is_warned_of() -> None:
    def forget() -> None:
        loop = asyncio.new_event_loop()
        Reactor(loop)
        loop.close()

    with pytest.warns(ResourceWarning, match="unclosed reactor"):
        forget()


def test_a_stream_that_nobody_opened_is_closed() -> None:
    stream = SocketStream()
    assert stream.is_closing()
    stream.write(b"x")
    stream.close()
    stream.abort()
    stream.pause_reading()
    stream.resume_reading()
    stream.write_eof()
    assert stream.get_extra_info("peername", "nobody") in (None, "nobody")


def test_nothing_is_kept_of_closed_connections() -> None:
    async def main() -> None:
        reactor = Reactor(asyncio.get_running_loop())
        descriptors = len(os.listdir("/proc/self/fd"))
        kept: list[int] = []
        for _ in range(3):
            for _ in range(100):
                ours, peer = socket.socketpair()
                recorder = Recorder()
                stream = reactor.adopt(ours, recorder)
                peer.send(b"x")
                await recorder.until_received(1)
                peer.close()
                await recorder.until_told("lost")
                await asyncio.sleep(0)
            del recorder, stream, ours, peer
            gc.collect()
            kept.append(sum(type(thing).__name__ == "SocketStream" for thing in gc.get_objects()))
        assert kept[-1] == kept[0]
        assert len(os.listdir("/proc/self/fd")) == descriptors
        reactor.close()

    with runner_of("asyncio") as runner:
        runner.run(main())


# -- several loops, and chance -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_loops_in_several_threads_have_a_reactor_each(loop: str) -> None:
    async def main(seed: int) -> None:
        reactor = Reactor(asyncio.get_running_loop())
        data = random.Random(seed).randbytes(3_000_000)
        ours, peer = socket.socketpair()
        peer.setblocking(False)
        reactor.adopt(ours, Echo())
        running = asyncio.get_running_loop()
        sending = asyncio.create_task(running.sock_sendall(peer, data))
        got = bytearray()
        async with asyncio.timeout(DEADLINE):
            while len(got) < len(data):
                got += await running.sock_recv(peer, 100_000)
            await sending
        assert got == data
        peer.close()
        reactor.close()
        await asyncio.sleep(0)
        done.append(seed)

    def run(seed: int) -> None:
        with runner_of(loop) as runner:
            runner.run(main(seed))

    done: list[int] = []
    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 1, 2, 3]


class Restless(Echo):
    """Echoes, and does what chance says in between: pauses, resumes, changes its water marks."""

    def __init__(self, chance: random.Random, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.chance = chance
        self.loop = loop
        self.full = False

    def data_received(self, data: bytes) -> None:
        cut = self.chance.randint(0, len(data))
        self.stream.write(data[:cut])
        self.stream.write(memoryview(data)[cut:])
        if self.chance.random() < 0.2:
            self.stream.pause_reading()
            self.loop.call_soon(self.go_on)
        if self.chance.random() < 0.1:
            self.stream.set_write_buffer_limits(high=self.chance.choice((0, 10, 1000, 100_000)))

    def go_on(self) -> None:
        if not self.full:
            self.stream.resume_reading()

    def pause_writing(self) -> None:
        assert not self.full
        self.full = True
        self.stream.pause_reading()

    def resume_writing(self) -> None:
        assert self.full
        self.full = False
        self.stream.resume_reading()


@on_engines("reactor", "transport")
async def test_bytes_come_back_unchanged_whatever_the_cuts_and_pauses(engine: Engine) -> None:
    receivers: list[Restless] = []

    async def converse(seed: int) -> None:
        chance = random.Random(seed)
        ours, peer = engine.connected_sockets()
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            if chance.random() < 0.5:
                ours.setsockopt(socket.SOL_SOCKET, option, chance.choice((20_000, 300_000)))
        receiver = Restless(chance, engine.loop)
        receivers.append(receiver)
        await engine.adopt(ours, receiver)
        data = chance.randbytes(chance.choice((1, 1000, 100_000, 1_500_000)))
        fate = chance.choice(("close", "half", "reset"))

        async def send() -> None:
            view = memoryview(data)
            while view:
                size = chance.choice((1, 10, 1000, 300_000))
                await engine.send(peer, view[:size])  # type: ignore[arg-type]
                view = view[size:]
                await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        wanted = chance.randint(0, len(data)) if fate == "reset" else len(data)
        got = bytearray()
        while len(got) < wanted:
            got += await engine.receive(peer, min(wanted - len(got), chance.choice((1, 100, 10_000, 400_000))))
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        assert got == data[:wanted]
        if fate == "reset":
            sending.cancel()
            await asyncio.wait([sending])
            reset(peer)
            return
        await sending
        if fate == "half":
            peer.shutdown(socket.SHUT_WR)
            assert await engine.receive(peer, 1) == b""
        peer.close()

    for start in range(0, 60, 20):
        await asyncio.gather(*(converse(seed) for seed in range(start, start + 20)))
    await gone(receivers)
    assert engine.reactor is None or engine.reactor.streams == []
    assert not engine.failures
