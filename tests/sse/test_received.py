"""The steps of the parser that every event, line and read takes."""

from __future__ import annotations

import pytest

from elio.sse import received
from elio.sse.event import Event


def test_line_end_is_the_first_lf_from_a_position_on() -> None:
    assert received.line_end(b"a\nbc\n", 0) == 1
    assert received.line_end(b"a\nbc\n", 1) == 1
    assert received.line_end(b"a\nbc\n", 2) == 4
    assert received.line_end(b"a\nbc", 2) == -1
    assert received.line_end(b"", 0) == -1


def test_text_has_replacement_characters_for_what_is_not_utf8() -> None:
    assert received.text(b"data: x\n", 6, 7) == "x"
    assert received.text("é😀".encode() + b"\xff\xc3", 0, 8) == "é😀\ufffd\ufffd"


@pytest.mark.parametrize(
    ("lines", "pos", "end", "text"),
    [
        (b"data: a\ndata: b\n\n", 0, 16, "a\nb"),
        (b"data: a\ndata: b\n\nmore", 0, 16, "a\nb"),
        (b"id: 1\ndata: a\ndata: \ndata:  c\n\n", 6, 30, "a\n\n c"),
        (b"data: data: a\ndata: b\n\n", 0, 22, "data: a\nb"),
        (b"data: \xff\ndata: \n\n", 0, 15, "\ufffd\n"),
    ],
)
def test_block_of_data_lines(lines: bytes, pos: int, end: int, text: str) -> None:
    assert received.block_end(lines, pos) == end
    assert received.block_text(lines, pos, end) == text


@pytest.mark.parametrize(
    "lines",
    [
        b"data: a\ndata: b\n",
        b"data: a\ndata: b",
        b"data: a\n",
        b"data: a\nid: 1\n\n",
        b"data: a\ndata:b\n\n",
        b"data: a\ndata\n\n",
        b"data: a\nid: 1\ndata: b\n\n",
    ],
)
def test_no_block_if_anything_else_is_among_the_lines(lines: bytes) -> None:
    assert received.block_end(lines, 0) == -1


def test_buffers() -> None:
    buffer = bytearray(b"ab")
    assert received.joined(buffer, b"cd") == b"abcd"
    received.append(buffer, b"cdef", 1, 3)
    assert buffer == b"abde"
    received.keep(buffer, b"xyz", 1)
    assert buffer == b"yz"
    received.keep(buffer, b"xyz", 3)
    assert buffer == b""


def test_take_text_leaves_nothing() -> None:
    data = bytearray("a\né\n".encode())
    assert received.take_text(data) == "a\né"
    assert data == b""


def test_event_is_an_event() -> None:
    assert received.event("x", "message", "1") == Event("x", type="message", id="1")
