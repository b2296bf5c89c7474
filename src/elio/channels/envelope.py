"""The payload of a record: a message as JSON, which any language can write.

A JSON object with ``d`` (the data as text) or ``b`` (the data as bytes, in base64) and, where there is one, ``t`` (the
type), ``k`` (the key) and ``ts`` (when it was published, in seconds since 1970). What is no such object is taken as the
data of a message without all these, text where it is UTF-8: loss is worse than a strange message.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as _quoted
from math import isfinite
from typing import Any, Final, NamedTuple

from ._made import made

__all__ = ["Envelope", "open_envelope", "seal"]

# Each message is written and read here, and what json.dumps and json.loads do around that costs more than that does.
_scan: Final[Callable[[str, int], tuple[Any, int]]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Envelope(NamedTuple):
    """What a payload says.

    Attributes:
        data: text or bytes.
        type: "" if it has none.
        key: None if it has none.
        time: seconds since 1970; 0.0 if it does not say.
    """

    data: str | bytes
    type: str = ""
    key: str | None = None
    time: float = 0.0


def seal(data: str | bytes | bytearray | memoryview, *, type: str, key: str | None, time: float) -> bytes:
    """Make a payload.

    Raises:
        TypeError: the data is neither text nor bytes, or the type or the key is no text.
    """
    if isinstance(data, str):
        text = f'{{"d":{_quoted(data)}'
    elif isinstance(data, (bytes, bytearray, memoryview)):
        text = f'{{"b":"{binascii.b2a_base64(data, newline=False).decode()}"'
    else:
        raise TypeError(f"data of a message is str or bytes, not {_kind(data)}")
    if not isinstance(type, str) or not isinstance(key, str | None):
        raise TypeError(f"type and key of a message are str, not {_kind(type)} and {_kind(key)}")
    if type:
        text += f',"t":{_quoted(type)}'
    if key is not None:
        text += f',"k":{_quoted(key)}'
    return f'{text},"ts":{time:.3f}}}'.encode()


def open_envelope(payload: bytes) -> Envelope:
    """Read a payload. Nothing is an error."""
    try:
        return _envelope(_fields(payload))
    except (ValueError, OverflowError, RecursionError):  # no JSON, no UTF-8, no base64, no time
        return _bare(payload)


def _fields(payload: bytes) -> Any:
    """What ``json.loads`` says: by itself it is for what has another encoding, or spaces around it."""
    try:
        text = payload.decode()
        fields, end = _scan(text, 0)
    except (ValueError, StopIteration):
        return json.loads(payload)
    return fields if end == len(text) else json.loads(payload)


def _envelope(fields: Any) -> Envelope:
    if not isinstance(fields, dict):
        raise ValueError("no JSON object")
    data = fields.get("d")
    if not isinstance(data, str):
        data = _bytes(data, fields.get("b"))
    type, key, time = fields.get("t", ""), fields.get("k"), fields.get("ts", 0.0)
    if not isinstance(time, float) or not isfinite(time):
        time = float(time) if isinstance(time, int) else 0.0
    if not isinstance(type, str):
        type = ""
    if not isinstance(key, str):
        key = None
    return made(Envelope, (data, type, key, time))


def _bytes(data: object, encoded: object) -> bytes:
    if data is not None or not isinstance(encoded, str):
        raise ValueError("neither text nor bytes")
    return binascii.a2b_base64(encoded, strict_mode=True)


def _bare(payload: bytes) -> Envelope:
    try:
        return Envelope(payload.decode())
    except UnicodeDecodeError:
        return Envelope(payload)


def _kind(value: object) -> str:
    return type(value).__name__
