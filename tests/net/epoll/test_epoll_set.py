"""The epoll set of the reactor: all that are ready are read, then told, then what they wrote is sent."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from elio.net.outlet import Outlet
from support.engines import HAS_REACTOR, Engine, Recorder, on_engines

pytestmark = pytest.mark.skipif(not HAS_REACTOR, reason="the reactor is not built or switched off")

on_all = on_engines("reactor")
on_tcp = on_engines("reactor", families=("AF_INET",))

LARGE = 8 * 1024 * 1024
LENT = 200_000
"""Bytes of a read that a stream gives away as they are, without a copy."""
LENT_OWN = 50_000
"""The same for receivers of the library's own kind."""


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def arrived(peer: socket.socket) -> bytes:
    """What is there for the peer now."""
    try:
        return peer.recv(65536)
    except BlockingIOError:
        return b""


class Crowd:
    """Streams of one set whose peers have all sent something: one turn serves them, in order."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.recorders: list[Recorder] = []
        self.streams: list[Any] = []
        self.peers: list[socket.socket] = []

    async def gather(self, count: int) -> None:
        for _ in range(count):
            self.recorders.append(Recorder())
            stream, peer = await self.engine.pair(self.recorders[-1])
            self.streams.append(stream)
            self.peers.append(peer)
        await self.engine.turns()

    def does(self, number: int, call: Callable[[], object]) -> None:
        """What a receiver does when it is told."""
        self.recorders[number].on_data = lambda _: call()

    def speak(self, data: bytes = b"x") -> None:
        """All peers send, before the next turn; the order of the streams is that of their events."""
        for peer in self.peers:
            assert peer.send(data) == len(data)

    def turn(self) -> None:
        """One turn of the set, and nothing else of the loop's."""
        self.engine.reactor._on_turn()  # type: ignore[union-attr]

    def arrived(self) -> list[bytes]:
        return [arrived(peer) for peer in self.peers]

    def told(self) -> list[bytes]:
        return [bytes(recorder.data) for recorder in self.recorders]


async def crowd_of(engine: Engine, count: int) -> Crowd:
    crowd = Crowd(engine)
    await crowd.gather(count)
    return crowd


@on_all
async def test_everyone_that_is_ready_is_served(engine: Engine) -> None:
    recorders = [Recorder() for _ in range(20)]
    peers = [(await engine.pair(recorder))[1] for recorder in recorders]
    for number, peer in enumerate(peers):
        await engine.send(peer, b"%d" % number)
    for number, recorder in enumerate(recorders):
        await recorder.until_received(len(str(number)))
        assert bytes(recorder.data) == b"%d" % number
    for peer in peers:
        peer.close()


@on_all
async def test_a_descriptor_that_is_used_again_gets_nothing_of_its_predecessor(engine: Engine) -> None:
    for number in range(20):
        recorder = Recorder()
        stream, peer = await engine.pair(recorder)
        await engine.send(peer, b"%d" % number)
        await recorder.until_received(len(str(number)))
        assert bytes(recorder.data) == b"%d" % number
        stream.abort()
        peer.close()
        await recorder.until_told("lost")


# -- batches -----------------------------------------------------------------------------------------------------------


@on_all
async def test_all_are_told_before_what_the_first_wrote_is_sent(engine: Engine) -> None:
    crowd = await crowd_of(engine, 3)
    seen: list[object] = []
    crowd.does(0, lambda: crowd.streams[0].write(b"first"))
    crowd.does(2, lambda: seen.append((arrived(crowd.peers[0]), crowd.streams[0].get_write_buffer_size())))
    crowd.speak()
    crowd.turn()
    told_early = [(b"", 5)]
    told_late = [(b"first", 0)]  # a slow machine: it was sent behind the second receiver, to keep nobody waiting
    assert seen in (told_early, told_late)
    assert arrived(crowd.peers[0]) == (b"first" if seen == told_early else b"")


@on_all
async def test_what_callbacks_write_is_out_before_the_loop_goes_on(engine: Engine) -> None:
    crowd = await crowd_of(engine, 5)
    seen: list[list[bytes]] = []
    for number in range(5):
        crowd.does(number, lambda number=number: crowd.streams[number].write(b"%d" % number))  # type: ignore[misc]
    crowd.speak()
    engine.loop.call_soon(crowd.turn)
    engine.loop.call_soon(lambda: seen.append(crowd.arrived()))
    await engine.turns(2)
    assert seen == [[b"0", b"1", b"2", b"3", b"4"]]


@on_all
async def test_what_a_callback_writes_to_others_is_out_as_well(engine: Engine) -> None:
    crowd = await crowd_of(engine, 4)

    def broadcast() -> None:
        for stream in crowd.streams:
            stream.write(b"to all")

    crowd.does(1, broadcast)
    crowd.peers[1].send(b"x")
    crowd.turn()
    assert crowd.arrived() == [b"to all"] * 4


@on_all
async def test_a_slow_receiver_holds_back_only_itself(engine: Engine) -> None:
    crowd = await crowd_of(engine, 4)
    order: list[object] = []

    def be_slow() -> None:
        end = time.monotonic() + 0.002
        while time.monotonic() < end:
            pass
        crowd.streams[1].write(b"slow")

    def look() -> None:
        order.extend(map(arrived, crowd.peers[:2]))
        crowd.streams[2].write(b"third")

    crowd.does(0, lambda: crowd.streams[0].write(b"quick"))
    crowd.does(1, be_slow)
    crowd.does(2, look)
    crowd.speak()
    crowd.turn()
    assert order == [b"quick", b"slow"], "both were sent before the next receiver was told"
    assert arrived(crowd.peers[2]) == b"third"


@on_all
async def test_one_that_another_pauses_before_it_is_told_loses_nothing(engine: Engine) -> None:
    crowd = await crowd_of(engine, 3)
    crowd.does(0, crowd.streams[1].pause_reading)
    crowd.speak(b"one")
    crowd.turn()
    assert crowd.told() == [b"one", b"", b"one"]
    crowd.peers[1].send(b"two")
    await engine.turns(5)
    assert crowd.told()[1] == b""
    crowd.streams[1].resume_reading()
    await crowd.recorders[1].until_received(6)
    assert crowd.told()[1] == b"onetwo"
    assert crowd.recorders[1].calls == ["made", "data"]


@on_all
async def test_the_end_of_one_that_another_pauses_is_told_behind_its_data(engine: Engine) -> None:
    crowd = await crowd_of(engine, 2)
    crowd.does(0, crowd.streams[1].pause_reading)
    crowd.speak(b"one")
    crowd.peers[1].send(b"rest")
    crowd.peers[1].close()
    crowd.turn()
    await engine.turns(5)
    assert crowd.recorders[1].calls == ["made"]
    crowd.streams[1].resume_reading()
    await crowd.recorders[1].until_told("lost")
    assert crowd.told()[1] == b"onerest"
    assert crowd.recorders[1].calls == ["made", "data", "eof", "lost"]


@on_all
async def test_one_that_another_closes_before_it_is_told_is_told_only_of_its_end(engine: Engine) -> None:
    for how in ("close", "abort"):
        crowd = await crowd_of(engine, 3)
        crowd.does(0, getattr(crowd.streams[1], how))
        crowd.speak()
        crowd.turn()
        assert crowd.told() == [b"x", b"", b"x"]
        assert crowd.recorders[1].calls == ["made", "lost"]
        crowd.streams[1].resume_reading()
        await engine.turns(5)
        assert crowd.recorders[1].calls == ["made", "lost"]


@on_all
async def test_one_that_gets_another_receiver_before_it_is_told_tells_that_one(engine: Engine) -> None:
    crowd = await crowd_of(engine, 2)
    other = Recorder()
    crowd.does(0, lambda: crowd.streams[1].set_protocol(other))
    crowd.speak()
    crowd.turn()
    assert crowd.told()[1] == b""
    assert other.data == b"x"


@on_all
async def test_a_receiver_that_raises_harms_no_other_and_what_it_wrote_is_sent(engine: Engine) -> None:
    crowd = await crowd_of(engine, 3)

    def write_and_raise() -> None:
        crowd.streams[1].write(b"last words")
        raise ValueError("own")

    for number in (0, 2):
        crowd.does(number, lambda number=number: crowd.streams[number].write(b"well"))  # type: ignore[misc]
    crowd.does(1, write_and_raise)
    crowd.speak()
    crowd.turn()
    assert crowd.arrived() == [b"well", b"last words", b"well"]
    assert [str(failure["exception"]) for failure in engine.failures] == ["own"]
    assert crowd.recorders[1].calls == ["made", "data", "lost"]


@on_all
async def test_an_interrupt_in_one_callback_keeps_the_others_for_the_next_turn(engine: Engine) -> None:
    crowd = await crowd_of(engine, 4)

    def interrupt() -> None:
        crowd.streams[1].write(b"before it")
        raise KeyboardInterrupt

    crowd.does(0, lambda: crowd.streams[0].write(b"well"))
    crowd.does(1, interrupt)
    crowd.does(3, lambda: crowd.streams[3].write(b"well"))
    crowd.speak()
    with pytest.raises(KeyboardInterrupt):
        crowd.turn()
    assert crowd.told() == [b"x", b"x", b"", b""]
    crowd.peers[2].send(b"y")
    await crowd.recorders[2].until_received(2)
    assert crowd.told() == [b"x", b"x", b"xy", b"x"]
    await crowd.engine.turns()
    assert crowd.arrived() == [b"well", b"before it", b"", b"well"]


@on_all
async def test_what_a_receiver_of_the_end_writes_to_others_is_sent(engine: Engine) -> None:
    crowd = await crowd_of(engine, 2)
    lost = crowd.recorders[0].connection_lost

    def tell_the_other(error: Exception | None) -> None:
        lost(error)
        crowd.streams[1].write(b"it left")

    crowd.recorders[0].connection_lost = tell_the_other  # type: ignore[method-assign]
    crowd.peers[0].close()
    crowd.turn()
    assert arrived(crowd.peers[1]) == b"it left"


@on_tcp
async def test_what_is_written_before_an_event_of_the_same_turn_is_sent_once(engine: Engine) -> None:
    """A newcomer is greeted to everybody; who had much to send before, and now has an event, too, is the same to it."""
    crowd = await crowd_of(engine, 3)
    for stream, peer in zip(crowd.streams, crowd.peers, strict=True):
        stream.write(bytes(LARGE))
        assert stream.get_write_buffer_size()
        await engine.receive(peer, LARGE)
    await crowd.recorders[2].until(lambda: not any(stream.get_write_buffer_size() for stream in crowd.streams))

    class Newcomer(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            for stream in crowd.streams:
                stream.write(b"somebody came")

    newcomer = Newcomer()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        listener = engine.reactor.listen(sock, lambda: newcomer, backlog=10)  # type: ignore[union-attr]
        with socket.create_connection(sock.getsockname()):
            crowd.speak()
            crowd.turn()
            assert newcomer.calls == ["made"]
            assert crowd.told() == [b"x"] * 3
            assert crowd.arrived() == [b"somebody came"] * 3
            newcomer.stream.abort()
        listener.close()
    assert not engine.failures


# -- bytes that are lent -----------------------------------------------------------------------------------------------


async def large_reads(engine: Engine, recorder: Recorder, count: int, size: int = LENT) -> None:
    """Let a stream read ``count`` times ``size`` bytes in one piece each."""
    ours, peer = engine.connected_sockets()
    with peer:
        for sock in (ours, peer):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, 2 * 1024 * 1024)
        stream = await engine.adopt(ours, recorder)
        for number in range(count):
            stream.pause_reading()
            await engine.turns(2)
            await engine.send(peer, noise(size, number))
            stream.resume_reading()
            await recorder.until_received(size * (number + 1))
        stream.abort()
    await engine.turns()


@on_all
async def test_what_a_receiver_keeps_never_changes(engine: Engine) -> None:
    kept: list[bytes] = []
    views: list[memoryview] = []

    def keep(data: bytes) -> None:
        if len(kept) % 2:
            views.append(memoryview(data)[:1000])
        kept.append(data)

    recorder = Recorder()
    recorder.on_data = keep
    await large_reads(engine, recorder, 6)
    assert max(map(len, kept)) >= LENT
    assert b"".join(kept) == b"".join(noise(LENT, number) for number in range(6))
    assert [bytes(view) for view in views] == [data[:1000] for data in kept[1::2]]


@on_all
async def test_what_a_receiver_has_of_it_never_changes(engine: Engine) -> None:
    views: list[memoryview] = []
    copies: list[bytes] = []

    def view(data: bytes) -> None:
        views.append(memoryview(data))
        copies.append(bytes(bytearray(data)))

    recorder = Recorder()
    recorder.on_data = view
    await large_reads(engine, recorder, 4)
    assert [bytes(view) for view in views] == copies


@on_all
async def test_each_has_its_own_hash_and_length(engine: Engine) -> None:
    facts: list[tuple[int, int, int]] = []

    def note(data: bytes) -> None:
        same = bytes(bytearray(data))
        assert data == same
        assert hash(data) == hash(same)
        facts.append((id(data), hash(data), len(data)))
        with contextlib.suppress(KeyError):
            assert {data: 1}[same]

    recorder = Recorder()
    recorder.on_data = note
    await large_reads(engine, recorder, 4)
    large = [(where, hashed) for where, hashed, size in facts if size >= LENT]
    assert len({hashed for _, hashed in large}) == len(large) >= 1
    assert len({where for where, _ in large}) == 1, "it is the same buffer each time"


class OwnRecorder(Recorder, Outlet):
    """A receiver of the library's own kind."""

    stream: Any = None


@on_all
async def test_receivers_of_our_own_are_lent_less_than_others(engine: Engine) -> None:
    where: list[int] = []
    kept: list[bytes] = []
    recorder = OwnRecorder()
    recorder.on_data = lambda data: where.append(id(data)) if len(data) == LENT_OWN else None
    await large_reads(engine, recorder, 3, LENT_OWN)
    assert recorder.data == b"".join(noise(LENT_OWN, number) for number in range(3))
    assert len(set(where)) == 1, "it is the same buffer each time"
    recorder = OwnRecorder()
    recorder.on_data = kept.append
    await large_reads(engine, recorder, 3, LENT_OWN)
    assert b"".join(kept) == b"".join(noise(LENT_OWN, number) for number in range(3))


@on_all
async def test_what_was_lent_to_one_that_is_paused_stays_its_own(engine: Engine) -> None:
    first, second = Recorder(), Recorder()
    stream, peer = await engine.pair(first)
    _, other_peer = await engine.pair(second)
    await engine.turns()
    for sock in (peer, other_peer):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * 1024 * 1024)
    second.on_data = lambda _: stream.pause_reading()
    other_peer.send(b"x")
    sent = peer.send(noise(LENT))
    await second.until_received(1)
    second.on_data = None
    for seed in range(2, 5):
        got = len(second.data)
        part = noise(LENT, seed)
        await engine.send(other_peer, part)
        await second.until_received(got + LENT)
        assert second.data.endswith(part)
    stream.resume_reading()
    await first.until_received(sent)
    assert first.data == noise(LENT)[:sent]


@on_all
async def test_an_interrupt_while_bytes_are_lent_spoils_none(engine: Engine) -> None:
    kept: list[bytes] = []
    interrupted = [True]
    crowd = await crowd_of(engine, 2)

    def interrupt() -> None:
        if interrupted.pop():
            raise KeyboardInterrupt

    for sock in (*crowd.peers, *(stream.get_extra_info("socket") for stream in crowd.streams)):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 2 * 1024 * 1024)
    crowd.does(0, interrupt)
    crowd.recorders[1].on_data = kept.append
    crowd.peers[0].send(b"x")
    sent = crowd.peers[1].send(noise(LENT))
    with pytest.raises(KeyboardInterrupt):
        crowd.turn()
    assert crowd.told() == [b"x", b""]
    await crowd.recorders[1].until_received(sent)
    for seed in range(2, 5):
        part = noise(LENT, seed)
        await engine.send(crowd.peers[1], part)
        sent += LENT
        await crowd.recorders[1].until_received(sent)
    assert b"".join(kept) == crowd.recorders[1].data
    assert crowd.recorders[1].data.endswith(noise(LENT, 4))
