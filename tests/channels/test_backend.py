"""The values that engines and channels exchange. What a backend does is the matter of ``support.backends``."""

from __future__ import annotations

import json

from elio.channels.backend import GapReason, Lease, Position, presence_channel


def test_positions_of_one_epoch_are_ordered() -> None:
    assert Position("e", 2) > Position("e", 1)


def test_notices_of_a_lease_are_envelopes() -> None:
    lease = Lease("room", "änn", "1", '{"name":"Änn"}')
    assert json.loads(lease.joined) == {"d": '{"name":"Änn"}', "t": "join", "k": "änn"}
    assert json.loads(lease.left) == {"d": '{"name":"Änn"}', "t": "leave", "k": "änn"}


def test_who_is_present_is_published_beside_the_channel() -> None:
    assert presence_channel("room.1") == "$presence.room.1"


def test_a_reason_is_a_word() -> None:
    assert f"{GapReason.SLOW_CONSUMER}" == "slow consumer"
