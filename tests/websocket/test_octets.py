"""Payload bytes in and out of frames: literals of RFC 6455 5.7 and every form of the length."""

from __future__ import annotations

import time

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


@pytest.mark.parametrize(
    ("size", "encoded"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
        (2**31, "827f0000000080000000"),
        (2**63 - 1, "827f7fffffffffffffff"),
    ],
)
def test_a_header_alone_is_what_stands_before_a_payload_without_a_mask(size: int, encoded: str) -> None:
    assert octets.header(0x82, size) == bytes.fromhex(encoded)


@pytest.mark.parametrize("text", ["", "Hello", "é", "😀" * 40])
def test_framed_text_is_utf8(text: str) -> None:
    assert octets.framed_text(0x81, text, None) == frame(0x81, text.encode(), None)
    assert octets.framed_text(0x81, text, KEY) == frame(0x81, text.encode(), KEY)


def test_framed_text_refuses_lone_surrogates() -> None:
    with pytest.raises(UnicodeEncodeError):
        octets.framed_text(0x81, "\ud800", None)


# -- messages while they are gathered

BUFFERS = list({octets.MessageBufferPure, octets.MessageBuffer})


@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("text", ["", "plain", "Grüße", "a😀€" * 500, "x" * 5000 + "é"])
def test_gathered_bytes_are_the_message(kind: type[octets.MessageBuffer], text: str) -> None:
    data = text.encode()
    for longest in (1, 3, 64, 1000, 10_000):
        binary, words = kind(False), kind(True)
        for start in range(0, len(data), longest):
            piece = data[start : start + longest]
            assert binary.write(piece)
            assert words.write(piece)
        assert words.finish() == text
        message = binary.finish()
        assert type(message) is bytes
        assert message == data


@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("rest", [0, 1, 100, 2**63 - 1])
def test_parts_are_unmasked_where_there_is_a_key(kind: type[octets.MessageBuffer], rest: int) -> None:
    data = bytes(range(256)) * 3
    masked = xor(data, KEY)
    for cut in (0, 1, 7, 8, 100, 767, 768):
        buffer = kind(False)
        assert buffer.write_part(b"--" + masked, 2, 2 + cut, KEY, rest)
        turn = cut & 3
        assert buffer.write_part(masked, cut, len(data), KEY[turn:] + KEY[:turn], 0)
        assert buffer.write_part(data, 3, 5, b"", 0)
        assert buffer.finish() == data + data[3:5]


@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("size", [0, 3, 20, 100])
def test_text_fails_at_the_first_bad_byte(kind: type[octets.MessageBuffer], size: int) -> None:
    buffer = kind(True)
    assert buffer.write(b"x" * size + b"\xf4")
    assert not buffer.write(b"\x90")
    assert not buffer.write(b"\x80")
    assert buffer.finish() is None


@pytest.mark.parametrize("kind", BUFFERS)
def test_text_does_not_end_inside_a_character(kind: type[octets.MessageBuffer]) -> None:
    buffer = kind(True)
    assert buffer.write("a€".encode()[:-1])
    assert buffer.finish() is None
    buffer = kind(True)
    assert buffer.write("a€".encode()[:-1])
    assert buffer.write(b"\xac")
    assert buffer.finish() == "a€"


@pytest.mark.parametrize("kind", BUFFERS)
def test_bytes_of_a_binary_message_need_not_be_text(kind: type[octets.MessageBuffer]) -> None:
    buffer = kind(False)
    assert buffer.write(b"\xff" * 100)
    assert buffer.finish() == b"\xff" * 100


@pytest.mark.parametrize("kind", BUFFERS)
def test_many_small_fragments_cost_linear_time(kind: type[octets.MessageBuffer]) -> None:
    buffer = kind(False)
    started = time.process_time()
    for _ in range(200_000):
        buffer.write_part(b"0123456789abcdef", 0, 16, b"", 0)
    assert buffer.finish() == b"0123456789abcdef" * 200_000
    assert time.process_time() - started < 5
