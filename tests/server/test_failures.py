"""Exceptions as responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from elio import ClientDisconnected, HTTPError, Limits, RemoteProtocolError, Request, Response
from elio.net.runtime import Runtime
from elio.server.context import Context
from elio.server.failures import error_response, respond
from elio.server.watch.counters import Counters
from support.request import make_request


def make_context(failure: BaseException | object, on_error: object = None) -> Context:
    async def app(request: Request) -> Response:
        if isinstance(failure, BaseException):
            raise failure
        return failure  # type: ignore[return-value]

    runtime = Runtime(asyncio.get_running_loop(), Limits())
    options = {"origins": None, "allowed_hosts": None, "scheme": "http", "counters": Counters()}
    return Context(app, runtime, on_error=on_error, **options)  # type: ignore[arg-type]


@pytest.fixture
async def quiet(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    yield
    assert caplog.records == []


def test_the_text_says_what_is_wrong_and_is_no_markup() -> None:
    response = error_response(HTTPError(404, "no <b>such</b> page", headers=[("X-A", "b")]))
    assert response.body == b"404 Not Found: no <b>such</b> page\n"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-a"] == "b"


def test_a_violation_without_a_status_is_400() -> None:
    assert error_response(RemoteProtocolError("bad")).status == 400
    assert error_response(RemoteProtocolError("old", status=426)).body == b"426 Upgrade Required: old\n"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (HTTPError(418), 418),
        (RemoteProtocolError("bad", status=426), 426),
        (ClientDisconnected(3), 400),
        (Response.text("fine"), 200),
    ],
)
async def test_what_is_nobodys_failure_is_not_logged(failure: object, status: int) -> None:
    assert (await respond(make_context(failure), make_request())).status == status


@pytest.mark.parametrize("failure", [RuntimeError("secret"), "no response", None])
async def test_a_failure_is_500_logged_once_and_tells_nothing(
    failure: object, caplog: pytest.LogCaptureFixture
) -> None:
    response = await respond(make_context(failure), make_request())
    assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_cancellation_is_no_failure() -> None:
    with pytest.raises(asyncio.CancelledError):
        await respond(make_context(asyncio.CancelledError()), make_request())


async def test_an_error_handler_makes_the_response() -> None:
    async def on_error(request: Request, error: Exception) -> Response:
        return Response.text(type(error).__name__, status=599)

    response = await respond(make_context(KeyError("x"), on_error), make_request())
    assert (response.status, response.body) == (599, b"KeyError")


async def test_an_error_handler_that_fails_is_a_failure_too(caplog: pytest.LogCaptureFixture) -> None:
    async def on_error(request: Request, error: Exception) -> Response:
        raise RuntimeError("again")

    assert (await respond(make_context(KeyError("x"), on_error), make_request())).status == 500
    assert "again" in (caplog.records[0].exc_text or "")
