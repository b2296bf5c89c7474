"""One request and its answer, where it differs from the straight way. The rest is in test_connection.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from elio import EventStream, HTTPError, Request, Response, Router
from support.raw import connect, serve, until


async def test_a_response_that_cannot_be_sent_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    router = Router()

    @router.get("/")
    async def handler(request: Request) -> Response:
        response = Response.text("x")
        response.headers.add("Content-Length", "7")
        return response

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/")).status == 500
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_the_error_handler_is_asked_about_event_streams_that_have_not_begun() -> None:
    router = Router()

    @router.sse("/")
    async def handler(stream: EventStream) -> None:
        raise HTTPError(403)

    @router.on_error
    async def on_error(request: Request, error: Exception) -> Response:
        return Response.text("mine", status=403)

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/")).body == b"mine"


async def test_a_file_that_shrinks_while_it_is_sent_ends_without_an_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    router = Router()

    @router.get("/")
    async def handler(request: Request) -> Response:
        response = Response.file(path)
        os.truncate(path, 10)
        return response

    async with serve(router) as server, connect(server) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = await raw.read_all()
        assert b"Content-Length: 1000" in data
        assert len(data.partition(b"\r\n\r\n")[2]) < 1000
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_continue_that_comes_too_late_is_not_sent() -> None:
    router = Router()

    @router.post("/")
    async def handler(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            yield await request.body()

        return Response.stream(parts())

    async with serve(router) as server, connect(server) as raw:
        raw.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        head = await raw.head()
        assert head.status == 200
        assert await raw.chunk() == b"first"
        raw.send(b"abc")
        assert await raw.chunk() == b"abc"


async def test_an_iterable_without_an_end_to_call_is_fine() -> None:
    class Once:
        def __init__(self) -> None:
            self.left = [b"a", b"b"]

        def __aiter__(self) -> Once:
            return self

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    router = Router()
    router.get("/")(lambda request: Response.stream(Once()))
    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/")).body == b"ab"


async def test_a_client_that_left_before_the_answer_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    router = Router()
    go_on, begun, cancelled, done = (asyncio.Event() for _ in range(4))

    @router.get("/")
    async def handler(request: Request) -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
        await go_on.wait()
        done.set()
        return Response.stream(_parts())

    async def _parts() -> AsyncIterator[bytes]:
        yield b"x"
        yield b"y"

    async with serve(router) as server, connect(server) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await begun.wait()
        raw.reset()
        await until(cancelled.is_set)
        go_on.set()
        await done.wait()
        await asyncio.sleep(0)
    assert caplog.records == []
