"""Tests of elio.cookies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from elio.cookies import format_set_cookie, parse_cookies
from elio.errors import InvalidHeader

# -- Cookie -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "cookies"),
    [
        ([], {}),
        ([""], {}),
        (["a=1"], {"a": "1"}),
        (["a=1; b=2"], {"a": "1", "b": "2"}),
        (["a=1;b=2 ; c = 3\t"], {"a": "1", "b": "2", "c": "3"}),
        (["a=1", "b=2"], {"a": "1", "b": "2"}),
        (["a="], {"a": ""}),
        (["a=b=c=="], {"a": "b=c=="}),
        (['a="b c"; d="'], {"a": "b c", "d": '"'}),
        (['a=""'], {"a": ""}),
        (["a=b%20c+d"], {"a": "b%20c+d"}),
        (["lone; =value; ; a=1;"], {"a": "1"}),
        (["a=1,b=2"], {"a": "1,b=2"}),
        (["A=1; a=2"], {"A": "1", "a": "2"}),
    ],
)
def test_pairs_are_read_and_everything_else_is_dropped(values: list[str], cookies: dict[str, str]) -> None:
    assert parse_cookies(values) == cookies


def test_the_first_of_equal_names_wins() -> None:
    assert parse_cookies(["a=1; a=2", "a=3"]) == {"a": "1"}


@pytest.mark.parametrize("text", ['a="' + '\\"' * 50_000, ";" * 100_000, "=" * 100_000, "a" * 100_000, " " * 100_000])
def test_reading_takes_one_pass_whatever_the_text(text: str) -> None:
    assert len(parse_cookies([text])) <= 1


# -- Set-Cookie -------------------------------------------------------------------------------------------------------


def test_defaults_are_safe() -> None:
    assert format_set_cookie("id", "abc") == "id=abc; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"max_age": 60}, "a=b; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"),
        ({"max_age": 0}, "a=b; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"),
        (
            {"expires": datetime(1994, 11, 6, 8, 49, 37)},
            "a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            {"expires": datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)},
            "a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            {"expires": datetime(1994, 11, 6, 10, 49, 37, tzinfo=timezone(timedelta(hours=2)))},
            "a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Path=/; HttpOnly; SameSite=Lax",
        ),
        ({"domain": "example.com"}, "a=b; Domain=example.com; Path=/; HttpOnly; SameSite=Lax"),
        ({"path": "/x"}, "a=b; Path=/x; HttpOnly; SameSite=Lax"),
        ({"path": ""}, "a=b; HttpOnly; SameSite=Lax"),
        ({"secure": True}, "a=b; Path=/; Secure; HttpOnly; SameSite=Lax"),
        ({"http_only": False}, "a=b; Path=/; SameSite=Lax"),
        ({"same_site": "Strict"}, "a=b; Path=/; HttpOnly; SameSite=Strict"),
        ({"same_site": None}, "a=b; Path=/; HttpOnly"),
        ({"same_site": "None", "secure": True}, "a=b; Path=/; Secure; HttpOnly; SameSite=None"),
        ({"partitioned": True, "secure": True}, "a=b; Path=/; Secure; HttpOnly; SameSite=Lax; Partitioned"),
    ],
)
def test_every_attribute_is_written(attributes: dict[str, Any], text: str) -> None:
    assert format_set_cookie("a", "b", **attributes) == text


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "a\r\nb", "é", "a,b"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(InvalidHeader, match="is not a token"):
        format_set_cookie(name, "b")


@pytest.mark.parametrize("value", ["a b", "a;b", "a,b", 'a"b', "a\\b", "a\r\nSet-Cookie: c=d", "a\0b", "é", "\x7f"])
def test_a_value_beyond_the_cookie_octets_is_refused(value: str) -> None:
    with pytest.raises(InvalidHeader, match="has a forbidden character") as caught:
        format_set_cookie("a", value)
    assert (caught.value.name, caught.value.value) == ("a", value)


@pytest.mark.parametrize("value", ["", "!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"])
def test_every_cookie_octet_is_allowed(value: str) -> None:
    assert format_set_cookie("a", value).startswith(f"a={value}; ")


@pytest.mark.parametrize("attribute", ["path", "domain", "same_site"])
@pytest.mark.parametrize("text", ["/;Domain=evil.example", "/\r\n", "/\0", "/é", "/\x7f"])
def test_an_attribute_that_would_break_out_is_refused(attribute: str, text: str) -> None:
    attributes: dict[str, Any] = {attribute: text}
    with pytest.raises(InvalidHeader, match="has a forbidden character"):
        format_set_cookie("a", "b", **attributes)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("a", {"same_site": "None"}),
        ("a", {"partitioned": True}),
        ("__Host-a", {}),
        ("__Secure-a", {}),
        ("__secure-a", {}),
    ],
)
def test_what_browsers_take_only_when_secure_must_be_secure(name: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(InvalidHeader, match="only taken by browsers with secure=True"):
        format_set_cookie(name, "b", **attributes)
    assert "; Secure" in format_set_cookie(name, "b", secure=True, **attributes)


@pytest.mark.parametrize("attributes", [{"domain": "example.com"}, {"path": "/x"}, {"path": ""}])
def test_a_host_cookie_has_the_path_of_the_host_and_no_domain(attributes: dict[str, Any]) -> None:
    with pytest.raises(InvalidHeader, match="must have the path '/' and no domain"):
        format_set_cookie("__Host-a", "b", secure=True, **attributes)
