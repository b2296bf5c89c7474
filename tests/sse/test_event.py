"""Events as values: what they check, what they refuse."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle

import pytest

from elio.errors import InvalidHeader, LocalProtocolError
from elio.sse.event import CONTENT_TYPE, Comment, Event, received_event


def test_content_type_is_the_registered_one() -> None:
    assert CONTENT_TYPE == "text/event-stream"


def test_event_says_only_what_it_was_given() -> None:
    event = Event("x")
    assert (event.data, event.type, event.id, event.retry) == ("x", "", None, None)
    assert Event() == Event("")


def test_fields_other_than_data_are_keywords() -> None:
    with pytest.raises(TypeError):
        Event("x", "update")  # type: ignore[call-arg]
    event = Event("x", type="update", id="7", retry=2.5)
    assert (event.data, event.type, event.id, event.retry) == ("x", "update", "7", 2.5)


def test_event_is_a_value() -> None:
    event = Event("x", id="1")
    assert event == Event("x", id="1")
    assert event != Event("x", id="2")
    assert hash(event) == hash(Event("x", id="1"))
    assert repr(event) == "Event(data='x', type='', id='1', retry=None)"
    assert dataclasses.replace(event, data="y") == Event("y", id="1")


def test_event_cannot_be_changed() -> None:
    event = Event("x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.data = "y"  # type: ignore[misc]
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("event", [Event("x", type="t", id="1", retry=3.0), received_event("x", "message", "")])
def test_event_can_be_copied_and_pickled(event: Event) -> None:
    assert copy.copy(event) == event
    assert pickle.loads(pickle.dumps(event)) == event


def test_constructors_of_the_usual_kinds() -> None:
    assert Event.message("x") == Event("x")
    assert Event.typed("t", "x") == Event("x", type="t")
    assert Event.with_id("1", "x") == Event("x", id="1")
    assert Event.full("1", "t", "x") == Event("x", type="t", id="1")
    assert Event.full("1", "t", "x", 3.0) == Event("x", type="t", id="1", retry=3.0)
    assert Event.full("1", "t", "x", retry=0) == Event("x", type="t", id="1", retry=0)


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\r\n", chr(0xD800), chr(0xDFFF)])
@pytest.mark.parametrize("around", ["{}", "a{}", "{}b", "a{}b"])
def test_type_and_id_refuse_what_would_break_the_wire(character: str, around: str) -> None:
    value = around.format(character)
    with pytest.raises(InvalidHeader) as of_type:
        Event("x", type=value)
    assert (of_type.value.name, of_type.value.value) == ("event", value)
    with pytest.raises(InvalidHeader, match=r"^id .* of an event has CR, LF, NUL or a lone surrogate$") as of_id:
        Event("x", id=value)
    assert (of_id.value.name, of_id.value.value) == ("id", value)
    assert isinstance(of_id.value, LocalProtocolError)


@pytest.mark.parametrize(
    "value", ["", " ", " a ", "a:b", ":", "\t", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "ü€😀", "\ufeff"]
)
def test_type_and_id_take_everything_else(value: str) -> None:
    event = Event("x", type=value, id=value)
    assert (event.type, event.id) == (value, value)


@pytest.mark.parametrize("data", ["", "\n", "\r", "\r\n", "\0", "a\nb", "\u2028"])
def test_data_takes_every_character(data: str) -> None:
    assert Event(data).data == data


@pytest.mark.parametrize("data", [b"x", None, 1, {"a": 1}])
def test_data_is_text_only(data: object) -> None:
    with pytest.raises(TypeError, match=f"^data of an event is str, not {type(data).__name__}$"):
        Event(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("retry", [-1, -0.001, math.nan, math.inf, -math.inf])
def test_retry_refuses_what_is_no_time(retry: float) -> None:
    with pytest.raises(LocalProtocolError, match=r"^reconnection time of .* s, allowed are finite values from 0$"):
        Event("x", retry=retry)


@pytest.mark.parametrize("retry", [0, 0.0, 0.0005, 3, 86_400.0, 1e300])
def test_retry_takes_every_time(retry: float) -> None:
    assert Event("x", retry=retry).retry == retry


def test_json_decodes_the_data() -> None:
    assert Event('{"a": [1, null]}').json() == {"a": [1, None]}
    with pytest.raises(json.JSONDecodeError):
        Event("not JSON").json()


def test_received_event_is_an_event_in_every_respect() -> None:
    event = received_event("x", "message", "7")
    assert type(event) is Event
    assert event == Event("x", type="message", id="7")
    assert event.retry is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.data = "y"  # type: ignore[misc]


def test_received_event_may_have_a_type_that_could_not_be_sent() -> None:
    assert received_event("x", "a\0b", "").type == "a\0b"


def test_comment_is_a_value() -> None:
    assert Comment() == Comment("")
    assert Comment("ping") == Comment(text="ping")
    assert hash(Comment("a")) == hash(Comment("a"))
    other: object = Event("a")
    assert Comment("a") != other
    with pytest.raises(dataclasses.FrozenInstanceError):
        Comment("a").text = "b"  # type: ignore[misc]
