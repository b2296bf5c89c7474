"""What the connections of a server share."""

from __future__ import annotations

import asyncio
import logging

import pytest

from elio import Limits, Request, Response
from elio.net.runtime import Runtime
from elio.server.context import Context
from elio.server.watch.counters import Counters
from support.sessions import Session


async def app(request: Request) -> Response:
    return Response()


class Held:
    def shut_down(self) -> None: ...

    def abort(self) -> None: ...


@pytest.fixture
async def context() -> Context:
    runtime = Runtime(asyncio.get_running_loop(), Limits())
    return Context(app, runtime, on_error=None, origins=None, allowed_hosts=None, scheme="http", counters=Counters())


async def test_the_date_is_made_once_a_second(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 784111777.2)
    first = context.date()
    assert first == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert context.date() is first
    monkeypatch.setattr("time.time", lambda: 784111778.0)
    assert context.date() == "Sun, 06 Nov 1994 08:49:38 GMT"


async def test_what_a_client_sent_is_escaped_in_the_log(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elio.access")
    context.log_access("GET /\x1b[31mé", "", 200, 0.0123)
    assert caplog.messages == ["- 'GET /\\x1b[31m\\xe9' 200 12.3ms"]


async def test_without_a_wish_for_it_nothing_is_logged(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "elio.access")
    context.log_access("GET /", "", 200, 0.0)
    assert caplog.messages == []


async def test_waiting_for_the_last_connection(context: Context) -> None:
    await context.wait_empty()
    held, session = Held(), Session()
    task = asyncio.create_task(asyncio.sleep(0))
    context.connections[held] = None
    context.websockets[session.ws] = task
    waiting = asyncio.create_task(context.wait_empty())
    await asyncio.sleep(0)
    context.forget(held)
    await asyncio.sleep(0)
    assert not waiting.done()
    context.forget(session.ws)
    await waiting
    context.forget(held)
    await task
    await session.lose()
    session.close()
