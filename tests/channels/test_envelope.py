"""The payload of a record."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.channels.envelope import Envelope, open_envelope, seal


def test_text() -> None:
    payload = seal("hällo", type="t", key="k", time=1.23456)
    assert json.loads(payload) == {"d": "hällo", "t": "t", "k": "k", "ts": 1.235}
    assert open_envelope(payload) == Envelope("hällo", "t", "k", 1.235)


@pytest.mark.parametrize("data", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
def test_bytes(data: bytes) -> None:
    payload = seal(data, type="", key=None, time=0.0)
    assert json.loads(payload) == {"b": "AP8=", "ts": 0.0}
    assert open_envelope(payload) == Envelope(b"\x00\xff", "", None, 0.0)


@pytest.mark.parametrize(
    ("payload", "envelope"),
    [
        (b'{"d":"x"}', Envelope("x")),
        (b'{"d":"","k":""}', Envelope("", "", "")),
        (b'{"d":"x","t":1,"k":2,"ts":"no","other":[]}', Envelope("x")),
        (b'{"d":"x","ts":NaN}', Envelope("x")),
        (b'{"d":"x","ts":7}', Envelope("x", time=7.0)),
        (b'{"d":"x","ts":1' + b"0" * 400 + b"}", Envelope('{"d":"x","ts":1' + "0" * 400 + "}")),
        (b' {"d":"x"}\n', Envelope("x")),
        (b'{"d":"x"} {', Envelope('{"d":"x"} {')),
        ('{"d":"x"}'.encode("utf-16"), Envelope("x")),
        (b"plain", Envelope("plain")),
        (b"", Envelope("")),
        (b"[1]", Envelope("[1]")),
        (b"{}", Envelope("{}")),
        (b'{"d":7}', Envelope('{"d":7}')),
        (b'{"b":"no base64!"}', Envelope('{"b":"no base64!"}')),
        (b"\xff\xfe", Envelope(b"\xff\xfe")),
        (b"[" * 100_000, Envelope("[" * 100_000)),
    ],
)
def test_payloads_of_others(payload: bytes, envelope: Envelope) -> None:
    assert open_envelope(payload) == envelope


@given(st.binary(max_size=60))
def test_no_payload_is_an_error(payload: bytes) -> None:
    assert open_envelope(payload).data in (payload, payload.decode(errors="replace")) or b'"' in payload


@given(st.text(max_size=20), st.text(max_size=5), st.none() | st.text(max_size=5))
def test_what_is_sealed_is_what_is_read(data: str, type: str, key: str | None) -> None:
    payload = seal(data, type=type, key=key, time=1732780800.5)
    fields = {"d": data, "ts": 1732780800.5} | ({"t": type} if type else {}) | ({} if key is None else {"k": key})
    assert json.loads(payload) == fields
    assert open_envelope(payload) == Envelope(data, type, key, 1732780800.5)


@pytest.mark.parametrize(("data", "type", "key"), [(1, "", None), (None, "", None), ("x", 1, None), ("x", "", 1)])
def test_what_is_no_message_is_a_type_error(data: object, type: object, key: object) -> None:
    with pytest.raises(TypeError):
        seal(data, type=type, key=key, time=0.0)  # type: ignore[arg-type]
