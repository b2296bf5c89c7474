"""URLs of WebSockets and HTTP (RFC 3986, RFC 6455 3)."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.errors import InvalidURL
from elio.url import URL, parse_authority


def refused(text: str) -> str:
    with pytest.raises(InvalidURL) as caught:
        URL.parse(text)
    assert caught.value.url == text
    return str(caught.value)


# -- parts


def test_all_parts() -> None:
    url = URL.parse("wss://user:secret@Example.COM:8443/chat/room?name=a&b=c")
    assert url == URL("wss", "example.com", 8443, "/chat/room", "name=a&b=c", "user", "secret", None)
    assert (url.host_header, url.target, url.origin) == (
        "example.com:8443",
        "/chat/room?name=a&b=c",
        "https://example.com:8443",
    )


@pytest.mark.parametrize(
    ("text", "port", "is_secure", "is_websocket", "origin"),
    [
        ("ws://h", 80, False, True, "http://h"),
        ("wss://h", 443, True, True, "https://h"),
        ("http://h", 80, False, False, "http://h"),
        ("https://h", 443, True, False, "https://h"),
        ("WS://h:80", 80, False, True, "http://h"),
        ("Wss://h:443", 443, True, True, "https://h"),
        ("HTTP://h:443", 443, False, False, "http://h:443"),
        ("ws://h:443", 443, False, True, "http://h:443"),
        ("wss://h:80", 80, True, True, "https://h:80"),
    ],
)
def test_schemes(text: str, port: int, is_secure: bool, is_websocket: bool, origin: str) -> None:
    url = URL.parse(text)
    assert (url.port, url.is_secure, url.is_websocket, url.origin) == (port, is_secure, is_websocket, origin)
    assert url.scheme == text.partition(":")[0].lower()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ws://h", "/"),
        ("ws://h/", "/"),
        ("ws://h?", "/"),
        ("ws://h/?", "/"),
        ("ws://h?a", "/?a"),
        ("ws://h/a?b?c", "/a?b?c"),
        ("ws://h//a//b/", "//a//b/"),
        ("ws://h/a/../b", "/a/../b"),
        ("ws://h/a:b@c", "/a:b@c"),
        ("ws://h/a?b=/c", "/a?b=/c"),
        ("http://h/a?b#c?d", "/a?b"),
        ("http://h#c", "/"),
    ],
)
def test_targets(text: str, target: str) -> None:
    assert URL.parse(text).target == target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ws://h/\u00e4?\u00f6=\u20ac", "/%C3%A4?%C3%B6=%E2%82%AC"),
        ("ws://h/\U0001f600", "/%F0%9F%98%80"),
        ("ws://h/\u0085\u2028", "/%C2%85%E2%80%A8"),
        ("ws://h/%c3%A4", "/%c3%A4"),
        ("ws://h/100%", "/100%25"),
        ("ws://h/%zz%4", "/%25zz%254"),
        ('ws://h/a"<>\\^`{|}', "/a%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("ws://h/-._~!$&'()*+,;=:@[]", "/-._~!$&'()*+,;=:@[]"),
        ("ws://h?a[]=b\\c", "/?a[]=b%5Cc"),
    ],
)
def test_what_may_not_stand_in_a_target_is_encoded_once(text: str, target: str) -> None:
    url = URL.parse(text)
    assert url.target == target
    assert URL.parse(str(url)) == url


@pytest.mark.parametrize(
    ("text", "username", "password"),
    [
        ("ws://h", None, None),
        ("ws://@h", "", None),
        ("ws://user@h", "user", None),
        ("ws://user:@h", "user", ""),
        ("ws://:secret@h", "", "secret"),
        ("ws://us%40er:pa%3Ass@h", "us@er", "pa:ss"),
        ("ws://user:a:b@h", "user", "a:b"),
        ("ws://\u00fcser:%C3%BC@h", "\u00fcser", "\u00fc"),
    ],
)
def test_user_and_password_stand_apart(text: str, username: str | None, password: str | None) -> None:
    url = URL.parse(text)
    assert (url.username, url.password) == (username, password)
    assert (url.host, url.host_header, str(url)) == ("h", "h", "ws://h/")


def test_the_password_is_not_shown() -> None:
    url = URL.parse("ws://user:s3cret@h")
    assert "s3cret" not in repr(url)
    assert "s3cret" not in str(url)
    for text in ("ws://user:s3cret@h:99999", "ws://user:s3cret@", "foo://user:s3cret@h", "ws://u:s3cret@u@h"):
        assert "s3cret" not in refused(text)


def test_a_url_is_a_value() -> None:
    url = URL.parse("ws://h/a")
    assert url == URL.parse("WS://H:80/a")
    assert len({url, URL.parse("ws://h/a"), URL.parse("ws://h/b")}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        url.host = "other"  # type: ignore[misc]


# -- what is refused


@pytest.mark.parametrize("char", [*map(chr, range(0x21)), "\x7f", "\ud800"])
def test_control_characters_and_spaces_are_refused(char: str) -> None:
    for text in (f"{char}ws://h", f"ws://h{char}", f"ws://h/a{char}b", f"ws://h/?{char}", f"w{char}s://h"):
        assert refused(text) == f"forbidden character {char!r} at {text.index(char)}"
    with pytest.raises(InvalidURL, match="forbidden character"):
        URL.parse("http://h").resolve(f"/a{char}")


@pytest.mark.parametrize(
    "text", ["", "h", "/path", "//h/path", "ws:", "ws:h", "ws:/h", "://h", "?a", "#", "ws//h", "ws://good\\@evil/"]
)
def test_what_has_not_the_form_of_a_url_is_refused(text: str) -> None:
    assert "scheme://host" in refused(text)


@pytest.mark.parametrize("scheme", ["ftp", "file", "wsss", "w", "unix", "https+unix", "javascript", "w\u017f"])
def test_other_schemes_are_refused(scheme: str) -> None:
    assert "is none of ws, wss, http, https" in refused(f"{scheme}://h/")


@pytest.mark.parametrize("text", ["ws://h#", "ws://h/a#b", "wss://h/?#", "ws://h/a#b#c", "ws+unix:///a:/b#c"])
def test_the_url_of_a_websocket_has_no_fragment(text: str) -> None:
    assert "fragment" in refused(text)


@pytest.mark.parametrize(
    "port", ["0", "00", "65536", "99999", "100000", "-1", "+1", "1_0", "x", "8o", "\u0661", "80:80"]
)
def test_bad_ports_are_refused(port: str) -> None:
    for host in ("h", "[::1]"):
        assert "port" in refused(f"ws://{host}:{port}/")


@pytest.mark.parametrize(("port", "number"), [("1", 1), ("65535", 65535), ("00080", 80), ("", 80)])
def test_good_ports(port: str, number: int) -> None:
    assert URL.parse(f"ws://h:{port}/").port == number


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a..b",
        ".a",
        "a.b..",
        "a" * 64,
        ".".join(["a" * 49] * 6),
        "a*b",
        "a%41",
        "a!b",
        "a,b",
        "a'b",
        "{a}",
        "a|b",
        "a\\b",
        "\u00e4..b",
        "\u00e4" * 64,
        "\u00e4" * 255,
        "a\uff0fb",
        "a\u2028b",
        "xn--\u00e4",
    ],
)
def test_bad_host_names_are_refused(host: str) -> None:
    refused(f"ws://{host}/")


@pytest.mark.parametrize("host", ["stra\u00dfe.example", "\u03b1\u03c2.example", "a\u200db", "a\u200cb"])
def test_names_that_the_two_idnas_encode_differently_are_refused(host: str) -> None:
    assert "xn--" in refused(f"ws://{host}/")


@pytest.mark.parametrize(
    ("host", "encoded"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.com.", "example.com."),
        ("a_b-c.d", "a_b-c.d"),
        ("a" * 63, "a" * 63),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("\u4f8b\u3048\u3002jp", "xn--r8jz45g.jp"),
        ("127.0.0.1", "127.0.0.1"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("0xy.example", "0xy.example"),
    ],
)
def test_host_names_become_ascii_in_lower_case(host: str, encoded: str) -> None:
    url = URL.parse(f"ws://{host}:8080/")
    assert (url.host, url.host_header) == (encoded, f"{encoded}:8080")


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0x7f000001",
        "256.0.0.1",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "a.1",
        "0x",
        "1.",
    ],
)
def test_other_forms_of_an_ipv4_address_are_refused(host: str) -> None:
    assert "IPv4" in refused(f"http://{host}/")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[::1]", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[2001:DB8::FF00:42:8329]", "2001:db8::ff00:42:8329"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ("[::FFFF:10.0.0.255]", "::ffff:a00:ff"),
        ("[::ffff:0:0]", "::ffff:0:0"),
    ],
)
def test_ipv6_addresses_have_brackets_in_the_header_alone(text: str, address: str) -> None:
    url = URL.parse(f"ws://{text}:8080/")
    assert (url.host, url.host_header) == (address, f"[{address}]:8080")
    assert URL.parse(f"ws://{text}").host_header == f"[{address}]"


@pytest.mark.parametrize(
    "authority",
    ["[::1", "::1", "[]", "[::1]x", "[::1]80", "[::1]]", "[[::1]]", "[1.2.3.4]", "[::g]", "[v1.a]", "[fe80::1%25eth0]",
     "[fe80::1%eth0]", "a[::1]", "[::1]:80:80", "1::2"],
)  # fmt: skip
def test_bad_ipv6_addresses_are_refused(authority: str) -> None:
    refused(f"ws://{authority}/")


@pytest.mark.parametrize("userinfo", ["a@b", "a@b:c", "a%ff", "a:%ff", "%C3"])
def test_bad_users_and_passwords_are_refused(userinfo: str) -> None:
    refused(f"ws://{userinfo}@h/")


# -- authorities by themselves


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Example.com", ("example.com", None)),
        ("example.com:", ("example.com", None)),
        ("example.com:8080", ("example.com", 8080)),
        ("[::1]", ("::1", None)),
        ("[::1]:", ("::1", None)),
        ("[0::1]:1", ("::1", 1)),
    ],
)
def test_authorities(text: str, expected: tuple[str, int | None]) -> None:
    assert parse_authority(text) == expected


@pytest.mark.parametrize("text", ["", ":80", "a b", "user@h", "h/", "h,h", "h:1:2", "h:0", "[::1", "h\n", "\ud800"])
def test_bad_authorities_are_refused(text: str) -> None:
    with pytest.raises(InvalidURL):
        parse_authority(text)


# -- Unix sockets


@pytest.mark.parametrize(
    ("text", "socket_path", "target"),
    [
        ("ws+unix:///run/app.sock", "/run/app.sock", "/"),
        ("ws+unix:///run/app.sock:", "/run/app.sock", "/"),
        ("ws+unix:///run/app.sock:/chat?a=b", "/run/app.sock", "/chat?a=b"),
        ("ws+unix:///run/app.sock?a", "/run/app.sock", "/?a"),
        ("ws+unix:///run/a%20b%3Ac:/x:y", "/run/a b:c", "/x:y"),
        ("WS+UNIX:///r\u00fcn/a:/\u00e4", "/r\u00fcn/a", "/%C3%A4"),
        ("http+unix:///a:/b", "/a", "/b"),
    ],
)
def test_unix_sockets(text: str, socket_path: str, target: str) -> None:
    url = URL.parse(text)
    assert (url.socket_path, url.target) == (socket_path, target)
    assert (url.host_header, url.origin, url.is_secure) == ("localhost", "http://localhost", False)
    assert url.is_websocket is text.lower().startswith("ws")
    assert URL.parse(str(url)) == url


@pytest.mark.parametrize(
    "text",
    ["ws+unix://", "ws+unix:///", "ws+unix://run/app.sock", "ws+unix:///:/a", "ws+unix:///a:b", "ws+unix:///%ff"],
)
def test_bad_unix_sockets_are_refused(text: str) -> None:
    refused(text)


# -- references


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        # RFC 3986 5.4.1, without those that keep a fragment.
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/../x", "http://a/b/c/g"),
        ("?", "http://a/b/c/d;p"),
        ("https://other:8443/x", "https://other:8443/x"),
        ("/\u00e4", "http://a/%C3%A4"),
        (".//g", "http://a/b/c//g"),
        ("/g//h", "http://a/g//h"),
        ("g=http://h", "http://a/b/c/g=http://h"),
        ("?g=//h", "http://a/b/c/d;p?g=//h"),
        ("1:g", "http://a/b/c/1:g"),
        ("\\\\evil.example/", "http://a/b/c/%5C%5Cevil.example/"),
    ],
)
def test_references(reference: str, expected: str) -> None:
    assert str(URL.parse("http://a/b/c/d;p?q").resolve(reference)) == expected


@pytest.mark.parametrize(
    ("base", "reference", "expected"),
    [
        ("ws://a/b", "c", "ws://a/c"),
        ("ws://a/b", "//c", "ws://c/"),
        ("ws://a/b", "http://a/c", "ws://a/c"),
        ("ws://a/b", "https://a/c", "wss://a/c"),
        ("wss://a/b", "c", "wss://a/c"),
        ("wss://a/b", "http://a/c", "ws://a/c"),
        ("wss://a:8443/b", "wss://c/#d", "wss://c/"),
        ("ws://a/b", "/c#d", "ws://a/c"),
        ("ws://[::1]:80/b", "/c", "ws://[::1]/c"),
    ],
)
def test_a_websocket_stays_one(base: str, reference: str, expected: str) -> None:
    assert str(URL.parse(base).resolve(reference)) == expected


@pytest.mark.parametrize(
    ("reference", "username", "password"),
    [
        ("/other", "user", "secret"),
        ("wss://h/other", "user", "secret"),
        ("https://h:443/other", "user", "secret"),
        ("https://else@h/", "else", None),
        ("ws://h/", None, None),
        ("wss://h:8443/", None, None),
        ("wss://sub.h/", None, None),
        ("//evil.example/", None, None),
        ("https://else:word@evil.example/", "else", "word"),
    ],
)
def test_user_and_password_do_not_go_to_another_origin(
    reference: str, username: str | None, password: str | None
) -> None:
    url = URL.parse("wss://user:secret@h/").resolve(reference)
    assert (url.username, url.password) == (username, password)


@pytest.mark.parametrize(
    "reference",
    [
        "http://[::1",
        "http://h:0/",
        "http://",
        "http:",
        "http:g",
        "http:/g",
        "//",
        "///g",
        "g:h",
        "javascript:alert(1)",
        "data:,x",
        "ftp://h/",
        "http://127.1/",
        "//a@b@c/",
    ],
)
def test_bad_references_are_refused(reference: str) -> None:
    for base in ("http://h/a", "ws://h/a"):
        with pytest.raises(InvalidURL) as caught:
            URL.parse(base).resolve(reference)
        assert caught.value.url == reference


def test_a_reference_does_not_lead_from_http_to_a_websocket() -> None:
    with pytest.raises(InvalidURL, match="from http to a WebSocket"):
        URL.parse("http://h/").resolve("ws://h/")


@pytest.mark.parametrize("base", ["http://h/", "ws://h/", "http+unix:///a"])
@pytest.mark.parametrize("reference", ["ws+unix:///run/docker.sock:/", "http+unix:///run/docker.sock:/"])
def test_a_peer_does_not_lead_to_a_unix_socket(base: str, reference: str) -> None:
    with pytest.raises(InvalidURL, match="Unix socket"):
        URL.parse(base).resolve(reference)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("c?d", "ws+unix:///run/a:/c?d"),
        ("/c", "ws+unix:///run/a:/c"),
        ("http://localhost/c", "ws+unix:///run/a:/c"),
        ("//localhost/c", "ws+unix:///run/a:/c"),
        ("https://localhost/c", "wss://localhost/c"),
        ("http://h/c", "ws://h/c"),
    ],
)
def test_references_from_a_unix_socket(reference: str, expected: str) -> None:
    assert str(URL.parse("ws+unix:///run/a:/b").resolve(reference)) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("ws://h/a", "http://h:80/b", True),
        ("wss://h", "https://h", True),
        ("ws://h", "wss://h", False),
        ("ws://h:443", "wss://h", False),
        ("ws://h", "ws://h:81", False),
        ("ws://h", "ws://i", False),
        ("ws+unix:///a", "http+unix:///a:/b", True),
        ("ws+unix:///a", "ws+unix:///b", False),
        ("ws+unix:///a", "ws://localhost", False),
    ],
)
def test_the_same_origin(one: str, other: str, expected: bool) -> None:
    assert URL.parse(one).is_same_origin(URL.parse(other)) is expected
    assert URL.parse(other).is_same_origin(URL.parse(one)) is expected


# -- at random

text_of_urls = st.text() | st.text(st.sampled_from("wsht:/@?#[]%.\\-+ahx01\u00e4\u3002 \x00"))
urls = st.builds("{}://{}".format, st.sampled_from(["ws", "wss", "http", "HTTPS", "ws+unix"]), text_of_urls)


@given(urls | text_of_urls, text_of_urls | urls)
def test_random_text_parses_to_what_is_fit_for_the_wire_or_is_invalid(text: str, reference: str) -> None:
    try:
        url = URL.parse(text)
        resolved = url.resolve(reference)
    except InvalidURL as error:
        assert error.url in (text, reference)  # noqa: PT017
        return
    for each in (url, resolved):
        wire = f"{each.host_header} {each.target} {each.origin}"
        assert wire.isascii()
        assert wire.isprintable()
        assert wire.count(" ") == 2
        assert each.target.startswith("/")
        assert 1 <= each.port <= 65535
        plain = dataclasses.replace(each, username=None, password=None)
        assert URL.parse(str(each)) == plain


names = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,9}){0,3}", fullmatch=True)
paths = st.from_regex(r"(/[A-Za-z0-9._~!$&'()*+,=:@-]{0,9}){0,4}(\?[a-z=&/]{1,9})?", fullmatch=True)


@given(st.sampled_from(["http", "https"]), names, st.integers(1, 65535), paths, paths)
def test_good_urls_mean_the_same_as_to_the_standard_library(
    scheme: str, host: str, port: int, path: str, reference: str
) -> None:
    text = f"{scheme}://{host}:{port}{path}"
    url, parts = URL.parse(text), urlsplit(text)
    assert (url.scheme, url.host, url.port) == (parts.scheme, parts.hostname, parts.port)
    assert (url.path, url.query) == (parts.path or "/", parts.query)
    if not reference.startswith("//"):
        other = urlsplit(urljoin(str(url), reference))
        assert url.resolve(reference).target == (other.path or "/") + (f"?{other.query}" if other.query else "")


@pytest.mark.parametrize("part", ["a", "a.", "\u00e4", "%", "@", ":", "[", "/", "?", "0"])
@pytest.mark.parametrize("start", ["ws://", "ws://h/", "ws://[", "http+unix:///", "ws:"])
def test_time_is_linear(start: str, part: str) -> None:
    began = time.process_time()
    with contextlib.suppress(InvalidURL):
        URL.parse(start + part * 100_000).resolve("../" + part * 100_000)
    assert time.process_time() - began < 2
