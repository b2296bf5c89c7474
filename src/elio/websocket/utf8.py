"""The check of UTF-8 that arrives in pieces (RFC 6455 8.1): it fails at the first byte that cannot go on.

``Utf8Validator`` is the native one where it is built, and the Python of this file where it is not or where the
environment says ``ELIO_PURE=1``. Not here: decoding; ``bytes.decode`` does that for whole messages.
"""

from __future__ import annotations

import os
from codecs import utf_8_decode

__all__ = ["Utf8Validator", "Utf8ValidatorPure"]


class Utf8ValidatorPure:
    """The check in plain Python. Overlong forms, surrogates and anything above U+10FFFF are errors (RFC 3629)."""

    __slots__ = ("_failed", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        self._failed = False

    def feed(self, data: bytes | bytearray | memoryview) -> bool:
        """Check the next bytes.

        Returns:
            False from the first byte on that cannot continue well-formed text, and for every call after it.
        """
        if self._failed:
            return False
        data = self._tail + bytes(data)
        if data.isascii():
            self._tail = b""
            return True
        tail = _unfinished(data)
        self._failed = tail is None
        self._tail = tail or b""
        return not self._failed

    @property
    def complete(self) -> bool:
        """Whether what was fed is well-formed and ends with a whole character: the text may end here."""
        return not self._failed and not self._tail


def _unfinished(data: bytes) -> bytes | None:
    """The bytes of an unfinished character at the end; None if the data is not the start of well-formed text."""
    try:
        consumed = utf_8_decode(data, "strict", False)[1]
    except UnicodeDecodeError:
        return None
    tail = data[consumed:]
    # CPython judges a surrogate by its third byte only; the second tells.
    return None if tail[:1] == b"\xed" and tail[1:2] >= b"\xa0" else tail


try:
    if os.environ.get("ELIO_PURE", "") not in ("", "0"):
        raise ImportError("ELIO_PURE asks for Python only")
    from ._native import Utf8Validator
except ImportError:
    Utf8Validator = Utf8ValidatorPure  # type: ignore[misc, assignment]
