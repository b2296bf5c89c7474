"""Payload bytes in and out of frames: literals of RFC 6455 5.7 and every form of the length."""

from __future__ import annotations

import pytest

from elio.websocket import octets
from support.frames import KEY, frame, header, xor

HELLO = bytes.fromhex("8185 37fa213d 7f9f4d5158")


def test_unmasked_takes_the_key_before_the_payload() -> None:
    assert octets.unmasked(HELLO, 6, 11) == b"Hello"
    assert octets.unmasked(b"before" + HELLO + b"behind", 12, 17) == b"Hello"
    assert octets.unmasked(HELLO, 6, 6) == b""


def test_unmasked_text_is_decoded() -> None:
    assert octets.unmasked_text(HELLO, 6, 11) == "Hello"
    data = "naïve 😀 text".encode()
    assert octets.unmasked_text(KEY + xor(data, KEY), 4, 4 + len(data)) == "naïve 😀 text"


@pytest.mark.parametrize("bad", [b"\xff", b"a\xed\xa0\x80", b"\xc3"])
def test_unmasked_text_refuses_what_is_not_utf8(bad: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        octets.unmasked_text(KEY + xor(bad, KEY), 4, 4 + len(bad))


def test_plain_is_what_stands_there() -> None:
    assert octets.plain(b"abcdef", 2, 4) == b"cd"


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70_000])
def test_framed_has_the_shortest_length(size: int, key: bytes | None) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    encoded = octets.framed(0x82, payload, key)
    assert encoded == frame(0x82, payload, key)
    assert encoded.startswith(header(0x82, size, masked=key is not None))
    assert octets.framed(0x82, bytearray(payload), key) == octets.framed(0x82, memoryview(payload), key) == encoded


@pytest.mark.parametrize("text", ["", "Hello", "é", "😀" * 40])
def test_framed_text_is_utf8(text: str) -> None:
    assert octets.framed_text(0x81, text, None) == frame(0x81, text.encode(), None)
    assert octets.framed_text(0x81, text, KEY) == frame(0x81, text.encode(), KEY)


def test_framed_text_refuses_lone_surrogates() -> None:
    with pytest.raises(UnicodeEncodeError):
        octets.framed_text(0x81, "\ud800", None)
