"""Tests of elio.request."""

from __future__ import annotations

import asyncio
import time

import pytest

from elio.auth.identity import Identity
from elio.body import Body
from elio.errors import HTTPError
from elio.headers import Headers
from elio.http.message import RequestHead
from elio.limits import Limits
from elio.net.runtime import Runtime
from elio.query import Query
from elio.request import Request
from support.request import make_request
from support.stream import FakeStream

# -- the head ---------------------------------------------------------------------------------------------------------


def test_the_head_is_passed_through() -> None:
    headers = Headers([("Host", "example.com"), ("X-A", "1")])
    request = Request(RequestHead("PUT", "/a", "1.1", headers))
    assert (request.method, request.target, request.http_version) == ("PUT", "/a", "1.1")
    assert request.headers is headers
    assert (request.client, request.server, request.scheme, request.params) == ("", "", "http", {})


def test_the_client_may_be_asked_of_its_stream() -> None:
    request = Request(RequestHead("GET", "/", "1.1", Headers()), client=FakeStream(peername=("::1", 80, 0, 0)))
    assert (request.client, request.client_host) == ("[::1]:80", "::1")
    assert repr(request) == "<Request GET '/' from [::1]:80>"


def test_a_secret_of_the_query_is_not_shown() -> None:
    assert repr(make_request("GET", "/?ticket=x")) == "<Request GET '/?ticket=...' from 192.0.2.1:5000>"


def test_a_request_has_no_user_until_somebody_says_so() -> None:
    request = make_request()
    assert (request.user, request.identity) == (None, None)
    request.identity = Identity("ada")
    assert (request.user, request.identity) == ("ada", Identity("ada"))
    request.forget_identity()
    assert request.user == "ada"


async def test_an_identity_with_an_end_is_looked_after_once_it_is_watched() -> None:
    request = make_request()
    runtime = Runtime(asyncio.get_running_loop(), Limits())
    ended = asyncio.Event()
    request.identity = Identity("ada", expires=time.time() + 1000)
    request.watch_identity(runtime, ended.set)
    assert request.user == "ada"
    request.identity = Identity("bob", expires=time.time())
    await asyncio.wait_for(ended.wait(), 10)
    request.forget_identity()
    assert request.user == "bob"
    runtime.close()


def test_a_proxy_may_say_where_a_request_comes_from() -> None:
    request = make_request(headers={"Host": "inside"})
    request.place("192.0.2.9:0", "", "")
    assert (request.client_host, request.scheme, request.host) == ("192.0.2.9", "http", "inside")
    request.place("192.0.2.9:0", "https", "a.example")
    assert (request.scheme, request.host, request.url) == ("https", "a.example", "https://a.example/")


def test_without_tls_there_is_no_certificate_of_the_client() -> None:
    assert (make_request().tls, make_request().client_certificate) == (None, None)


def test_parameters_can_be_added_and_replaced() -> None:
    request = make_request()
    request.params["a"] = "b"
    assert request.params == {"a": "b"}
    request.params = {"c": "d"}
    assert request.params == {"c": "d"}


@pytest.mark.parametrize(
    ("target", "raw_path", "path", "query_string"),
    [
        ("/", "/", "/", ""),
        ("/a/b", "/a/b", "/a/b", ""),
        ("/a%20b/%C3%A9?x=%20", "/a%20b/%C3%A9", "/a b/é", "x=%20"),
        ("/a?", "/a", "/a", ""),
        ("/a?b?c=/d", "/a", "/a", "b?c=/d"),
        ("//evil.example/a", "//evil.example/a", "//evil.example/a", ""),
        ("*", "*", "*", ""),
        ("http://h.example/a?b", "/a", "/a", "b"),
        ("http://h.example?b", "/", "/", "b"),
        ("http://h.example", "/", "/", ""),
        ("/http://h.example/", "/http://h.example/", "/http://h.example/", ""),
    ],
)
def test_path_and_query_of_every_form_of_target(target: str, raw_path: str, path: str, query_string: str) -> None:
    request = make_request(target=target)
    assert (request.raw_path, request.path, request.query_string) == (raw_path, path, query_string)


def test_the_query_is_parsed_once() -> None:
    request = make_request(target="/?a=1&a=2+3")
    assert request.query.get_all("a") == ["1", "2 3"]
    assert request.query is request.query
    assert make_request().query == Query()


def test_too_many_fields_in_the_query_are_400() -> None:
    with pytest.raises(HTTPError, match="400 1001 fields"):
        _ = make_request(target="/?" + "a&" * 1000 + "a").query


def test_cookies_are_parsed_once_over_every_line() -> None:
    request = make_request(headers=[("Cookie", "a=1; b=2"), ("cookie", "a=3; c=4")])
    assert request.cookies == {"a": "1", "b": "2", "c": "4"}
    assert request.cookies is request.cookies
    assert make_request().cookies == {}


@pytest.mark.parametrize(
    ("target", "headers", "host", "url"),
    [
        ("/a?b=1", [("Host", "h.example:8080")], "h.example:8080", "https://h.example:8080/a?b=1"),
        ("/", [], "192.0.2.9:443", "https://192.0.2.9:443/"),
        ("*", [("Host", "h.example")], "h.example", "https://h.example"),
        ("http://abs.example/a", [("Host", "h.example")], "abs.example", "https://abs.example/a"),
    ],
)
def test_host_and_url_are_what_the_client_asked(
    target: str, headers: list[tuple[str, str]], host: str, url: str
) -> None:
    head = RequestHead("GET", target, "1.1", Headers(headers))
    request = Request(head, server="192.0.2.9:443", scheme="https")
    assert (request.host, request.url) == (host, url)


@pytest.mark.parametrize(
    ("client", "host"),
    [("192.0.2.1:5000", "192.0.2.1"), ("[2001:db8::1]:5000", "2001:db8::1"), ("", "")],
)
def test_the_host_of_the_client_is_its_address_without_the_port(client: str, host: str) -> None:
    assert make_request(client=client).client_host == host


@pytest.mark.parametrize(
    ("value", "content_type"),
    [(None, ""), ("text/HTML; charset=UTF-8", "text/html"), (" Application/JSON", "application/json"), (";", "")],
)
def test_the_content_type_has_no_parameters(value: str | None, content_type: str) -> None:
    headers = Headers.from_trusted([] if value is None else [("Content-Type", value)])
    assert make_request(headers=headers).content_type == content_type


def test_state_is_made_on_demand() -> None:
    request = make_request()
    request.state["user"] = "ada"
    assert request.state == {"user": "ada"}
    assert make_request().state == {}


def test_params_belong_to_the_request() -> None:
    params = {"id": "7"}
    assert make_request(params=params).params is params
    assert make_request().params is not make_request().params


def test_repr_escapes_what_the_client_sent() -> None:
    assert repr(make_request("GET", "/\x1b[31m")) == r"<Request GET '/\x1b[31m' from 192.0.2.1:5000>"
    assert repr(make_request(client="")) == "<Request GET '/' from unknown>"


def test_there_is_no_dict_to_pay_for() -> None:
    assert not hasattr(make_request(), "__dict__")


# -- the body ---------------------------------------------------------------------------------------------------------


async def test_body_gives_the_same_bytes_twice_and_streams_after() -> None:
    request = make_request(body=b"abc")
    assert await request.body() == b"abc"
    assert await request.body() == b"abc"
    assert [data async for data in request.stream()] == [b"abc"]


async def test_a_request_without_a_body_has_an_empty_one() -> None:
    request = make_request()
    assert await request.body() == b""
    assert await request.text() == ""
    assert [data async for data in request.stream()] == []


@pytest.mark.parametrize("method", ["body", "text", "json", "form"])
async def test_a_handler_may_take_less_than_the_server_does(method: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert await getattr(make_request("POST", headers=headers, body=b"1234"), method)(limit=4)
    with pytest.raises(HTTPError, match=r"^413 request body of 4 bytes, limit 3$"):
        await getattr(make_request("POST", headers=headers, body=b"1234"), method)(limit=3)


@pytest.mark.parametrize(
    ("content_type", "data", "text"),
    [
        (None, "é€".encode(), "é€"),
        ("text/plain", "é€".encode(), "é€"),
        ("text/plain; charset=utf-8", b"\xef\xbb\xbfa", "a"),
        ('text/plain; charset="UTF-8"', "é".encode(), "é"),
        ("text/plain;format=flowed;Charset=ISO-8859-1", b"\xe9", "é"),
        ("text/plain; charset=us-ascii", b"abc", "abc"),
        ("text/plain; charset=windows-1252", b"\x80", "€"),
        ("text/plain; charset=iso-8859-15", b"\xa4", "€"),
        ("text/plain; charset=utf-16", "é".encode("utf-16"), "é"),
        ("text/plain; charset=shift_jis", "日".encode("shift_jis"), "日"),
        ("text/plain; charset=koi8-r", "я".encode("koi8-r"), "я"),
    ],
)
async def test_text_is_decoded_by_its_charset(content_type: str | None, data: bytes, text: str) -> None:
    headers = [] if content_type is None else [("Content-Type", content_type)]
    assert await make_request("POST", headers=headers, body=data).text() == text


@pytest.mark.parametrize("charset", ["", "klingon", "base64", "idna", "unicode_escape", "../../x"])
async def test_an_unknown_charset_is_415(charset: str) -> None:
    request = make_request("POST", headers=[("Content-Type", f"text/plain; charset={charset}")], body=b"a")
    with pytest.raises(HTTPError) as caught:
        await request.text()
    assert (caught.value.status, caught.value.detail) == (415, f"charset {charset!r} is not supported")


async def test_bytes_that_do_not_fit_the_charset_are_400() -> None:
    with pytest.raises(HTTPError, match=r"^400 request body is not utf-8 at byte 2$"):
        await make_request("POST", body=b"ab\xff").text()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 2.5, null, true, "\xc3\xa9"]}', {"a": [1, 2.5, None, True, "é"]}),
        (b" 1 ", 1),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'\xef\xbb\xbf"bom"', "bom"),
    ],
)
async def test_json_is_parsed_whatever_the_content_type(data: bytes, value: object) -> None:
    assert await make_request("POST", body=data).json() == value


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "request body is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"{", "request body is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"NaN", "request body is not JSON: NaN is not a JSON value"),
        (b"[-Infinity]", "request body is not JSON: -Infinity is not a JSON value"),
        (b"[" * 100_000, "request body is not usable JSON: nested too deeply"),
    ],
)
async def test_what_is_not_json_is_400(data: bytes, detail: str) -> None:
    with pytest.raises(HTTPError) as caught:
        await make_request("POST", body=data).json()
    assert (caught.value.status, caught.value.detail) == (400, detail)


@pytest.mark.parametrize("data", [b'"\xff"', b"1" * 10_000])
async def test_json_that_python_cannot_hold_is_400(data: bytes) -> None:
    with pytest.raises(HTTPError, match="400 request body is not JSON: "):
        await make_request("POST", body=data).json()


async def test_a_form_is_a_query() -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = make_request("POST", headers=headers, body=b"a=1+2&b=%C3%A9&a=\xff")
    assert (await request.form()).items() == [("a", "1 2"), ("b", "é"), ("a", "\ufffd")]


@pytest.mark.parametrize("content_type", [None, "text/plain", "multipart/form-data; boundary=x"])
async def test_a_form_of_another_type_is_415(content_type: str | None) -> None:
    headers = [] if content_type is None else [("Content-Type", content_type)]
    with pytest.raises(HTTPError, match=r"^415 a form must be sent as application/x-www-form-urlencoded$"):
        await make_request("POST", headers=headers, body=b"a=1").form()


async def test_the_body_of_the_connection_is_the_one_that_is_read() -> None:
    body = Body()
    request = make_request("POST", body=body)
    body.feed(b"ab")
    body.feed_eof()
    assert await request.body() == b"ab"
