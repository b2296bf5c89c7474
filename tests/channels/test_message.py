"""What a subscription gives."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, fields, replace

import pytest

from elio.channels.backend import GapReason
from elio.channels.message import Draft, Gap, Message, Snapshot

ITEMS = [Message("a", "x"), Gap("a", GapReason.EPOCH), Snapshot({"x": 1})]


@pytest.mark.parametrize("item", ITEMS)
def test_items_are_values(item: object) -> None:
    assert pickle.loads(pickle.dumps(item)) == item
    with pytest.raises(FrozenInstanceError):
        item.id = "x"  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        del item.id  # type: ignore[attr-defined]
    assert copy.copy(item) == item


def test_a_draft_becomes_a_message_like_any_other() -> None:
    message = Draft("a", "x", "", "k", "", "", 7, 0.0).freeze()
    assert [field.name for field in fields(Draft)] == [field.name for field in fields(Message)]
    assert type(message) is Message
    assert message == Message("a", "x", key="k", offset=7)
    with pytest.raises(FrozenInstanceError):
        message.id = "x"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(message)) == message
    assert not hasattr(message, "__dict__")
    assert repr(message) == ("Message(channel='a', data='x', type='', key='k', id='', epoch='', offset=7, time=0.0)")
    assert replace(message, data="y") == Message("a", "y", key="k", offset=7)
    assert asdict(message)["key"] == "k"
    assert hash(message) == hash(replace(message))
    assert message != Message("a", "x", key="k", offset=8)
    match message:
        case Message(channel, data):
            assert (channel, data) == ("a", "x")


def test_what_an_item_does_not_say() -> None:
    assert Message("a", "x") == Message("a", "x", "", None, "", "", 0, 0.0)
    assert Gap("a", GapReason.EPOCH).missed is None
    assert Snapshot(1).since is None
