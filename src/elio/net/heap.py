"""Memory that is used again and again stays with the process: for programs that are a server and nothing else.

The C library of Linux gives a large block back to the system as soon as it is freed, and the next message of that size
costs a page fault for every 4 KiB of it, on busy machines more than everything else that is done with the message.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_LARGE: Final = 16 * 1024 * 1024
"""Bytes of a block from which on it is the system's again when it is freed."""

_KEPT: Final = 32 * 1024 * 1024
"""Bytes at the end of the heap that stay with the process although nothing uses them."""


def keep_freed_memory() -> bool:
    """Let the process keep up to 32 MiB of freed memory, in blocks of up to 16 MiB.

    It counts for the whole process. What the environment says of it (``MALLOC_...``, ``GLIBC_TUNABLES``) is left alone.

    Returns:
        Whether there was something to set: only the GNU C library knows these settings.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT))
