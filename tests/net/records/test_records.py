"""What waits to be read, whatever reads it."""

from __future__ import annotations

import pytest

from elio.net.records.records import Records


def test_what_is_added_first_is_there_to_be_read() -> None:
    records = Records(None)
    assert not records.has_input()
    assert records.add(b"one")
    assert records.has_input()
    assert not records.add(b"two")
    records.drop_input()
    assert not records.has_input()
    assert records.add(b"three")


def test_it_is_neither_at_its_end_nor_failed() -> None:
    records = Records("connection")
    assert records.tls == "connection"
    assert not records.at_end
    assert records.error is None


def test_the_way_to_read_and_write_them_is_left_to_others() -> None:
    records = Records(None)
    for call in (records.read, records.end, records.take):
        with pytest.raises(NotImplementedError):
            call()
    with pytest.raises(NotImplementedError):
        records.write(b"")
    with pytest.raises(NotImplementedError):
        records.write_pieces([b""])
