from __future__ import annotations

import email.utils
import random

import pytest

from elio.headers import Headers
from elio.http.message import (
    END_OF_BODY,
    EndOfBody,
    RequestHead,
    ResponseHead,
    http_date,
    may_have_body,
    parse_http_date,
    reason_phrase,
)

EXAMPLE = 784111777.0  # RFC 9110 5.6.7


def request(target: str, **headers: str) -> RequestHead:
    return RequestHead("GET", target, "1.1", Headers(headers))


def test_heads_are_frozen_and_slotted() -> None:
    response = ResponseHead(200, "OK", "1.1", Headers())
    for head, name in ((request("/"), "method"), (response, "status"), (END_OF_BODY, "trailers")):
        with pytest.raises(AttributeError):
            setattr(head, name, None)
        assert not hasattr(head, "__dict__")


def test_request_head_defaults_suit_a_plain_request() -> None:
    head = request("/")
    assert head.keep_alive
    assert not head.upgrade
    assert not head.has_body
    assert not head.expects_continue
    assert head.content_length is None


def test_request_heads_are_equal_if_all_of_them_is() -> None:
    assert request("/a", host="x") == request("/a", host="x")
    assert request("/a", host="x") != request("/a", host="y")
    assert request("/") != RequestHead("GET", "/", "1.1", Headers(), keep_alive=False)
    assert request("/") != "/"
    with pytest.raises(TypeError):
        hash(request("/"))


def test_a_request_head_says_what_it_asks_for() -> None:
    assert repr(request("/a")) == f"<RequestHead GET '/a' HTTP/1.1 {Headers()!r}>"


def test_only_a_get_asks_for_another_protocol() -> None:
    for method, asks in (("GET", True), ("POST", False)):
        head = RequestHead(method, "/", "1.1", Headers(), upgrade=("websocket", "h2c"))
        assert head.asks_for("websocket") is asks
        assert not head.asks_for("web")


def test_response_head_defaults() -> None:
    head = ResponseHead(404, "Not Found", "1.1", Headers())
    assert head.keep_alive
    assert head.content_length is None


def test_end_of_body_without_trailers_is_one_object_that_compares_equal() -> None:
    assert EndOfBody() == END_OF_BODY
    assert EndOfBody(Headers({"X": "1"})) != END_OF_BODY


@pytest.mark.parametrize(
    ("target", "host", "origin"),
    [
        ("/a/b?c=d", "name:1", "/a/b?c=d"),
        ("*", "name:1", "*"),
        ("//other/a", "name:1", "//other/a"),
        ("/go?to=http://other/x", "name:1", "/go?to=http://other/x"),
        ("http://other:2/a?b", "other:2", "/a?b"),
        ("HTTPS://other/", "other", "/"),
        ("http://other", "other", "/"),
        ("http://other?b=/", "other", "/?b=/"),
        ("http://[::1]:8080/a", "[::1]:8080", "/a"),
        ("", "name:1", ""),
    ],
)
def test_host_and_path_of_every_form_of_target(target: str, host: str, origin: str) -> None:
    head = request(target, Host="name:1")
    assert head.host == host
    assert head.origin_target == origin


def test_host_is_empty_without_host_header() -> None:
    assert request("/").host == ""


@pytest.mark.parametrize("status", [200, 201, 205, 301, 400, 404, 500, 599])
def test_these_may_have_a_body(status: int) -> None:
    assert may_have_body(status)


@pytest.mark.parametrize("status", [100, 101, 103, 199, 204, 304])
def test_these_never_have_a_body(status: int) -> None:
    assert not may_have_body(status)


def test_reason_phrases() -> None:
    assert reason_phrase(200) == "OK"
    assert reason_phrase(101) == "Switching Protocols"
    assert reason_phrase(426) == "Upgrade Required"
    assert reason_phrase(299) == ""


def test_date_of_the_rfc() -> None:
    assert http_date(EXAMPLE) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(EXAMPLE + 0.999) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_three_forms_of_dates_are_read(text: str) -> None:
    assert parse_http_date(text) == EXAMPLE


def test_dates_agree_with_the_standard_library() -> None:
    rng = random.Random(1)
    for _ in range(300):
        now = float(rng.randrange(0, 4102444800))
        assert http_date(now) == email.utils.formatdate(now, usegmt=True)
        assert parse_http_date(http_date(now)) == now


def test_two_digit_years_mean_1970_to_2069() -> None:
    assert parse_http_date("Thursday, 01-Jan-70 00:00:00 GMT") == 0
    assert parse_http_date("Tuesday, 31-Dec-69 00:00:00 GMT") == parse_http_date("Tue, 31 Dec 2069 00:00:00 GMT")


def test_leap_second_is_read_as_the_last_second_of_its_minute() -> None:
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == parse_http_date("Sat, 31 Dec 2016 23:59:59 GMT")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Xyz 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08::::37 GMT",
        "Sun, 06 Nov 1994 08:49:.7 GMT",
        "Sun, 06 Nov 1994 0849:370 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 0٦ Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None
