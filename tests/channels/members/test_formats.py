"""What clients see."""

from __future__ import annotations

import json

from elio import Event
from elio.channels.backend import GapReason
from elio.channels.members.formats import as_data, as_event, as_json
from elio.channels.message import Gap, Message

TEXT = Message("a", "x", "t", "k", "a!1!e", "e", 1, 0.0)
BYTES = Message("a", b"\x00", id="a!2!e")
GAP = Gap("a", GapReason.HISTORY, 3, "a!3!e")


def test_json() -> None:
    assert json.loads(as_json(TEXT)) == {"channel": "a", "id": "a!1!e", "data": "x", "type": "t", "key": "k"}
    assert json.loads(as_json(Message('"ä', '"\n', key=""))) == {"channel": '"ä', "id": "", "data": '"\n', "key": ""}
    assert json.loads(as_json(BYTES)) == {"channel": "a", "id": "a!2!e", "base64": "AA=="}
    assert json.loads(as_json(GAP)) == {"channel": "a", "id": "a!3!e", "gap": "history", "missed": 3}


def test_the_data_alone() -> None:
    assert [as_data(item) for item in (TEXT, BYTES, GAP)] == ["x", b"\x00", None]


def test_events() -> None:
    assert as_event(TEXT) == Event("x", type="t", id="a!1!e")
    assert as_event(BYTES) == Event("AA==", id="a!2!e")
    gap = as_event(GAP)
    assert (gap.type, gap.id) == ("gap", "a!3!e")
    assert json.loads(gap.data) == {"channel": "a", "reason": "history", "missed": 3}
    assert as_event(Gap("a", GapReason.COALESCED, 1)).id is None
