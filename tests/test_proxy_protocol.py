"""The PROXY protocol: what proxies write in front of connections, as bytes, and what must not pass for it."""

from __future__ import annotations

import random

import pytest

from elio.errors import LimitExceeded, RemoteProtocolError
from elio.proxy_protocol import MAX_HEADER_SIZE, ProxyHeader, ProxyParser, crc32c

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
IPV4 = b"\xc0\x00\x02\x07\xc0\x00\x02\x01\x13\x88\x00\x50"  # 192.0.2.7 to 192.0.2.1, ports 5000 and 80
IPV6 = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x07" + b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01" + b"\x13\x88\x01\xbb"
UNIX = b"/source".ljust(108, b"\0") + b"/destination".ljust(108, b"\0")
FROM_V4 = ProxyHeader("192.0.2.7:5000", "192.0.2.1:80")
FROM_V6 = ProxyHeader("[2001:db8::7]:5000", "[2001:db8::1]:443")
NOTHING = ProxyHeader()
LONGEST = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"


def binary(content: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    """A header of version 2; its content is addresses and additions."""
    return SIGNATURE + bytes([command, family]) + len(content).to_bytes(2, "big") + content


def addition(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def checked(content: bytes, more: bytes = b"") -> bytes:
    """A header with a checksum behind the addresses."""
    header = binary(content + addition(0x03, bytes(4)) + more)
    place = 16 + len(content) + 3
    return header[:place] + crc32c(header).to_bytes(4, "big") + header[place + 4 :]


GOOD = [
    (b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n", FROM_V4),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n", FROM_V6),
    (b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", ProxyHeader("255.255.255.255:65535", "0.0.0.0:0")),
    (f"PROXY TCP6 {LONGEST} {LONGEST} 65535 65535\r\n".encode(), ProxyHeader(*[f"[{LONGEST}]:65535"] * 2)),
    (b"PROXY UNKNOWN\r\n", NOTHING),
    (f"PROXY UNKNOWN {LONGEST} {LONGEST} 65535 65535\r\n".encode(), NOTHING),
    (binary(IPV4), FROM_V4),
    (binary(IPV6, family=0x21), FROM_V6),
    (binary(IPV4 + addition(0x04, b"\0" * 20) + addition(0xE0, b"")), FROM_V4),
    (checked(IPV4), FROM_V4),
    (checked(IPV4, addition(0x02, b"example.com")), FROM_V4),
    (binary(IPV4, family=0x12), NOTHING),
    (binary(IPV6, family=0x22), NOTHING),
    (binary(UNIX, family=0x31), NOTHING),
    (binary(UNIX, family=0x32), NOTHING),
    (binary(b"", family=0x00), NOTHING),
    (binary(addition(0x04, b"x"), family=0x00), NOTHING),
    (binary(b"", command=0x20, family=0x00), NOTHING),
    (binary(b"whatever", command=0x20, family=0xFF), NOTHING),
    (binary(IPV4 + addition(0x04, bytes(MAX_HEADER_SIZE - 16 - 12 - 3))), FROM_V4),
]
BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00",
    b"proxy TCP4 192.0.2.7 192.0.2.1 5000 80\r\n",
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXY TCP4\r\n",
    b"PROXY TCP5 192.0.2.7 192.0.2.1 5000 80\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 5000\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80 x\r\n",
    b"PROXY TCP4  192.0.2.7 192.0.2.1 5000 80\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 65536\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 05000 80\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 +5 80\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 \xb2 80\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1  80\r\n",
    b"PROXY TCP4 192.0.2.07 192.0.2.1 5000 80\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.1 5000 80\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 5000 80\r\n",
    b"PROXY TCP6 192.0.2.7 192.0.2.1 5000 80\r\n",
    b"PROXY TCP6 fe80::7%eth0 2001:db8::1 5000 80\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\nx\r\n",
    SIGNATURE[:-1] + b"\r",
    binary(IPV4, command=0x11),
    binary(IPV4, command=0x31),
    binary(IPV4, command=0x22),
    binary(IPV4, family=0x13),
    binary(IPV4, family=0x41),
    binary(IPV4[:-1]),
    binary(IPV4, family=0x21),
    binary(UNIX[:-1], family=0x31),
    binary(IPV4 + b"\x04"),
    binary(IPV4 + b"\x04\x00\x02x"),
    binary(IPV4 + addition(0x03, b"\0\0\0\0")),
    binary(IPV4 + addition(0x03, b"\0\0\0")),
    binary(IPV4 + addition(0x03, b"")),
    checked(IPV4).replace(b"\x13\x88", b"\x13\x89"),
]
TOO_BIG = [
    (b"PROXY TCP4 " + b"1" * 200, 107),
    (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", 107),
    (SIGNATURE + b"\x21\x11\xff\xff", MAX_HEADER_SIZE),
    (binary(bytes(MAX_HEADER_SIZE - 15), command=0x20), MAX_HEADER_SIZE),
]


def pieces(data: bytes, seed: int) -> list[bytes]:
    """The bytes whole (0), one by one (1), or cut at random."""
    if seed < 2:
        return [data] if seed == 0 else [data[i : i + 1] for i in range(len(data))]
    source = random.Random(seed)
    cuts = sorted(source.choices(range(len(data) + 1), k=3))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


SEEDS = pytest.mark.parametrize("seed", range(6))


@SEEDS
@pytest.mark.parametrize(("header", "told"), GOOD)
def test_what_a_proxy_says_and_where_it_ends(header: bytes, told: ProxyHeader, seed: int) -> None:
    parser = ProxyParser()
    events = [event for piece in pieces(header, seed) for event in parser.receive_data(piece)]
    assert events == [told]
    assert parser.rest == b""
    assert parser.receive_eof() == []


@pytest.mark.parametrize(("header", "told"), GOOD)
def test_what_follows_is_left(header: bytes, told: ProxyHeader) -> None:
    parser = ProxyParser()
    assert parser.receive_data(header + b"GET / HTTP/1.1\r\n") == [told]
    assert parser.rest == b"GET / HTTP/1.1\r\n"


@SEEDS
@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header_is_a_violation(data: bytes, seed: int) -> None:
    parser = ProxyParser()
    events = [event for piece in pieces(data, seed) for event in parser.receive_data(piece)]
    assert [type(event) for event in events] == [RemoteProtocolError]
    assert (parser.rest, parser._data) == (b"", b"")
    assert parser.receive_data(b"more") == []
    assert parser.receive_eof() == []


@SEEDS
@pytest.mark.parametrize(("data", "limit"), TOO_BIG)
def test_a_header_has_a_longest_size(data: bytes, limit: int, seed: int) -> None:
    parser = ProxyParser()
    (event,) = [event for piece in pieces(data, seed) for event in parser.receive_data(piece)]
    assert isinstance(event, LimitExceeded)
    assert event.limit == limit


@pytest.mark.parametrize("data", [b"", b"P", b"PROXY TCP4 192.0.2.7", b"\r", SIGNATURE, binary(IPV4)[:-1]])
def test_an_end_inside_a_header_is_a_violation(data: bytes) -> None:
    parser = ProxyParser()
    assert parser.receive_data(data) == []
    (event,) = parser.receive_eof()
    assert str(event) == f"the connection ended after {len(data)} bytes of a PROXY header"


def test_the_first_byte_that_cannot_be_is_enough() -> None:
    assert len(ProxyParser().receive_data(b"G")) == 1
    assert len(ProxyParser().receive_data(b"PROXX")) == 1


def test_the_checksum_is_that_of_castagnoli() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720 B.4
