"""The form of a key in the opening handshake, and the digest that accepts it (RFC 6455 1.3, 4.2.2).

The compiled twin of ``handshake.py`` takes these functions from ``digest.pxd``, where the same names are C.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from hashlib import sha1
from typing import Final

__all__ = ["accept_key", "is_key"]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# Base64 of 16 bytes. The last digit carries four bits that say nothing; the example of RFC 6455 4.1 has them set.
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")


def is_key(text: str) -> bool:
    """Whether the text is a ``Sec-WebSocket-Key``: 16 bytes in base64 (RFC 6455 4.1)."""
    return _KEY.fullmatch(text) is not None


def accept_key(key: str) -> str:
    """``Sec-WebSocket-Accept`` for a ``Sec-WebSocket-Key`` (RFC 6455 4.2.2).

    Raises:
        ValueError: :func:`is_key` says no.
    """
    if not is_key(key):
        raise ValueError("no Sec-WebSocket-Key")
    digest = sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return b2a_base64(digest, newline=False).decode("ascii")
