"""Tests of elio.response."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from elio.conditional import Facts
from elio.errors import HTTPError, InvalidHeader, LocalProtocolError
from elio.headers import Headers
from elio.response import BodyLike, FileBody, Response, content_type_of


async def chunks() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"


# -- making one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "status", "body", "content_type"),
    [
        (Response(), 200, b"", None),
        (Response("é"), 200, "é".encode(), "text/plain; charset=utf-8"),
        (Response(""), 200, b"", "text/plain; charset=utf-8"),
        (Response(b"\xff"), 200, b"\xff", "application/octet-stream"),
        (Response(bytearray(b"a")), 200, b"a", "application/octet-stream"),
        (Response(memoryview(b"a")), 200, b"a", "application/octet-stream"),
        (Response(b"{}", content_type="application/json"), 200, b"{}", "application/json"),
        (Response("a", content_type="text/css"), 200, b"a", "text/css; charset=utf-8"),
        (Response(b"a", content_type="Text/Plain; CharSet=latin-1"), 200, b"a", "Text/Plain; CharSet=latin-1"),
        (Response("a", headers={"content-type": "text/x"}), 200, b"a", "text/x"),
        (Response("a", headers={"content-type": "text/x"}, content_type="a/b"), 200, b"a", "a/b"),
        (Response.text("é", status=404), 404, "é".encode(), "text/plain; charset=utf-8"),
        (Response.html("<p>"), 200, b"<p>", "text/html; charset=utf-8"),
        (Response.json({"é": [1, None]}), 200, '{"é":[1,null]}'.encode(), "application/json"),
        (Response.json(None, status=201), 201, b"null", "application/json"),
        (Response.json("\ud800"), 200, b'"\\ud800"', "application/json"),
        (Response.bytes(b"a"), 200, b"a", "application/octet-stream"),
        (Response.bytes(b"a", content_type="image/png", status=203), 203, b"a", "image/png"),
        (Response.empty(), 204, b"", None),
        (Response.empty(304), 304, b"", None),
        (Response(status=101), 101, b"", None),
    ],
)
def test_every_kind_has_its_status_body_and_type(
    response: Response, status: int, body: bytes, content_type: str | None
) -> None:
    assert (response.status, response.body, response.headers.get("content-type")) == (status, body, content_type)
    assert len(response.headers.get_all("content-type")) == (content_type is not None)


async def test_a_stream_is_handed_on() -> None:
    source = chunks()
    response = Response.stream(source, content_type="text/plain")
    assert response.body is source
    assert response.body_size is None
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [data async for data in source] == [b"a", b"b"]


@pytest.mark.parametrize(
    "response",
    [
        Response(headers={"X-A": "1"}),
        Response.text("", headers={"X-A": "1"}),
        Response.html("", headers={"X-A": "1"}),
        Response.json(1, headers={"X-A": "1"}),
        Response.bytes(b"", headers={"X-A": "1"}),
        Response.empty(headers={"X-A": "1"}),
        Response.stream(chunks(), headers={"X-A": "1"}),
        Response.redirect("/", headers={"X-A": "1"}),
        Response.file(__file__, headers={"X-A": "1"}),
    ],
)
def test_every_kind_takes_headers(response: Response) -> None:
    assert response.headers["x-a"] == "1"


def test_headers_are_a_copy() -> None:
    headers = Headers([("X-A", "1")])
    response = Response(headers=headers)
    response.headers["X-A"] = "2"
    assert headers["X-A"] == "1"


@pytest.mark.parametrize(
    "headers", [{"X-A": "a\r\nX-B: b"}, {"X A": "a"}, {"X-A": "a\0"}, {"Content-Type": "a\n"}, {"X-A": "€"}]
)
def test_headers_that_break_the_wire_raise_at_once(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidHeader):
        Response(headers=headers)


def test_a_content_type_that_breaks_the_wire_raises_at_once() -> None:
    with pytest.raises(InvalidHeader):
        Response(b"a", content_type="a/b\r\nX: y")


@pytest.mark.parametrize(("status", "fits"), [(99, False), (100, True), (599, True), (600, False), (0, False)])
def test_there_are_statuses_from_100_to_599(status: int, fits: bool) -> None:
    if fits:
        assert Response(status=status).status == status
        return
    with pytest.raises(LocalProtocolError, match=f"status {status} is not between 100 and 599"):
        Response(status=status)


@pytest.mark.parametrize("status", [101, 204, 304])
@pytest.mark.parametrize("body", [b"a", "a", chunks()])
def test_a_status_without_body_has_none(status: int, body: BodyLike) -> None:
    with pytest.raises(LocalProtocolError, match=f"a response with status {status} has no body"):
        Response(body, status=status)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-float("inf")]}])
def test_json_has_no_nan(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Response.json(value)


def test_json_knows_no_objects() -> None:
    with pytest.raises(TypeError):
        Response.json(object())


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (Response("abc"), "<Response 200 text/plain; charset=utf-8, 3 bytes>"),
        (Response.empty(), "<Response 204 no content, 0 bytes>"),
        (Response.stream(chunks()), "<Response 200 application/octet-stream, streamed>"),
        (Response(FileBody("/x", 5, 7)), "<Response 200 application/octet-stream, 7 bytes>"),
    ],
)
def test_repr_shows_type_and_size(response: Response, text: str) -> None:
    assert repr(response) == text


# -- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "written"),
    [
        ("/", "/"),
        ("/a?b=c&d#e", "/a?b=c&d#e"),
        ("/a b/é", "/a%20b/%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("b/c", "b/c"),
        ("./b:c", "./b:c"),
        ("../b", "../b"),
        ("?a=1", "?a=1"),
        ("#top", "#top"),
        ("/a//b", "/a//b"),
        ("/?next=//h.example", "/?next=//h.example"),
        (" //h.example", "%20//h.example"),
        ("https://h.example/a?b", "https://h.example/a?b"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
        ("/<script>\"'", "/%3Cscript%3E%22'"),
    ],
)
def test_a_location_is_a_path_or_a_web_address(location: str, written: str) -> None:
    response = Response.redirect(location)
    assert (response.status, response.body, response.headers.items()) == (303, b"", [("Location", written)])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_status_of_a_redirect_can_be_chosen(status: int) -> None:
    assert Response.redirect("/", status=status).status == status


@pytest.mark.parametrize("status", [200, 300, 304, 305, 404])
def test_other_statuses_do_not_redirect(status: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"status {status} does not redirect"):
        Response.redirect("/", status=status)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/a\r\nSet-Cookie: a=b", "has a control character"),
        ("/a\n", "has a control character"),
        ("/\0", "has a control character"),
        ("/\t/h.example", "has a control character"),
        ("/\x7f", "has a control character"),
        ("//h.example/a", "leads to another host"),
        ("///h.example", "leads to another host"),
        ("/\\h.example", "leads to another host"),
        ("\\\\h.example", "leads to another host"),
        ("https:\\\\h.example", "leads to another host"),
        ("", "is no path or http URL"),
        ("javascript:alert(1)", "is no path or http URL"),
        ("data:text/html,x", "is no path or http URL"),
        ("ftp://h.example", "is no path or http URL"),
        ("https:h.example", "is no path or http URL"),
        ("https:///h.example", "is no path or http URL"),
        ("http://[", "is no URL"),
    ],
)
def test_a_location_that_is_a_trap_is_refused(location: str, reason: str) -> None:
    with pytest.raises(InvalidHeader, match=reason) as caught:
        Response.redirect(location)
    assert (caught.value.name, caught.value.value) == ("Location", location)


# -- cookies ----------------------------------------------------------------------------------------------------------


def test_cookies_are_added_one_by_one() -> None:
    response = Response()
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", max_age=5, secure=True, same_site="Strict", http_only=False, path="/x")
    assert response.headers.get_all("set-cookie") == [
        "a=1; Path=/; HttpOnly; SameSite=Lax",
        "b=2; Max-Age=5; Path=/x; Secure; SameSite=Strict",
    ]


def test_a_cookie_takes_all_attributes() -> None:
    response = Response()
    expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    response.set_cookie("a", "1", expires=expires, domain="h.example", secure=True, partitioned=True)
    assert response.headers["set-cookie"] == (
        "a=1; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Domain=h.example; Path=/; "
        "Secure; HttpOnly; SameSite=Lax; Partitioned"
    )


def test_a_bad_cookie_adds_nothing() -> None:
    response = Response()
    with pytest.raises(InvalidHeader):
        response.set_cookie("a", "1\r\nX: y")
    assert len(response.headers) == 0


@pytest.mark.parametrize(
    ("name", "place", "written"),
    [
        ("a", {}, "a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax"),
        (
            "a",
            {"path": "/x", "domain": "h.example"},
            "a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Domain=h.example; Path=/x; HttpOnly; SameSite=Lax",
        ),
        (
            "__Host-a",
            {},
            "__Host-a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
    ],
)
def test_a_cookie_is_deleted_where_it_was_set(name: str, place: dict[str, str], written: str) -> None:
    response = Response()
    response.delete_cookie(name, **place)
    assert response.headers["set-cookie"] == written


# -- files ------------------------------------------------------------------------------------------------------------


def make_file(folder: Path, name: str = "a.txt", data: bytes = b"0123456789") -> Path:
    path = folder / name
    path.write_bytes(data)
    os.utime(path, ns=(0, 784111777_000000000))
    return path


async def body_of(response: Response) -> bytes:
    assert not isinstance(response.body, bytes)
    return b"".join([data async for data in response.body])


async def test_a_file_has_type_size_and_validators(tmp_path: Path) -> None:
    response = Response.file(make_file(tmp_path))
    assert response.headers.items() == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("ETag", '"ae1b981bc490a00-a"'),
        ("Accept-Ranges", "bytes"),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ]
    assert response.body_size == 10
    assert await body_of(response) == b"0123456789"


def test_the_type_of_a_file_can_be_given(tmp_path: Path) -> None:
    assert Response.file(make_file(tmp_path), content_type="text/x").headers["content-type"] == "text/x; charset=utf-8"


def test_validators_of_ones_own_stay(tmp_path: Path) -> None:
    response = Response.file(make_file(tmp_path), headers={"Last-Modified": "Sun, 06 Nov 1994 00:00:00 GMT"})
    assert response.headers.get_all("last-modified") == ["Sun, 06 Nov 1994 00:00:00 GMT"]


@pytest.mark.parametrize("name", ["none.txt", "a.txt/b", ""])
def test_what_is_no_file_is_404(tmp_path: Path, name: str) -> None:
    make_file(tmp_path)
    with pytest.raises(HTTPError) as caught:
        Response.file(os.path.join(tmp_path, name))
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ("é.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"),
        ('a"b\\c.txt', "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%5Cc.txt"),
        ("../a", "attachment; filename=\".._a\"; filename*=UTF-8''..%2Fa"),
        ("a\r\nX: y", "attachment; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
        ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
    ],
)
def test_a_download_has_a_name(tmp_path: Path, name: str, written: str) -> None:
    assert Response.file(make_file(tmp_path), download=name).headers["content-disposition"] == written


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("A.TXT", "text/plain; charset=utf-8"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("/x.html/a", "application/octet-stream"),
    ],
)
def test_types_come_from_the_name_and_text_has_a_charset(name: str, content_type: str) -> None:
    assert content_type_of(name) == content_type


# -- conditions and ranges --------------------------------------------------------------------------------------------


async def test_a_part_of_a_file(tmp_path: Path) -> None:
    whole = Response.file(make_file(tmp_path), headers={"X-A": "1"})
    part = whole.select("GET", Headers([("Range", "bytes=2-4")]))
    assert (part.status, part.body_size, await body_of(part)) == (206, 3, b"234")
    assert part.headers.items() == [*whole.headers.items(), ("Content-Range", "bytes 2-4/10")]
    assert part.select("GET", Headers([("Range", "bytes=0-0")])) is part


def test_a_part_of_bytes() -> None:
    whole = Response.with_facts(b"0123456789", Facts(10, '"a"'), content_type="text/plain")
    assert whole.select("GET", Headers([("Range", "bytes=-3")])).body == b"789"


@pytest.mark.parametrize(
    ("headers", "status", "further"),
    [
        ({"If-None-Match": "*"}, 304, []),
        ({"If-Match": '"x"'}, 412, []),
        ({"Range": "bytes=10-"}, 416, [("Content-Range", "bytes */10")]),
    ],
)
def test_an_answer_without_the_file_keeps_the_validators(
    tmp_path: Path, headers: dict[str, str], status: int, further: list[tuple[str, str]]
) -> None:
    whole = Response.file(make_file(tmp_path), download="b", headers={"Cache-Control": "no-cache"})
    answer = whole.select("GET", Headers(headers))
    assert (answer.status, answer.body) == (status, b"")
    names = ("Cache-Control", "ETag", "Accept-Ranges", "Last-Modified")
    assert answer.headers.items() == [(name, whole.headers[name]) for name in names] + further


def test_without_conditions_or_facts_it_stays_the_same(tmp_path: Path) -> None:
    conditions = Headers([("If-None-Match", "*"), ("Range", "bytes=0-1")])
    plain, whole = Response("abc"), Response.file(make_file(tmp_path))
    assert plain.select("GET", conditions) is plain
    assert whole.select("GET", Headers()) is whole
    assert whole.select("POST", conditions) is whole
    whole.status = 404
    assert whole.select("GET", conditions) is whole


@pytest.mark.parametrize("body", [chunks(), b"shorter"])
def test_the_facts_are_those_of_the_body_that_was_given(tmp_path: Path, body: bytes | AsyncIterator[bytes]) -> None:
    whole = Response.file(make_file(tmp_path))
    whole.body = body
    assert whole.select("GET", Headers([("Range", "bytes=0-1")])) is whole
