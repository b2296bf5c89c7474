"""Events to bytes, and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.errors import LocalProtocolError
from elio.sse.encoder import encode_comment, encode_event, encode_retry
from elio.sse.event import Comment, Event, received_event
from elio.sse.parser import Parser


def parse(stream: bytes) -> list[object]:
    return [*Parser(max_event_size=None, comments=True).receive_data(stream)]


@pytest.mark.parametrize(
    ("event", "wire"),
    [
        (Event("x"), b"data: x\n\n"),
        (Event("x", type="t"), b"event: t\ndata: x\n\n"),
        (Event("x", id="1"), b"id: 1\ndata: x\n\n"),
        (Event("x", retry=3.0), b"retry: 3000\ndata: x\n\n"),
        (Event("x", type="t", id="1", retry=0.25), b"id: 1\nevent: t\nretry: 250\ndata: x\n\n"),
        (Event("ä€😀", type="ö", id="ü"), "id: ü\nevent: ö\ndata: ä€😀\n\n".encode()),
    ],
)
def test_fields_stand_in_the_order_id_event_retry_data(event: Event, wire: bytes) -> None:
    assert encode_event(event) == wire
    [back] = parse(wire)
    assert back == Event(event.data, type=event.type or "message", id=event.id or "")


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ("a\nb", b"data: a\ndata: b\n\n"),
        ("a\rb", b"data: a\ndata: b\n\n"),
        ("a\r\nb", b"data: a\ndata: b\n\n"),
        ("a\n\rb", b"data: a\ndata: \ndata: b\n\n"),
        ("a\r\r\nb", b"data: a\ndata: \ndata: b\n\n"),
        ("\n", b"data: \ndata: \n\n"),
        ("a\n", b"data: a\ndata: \n\n"),
        ("\r\n\r\n", b"data: \ndata: \ndata: \n\n"),
    ],
)
def test_cr_lf_and_crlf_split_the_data_into_lines(data: str, lines: bytes) -> None:
    assert encode_event(Event(data)) == lines
    assert parse(lines) == [Event(data.replace("\r\n", "\n").replace("\r", "\n"), type="message", id="")]


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0"])
def test_nothing_else_splits_the_data(character: str) -> None:
    assert encode_event(Event(f"a{character}b")) == f"data: a{character}b\n\n".encode()


def test_no_field_can_be_smuggled_in_by_data() -> None:
    [event] = parse(encode_event(Event("a\revent: evil\n\nid: 1\r\n\r\ndata: b", type="t")))
    assert event == Event("a\nevent: evil\n\nid: 1\n\ndata: b", type="t", id="")


@pytest.mark.parametrize("data", [" a", "  a", "\ta", " ", "a ", " a\n  b\n"])
def test_leading_and_trailing_white_space_survives(data: str) -> None:
    assert parse(encode_event(Event(data))) == [Event(data, type="message", id="")]


def test_leading_space_of_type_and_id_survives() -> None:
    assert parse(encode_event(Event("x", type=" t", id=" 1"))) == [Event("x", type=" t", id=" 1")]


def test_empty_data_is_an_event_with_empty_data() -> None:
    assert encode_event(Event()) == b"data: \n\n"
    assert parse(b"data: \n\n") == [Event("", type="message", id="")]


def test_no_id_leaves_the_last_event_id_and_an_empty_one_clears_it() -> None:
    parser = Parser(max_event_size=None)
    parser.receive_data(encode_event(Event("x", id="1")) + encode_event(Event("x")))
    assert parser.last_event_id == "1"
    parser.receive_data(encode_event(Event("x", id="")))
    assert parser.last_event_id == ""


def test_data_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match=r"^lone surrogate '\\ud800' cannot be sent as UTF-8$") as caught:
        encode_event(Event("a\ud800"))
    assert isinstance(caught.value.__cause__, UnicodeEncodeError)
    with pytest.raises(LocalProtocolError):
        encode_comment("\udfff")


@pytest.mark.parametrize(
    ("seconds", "wire"),
    [
        (0, b"retry: 0\n\n"),
        (0.001, b"retry: 1\n\n"),
        (0.1 + 0.2, b"retry: 300\n\n"),
        (3, b"retry: 3000\n\n"),
        (2.5, b"retry: 2500\n\n"),
        (0.0004, b"retry: 0\n\n"),
        (86_400.0, b"retry: 86400000\n\n"),
    ],
)
def test_retry_is_sent_in_whole_milliseconds(seconds: float, wire: bytes) -> None:
    assert encode_retry(seconds) == wire
    assert encode_event(Event("x", retry=seconds)) == wire[:-1] + b"data: x\n\n"
    parser = Parser(max_event_size=None)
    assert parser.receive_data(wire) == []
    assert parser.retry == round(seconds, 3)


@pytest.mark.parametrize("seconds", [-1, -0.0001, math.nan, math.inf, -math.inf])
def test_retry_refuses_what_is_no_time(seconds: float) -> None:
    with pytest.raises(LocalProtocolError, match=r"^reconnection time of"):
        encode_retry(seconds)


def test_huge_retry_is_still_digits() -> None:
    assert encode_retry(1e300).removeprefix(b"retry: ").removesuffix(b"\n\n").isdigit()


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("", b":\n\n"),
        ("ping", b": ping\n\n"),
        (" ping", b":  ping\n\n"),
        ("a\nb", b": a\n: b\n\n"),
        ("a\rb\r\nc", b": a\n: b\n: c\n\n"),
        ("\n", b": \n: \n\n"),
        ("data: x\n\ndata: y", b": data: x\n: \n: data: y\n\n"),
    ],
)
def test_comment_is_split_over_lines(text: str, wire: bytes) -> None:
    assert encode_comment(text) == wire
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert parse(wire) == [Comment(line) for line in lines]


def test_comment_without_text_is_the_default() -> None:
    assert encode_comment() == b":\n\n"


def test_blocks_of_different_origin_can_follow_each_other() -> None:
    stream = encode_comment("c") + encode_retry(1) + encode_event(Event("x", id="1")) + encode_comment() + b"\n"
    stream += encode_event(Event("y"))
    parser = Parser(max_event_size=None)
    assert parser.receive_data(stream) == [Event("x", type="message", id="1"), Event("y", type="message", id="1")]


def test_encoding_depends_on_the_event_only() -> None:
    event = Event("a\nb", type="t", id="1", retry=1)
    assert encode_event(event) == encode_event(event)
    assert isinstance(encode_event(event), bytes)


# -- properties --------------------------------------------------------------------------------------------------------

characters = st.characters(exclude_categories=["Cs"])
spicy = st.sampled_from(["\n", "\n\n", " ", ":", "data: ", "\0", "\x85", "\u2028", "\ufeff", "ä", "€", "😀", "x"])
texts = st.text(characters) | st.lists(spicy, max_size=12).map("".join)
# A CR comes back as LF: the only data that does not come back as it was.
representable_data = texts.map(lambda text: text.replace("\r", "\n"))
one_line = texts.map(lambda text: text.translate({10: None, 13: None, 0: None}))
times = st.none() | st.floats(0, 86_400)


@given(representable_data, one_line.filter(bool), one_line)
def test_what_is_parsed_is_what_was_encoded(data: str, kind: str, id: str) -> None:
    event = Event(data, type=kind, id=id)
    assert parse(encode_event(event)) == [event]


@given(texts, one_line, st.none() | one_line, times)
def test_every_event_is_received_as_it_was_meant(data: str, kind: str, id: str | None, retry: float | None) -> None:
    parser = Parser(max_event_size=None, last_event_id="before")
    received = parser.receive_data(encode_event(Event(data, type=kind, id=id, retry=retry)))
    seen = data.replace("\r\n", "\n").replace("\r", "\n")
    assert received == [Event(seen, type=kind or "message", id="before" if id is None else id)]
    assert parser.retry == (None if retry is None else pytest.approx(retry, abs=0.0005))


@given(st.lists(st.tuples(representable_data, one_line.filter(bool), one_line), max_size=5))
def test_streams_of_events_come_back(parts: list[tuple[str, str, str]]) -> None:
    events = [received_event(*part) for part in parts]
    assert parse(b"".join(map(encode_event, events))) == events


@given(texts)
def test_comments_never_become_events(text: str) -> None:
    stream = encode_comment(text) + encode_event(Event("x"))
    assert Parser(max_event_size=None).receive_data(stream) == [Event("x", type="message", id="")]
