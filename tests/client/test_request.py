"""What a redirect makes of a request, and what it keeps from strangers."""

from __future__ import annotations

from typing import Any

import pytest

from elio.client.request import ClientRequest, authorization, is_redirect
from elio.errors import HandshakeError, InvalidHeader
from elio.headers import Headers
from elio.url import URL


def make(url: str = "https://example.com/a/b", method: str = "GET", **options: Any) -> ClientRequest:
    headers = options.pop("headers", ())
    return ClientRequest.make(method, URL.parse(url), headers, **options)


def test_authorization_is_basic_or_bearer() -> None:
    assert authorization(("me", "p:w")) == "Basic bWU6cDp3"
    assert authorization("token") == "Bearer token"
    with pytest.raises(InvalidHeader, match="colon"):
        authorization(("a:b", "c"))


def test_what_is_a_redirect() -> None:
    headers = Headers([("Location", "/")])
    assert [status for status in range(200, 400) if is_redirect(status, headers)] == [301, 302, 303, 307, 308]
    assert not is_redirect(302, Headers())


def test_the_host_and_the_user_come_from_the_url() -> None:
    assert make("http://me:secret@example.com:81/").wire_headers().items() == [
        ("Host", "example.com:81"),
        ("Authorization", "Basic bWU6c2VjcmV0"),
    ]
    given = make("http://me@example.com/", headers=[("host", "other"), ("authorization", "mine"), ("X", "1")])
    assert given.wire_headers().items() == [("Host", "other"), ("authorization", "mine"), ("X", "1")]


def test_some_headers_are_made_each_time() -> None:
    numbers = iter("123")
    request = make(each_time=lambda: [("Number", next(numbers))])
    assert [request.wire_headers()["Number"] for _ in "12"] == ["1", "2"]


def test_a_header_that_would_break_the_wire_is_refused() -> None:
    with pytest.raises(InvalidHeader):
        make(headers=[("X", "a\r\nb")])


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("GET", 301, "GET"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ],
)
def test_what_becomes_of_the_method(method: str, status: int, expected: str) -> None:
    headers = [("Content-Type", "text/plain"), ("Accept", "*/*")]
    after = make(method=method, body=b"x", headers=headers).redirected(status, "c?d")
    assert after.method == expected
    assert str(after.url) == "https://example.com/a/c?d"
    kept = expected == method
    assert (after.body == b"x", "content-type" in after.headers, "accept" in after.headers) == (kept, kept, True)


def test_secrets_stay_with_their_origin() -> None:
    secret = [
        ("Authorization", "a"),
        ("authorization", "b"),
        ("Cookie", "c"),
        ("cookie", "d"),
        ("Proxy-Authorization", "e"),
        ("X-Key", "f"),
        ("x-key", "g"),
        ("Host", "example.com"),
    ]
    request = make("https://me:secret@example.com/", headers=[*secret, ("X-Other", "h")], secrets=["X-KEY"])
    same = request.redirected(302, "https://example.com:443/there")
    assert same.headers.items() == [*secret, ("X-Other", "h")]
    assert same.url.username == "me"
    for place in ("https://example.com:444/", "https://sub.example.com/", "//example.org/"):
        other = request.redirected(302, place)
        assert other.headers.items() == [("X-Other", "h")]
        assert other.url.username is None
        assert "authorization" not in other.wire_headers()
        # What a stranger was not told it is not told on the way back.
        assert other.redirected(302, "https://example.com/").headers.items() == [("X-Other", "h")]


def test_the_next_origin_may_bring_its_own_user() -> None:
    other = make("https://me:secret@example.com/").redirected(302, "https://you:too@example.org/")
    assert other.wire_headers()["Authorization"] == authorization(("you", "too"))


def test_plain_to_plain_and_to_tls() -> None:
    assert str(make("http://a/").redirected(302, "http://b/").url) == "http://b/"
    assert str(make("ws://a/").redirected(302, "https://a/").url) == "wss://a/"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://a/", "http://a/"),
        ("wss://a/", "ws://a/"),
        ("wss://a/", "http://b/"),
        ("https://a/", "ftp://b/"),
        ("https://a/", "ws://b/"),
        ("ws://a/", "ws+unix:///run/app.sock:/"),
        ("http://a/", "http://"),
        ("http://a/", "http://b\x7f/"),
    ],
)
def test_places_that_are_not_gone_to(url: str, place: str) -> None:
    with pytest.raises(HandshakeError, match="redirect") as caught:
        make(url).redirected(302, place)
    assert caught.value.status == 302


def test_a_place_in_utf8() -> None:
    location = "/caf\u00e9".encode().decode("latin-1")
    assert make().redirected(302, location).url.path == "/caf%C3%A9"
