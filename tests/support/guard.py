"""Processes that end with the one that has started them, however that one ends."""

from __future__ import annotations

import subprocess
from typing import Final

__all__ = ["Guard"]

# Standard input is at its end when whoever holds the other side of the pipe is gone, be it by SIGKILL. The kernel's own
# way, PR_SET_PDEATHSIG, heeds the thread that has started the process, and threads end earlier.
_SCRIPT: Final = 'read -r _; kill -9 "$1"'


class Guard:
    """Kills a process when this one has ended.

    Args:
        process: of this process, just started.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "sh", str(process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def lift(self) -> None:
        """To be called before the process is waited for: its number may be another's from then on."""
        self._shell.kill()
        self._shell.communicate()
