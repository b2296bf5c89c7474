"""What a subscription gives."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import pytest

from elio.channels.backend import GapReason
from elio.channels.message import Gap, Message, Snapshot

ITEMS = [Message("a", "x"), Gap("a", GapReason.EPOCH), Snapshot({"x": 1})]


@pytest.mark.parametrize("item", ITEMS)
def test_items_are_values(item: object) -> None:
    assert pickle.loads(pickle.dumps(item)) == item
    with pytest.raises(FrozenInstanceError):
        item.id = "x"  # type: ignore[attr-defined]


def test_what_an_item_does_not_say() -> None:
    assert Message("a", "x") == Message("a", "x", "", None, "", "", 0, 0.0)
    assert Gap("a", GapReason.EPOCH).missed is None
    assert Snapshot(1).since is None
