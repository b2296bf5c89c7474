"""The payload of a record: a message as JSON, which any language can write.

A JSON object with ``d`` (the data as text) or ``b`` (the data as bytes, in base64) and, where there is one, ``t`` (the
type), ``k`` (the key) and ``ts`` (when it was published, in seconds since 1970). What is no such object is taken as the
data of a message without all these, text where it is UTF-8: loss is worse than a strange message.
"""

from __future__ import annotations

import binascii
import json
import math
from typing import Any, Final, NamedTuple

__all__ = ["Envelope", "open_envelope", "seal"]

# Each message is written and read here, and what json.dumps and json.loads do around that costs more than that does.
_quoted: Final = json.JSONEncoder().encode
_read: Final = json.JSONDecoder().raw_decode


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
        return _envelope(_fields(payload)) or _bare(payload)
    except (ValueError, OverflowError, RecursionError):  # no JSON, no UTF-8, no base64, no time
        return _bare(payload)


def _fields(payload: bytes) -> Any:
    """What ``json.loads`` says: by itself it is for what has another encoding, or spaces around it."""
    try:
        text = payload.decode()
        fields, end = _read(text)
    except ValueError:
        return json.loads(payload)
    return fields if end == len(text) else json.loads(payload)


def _envelope(fields: Any) -> Envelope | None:
    if not isinstance(fields, dict):
        return None
    data = fields.get("d")
    if data is None and isinstance(fields.get("b"), str):
        data = binascii.a2b_base64(fields["b"], strict_mode=True)
    if not isinstance(data, (str, bytes)):
        return None
    type, key, time = fields.get("t"), fields.get("k"), fields.get("ts")
    return Envelope(
        data,
        type if isinstance(type, str) else "",
        key if isinstance(key, str) else None,
        float(time) if isinstance(time, (int, float)) and math.isfinite(time) else 0.0,
    )


def _bare(payload: bytes) -> Envelope:
    try:
        return Envelope(payload.decode())
    except UnicodeDecodeError:
        return Envelope(payload)


def _kind(value: object) -> str:
    return type(value).__name__
