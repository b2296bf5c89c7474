"""The half of a WebSocket that the stream talks to: input, flow control, keep-alive, ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from elio.errors import ConnectionClosed, ConnectionClosedError
from elio.limits import Limits
from support.frames import frame
from support.sessions import Session

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A

Make = Callable[..., Session]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Session] = []

    def build(**options: object) -> Session:
        made.append(Session(**options))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for session in made:
        await session.lose()
        session.close()


# -- flow control ------------------------------------------------------------------------------------------------------


async def test_reading_stops_when_the_queue_is_full_and_goes_on_when_it_is_not(make: Make) -> None:
    session = make(limits=Limits(max_queue=3))
    for number in range(3):
        assert session.stream.reading
        await session.feed(frame(TEXT, b"%d" % number))
    assert not session.stream.reading
    assert await session.ws.receive() == "0"
    assert session.stream.reading


async def test_a_burst_that_does_not_fit_stays_raw_until_there_is_room(make: Make) -> None:
    session = make(limits=Limits(max_queue=4), burst=4)
    await session.feed(b"".join(frame(TEXT, b"%d" % number) for number in range(100)))
    assert session.ws._queue is not None
    assert len(session.ws._queue) == 4
    assert session.connection.more
    assert not session.stream.reading
    received = []
    async with asyncio.timeout(10):
        for _ in range(100):
            received.append(int(await session.ws.receive()))
            assert len(session.ws._queue) <= 8
    assert received == list(range(100))
    await asyncio.sleep(0)
    assert session.stream.reading


async def test_one_read_of_many_messages_lets_others_have_their_turn(make: Make) -> None:
    session = make()
    handled: list[str | bytes] = []

    async def handler() -> None:
        async for message in session.ws:
            handled.append(message)

    task = asyncio.create_task(handler())
    await asyncio.sleep(0)
    seen: list[int] = []

    def read() -> None:
        session.ws.data_received(frame(TEXT, b"x") * 5000)
        seen.append(len(handled))

    await session.call(read)
    assert 0 < seen[0] < 5000
    async with asyncio.timeout(10):
        while len(handled) < 5000:  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()


async def test_nothing_is_read_from_a_peer_that_takes_nothing(make: Make) -> None:
    session = make()
    session.ws.pause_writing()
    assert not session.stream.reading
    session.ws.resume_writing()
    assert session.stream.reading


async def test_a_flood_of_pings_from_a_peer_that_reads_nothing_is_bounded(make: Make) -> None:
    session = make()
    session.stream.stalled = True
    session.ws.pause_writing()
    assert not session.stream.reading


async def test_what_came_before_the_end_of_the_stream_is_still_received(make: Make) -> None:
    session = make(limits=Limits(max_queue=2), burst=2)
    await session.feed(b"".join(frame(TEXT, b"%d" % number) for number in range(20)))
    await session.call(session.ws.eof_received)
    await session.lose()
    assert not session.ws.is_open
    async with asyncio.timeout(10):
        assert [int(await session.ws.receive()) for _ in range(20)] == list(range(20))
        with pytest.raises(ConnectionClosedError):
            await session.ws.receive()


# -- control frames ----------------------------------------------------------------------------------------------------


async def test_pings_are_answered_in_order_while_nobody_receives(make: Make) -> None:
    session = make()
    await session.feed(frame(PING, b"1") + frame(TEXT, b"a") + frame(PING, b"2"))
    assert bytes(session.stream.written) == b"\x8a\x011\x8a\x012"


async def test_a_close_is_answered_with_its_code_and_the_stream_closed_first_by_the_server(make: Make) -> None:
    session = make()
    await session.feed(frame(CLOSE, b"\x0f\xa0reason"))
    assert bytes(session.stream.written) == b"\x88\x02\x0f\xa0"
    assert session.stream.is_closed


async def test_what_comes_behind_a_close_is_dropped(make: Make) -> None:
    session = make()
    await session.feed(frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"late"))
    await session.feed(frame(TEXT, b"later"))
    assert [message async for message in session.ws] == []


async def test_a_violation_is_answered_and_input_dropped_until_the_peer_has_seen_it(make: Make) -> None:
    session = make()
    await session.feed(frame(TEXT, b"\xff"))
    assert session.stream.written[:4] == b"\x88" + bytes([len(session.stream.written) - 2]) + b"\x03\xef"
    assert session.stream.eof_written
    assert not session.stream.is_closed
    await session.feed(frame(PING, b"x") * 1000)
    assert session.stream.reading
    assert b"\x8a" not in session.stream.written
    await session.pass_time(1.1)
    assert session.stream.is_aborted


async def test_without_a_half_close_the_stream_is_cut_after_the_same_while(make: Make) -> None:
    session = make()
    session.stream.half_close = False
    await session.feed(frame(TEXT, b"\xff"))
    assert not session.stream.eof_written
    await session.pass_time(1.1)
    assert session.stream.is_aborted


async def test_a_peer_that_does_not_answer_a_close_is_cut(make: Make) -> None:
    session = make(limits=Limits(close_timeout=5.0))
    session.ws.close_soon()
    await session.pass_time(4.9)
    assert not session.stream.is_aborted
    await session.pass_time(5.1)
    assert session.stream.is_aborted
    await session.lose()
    assert session.ws.close_code == 1006


# -- keep-alive --------------------------------------------------------------------------------------------------------


async def test_a_ping_goes_out_at_every_interval(make: Make) -> None:
    session = make(limits=Limits(ping_interval=20, ping_timeout=None))
    await session.pass_time(9.9)
    assert session.stream.writes == []
    for number in range(1, 4):
        await session.pass_time(number * 20.1)
        assert len(session.stream.take()) == 6


async def test_the_interval_does_not_grow_by_the_time_out(make: Make) -> None:
    session = make(limits=Limits(ping_interval=20, ping_timeout=20))
    await session.pass_time(20.1)
    await session.feed(frame(PONG, bytes(session.stream.take()[2:])))
    await session.pass_time(40.2)
    assert len(session.stream.take()) == 6


async def test_a_pong_to_a_keep_alive_ping_measures_the_round_trip(make: Make) -> None:
    session = make()
    await session.pass_time(21)
    await session.feed(frame(PONG, bytes(session.stream.take()[2:])))
    assert session.ws.latency is not None
    assert 0 < session.ws.latency < 10


async def test_connections_that_came_together_are_not_pinged_together(make: Make) -> None:
    dues = {make(limits=Limits(ping_interval=20)).ws._ping_due for _ in range(100)}
    assert len(dues) > 90
    assert max(dues) - min(dues) > 5


async def test_a_ping_is_repeated_as_it_was_until_it_is_answered(make: Make) -> None:
    session = make(limits=Limits(ping_interval=20, ping_timeout=None))
    await session.pass_time(20.1)
    first = bytes(session.stream.take()[2:])
    await session.pass_time(40.2)
    assert bytes(session.stream.take()[2:]) == first
    await session.feed(frame(PONG, first))
    latency = session.ws.latency
    assert latency is not None
    await session.feed(frame(PONG, first))
    assert session.ws.latency == latency
    await session.pass_time(60.3)
    assert bytes(session.stream.take()[2:]) != first


async def test_a_pong_to_a_ping_of_the_program_answers_the_keep_alive_ping_before_it(make: Make) -> None:
    session = make()
    await session.pass_time(21)
    before = bytes(session.stream.take()[2:])
    waiting = asyncio.create_task(session.ws.ping(b"mine"))
    await asyncio.sleep(0)
    await session.feed(frame(PONG, b"mine"))
    latency = await waiting
    assert session.ws.latency == latency
    await session.feed(frame(PONG, before))
    assert session.ws.latency == latency
    assert sum(session.runtime.traffic.round_trips.counts) == 2


async def test_a_peer_that_is_silent_behind_a_ping_is_given_up(make: Make) -> None:
    session = make(limits=Limits(ping_interval=20, ping_timeout=10))
    await session.pass_time(20.1)
    await session.pass_time(30.0)
    assert not session.stream.is_aborted
    await session.pass_time(30.2)
    assert session.stream.is_aborted
    assert b"ping timed out" in session.stream.written
    await session.lose()
    with pytest.raises(ConnectionClosedError) as caught:
        await session.ws.receive()
    assert caught.value.code == 1006


async def test_any_byte_counts_as_life(make: Make) -> None:
    session = make(limits=Limits(ping_interval=20, ping_timeout=10))
    await session.pass_time(20.1)
    await session.feed(b"\x81")
    await session.pass_time(30.2)
    assert not session.stream.is_aborted


async def test_a_peer_is_not_charged_while_we_do_not_read(make: Make) -> None:
    session = make(limits=Limits(ping_interval=20, ping_timeout=10, max_queue=1))
    await session.feed(frame(TEXT, b"a"))
    assert not session.stream.reading
    await session.pass_time(20.1)
    await session.pass_time(30.2)
    assert not session.stream.is_aborted


async def test_pings_can_be_switched_off(make: Make) -> None:
    session = make(limits=Limits(ping_interval=None))
    await session.pass_time(1e6)
    assert session.stream.writes == []


async def test_no_ping_is_sent_behind_a_close(make: Make) -> None:
    session = make(limits=Limits(ping_interval=1.0))
    session.ws.close_soon()
    session.stream.take()
    await session.pass_time(5.0)
    assert session.stream.writes == []


# -- time and loss -----------------------------------------------------------------------------------------------------


async def test_a_peer_that_takes_no_byte_is_cut(make: Make) -> None:
    session = make(limits=Limits(send_timeout=5.0, ping_interval=None))
    session.stream.stalled = True
    session.ws.send("x" * 100_000)
    session.ws.pause_writing()
    await session.pass_time(4.0)
    assert not session.stream.is_aborted
    await session.pass_time(5.1)
    assert session.stream.is_aborted


async def test_the_timer_asks_by_itself(make: Make) -> None:
    session = make(limits=Limits(ping_interval=0.05))
    async with asyncio.timeout(10):
        while not session.stream.writes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_lost_connection_is_not_asked_any_more(make: Make) -> None:
    session = make()
    await session.lose()
    await session.pass_time(1e6)
    assert session.stream.writes == []
    assert not session.runtime.timer._buckets.get(session.ws._bucket)


async def test_whoever_waits_for_a_pong_is_told_of_the_end(make: Make) -> None:
    session = make()
    waiting = asyncio.create_task(session.ws.ping())
    await asyncio.sleep(0)
    await session.lose()
    with pytest.raises(ConnectionClosed):
        await waiting


async def test_the_parts_of_asyncio_that_tell_nothing_new_are_there(make: Make) -> None:
    session = make()
    session.ws.connection_made(session.stream)
    assert not session.ws._time_out_opening()
