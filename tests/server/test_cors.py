"""Tests of elio.server.cors."""

from __future__ import annotations

from typing import Any

import pytest

from elio.errors import ConfigurationError, HTTPError
from elio.request import Request
from elio.response import Response
from elio.server.cors import cors
from support.request import make_request

ORIGIN = "https://app.example"
OTHER = "https://other.example"


async def endpoint(request: Request) -> Response:
    return Response.text("ok")


async def forbidden(request: Request) -> Response:
    raise HTTPError(403, "no", headers=[("X-A", "1")])


async def unreachable(request: Request) -> Response:
    raise AssertionError("a preflight request must not reach the handler")


async def ask(origin: str | None = ORIGIN, **options: Any) -> Response:
    headers = [] if origin is None else [("Origin", origin)]
    return await cors(**options)(make_request("GET", "/", headers), endpoint)


async def preflight(
    origin: str = ORIGIN, *, method: str = "PUT", headers: str | None = None, **options: Any
) -> Response:
    asked = [("Origin", origin), ("Access-Control-Request-Method", method)]
    if headers is not None:
        asked.append(("Access-Control-Request-Headers", headers))
    return await cors(**options)(make_request("OPTIONS", "/", asked), unreachable)


def marks(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name != "Content-Type"}


# -- ordinary requests ------------------------------------------------------------------------------------------------


async def test_everyone_may_read_with_a_star() -> None:
    assert marks(await ask(allow_origins="*")) == {"Access-Control-Allow-Origin": "*"}
    assert marks(await ask(None, allow_origins="*")) == {}


@pytest.mark.parametrize("origins", [[ORIGIN], (OTHER, ORIGIN), {ORIGIN}, ORIGIN, [ORIGIN.upper()]])
async def test_a_listed_origin_is_named(origins: Any) -> None:
    assert marks(await ask(allow_origins=origins)) == {"Access-Control-Allow-Origin": ORIGIN, "Vary": "Origin"}


@pytest.mark.parametrize(
    "origin",
    [
        None,
        OTHER,
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil-app.example",
        "https://sub.app.example",
        "https://app.example/",
        "https://APP.example",
        "https://app.example https://other.example",
        "null",
        "*",
        "",
    ],
)
async def test_any_other_origin_is_served_and_not_named(origin: str | None) -> None:
    response = await ask(origin, allow_origins=[ORIGIN])
    assert (response.status, response.body, marks(response)) == (200, b"ok", {"Vary": "Origin"})


async def test_two_origins_are_none() -> None:
    request = make_request("GET", "/", [("Origin", ORIGIN), ("Origin", ORIGIN)])
    for origins in ("*", [ORIGIN]):
        response = await cors(allow_origins=origins)(request, endpoint)
        assert "access-control-allow-origin" not in response.headers


async def test_credentials_and_exposed_headers_are_told() -> None:
    response = await ask(allow_origins=[ORIGIN], allow_credentials=True, expose_headers=["X-A", "ETag"])
    assert marks(response) == {
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "X-A, ETag",
        "Vary": "Origin",
    }


async def test_every_header_may_be_exposed() -> None:
    assert (await ask(allow_origins="*", expose_headers="*")).headers["Access-Control-Expose-Headers"] == "*"


@pytest.mark.parametrize(
    ("present", "vary"),
    [
        (["Accept"], ["Accept", "Origin"]),
        (["Accept, origin"], ["Accept, origin"]),
        (["*"], ["*"]),
        (["Accept", "Origin"], ["Accept", "Origin"]),
        (["X-Origin"], ["X-Origin", "Origin"]),
    ],
)
async def test_vary_is_added_to_what_the_handler_said(present: list[str], vary: list[str]) -> None:
    async def handler(request: Request) -> Response:
        return Response.text("ok", headers=[("Vary", value) for value in present])

    response = await cors(allow_origins=[ORIGIN])(make_request("GET", "/", [("Origin", ORIGIN)]), handler)
    assert response.headers.get_all("vary") == vary


async def test_what_the_handler_allowed_is_replaced() -> None:
    async def handler(request: Request) -> Response:
        return Response.text("ok", headers={"Access-Control-Allow-Origin": "*"})

    response = await cors(allow_origins=[ORIGIN])(make_request("GET", "/", [("Origin", ORIGIN)]), handler)
    assert response.headers.get_all("access-control-allow-origin") == [ORIGIN]


async def test_errors_are_marked_too_so_that_pages_can_read_them() -> None:
    with pytest.raises(HTTPError) as caught:
        await cors(allow_origins=[ORIGIN])(make_request("GET", "/", [("Origin", ORIGIN)]), forbidden)
    assert caught.value.headers == (("X-A", "1"), ("Access-Control-Allow-Origin", ORIGIN), ("Vary", "Origin"))


@pytest.mark.parametrize(
    "headers", [[("Origin", ORIGIN)], [("Access-Control-Request-Method", "PUT")], [("Host", "h.example")]]
)
async def test_options_without_both_headers_is_an_ordinary_request(headers: list[tuple[str, str]]) -> None:
    response = await cors(allow_origins="*")(make_request("OPTIONS", "/", headers), endpoint)
    assert response.body == b"ok"


# -- preflight requests -----------------------------------------------------------------------------------------------

VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


async def test_a_preflight_request_is_answered_with_what_is_allowed() -> None:
    response = await preflight(allow_origins=[ORIGIN])
    assert (response.status, response.body) == (204, b"")
    assert marks(response) == {
        "Vary": VARY,
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers": "Content-Type, Last-Event-ID",
        "Access-Control-Max-Age": "600",
    }


async def test_a_preflight_answer_follows_the_options() -> None:
    response = await preflight(
        allow_origins=[ORIGIN], allow_methods=["GET"], allow_headers=[], allow_credentials=True, max_age=5
    )
    assert marks(response) == {
        "Vary": VARY,
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Allow-Methods": "GET",
        "Access-Control-Allow-Headers": "",
        "Access-Control-Max-Age": "5",
        "Access-Control-Allow-Credentials": "true",
    }


async def test_a_preflight_request_of_anyone_with_a_star() -> None:
    assert (await preflight(allow_origins="*")).headers["Access-Control-Allow-Origin"] == "*"


async def test_stars_allow_what_is_asked_for_and_nothing_that_is_no_token() -> None:
    response = await preflight(
        method="PURGE", headers="x-a, authorization,x b,", allow_origins="*", allow_methods="*", allow_headers="*"
    )
    assert response.headers["Access-Control-Allow-Methods"] == "PURGE"
    assert response.headers["Access-Control-Allow-Headers"] == "x-a, authorization"
    response = await preflight(method="A B", allow_origins="*", allow_methods="*", allow_headers="*")
    assert response.headers["Access-Control-Allow-Methods"] == ""
    assert response.headers["Access-Control-Allow-Headers"] == ""


async def test_a_preflight_request_of_another_origin_is_403() -> None:
    response = await preflight(OTHER, allow_origins=[ORIGIN])
    assert (response.status, response.body, marks(response)) == (403, b"this origin is not allowed", {"Vary": VARY})


# -- configuration ----------------------------------------------------------------------------------------------------


def test_credentials_never_go_with_a_star() -> None:
    with pytest.raises(ConfigurationError, match="credentials are only for listed origins"):
        cors(allow_origins="*", allow_credentials=True)


@pytest.mark.parametrize(
    "origin", ["", "null", "app.example", "https://app.example/", "https://", "https://a@b.example", "https://a?b", "*"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an origin"):
        cors(allow_origins=[origin])


@pytest.mark.parametrize("options", [{"allow_methods": ["G T"]}, {"allow_headers": "a\r\nb"}, {"expose_headers": [""]}])
def test_what_is_no_token_is_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not the name of a method or header"):
        cors(allow_origins="*", **options)
