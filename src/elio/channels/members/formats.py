"""What clients see of messages and gaps: JSON text on a WebSocket, events on an event stream."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Final

from ...sse.event import Event
from ..message import Gap, Message

__all__ = ["as_data", "as_event", "as_json"]

_quoted: Final = json.JSONEncoder().encode  # what json.dumps does around it costs more than it does


def as_json(item: Message | Gap) -> str:
    """A JSON object: ``channel``, ``id``, and ``data`` (or ``base64``), ``type`` and ``key`` where there are any; of a
    gap ``gap`` (its reason) and ``missed``."""
    if isinstance(item, Gap):
        fields = {"channel": item.channel, "id": item.id, "gap": item.reason, "missed": item.missed}
        return json.dumps(fields, separators=(",", ":"))
    text = f'{{"channel":{_quoted(item.channel)},"id":{_quoted(item.id)},'
    if isinstance(item.data, str):
        text += f'"data":{_quoted(item.data)}'
    else:
        text += f'"base64":"{b64encode(item.data).decode()}"'
    if item.type:
        text += f',"type":{_quoted(item.type)}'
    if item.key is not None:
        text += f',"key":{_quoted(item.key)}'
    return text + "}"


def as_data(item: Message | Gap) -> str | bytes | None:
    """The data as it was published, for clients that never go on from a cursor. They do not see gaps."""
    return item.data if isinstance(item, Message) else None


def as_event(item: Message | Gap) -> Event:
    """An event with the data, the type, and the cursor as its id; bytes in base64. A gap is of the type ``gap``."""
    id = item.id or None
    if isinstance(item, Gap):
        fields = {"channel": item.channel, "reason": item.reason, "missed": item.missed}
        return Event(json.dumps(fields, separators=(",", ":")), type="gap", id=id)
    data = item.data if isinstance(item.data, str) else b64encode(item.data).decode()
    return Event(data, type=item.type, id=id)
