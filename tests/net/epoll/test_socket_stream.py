"""What a stream does: the reactor's, ours over transports, and asyncio's own transports pass the same tests."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Callable
from typing import Any

import pytest

from support.engines import Engine, Recorder, on_engines, reset

alike = on_engines("reactor", "kept", "transport")
alike_on_tcp = on_engines("reactor", "kept", "transport", families=("AF_INET",))
ours = on_engines("reactor", "kept")
reactor_only = on_engines("reactor")

LARGE = 8 * 1024 * 1024


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


# -- reading -----------------------------------------------------------------------------------------------------------


@alike
async def test_what_the_peer_sends_is_received(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.send(peer, b"hello")
    await recorder.until_received(5)
    assert recorder.data == b"hello"
    assert recorder.calls == ["made", "data"]
    assert recorder.stream is stream
    assert stream.get_protocol() is recorder


@alike
async def test_much_more_than_one_read_takes_is_received_in_order(engine: Engine) -> None:
    recorder = Recorder()
    _, peer = await engine.pair(recorder)
    data = noise(LARGE)
    await engine.send(peer, data)
    await recorder.until_received(LARGE)
    assert recorder.data == data


@alike
async def test_what_was_sent_before_the_stream_existed_is_received(engine: Engine) -> None:
    ours, peer = engine.connected_sockets()
    recorder = Recorder()
    with peer:
        peer.sendall(b"early")
        await engine.adopt(ours, recorder)
        await recorder.until_received(5)


@alike
async def test_data_and_its_end_arrive_together(engine: Engine) -> None:
    recorder = Recorder()
    _, peer = await engine.pair(recorder)
    peer.send(b"last words")
    peer.close()
    await recorder.until_told("lost")
    assert recorder.data == b"last words"
    assert recorder.calls == ["made", "data", "eof", "lost"]
    assert recorder.errors == [None]


@alike
async def test_nothing_is_received_while_reading_is_paused(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    stream.pause_reading()
    stream.pause_reading()
    assert not stream.is_reading()
    await engine.send(peer, b"later")
    await engine.turns(20)
    assert recorder.calls == ["made"]
    stream.resume_reading()
    stream.resume_reading()
    assert recorder.calls == ["made"], "resuming does not call back by itself"
    await recorder.until_received(5)
    assert recorder.data == b"later"


@alike
async def test_reading_may_be_paused_and_resumed_inside_a_callback(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    data = noise(3 * 1024 * 1024)

    def stop_and_go(_: bytes) -> None:
        stream.pause_reading()
        if len(recorder.data) % 2:
            stream.resume_reading()
        else:
            engine.loop.call_soon(stream.resume_reading)

    recorder.on_data = stop_and_go
    await engine.send(peer, data)
    await recorder.until_received(len(data))
    assert recorder.data == data


@alike
async def test_the_end_of_input_waits_while_reading_is_paused(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    stream.pause_reading()
    peer.send(b"rest")
    peer.close()
    await engine.turns(20)
    assert recorder.calls == ["made"]
    stream.resume_reading()
    await recorder.until_told("lost")
    assert recorder.calls == ["made", "data", "eof", "lost"]


@alike
async def test_another_receiver_is_told_from_then_on(engine: Engine) -> None:
    first, second = Recorder(), Recorder()
    stream, peer = await engine.pair(first)
    first.on_data = lambda _: stream.set_protocol(second)
    await engine.send(peer, b"one")
    await first.until_received(3)
    await engine.send(peer, b"two")
    await second.until_received(3)
    peer.close()
    await second.until_told("lost")
    assert first.calls == ["made", "data"]
    assert second.calls == ["data", "eof", "lost"]


@alike_on_tcp
async def test_an_urgent_byte_stops_nothing(engine: Engine) -> None:
    recorder = Recorder()
    _, peer = await engine.pair(recorder)
    peer.send(b"before")
    peer.send(b"!", socket.MSG_OOB)
    peer.send(b"behind")
    await recorder.until(lambda: recorder.data.endswith(b"behind"))
    assert recorder.data == b"beforebehind"


@on_engines("reactor", "transport", families=("AF_UNIX",))
async def test_descriptors_that_come_along_are_dropped_and_stop_nothing(engine: Engine) -> None:
    recorder = Recorder()
    _, peer = await engine.pair(recorder)
    before = len(os.listdir("/proc/self/fd"))
    for part in (b"one", b"two", b"three"):
        peer.sendmsg([part], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
    await recorder.until_received(11)
    assert recorder.data == b"onetwothree"
    assert len(os.listdir("/proc/self/fd")) == before


# -- writing -----------------------------------------------------------------------------------------------------------


@alike
async def test_what_is_written_is_sent_at_once(engine: Engine) -> None:
    stream, peer = await engine.pair(Recorder())
    await engine.turns()
    stream.write(b"hello")
    assert stream.get_write_buffer_size() == 0
    assert peer.recv(100) == b"hello"


@alike
async def test_bytes_of_every_kind_can_be_written(engine: Engine) -> None:
    stream, peer = await engine.pair(Recorder())
    for data in (b"a", bytearray(b"b"), memoryview(b"c"), memoryview(b".de")[1:], b""):
        stream.write(data)
    assert await engine.receive(peer, 5) == b"abcde"
    for wrong in ("text", 5, None, [b"x"]):
        with pytest.raises(TypeError):
            stream.write(wrong)


@alike
async def test_more_than_the_system_takes_arrives_in_order(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    parts = [noise(size, size) for size in (LARGE, 1, 70_000, 5, 0, LARGE, 300)]
    for part in parts:
        stream.write(part)
    expected = b"".join(parts)
    assert 0 < stream.get_write_buffer_size() < len(expected)
    assert await engine.receive(peer, len(expected)) == expected
    await recorder.until_told("resume")
    assert stream.get_write_buffer_size() == 0
    assert recorder.calls == ["made", "pause", "resume"]


@alike
async def test_lines_are_written_as_one(engine: Engine) -> None:
    stream, peer = await engine.pair(Recorder())
    await engine.turns()
    stream.writelines([])
    stream.writelines([b"", b""])
    stream.writelines([b"one", bytearray(b"two"), memoryview(b"three"), b""])
    assert stream.get_write_buffer_size() == 0
    assert peer.recv(100) == b"onetwothree"
    parts = [noise(size, size) for size in (100, LARGE, 1)]
    stream.writelines(parts)
    stream.writelines(iter([b"x"] * 1000))
    expected = b"".join(parts) + b"x" * 1000
    assert await engine.receive(peer, len(expected)) == expected
    stream.writelines(b"%d," % number for number in range(1000))
    expected = b"".join(b"%d," % number for number in range(1000))
    assert await engine.receive(peer, len(expected)) == expected
    with pytest.raises(TypeError):
        stream.writelines([5])


@alike
async def test_thousands_of_small_pieces_that_wait_arrive_in_order(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    stream.write(bytes(LARGE))
    pieces = [b"%d," % number for number in range(3000)]
    for piece in pieces:
        stream.write(piece)
    assert (await engine.receive(peer, LARGE + sum(map(len, pieces))))[LARGE:] == b"".join(pieces)


@reactor_only  # asyncio keeps a reference since Python 3.12
async def test_what_is_changed_after_writing_is_sent_as_it_was(engine: Engine) -> None:
    stream, peer = await engine.pair(Recorder())
    data = bytearray(b"x" * LARGE)
    stream.write(data)
    data[:] = b"y" * LARGE
    assert await engine.receive(peer, LARGE) == b"x" * LARGE


@alike
async def test_the_receiver_pauses_above_the_high_and_resumes_at_the_low_water_mark(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    assert stream.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    stream.set_write_buffer_limits(high=1000, low=100)
    while not stream.get_write_buffer_size():
        stream.write(bytes(100))
    while stream.get_write_buffer_size() <= 900:
        stream.write(bytes(100))
    assert stream.get_write_buffer_size() <= 1000
    assert recorder.calls == ["made"]
    stream.write(bytes(200))
    assert recorder.calls == ["made", "pause"]
    stream.write(bytes(200))
    assert recorder.calls == ["made", "pause"]
    peer.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while peer.recv(65536):
            await engine.turns()
    await recorder.until_told("resume")
    assert stream.get_write_buffer_size() <= 100
    assert recorder.calls == ["made", "pause", "resume"]


@alike
async def test_water_marks_follow_from_each_other_and_are_checked(engine: Engine) -> None:
    recorder = Recorder()
    stream, _ = await engine.pair(recorder)
    await engine.turns()
    for arguments, limits in (
        ({"high": 4000}, (1000, 4000)),
        ({"low": 50}, (50, 200)),
        ({"high": 0}, (0, 0)),
        ({}, (16 * 1024, 64 * 1024)),
    ):
        stream.set_write_buffer_limits(**arguments)
        assert stream.get_write_buffer_limits() == limits
    with pytest.raises(ValueError):
        stream.set_write_buffer_limits(high=1, low=2)
    with pytest.raises(ValueError):
        stream.set_write_buffer_limits(high=-1)
    stream.write(bytes(LARGE))
    assert recorder.calls == ["made", "pause"]


@alike
async def test_a_receiver_may_write_when_it_resumes(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    left = [noise(200_000, seed) for seed in range(20)]
    expected = bytes(LARGE) + b"".join(left)

    def write_more() -> None:
        Recorder.resume_writing(recorder)
        while left and recorder.calls[-1] == "resume":
            stream.write(left.pop(0))

    recorder.resume_writing = write_more  # type: ignore[method-assign]
    stream.write(bytes(LARGE))
    assert await engine.receive(peer, len(expected)) == expected
    assert not left


@alike
async def test_a_slow_reader_gets_everything(engine: Engine) -> None:
    stream, peer = await engine.pair(Recorder())
    data = noise(2 * 1024 * 1024)
    stream.write(data)
    stream.close()
    got = bytearray()
    cuts = random.Random(7)
    while part := await engine.receive(peer, cuts.choice((1, 100, 5000, 100_000))):
        got += part
        await engine.turns(1)
    assert got == data


# -- writing inside a callback -----------------------------------------------------------------------------------------


async def write_inside(engine: Engine, recorder: Recorder, write: Callable[[Any], object]) -> socket.socket:
    """Let a receiver write when it is told of data; returns the socket of the peer behind that."""
    stream, peer = await engine.pair(recorder)
    recorder.on_data = lambda _: write(stream)
    await engine.send(peer, b"go")
    await recorder.until_received(2)
    return peer


@alike
async def test_what_is_written_inside_a_callback_keeps_its_order(engine: Engine) -> None:
    parts = [noise(size, seed) for seed, size in enumerate((1, 300, 20_000, 5, 16_383, 1, 16_384, LARGE, 2, 70_000, 3))]

    def write(stream: Any) -> None:
        for number, part in enumerate(parts):
            if number % 3 == 2:
                stream.writelines([part[:100], part[100:]] if len(part) > 100 else [part])
            else:
                stream.write(part)

    for count in range(1, len(parts) + 1):
        rest, parts[count:] = parts[count:], []
        expected = b"".join(parts)
        peer = await write_inside(engine, Recorder(), write)
        assert await engine.receive(peer, len(expected)) == expected
        peer.close()
        parts += rest


@alike
async def test_lines_behind_and_before_other_writes_inside_a_callback(engine: Engine) -> None:
    def write(stream: Any) -> None:
        stream.writelines([b"1", b"2"])
        stream.write(b"3")
        stream.writelines([b"4"])
        stream.writelines(iter([b"5", b"", b"6"]))
        stream.write(b"7")

    peer = await write_inside(engine, Recorder(), write)
    assert await engine.receive(peer, 7) == b"1234567"


@ours
async def test_empty_lines_hold_nothing_up(engine: Engine) -> None:
    for lines in ([b"", b"x"], [b"x", b""], [b"x", b"", b""], [b""], []):
        recorder = Recorder()
        stream, peer = await engine.pair(recorder)
        stream.writelines(lines)
        assert stream.get_write_buffer_size() == 0
        stream.close()
        await recorder.until_told("lost")
        assert await engine.receive(peer, 2) == b"".join(lines)


@alike
async def test_the_sending_half_closes_behind_what_was_written_inside_a_callback(engine: Engine) -> None:
    def write(stream: Any) -> None:
        stream.write(b"last")
        stream.write(b" words")
        stream.write_eof()
        with pytest.raises(RuntimeError, match="after write_eof"):
            stream.write(b"more")

    recorder = Recorder(keep_open=True)
    peer = await write_inside(engine, recorder, write)
    assert await engine.receive(peer, 100) == b"last words"
    recorder.on_data = None
    await engine.send(peer, b"still heard")
    await recorder.until_received(13)
    assert "lost" not in recorder.calls


@alike
async def test_close_and_abort_inside_a_callback_come_behind_what_it_wrote(engine: Engine) -> None:
    for how in ("close", "abort"):
        for parts in ([b"one"], [b"one", b"two", b"three"], [noise(30_000)]):

            def write(stream: Any, how: str = how, parts: list[bytes] = parts) -> None:
                for part in parts:
                    stream.write(part)
                getattr(stream, how)()
                assert stream.is_closing()

            recorder = Recorder()
            peer = await write_inside(engine, recorder, write)
            expected = b"".join(parts)
            assert await engine.receive(peer, len(expected) + 1) == expected
            await recorder.until_told("lost")
            assert recorder.errors == [None]
    assert not engine.failures


@alike
async def test_what_is_written_behind_abort_inside_a_callback_is_dropped(engine: Engine) -> None:
    def write(stream: Any) -> None:
        stream.write(b"before")
        stream.abort()
        stream.write(b"behind")
        assert stream.get_write_buffer_size() == 0

    recorder = Recorder()
    peer = await write_inside(engine, recorder, write)
    assert await engine.receive(peer, 100) == b"before"
    await recorder.until_told("lost")


@alike
async def test_water_marks_hold_for_what_is_written_inside_a_callback(engine: Engine) -> None:
    recorder = Recorder()
    seen: list[list[str]] = []

    def write(stream: Any) -> None:
        stream.set_write_buffer_limits(high=1000, low=100)
        stream.write(bytes(5000))
        stream.write(bytes(5000))
        seen.append(list(recorder.calls))  # the system has taken it, or it is to be asked yet: no reason to pause
        stream.write(bytes(LARGE))
        seen.append(list(recorder.calls))

    peer = await write_inside(engine, recorder, write)
    assert seen == [["made", "data"], ["made", "data", "pause"]]
    assert await engine.receive(peer, LARGE + 10_000) == bytes(LARGE + 10_000)
    await recorder.until_told("resume")
    assert recorder.calls == ["made", "data", "pause", "resume"]


@reactor_only
async def test_the_receiver_pauses_where_the_system_takes_nothing_at_the_end_of_the_batch(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    stream.set_write_buffer_limits(high=1000, low=100)
    while not stream.get_write_buffer_size():
        stream.write(bytes(100))  # until the system is full, outside of the callback
    full = stream.get_write_buffer_size()
    recorder.on_data = lambda _: [stream.write(bytes(100)) for _ in range(20)]
    await engine.send(peer, b"x")
    await recorder.until_told("pause")
    assert stream.get_write_buffer_size() == full + 2000
    peer.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while peer.recv(65536):
            await engine.turns()
    await recorder.until_told("resume")
    assert recorder.calls == ["made", "data", "pause", "resume"]


@alike
async def test_the_peer_that_is_gone_when_the_batch_is_sent_is_an_error_of_the_stream(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    recorder.on_data = lambda _: (peer.close(), [stream.write(b"anybody there?") for _ in range(3)])
    peer.send(b"x")
    await recorder.until_told("lost")
    assert len(recorder.errors) == 1
    assert not engine.failures


# -- half closed -------------------------------------------------------------------------------------------------------


@alike
async def test_the_sending_half_closes_behind_what_waits(engine: Engine) -> None:
    recorder = Recorder(keep_open=True)
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    data = noise(LARGE)
    assert stream.can_write_eof()
    stream.write(data)
    stream.write_eof()
    stream.write_eof()
    for write, more in ((stream.write, b"more"), (stream.writelines, [b"more"])):
        with pytest.raises(RuntimeError, match="after write_eof"):
            write(more)
    assert not stream.is_closing()
    assert await engine.receive(peer, LARGE + 1) == data
    await engine.send(peer, b"still heard")
    await recorder.until_received(11)
    assert "lost" not in recorder.calls


@alike
async def test_the_sending_half_closes_at_once_if_nothing_waits(engine: Engine) -> None:
    stream, peer = await engine.pair(Recorder())
    await engine.turns()
    stream.write_eof()
    assert await engine.receive(peer, 10) == b""


@alike
async def test_a_stream_that_is_kept_open_at_the_end_of_input_can_write(engine: Engine) -> None:
    recorder = Recorder(keep_open=True)
    stream, peer = await engine.pair(recorder)
    await engine.send(peer, b"question")
    peer.shutdown(socket.SHUT_WR)
    await recorder.until_told("eof")
    await engine.turns(20)
    assert recorder.calls == ["made", "data", "eof"], "the end of input is told once"
    stream.write(b"answer")
    assert await engine.receive(peer, 6) == b"answer"
    stream.close()
    assert await engine.receive(peer, 1) == b""
    await recorder.until_told("lost")
    assert recorder.calls == ["made", "data", "eof", "lost"]


@alike
async def test_both_halves_closed_is_quiet_until_the_stream_is_closed(engine: Engine) -> None:
    recorder = Recorder(keep_open=True)
    stream, peer = await engine.pair(recorder)
    stream.write_eof()
    peer.shutdown(socket.SHUT_WR)
    await recorder.until_told("eof")
    await engine.turns(20)
    assert recorder.calls == ["made", "eof"]
    stream.close()
    await recorder.until_told("lost")


# -- the end -----------------------------------------------------------------------------------------------------------


@alike
async def test_close_sends_what_waits_first(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    data = noise(LARGE)
    stream.write(data)
    stream.close()
    stream.close()
    assert stream.is_closing()
    await engine.turns()
    assert "lost" not in recorder.calls
    assert await engine.receive(peer, LARGE + 1) == data
    await recorder.until_told("lost")
    assert recorder.errors == [None]


@alike
async def test_close_does_not_call_back_by_itself(engine: Engine) -> None:
    recorder = Recorder()
    stream, _ = await engine.pair(recorder)
    await engine.turns()
    stream.close()
    assert recorder.calls == ["made"]
    await recorder.until_told("lost")
    stream.close()
    stream.write(b"into the void")
    stream.pause_reading()
    stream.resume_reading()
    stream.write_eof()
    await engine.turns()
    assert recorder.errors == [None]
    assert stream.is_closing()
    assert stream.get_write_buffer_size() == 0


@alike
async def test_nothing_is_received_behind_close(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    stream.write(bytes(LARGE))
    stream.close()
    await engine.send(peer, b"too late")
    with contextlib.suppress(ConnectionResetError):
        await engine.receive(peer, LARGE)
    await recorder.until_told("lost")
    assert not recorder.data


@alike
async def test_abort_drops_what_waits(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    stream.write(bytes(LARGE))
    stream.abort()
    stream.abort()
    assert stream.get_write_buffer_size() == 0
    assert "lost" not in recorder.calls
    await recorder.until_told("lost")
    assert recorder.errors == [None]
    assert len(await engine.receive(peer, LARGE)) < LARGE


@alike
async def test_abort_ends_a_close_that_waits(engine: Engine) -> None:
    recorder = Recorder()
    stream, _ = await engine.pair(recorder)
    await engine.turns()
    stream.write(bytes(LARGE))
    stream.close()
    await engine.turns()
    stream.abort()
    await recorder.until_told("lost")
    assert recorder.errors == [None]


@alike_on_tcp
async def test_a_reset_is_an_error(engine: Engine) -> None:
    recorder = Recorder()
    _, peer = await engine.pair(recorder)
    await engine.turns()
    reset(peer)
    await recorder.until_told("lost")
    assert recorder.calls == ["made", "lost"]
    assert isinstance(recorder.errors[0], ConnectionResetError)
    assert not engine.failures


@alike_on_tcp
async def test_a_reset_while_bytes_wait_is_an_error(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    stream.pause_reading()
    stream.write(bytes(LARGE))
    reset(peer)
    await recorder.until_told("lost")
    assert isinstance(recorder.errors[0], ConnectionResetError | BrokenPipeError)
    assert stream.get_write_buffer_size() == 0
    stream.write(b"more")
    await engine.turns()
    assert len(recorder.errors) == 1
    assert not engine.failures


@alike
async def test_writing_to_a_peer_that_is_gone_is_an_error_of_the_stream_not_of_the_writer(engine: Engine) -> None:
    recorder = Recorder(keep_open=True)
    stream, peer = await engine.pair(recorder)
    peer.close()
    await recorder.until_told("eof")
    for _ in range(5):
        stream.write(b"anybody there?")
        await engine.turns()
    await recorder.until_told("lost")
    assert isinstance(recorder.errors[0], ConnectionResetError | BrokenPipeError)
    assert not engine.failures


@alike
async def test_a_stream_may_be_closed_inside_any_callback(engine: Engine) -> None:
    calls = ["connection_made", "data_received", "eof_received", "pause_writing"]
    if engine.is_reactor:  # asyncio closes the socket twice then
        calls.append("resume_writing")
    for call in calls:
        for how in ("close", "abort"):
            recorder = Recorder()
            original = getattr(recorder, call)

            def closing(*args: Any, recorder: Any = recorder, original: Any = original, how: str = how) -> Any:
                result = original(*args)
                getattr(recorder.stream, how)()
                return result

            setattr(recorder, call, closing)
            stream, peer = await engine.pair(recorder)
            await engine.turns()
            with contextlib.suppress(OSError):
                peer.send(b"something")
            await engine.turns()
            if call in ("pause_writing", "resume_writing"):
                stream.write(bytes(LARGE))
            with contextlib.suppress(OSError, TimeoutError):
                await engine.receive(peer, LARGE if "writ" in call and (call, how) != ("pause_writing", "abort") else 0)
            peer.close()
            await recorder.until_told("lost")
            assert len(recorder.errors) == 1
    assert not engine.failures


@alike
async def test_no_task_is_current_in_callbacks(engine: Engine) -> None:
    seen: list[Any] = []
    recorder = Recorder()
    note = recorder._told
    recorder._told = lambda call: (note(call), seen.append((call, asyncio.current_task())))  # type: ignore
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    seen.clear()
    await engine.send(peer, b"x")
    await recorder.until_received(1)
    stream.close()
    await recorder.until_told("lost")
    assert seen == [("data", None), ("lost", None)]


# -- receivers that raise ----------------------------------------------------------------------------------------------


def raising(recorder: Recorder, call: str) -> None:
    def fail(*args: Any) -> Any:
        getattr(Recorder, call)(recorder, *args)
        raise ValueError(call)

    setattr(recorder, call, fail)


@alike
async def test_a_receiver_that_raises_is_reported_and_its_stream_is_cut(engine: Engine) -> None:
    for call in ("data_received", "eof_received"):
        recorder = Recorder()
        raising(recorder, call)
        stream, peer = await engine.pair(recorder)
        await engine.send(peer, b"x")
        peer.shutdown(socket.SHUT_WR)
        await recorder.until_told("lost")
        assert [str(error) for error in recorder.errors] == [call]
        failure = engine.failures.pop()
        assert failure["exception"] is recorder.errors[0]
        if engine.name != "kept":  # there the transport below says it
            assert failure["transport"] is stream
            assert failure["protocol"] is recorder
            assert call in failure["message"]
        assert not engine.failures


@alike
async def test_a_receiver_that_raises_about_flow_is_reported_and_its_stream_goes_on(engine: Engine) -> None:
    recorder = Recorder()
    raising(recorder, "pause_writing")
    raising(recorder, "resume_writing")
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    stream.write(bytes(LARGE))
    await engine.receive(peer, LARGE)
    await recorder.until_told("resume")
    assert [failure["message"] for failure in engine.failures] == [
        "protocol.pause_writing() failed",
        "protocol.resume_writing() failed",
    ]
    assert not stream.is_closing()


@alike
async def test_a_receiver_that_raises_at_the_end_leaves_nothing_open(engine: Engine) -> None:
    recorder = Recorder()
    raising(recorder, "connection_lost")
    stream, peer = await engine.pair(recorder)
    await engine.turns()
    stream.close()
    await recorder.until_told("lost")
    assert await engine.receive(peer, 1) == b""
    assert len(engine.failures) == 1
    assert str(engine.failures[0]["exception"]) == "connection_lost"


@reactor_only
async def test_a_receiver_that_raises_at_the_beginning_is_reported_and_its_stream_is_cut(engine: Engine) -> None:
    recorder = Recorder()
    raising(recorder, "connection_made")
    _, peer = await engine.pair(recorder)
    await recorder.until_told("lost")
    assert await engine.receive(peer, 1) == b""
    assert "connection_made" in engine.failures[0]["message"]


# -- facts -------------------------------------------------------------------------------------------------------------


@on_engines("reactor", "transport", families=("AF_INET", "AF_INET6", "AF_UNIX"))
async def test_a_stream_knows_its_addresses(engine: Engine) -> None:
    stream, peer = await engine.pair(Recorder())
    assert stream.get_extra_info("peername") == peer.getsockname()
    assert stream.get_extra_info("sockname") == peer.getpeername()
    assert stream.get_extra_info("ssl_object") is None
    assert stream.get_extra_info("no such fact", 5) == 5


@alike_on_tcp
async def test_a_stream_knows_its_peer_when_that_is_gone(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    address = peer.getsockname()
    stream.close()
    await recorder.until_told("lost")
    assert stream.get_extra_info("peername") == address


@alike
async def test_the_socket_can_be_asked_for_options(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    sock = stream.get_extra_info("socket")
    assert sock.family == peer.family
    assert sock.type == socket.SOCK_STREAM
    assert sock.gettimeout() == 0
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    if engine.is_reactor and peer.family != socket.AF_UNIX:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await engine.send(peer, b"x")
    await recorder.until_received(1)
    stream.close()
    await recorder.until_told("lost")
    await engine.turns()
    assert sock.fileno() == -1


# -- lending -----------------------------------------------------------------------------------------------------------


@reactor_only
async def test_a_lent_stream_is_served_by_the_caller_until_it_is_taken_back(engine: Engine) -> None:
    recorder = Recorder()
    stream, peer = await engine.pair(recorder)
    fd = stream.lend()
    assert fd >= 0
    assert stream.lend() == fd
    await engine.send(peer, b"one")
    await asyncio.sleep(0.02)
    assert recorder.data == b""
    stream.serve()
    assert recorder.data == b"one"
    stream.serve()  # there is nothing more
    await engine.send(peer, b"two")
    stream.take_back()
    stream.take_back()
    await recorder.until_received(6)
    assert recorder.data == b"onetwo"


@reactor_only
async def test_a_stream_is_not_lent_while_the_loop_is_needed(engine: Engine) -> None:
    recorder = Recorder()
    stream, _peer = await engine.pair(recorder)
    stream.pause_reading()
    assert stream.lend() == -1
    stream.resume_reading()
    assert stream.lend() >= 0
    stream.write(noise(LARGE))
    assert stream.get_write_buffer_size() > 0
    assert stream.lend() == -1
    stream.abort()
    await recorder.until_told("lost")
    assert stream.lend() == -1
