"""Registering handlers, middleware and mounted routers."""

from __future__ import annotations

from pathlib import Path

import pytest

from elio import ConfigurationError, EventStream, HTTPError, Request, Response, Router, WebSocket
from elio.headers import Headers
from elio.http.message import RequestHead
from elio.server.router import Handler
from elio.server.upgrade import Streaming, Upgrade
from support.request import make_request


async def ok(request: Request) -> Response:
    return Response.text(f"{request.method} {request.params}")


async def call(router: Router, method: str, target: str, **headers: str) -> Response:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await router.build()(make_request(method, target, [("Host", "localhost"), *pairs]))


def text(response: Response) -> str:
    return response.body.decode() if isinstance(response.body, bytes) else "?"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "head"])
async def test_each_method_has_its_decorator(method: str) -> None:
    router = Router()
    assert getattr(router, method)("/a/:id")(ok) is ok
    assert text(await call(router, method.upper(), "/a/7")) == f"{method.upper()} {{'id': '7'}}"


async def test_several_methods_at_once() -> None:
    router = Router()
    router.route("/a", ["GET", "PUT"])(ok)
    assert text(await call(router, "PUT", "/a")) == "PUT {}"


async def test_a_plain_function_is_a_handler_too() -> None:
    router = Router()
    router.get("/a")(lambda request: Response.text("plain"))
    assert text(await call(router, "GET", "/a")) == "plain"

    async def later() -> Response:
        return Response.text("later")

    router.get("/b")(lambda request: later())
    assert text(await call(router, "GET", "/b")) == "later"


async def test_unknown_paths_and_methods() -> None:
    router = Router()
    router.get("/a")(ok)
    with pytest.raises(HTTPError) as caught:
        await call(router, "GET", "/b")
    assert caught.value.status == 404
    with pytest.raises(HTTPError) as caught:
        await call(router, "POST", "/a")
    assert caught.value.status == 405
    assert caught.value.headers == (("Allow", "GET, HEAD, OPTIONS"),)
    options = await call(router, "OPTIONS", "/a")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_head_is_served_by_get() -> None:
    router = Router()
    router.get("/a")(ok)
    assert text(await call(router, "HEAD", "/a")) == "HEAD {}"


async def test_parameters_of_a_failed_match_do_not_leak() -> None:
    router = Router()
    router.get("/a/:x/b")(ok)
    router.get("/a/*")(ok)
    assert text(await call(router, "GET", "/a/1/c")) == "GET {'*': '1/c'}"


async def test_a_handler_for_paths_without_a_route() -> None:
    router = Router()

    @router.not_found
    async def missing(request: Request) -> Response:
        return Response.text("nothing here", status=404)

    assert text(await call(router, "GET", "/b")) == "nothing here"


async def test_static_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("file")
    router = Router()
    router.static("/files", tmp_path)
    assert (await call(router, "GET", "/files/a.txt")).status == 200
    with pytest.raises(ConfigurationError, match="does not exist"):
        router.static("/more", tmp_path / "nothing")


async def test_a_websocket_route_stands_for_the_upgrade() -> None:
    router = Router()

    @router.websocket("/ws", subprotocols=["a"], origins=["*"], compression=False, max_message_size=5)
    async def handler(ws: WebSocket) -> None: ...

    response = await _upgrade(router, "/ws")
    assert isinstance(response, Upgrade)
    assert response.route.handler is handler
    assert response.route.subprotocols == ("a",)
    assert response.route.origins == ("*",)
    assert response.route.deflate is None
    assert response.route.bounds == {"max_message_size": 5}


async def test_compression_is_on_by_default_and_none_can_be_a_bound() -> None:
    router = Router()

    @router.websocket("/ws", max_message_size=None)
    async def handler(ws: WebSocket) -> None: ...

    response = await _upgrade(router, "/ws")
    assert isinstance(response, Upgrade)
    assert response.route.deflate is not None
    assert response.route.origins is None
    assert response.route.bounds == {"max_message_size": None}


async def test_an_event_stream_route_stands_for_the_stream() -> None:
    router = Router()

    @router.sse("/events", methods=["GET", "POST"], keep_alive_interval=3.0)
    async def handler(stream: EventStream) -> None: ...

    for method in ("GET", "POST"):
        response = await call(router, method, "/events")
        assert isinstance(response, Streaming)
        assert response.route.handler is handler
        assert response.route.bounds == {"keep_alive_interval": 3.0}


async def _upgrade(router: Router, target: str) -> Response:
    headers = Headers([("Host", "localhost"), ("Upgrade", "websocket"), ("Connection", "Upgrade")])
    return await router.build()(Request(RequestHead("GET", target, "1.1", headers, upgrade=("websocket",))))


async def test_a_websocket_asked_for_as_a_page_is_426_and_a_page_asked_for_as_a_websocket_a_page() -> None:
    router = Router()

    @router.websocket("/ws")
    async def handler(ws: WebSocket) -> None: ...

    router.get("/page")(ok)
    with pytest.raises(HTTPError) as caught:
        await call(router, "GET", "/ws")
    assert caught.value.status == 426
    assert ("Sec-WebSocket-Version", "13") in caught.value.headers
    assert text(await _upgrade(router, "/page")) == "GET {}"


# -- middleware and mounting -------------------------------------------------------------------------------------------


def trace(name: str, seen: list[str], router: Router) -> None:
    @router.middleware
    async def around(request: Request, handler: Handler) -> Response:
        seen.append(f"{name} in")
        try:
            return await handler(request)
        finally:
            seen.append(f"{name} out")


async def test_middleware_stands_around_handlers_in_the_order_of_registration() -> None:
    router = Router()
    seen: list[str] = []
    trace("outer", seen, router)
    trace("inner", seen, router)
    router.get("/a")(ok)
    await call(router, "GET", "/a")
    assert seen == ["outer in", "inner in", "inner out", "outer out"]


async def test_middleware_sees_what_has_no_handler_too() -> None:
    router = Router()
    seen: list[str] = []
    trace("m", seen, router)
    with pytest.raises(HTTPError):
        await call(router, "GET", "/none")
    assert seen == ["m in", "m out"]


async def test_middleware_may_answer_by_itself() -> None:
    router = Router()

    @router.middleware
    async def closed(request: Request, handler: Handler) -> Response:
        return Response.text("closed", status=503)

    router.get("/a")(ok)
    assert (await call(router, "GET", "/a")).status == 503


async def test_a_mounted_router_brings_its_middleware_and_the_parameters_of_its_prefix() -> None:
    outer, inner, innermost = Router(), Router(), Router()
    seen: list[str] = []
    for name, router in (("outer", outer), ("inner", inner), ("innermost", innermost)):
        trace(name, seen, router)
    outer.mount("/:org", inner)
    inner.mount("/deep", innermost)
    outer.get("/")(ok)
    inner.get("/users/:id")(ok)
    innermost.get("/x")(ok)
    assert text(await call(outer, "GET", "/acme/users/7")) == "GET {'org': 'acme', 'id': '7'}"
    assert seen == ["outer in", "inner in", "inner out", "outer out"]
    seen.clear()
    await call(outer, "GET", "/acme/deep/x")
    assert seen[:3] == ["outer in", "inner in", "innermost in"]
    seen.clear()
    await call(outer, "GET", "/")
    assert seen == ["outer in", "outer out"]


async def test_what_a_prefix_has_no_handler_for_passes_through_its_middleware() -> None:
    outer, inner = Router(), Router()
    seen: list[str] = []
    trace("inner", seen, inner)
    outer.mount("/api", inner)
    inner.post("/a")(ok)
    for method, path, status in (("GET", "/api/none", 404), ("GET", "/api/a", 405)):
        seen.clear()
        with pytest.raises(HTTPError) as caught:
            await call(outer, method, path)
        assert caught.value.status == status
        assert seen == ["inner in", "inner out"]
    seen.clear()
    assert (await call(outer, "OPTIONS", "/api/a")).status == 204
    assert seen == ["inner in", "inner out"]
    seen.clear()
    with pytest.raises(HTTPError):
        await call(outer, "GET", "/elsewhere")
    assert seen == []


async def test_cors_of_a_mounted_router_answers_preflight_requests() -> None:
    outer, inner = Router(), Router()
    inner.cors(allow_origins=["https://a.example"])
    inner.post("/a")(ok)
    outer.mount("/api", inner)
    preflight = {"Origin": "https://a.example", "Access_Control_Request_Method": "POST"}
    response = await call(outer, "OPTIONS", "/api/a", **preflight)
    assert response.headers["access-control-allow-origin"] == "https://a.example"


async def test_what_cannot_be_registered() -> None:
    router = Router()
    router.get("/a")(ok)
    with pytest.raises(ConfigurationError, match="already"):
        router.get("/a")(ok)
    with pytest.raises(ConfigurationError, match="on itself"):
        router.mount("/x", router)
    other = Router()
    other.get("/a")(ok)
    router.mount("", other)
    with pytest.raises(ConfigurationError, match="already"):
        router.build()


def test_the_error_handler_is_kept_for_the_server() -> None:
    router = Router()
    assert router.error_handler is None

    @router.on_error
    async def handler(request: Request, error: Exception) -> Response:
        return Response.text("oops", status=500)

    assert router.error_handler is handler
