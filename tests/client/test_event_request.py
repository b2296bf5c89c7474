from __future__ import annotations

import pytest

from elio.client.event_request import EventRequest
from elio.errors import ConfigurationError, InvalidHeader, InvalidURL
from elio.url import URL
from elio.version import VERSION

URL_TEXT = "https://example.com/events?a=1"


def test_the_usual_request() -> None:
    request = EventRequest.make(URL_TEXT)
    assert (request.method, request.body, request.is_idempotent) == ("GET", b"", True)
    assert request.headers.items() == [
        ("Accept", "text/event-stream"),
        ("Cache-Control", "no-cache"),
        ("User-Agent", f"elio/{VERSION}"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ]


def test_given_headers_go_before_the_usual_ones() -> None:
    request = EventRequest.make(URL_TEXT, headers={"accept": "a/b", "user-agent": "x", "Accept-Encoding": "identity"})
    assert request.headers.get_all("accept") == ["a/b"]
    assert request.headers.get_all("user-agent") == ["x"]
    assert request.headers.get_all("accept-encoding") == ["identity"]


def test_without_compression_no_coding_is_offered() -> None:
    assert "accept-encoding" not in EventRequest.make(URL_TEXT, compression=False).headers


def test_a_body_makes_a_post_that_is_not_repeated() -> None:
    request = EventRequest.make(URL_TEXT, body="é")
    assert (request.method, request.body, request.is_idempotent) == ("POST", "é".encode(), False)
    assert EventRequest.make(URL_TEXT, body=b"x", method="PUT").is_idempotent
    assert EventRequest.make(URL_TEXT, body=b"x", idempotent=True).is_idempotent
    assert not EventRequest.make(URL_TEXT, idempotent=False).is_idempotent


def test_json_is_a_body_with_its_type() -> None:
    request = EventRequest.make(URL_TEXT, data={"a": ["é", None]})
    assert request.body == '{"a":["é",null]}'.encode()
    assert request.headers["content-type"] == "application/json"
    assert EventRequest.make(URL_TEXT, data={}, headers={"Content-Type": "a/b"}).headers["content-type"] == "a/b"


def test_body_and_json_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        EventRequest.make(URL_TEXT, body=b"", data={})


def test_authentication() -> None:
    assert EventRequest.make(URL_TEXT, auth=("a", "b")).headers["authorization"] == "Basic YTpi"
    assert EventRequest.make(URL_TEXT, auth="t").headers["authorization"] == "Bearer t"
    given = EventRequest.make(URL_TEXT, auth="t", headers={"Authorization": "Own"})
    assert given.headers.get_all("authorization") == ["Own"]


@pytest.mark.parametrize("url", ["ws://example.com/", "ftp://example.com", "example.com"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidURL):
        EventRequest.make(url)


def test_a_url_that_was_parsed_is_taken_as_it_is() -> None:
    url = URL.parse(URL_TEXT)
    assert EventRequest.make(url).url is url


def test_headers_that_would_break_the_wire_are_refused() -> None:
    with pytest.raises(InvalidHeader):
        EventRequest.make(URL_TEXT, headers={"X": "a\r\nb"})


def test_the_last_event_id_goes_back_as_its_bytes() -> None:
    request = EventRequest.make(URL_TEXT, headers={"Last-Event-ID": "own"})
    assert request.headers_from(None)["last-event-id"] == "own"
    headers = request.headers_from("ü→".encode())
    assert headers.get_all("last-event-id") == ["ü→".encode().decode("latin-1")]
    assert "Last-Event-ID: ü→\r\n".encode() in headers.encode()
    assert request.headers["last-event-id"] == "own"
