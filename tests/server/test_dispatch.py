"""Which handler a request gets, and what is answered without one. The rest is in test_router.py."""

from __future__ import annotations

import pytest

from elio import HTTPError, Request, Response
from elio.routing import WEBSOCKET, RouteTable
from elio.server.cors import Handler
from elio.server.dispatch import Dispatcher, around, as_handler
from support.request import make_request


def named(name: str) -> Handler:
    async def handler(request: Request) -> Response:
        return Response.text(f"{name} {request.params}")

    return handler


def make_dispatcher() -> Dispatcher:
    table: RouteTable[Handler] = RouteTable()
    table.add("/a/:id", "GET", named("page"))
    table.add("/ws", WEBSOCKET, named("websocket"))
    return Dispatcher(table, None)


async def text(handler: Handler, method: str, target: str) -> object:
    return (await handler(make_request(method, target))).body


async def test_the_route_decides_and_its_parameters_come_along() -> None:
    assert await text(make_dispatcher(), "GET", "/a/7") == b"page {'id': '7'}"
    assert await text(make_dispatcher(), "HEAD", "/a/7") == b"page {'id': '7'}"


@pytest.mark.parametrize(
    ("method", "target", "status"), [("GET", "/b", 404), ("PUT", "/a/7", 405), ("GET", "/ws", 426)]
)
async def test_without_a_route_there_is_an_error(method: str, target: str, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        await text(make_dispatcher(), method, target)
    assert caught.value.status == status


async def test_options_are_listed() -> None:
    response = await make_dispatcher()(make_request("OPTIONS", "/a/7"))
    assert (response.status, response.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_the_first_middleware_is_outermost() -> None:
    seen: list[str] = []

    def noting(name: str) -> object:
        async def middleware(request: Request, handler: Handler) -> Response:
            seen.append(name)
            return await handler(request)

        return middleware

    await around([noting("a"), noting("b")], named("x"))(make_request())  # type: ignore[list-item]
    assert seen == ["a", "b"]


async def test_a_plain_function_is_a_handler() -> None:
    assert await text(as_handler(lambda request: Response.text("plain")), "GET", "/") == b"plain"
    handler = named("x")
    assert as_handler(handler) is handler
