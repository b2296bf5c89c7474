"""The task of a handler with a WebSocket in it: what it does inside the read of its message, and being cancelled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from elio.errors import ConcurrencyError, ConnectionClosed
from elio.limits import Limits
from elio.net.ready import Wakeup
from elio.net.task import IS_BUILT, start_task
from support.frames import frame
from support.sessions import Session
from support.tasks import DEADLINE, Tasks, on_tasks, place, run_all

TEXT, CLOSE = 0x81, 0x88

on_both = on_tasks("asyncio", "direct")


def with_session(test: Callable[[Tasks, Session], Any]) -> Any:
    """Give an ``async def test(tasks, session)`` an open WebSocket, whose stream is lost at the end."""

    @on_both
    async def run(tasks: Tasks) -> None:
        session = Session(limits=Limits(max_queue=4))
        try:
            await test(tasks, session)
        finally:
            await session.lose()
            session.close()
            await tasks.turns()

    return run


async def test_the_kind_of_a_started_task_is_our_own_where_it_is_built() -> None:
    async def work() -> int:
        return 5

    task = start_task(work(), asyncio.get_running_loop())
    assert not task.done()
    assert isinstance(task, asyncio.Task) is not IS_BUILT
    assert await task == 5


# -- inside the resume -------------------------------------------------------------------------------------------------


@with_session
async def test_a_handler_sends_inside_the_read(tasks: Tasks, session: Session) -> None:
    async def echo() -> None:
        async for message in session.ws:
            assert asyncio.current_task() is task
            await session.ws.send(message)

    def read() -> None:
        session.ws.data_received(frame(TEXT, b"a") + frame(TEXT, b"b"))
        assert bytes(session.stream.written) == b"\x81\x01a\x81\x01b"
        assert asyncio.current_task() is None

    task = tasks.start(echo())
    await tasks.until_waiting(task)
    await tasks.from_loop(read)
    task.cancel()
    await asyncio.wait([task])


@with_session
async def test_a_handler_closes_inside_the_read(tasks: Tasks, session: Session) -> None:
    async def handler() -> None:
        await session.ws.receive()
        session.ws.close_soon(1000, "enough")
        with pytest.raises(ConnectionClosed):
            await session.ws.receive()

    task = tasks.start(handler())
    await tasks.until_waiting(task)
    await session.feed(frame(TEXT, b"a"))
    assert bytes(session.stream.written) == b"\x88\x08\x03\xe8enough"
    await session.feed(frame(CLOSE, b"\x03\xe8"))
    await task


@with_session
async def test_a_handler_cancels_itself_and_others_inside_the_read(tasks: Tasks, session: Session) -> None:
    async def handler() -> None:
        await session.ws.receive()
        other.cancel("by the handler")
        task.cancel("by itself")
        await session.ws.receive()

    other = tasks.start(asyncio.sleep(DEADLINE))
    task = tasks.start(handler())
    await tasks.until_waiting(task)
    await session.feed(frame(TEXT, b"a") + frame(TEXT, b"b"))
    for cancelled, message in ((task, "by itself"), (other, "by the handler")):
        with pytest.raises(asyncio.CancelledError, match=message):
            await cancelled
    assert await session.ws.receive() == "b", "what it had no time for is there for the next one"


@with_session
async def test_a_handler_is_cancelled_by_another_inside_one_read(tasks: Tasks, session: Session) -> None:
    second = Session()

    async def canceller() -> None:
        await session.ws.receive()
        second.ws.data_received(frame(TEXT, b"for the victim"))
        victim.cancel()

    victim = tasks.start(take_one(second))
    task = tasks.start(canceller())
    await tasks.until_waiting(task)
    await tasks.until_waiting(victim)
    await session.feed(frame(TEXT, b"go"))
    await asyncio.wait([victim])
    assert victim.cancelled()
    assert await second.ws.receive() == "for the victim"
    await second.lose()
    second.close()


async def take_one(session: Session) -> object:
    return await session.ws.receive()


@with_session
async def test_a_handler_raises_inside_the_read_and_the_reader_goes_on(tasks: Tasks, session: Session) -> None:
    async def handler() -> None:
        await session.ws.receive()
        raise ValueError("own")

    task = tasks.start(handler())
    await tasks.until_waiting(task)
    await session.feed(frame(TEXT, b"a") + frame(TEXT, b"b"))
    with pytest.raises(ValueError, match="own"):
        await task
    assert await session.ws.receive() == "b"


@with_session
async def test_a_handler_starts_tasks_inside_the_read(tasks: Tasks, session: Session) -> None:
    seen: list[str] = []

    async def note(word: str) -> None:
        assert asyncio.current_task() is not task
        seen.append(word)

    async def handler() -> None:
        await session.ws.receive()
        async with asyncio.TaskGroup() as group:
            group.create_task(note("child"))
            tasks.start(note("of our own"))
            assert seen == []
        seen.append("handler")

    task = tasks.start(handler())
    await tasks.until_waiting(task)
    await session.feed(frame(TEXT, b"a"))
    await task
    assert seen == ["child", "of our own", "handler"]


@with_session
async def test_data_that_a_task_brings_wakes_the_handler_through_the_loop(tasks: Tasks, session: Session) -> None:
    task = tasks.start(take_one(session))
    await tasks.until_waiting(task)
    session.ws.data_received(frame(TEXT, b"a"))
    assert not task.done()
    assert await task == "a"


@with_session
async def test_two_tasks_cannot_receive_at_once(tasks: Tasks, session: Session) -> None:
    first = tasks.start(take_one(session))
    await tasks.until_waiting(first)
    second = tasks.start(take_one(session))
    with pytest.raises(ConcurrencyError, match="another task is receiving"):
        await second
    await session.feed(frame(TEXT, b"a"))
    assert await first == "a"


@with_session
async def test_its_context_lasts_from_message_to_message(tasks: Tasks, session: Session) -> None:
    seen: list[object] = []

    async def handler() -> None:
        place.set(0)
        async for _ in session.ws:
            seen.append(place.get())
            place.set(len(seen))

    task = tasks.start(handler())
    await tasks.until_waiting(task)
    await session.feed(frame(TEXT, b"a") + frame(TEXT, b"b"))
    session.ws.data_received(frame(TEXT, b"c"))
    await tasks.turns()
    assert seen == [0, 1, 2]
    assert place.get() == "nowhere"
    task.cancel()
    await asyncio.wait([task])


@with_session
async def test_a_timeout_around_receive_loses_nothing(tasks: Tasks, session: Session) -> None:
    timed_out = tasks.loop.create_future()

    async def handler() -> list[object]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await session.ws.receive()
        timed_out.set_result(None)
        async with asyncio.timeout(DEADLINE):
            return [await session.ws.receive(), await asyncio.wait_for(session.ws.receive(), DEADLINE)]

    task = tasks.start(handler())
    await timed_out
    await tasks.until_waiting(task)
    await session.feed(frame(TEXT, b"a") + frame(TEXT, b"b"))
    assert await task == ["a", "b"]


# -- chance ------------------------------------------------------------------------------------------------------------


class Canceller:
    """Cancels a task at any time; the task takes it back."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.task: asyncio.Task[Any]
        self.cancelled = 0
        self.is_over = False

    def strike(self) -> None:
        if not self.task.done() and self.chance.random() < 0.3:
            self.task.cancel()
            self.cancelled += 1

    def taken_back(self) -> None:
        while self.task.cancelling():
            self.task.uncancel()


@pytest.mark.parametrize("seed", range(12))
def test_no_message_is_lost_or_doubled_wherever_a_handler_is_cancelled(seed: int) -> None:
    count = 200

    @with_session
    async def test(tasks: Tasks, session: Session) -> None:
        chance = random.Random(seed)
        canceller = Canceller(chance)
        received: list[int] = []

        def note(message: object) -> None:
            assert message == str(len(received)), "each message once, and in order"
            received.append(len(received))

        async def once() -> None:
            how = chance.random()
            if how < 0.6:
                note(await session.ws.receive())
            elif how < 0.8:
                async with asyncio.timeout(chance.choice((0, 0.0002, None))):
                    note(await session.ws.receive())
            else:
                async for message in session.ws:
                    note(message)
                    if len(received) == count or chance.random() < 0.5:
                        break

        async def take() -> None:
            while len(received) < count:
                try:
                    await once()
                    if chance.random() < 0.2:
                        await asyncio.sleep(0)
                except TimeoutError:
                    pass
                except asyncio.CancelledError:
                    if canceller.is_over:
                        raise
                    canceller.taken_back()

        def read(burst: bytes) -> None:
            canceller.strike()
            session.ws.data_received(burst)
            canceller.strike()

        async def send_all(tasks: Tasks) -> None:
            sent = 0
            while sent < count:
                burst = b""
                for _ in range(min(chance.randint(1, 6), count - sent)):
                    burst += frame(TEXT, b"%d" % sent)
                    sent += 1
                if chance.random() < 0.4:
                    read(burst)  # a task is current: the handler is woken through the loop
                else:
                    await tasks.from_loop(read, burst)
                canceller.strike()
                while not session.stream.reading and not canceller.task.done():
                    await asyncio.sleep(0)
                    canceller.strike()

        canceller.task = tasks.start(take())
        await tasks.turns(1)  # cancelled before its first step it would not begin
        try:
            async with asyncio.timeout(DEADLINE):
                await send_all(tasks)
                await asyncio.wait([canceller.task])
        finally:
            canceller.is_over = True
        await canceller.task
        assert len(received) == count
        assert canceller.cancelled > 10

    run_all(test)


@pytest.mark.parametrize("seed", range(12))
def test_a_wait_ends_once_whatever_comes_first(seed: int) -> None:
    """Waking in place, through the loop, and cancelling, at random and in one turn: each wait ends one way."""

    @on_both
    async def test(tasks: Tasks) -> None:
        chance = random.Random(seed)
        ends: list[str] = []
        wakeups: list[Wakeup] = []

        async def work() -> None:
            while len(ends) < 200:
                wakeup = Wakeup(tasks.loop)
                wakeups.append(wakeup)
                try:
                    await wakeup  # type: ignore[misc]
                    ends.append("woken")
                except asyncio.CancelledError:
                    task.uncancel()
                    ends.append("cancelled")

        def do(what: str) -> None:
            if what == "cancel":
                task.cancel()
            else:
                getattr(wakeups[-1], what)()

        task = tasks.start(work())
        await tasks.until_waiting(task)
        async with asyncio.timeout(DEADLINE):
            while not task.done():
                for what in chance.choices(("wake", "wake_soon", "cancel"), k=chance.randint(1, 3)):
                    if chance.random() < 0.5:
                        await tasks.from_loop(do, what)
                    else:
                        do(what)
                await asyncio.sleep(0)
        assert len(wakeups) == len(ends) == 200
        assert all(wakeup.is_done for wakeup in wakeups)
        assert set(ends) == {"woken", "cancelled"}

    run_all(test)
