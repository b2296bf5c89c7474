"""Cursors: where a subscription is in all of its channels, as one word of text.

A cursor is opaque to whoever keeps it. It has only characters that URLs, headers, event ids and JSON carry as they are.
Inside it is one entry for each channel, ``name!offset!epoch``; an entry with the epoch of the one before leaves it out.
A pattern has an entry of its own, with the epoch of the engine: what is not named beside it is new since.

A cursor comes back from a client, so it may be anything: what cannot be read is None and no exception.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from .backend import Position

__all__ = ["MAX_CURSOR_SIZE", "Cursor", "cursor_of", "read_cursor"]

MAX_CURSOR_SIZE: Final = 4096
"""Bytes of a cursor: a header of a request has to carry it, next to the others."""

_MARK: Final = "~~"
"""Begins a cursor that does not name all channels of its patterns."""

_ENTRY: Final = re.compile(r"([A-Za-z0-9_.'-]{1,800})!([0-9]{1,19})(?:!([A-Za-z0-9_-]{1,32}))?")


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a cursor says.

    Attributes:
        positions: by channel, and by pattern.
        is_whole: whether each channel of its patterns that was known then is named.
    """

    positions: Mapping[str, Position]
    is_whole: bool = True


def cursor_of(positions: Collection[tuple[str, Position]], *, is_whole: bool = True) -> str:
    """Write a cursor.

    Args:
        positions: what matters most comes first: where there is no room for all, the last ones are left out.
        is_whole: whether these are all channels.
    """
    if is_whole and len(positions) == 1:  # as it is nearly always
        ((name, (epoch, offset)),) = positions
        return f"{_quote(name)}!{offset}!{epoch}"
    entries = []
    room = MAX_CURSOR_SIZE - len(_MARK)
    before = ""
    for name, (epoch, offset) in positions:
        entry = f"{_quote(name)}!{offset}" if epoch == before else f"{_quote(name)}!{offset}!{epoch}"
        room -= len(entry) + 1
        if room < 0:
            is_whole = False
            break
        entries.append(entry)
        before = epoch
    return "~".join(entries) if is_whole else _MARK + "~".join(entries)


def read_cursor(text: str) -> Cursor | None:
    """Read a cursor; None if it is none."""
    if len(text) > MAX_CURSOR_SIZE:
        return None
    is_whole = not text.startswith(_MARK)
    positions: dict[str, Position] = {}
    epoch: str | None = None
    for entry in text.removeprefix(_MARK).split("~"):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            return None
        epoch = match[3] or epoch
        if epoch is None:
            return None
        positions[unquote(match[1].replace("'", "%"))] = Position(epoch, int(match[2]))
    return Cursor(positions, is_whole)


@lru_cache(1024)
def _quote(name: str) -> str:
    if name.isascii() and name.replace(".", "").isalnum():
        return name
    return quote(name, safe="").replace("~", "%7E").replace("%", "'")
