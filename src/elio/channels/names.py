"""Names of channels, and patterns that stand for many.

A name is tokens with dots between them: ``news``, ``news.sport.7``. In a pattern ``*`` stands for one token and a final
``>`` for one or more: ``news.*`` is every channel one level below ``news``, ``news.>`` every one below it. Names whose
first token begins with ``$`` belong to the library; a wildcard in the first place does not stand for them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from ..errors import InvalidChannel

__all__ = ["MAX_NAME_SIZE", "check_channel", "check_pattern", "is_pattern", "matches"]

MAX_NAME_SIZE: Final = 200
"""Bytes of a name in UTF-8: room for an engine's prefix below the 256 that some engines take."""

# Spaces and controls would break the wires of engines, lone surrogates have no UTF-8.
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\s\ud800-\udfff*>]")


@lru_cache(1024)
def check_channel(name: str) -> str:
    """Check the name of a channel.

    Returns:
        The name.

    Raises:
        InvalidChannel: it is empty, too long, has an empty token, or a character that names do not have.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a channel is str, not {type(name).__name__}")
    found = _FORBIDDEN.search(name)
    if found is not None:
        raise InvalidChannel(f"{found.group()!r} cannot stand in the name of channel {name[:100]!r}", name=name)
    size = len(name.encode())
    if size > MAX_NAME_SIZE:
        raise InvalidChannel(f"name of a channel of {size} bytes, limit {MAX_NAME_SIZE}", name=name)
    if not all(name.split(".")):
        raise InvalidChannel(f"channel {name!r} has an empty token", name=name)
    return name


def is_pattern(name: str) -> bool:
    """Whether it stands for many channels instead of one."""
    return "*" in name or ">" in name


def check_pattern(pattern: str) -> str:
    """Check the name of a channel or a pattern.

    Returns:
        The pattern.

    Raises:
        InvalidChannel: see :func:`check_channel`; or a wildcard is not a whole token, or ``>`` not the last one.
    """
    if not isinstance(pattern, str) or not is_pattern(pattern):
        return check_channel(pattern)
    *tokens, last = pattern.split(".")
    if last not in ("*", ">"):
        tokens.append(last)
    check_channel(".".join("x" if token == "*" else token for token in tokens) or "x")
    if len(pattern.encode()) > MAX_NAME_SIZE:
        raise InvalidChannel(f"pattern of {len(pattern.encode())} bytes, limit {MAX_NAME_SIZE}", name=pattern)
    return pattern


def matches(pattern: str, channel: str) -> bool:
    """Whether a pattern stands for a channel. Both are taken as checked."""
    if pattern == channel:
        return True
    wanted, found = pattern.split("."), channel.split(".")
    if channel.startswith("$") and wanted[0] in ("*", ">"):
        return False
    if wanted[-1] == ">":
        wanted.pop()
        if len(found) <= len(wanted):
            return False
        del found[len(wanted) :]
    return len(wanted) == len(found) and all(token in ("*", other) for token, other in zip(wanted, found, strict=True))
