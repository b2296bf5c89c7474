"""The ``Authorization`` header (RFC 6750 2.1, RFC 7617 2)."""

from __future__ import annotations

from base64 import b64encode
from hmac import compare_digest

import pytest

from elio import Credentials, basic_credentials, bearer_token, same_secret
from support.request import make_request


def basic(text: bytes) -> str:
    return "Basic " + b64encode(text).decode()


def authorized(*values: str) -> list[tuple[str, str]]:
    return [("Authorization", value) for value in values]


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqM"),
        ("bearer a~+/1==", "a~+/1=="),
        ("Bearer  a", "a"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer a b", None),
        ("Bearer a=b", None),
        ("Bearer é", None),
        ("Bearera", None),
        ("Basic a", None),
        ("a", None),
    ],
)
def test_bearer_tokens(value: str, token: str | None) -> None:
    assert bearer_token(make_request(headers=[("Authorization", value.strip())])) == token


def test_without_the_header_there_is_nothing() -> None:
    assert bearer_token(make_request()) is None
    assert basic_credentials(make_request()) is None


def test_two_headers_are_none() -> None:
    request = make_request(headers=authorized("Bearer a", "Bearer b"))
    assert bearer_token(request) is None


@pytest.mark.parametrize(
    ("value", "credentials"),
    [
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ("Aladdin", "open sesame")),
        (basic("test:123£".encode()), ("test", "123£")),
        (basic(b"a:b:c"), ("a", "b:c")),
        (basic(b":"), ("", "")),
        (basic(b"no colon"), None),
        (basic(b"a:\xff"), None),
        (basic(b"a:b\n"), None),
        ("Basic QWxh*", None),
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", None),
        ("Basic é", None),
        ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
    ],
)
def test_basic_credentials(value: str, credentials: tuple[str, str] | None) -> None:
    assert basic_credentials(make_request(headers=authorized(value))) == credentials


def test_credentials_match_as_a_whole() -> None:
    given = Credentials("ada", "secret")
    assert given.match("ada", "secret")
    assert not given.match("ada", "Secret")
    assert not given.match("Ada", "secret")


def test_a_password_is_not_shown() -> None:
    assert repr(Credentials("ada", "secret")) == "<Credentials of 'ada'>"


@pytest.mark.parametrize(
    ("given", "secret", "same"),
    [("", "", True), ("a", "a", True), ("é\udcff", "é\udcff", True), ("a", "b", False), ("a", "ab", False)],
)
def test_same_secret(given: str, secret: str, same: bool) -> None:
    assert same_secret(given, secret) is same


def test_secrets_are_compared_as_digests_of_one_length_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return compare_digest(a, b)

    monkeypatch.setattr("elio.auth.credentials.compare_digest", compare)
    assert not same_secret("a", "much longer")
    assert Credentials("ada", "secret").match("ada", "secret")
    assert not Credentials("ada", "secret").match("", "")
    assert len(compared) >= 3
    assert {len(each) for pair in compared for each in pair} == {32}
