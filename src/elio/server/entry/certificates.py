"""Certificates that are renewed while the server runs: files that have changed are read anew, and nobody is dropped.

Connections that are open keep what their handshake found; the next handshake finds the new certificate. A pair that
cannot be used is told once in the log, and the old one stays.
"""

from __future__ import annotations

import logging
import os
from typing import TypeAlias

from ...errors import ConfigurationError
from ...net.timer import CoarseTimer
from ...net.tls import TLS, TLSConfig, config_of, server_context
from ...net.tls_stream import TlsRuntime

__all__ = ["Certificates"]

logger = logging.getLogger("elio.server")

Looks: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Of each file the inode, the time of its last change and its size; None where there is none."""


class Certificates:
    """The TLS context of a server, which looks at its files every few seconds once it is told to.

    Args:
        tls: files, or a context, of which nothing is looked at.

    Raises:
        ConfigurationError: the files cannot be used.
    """

    __slots__ = ("_before", "_config", "_loaded", "_shared", "_timer", "context")

    def __init__(self, tls: TLS) -> None:
        self._config = config_of(tls)
        self._loaded = self._before = _look_at(self._config)
        self.context = server_context(tls)
        self._timer: CoarseTimer | None = None
        self._shared: TlsRuntime | None = None

    def watch(self, timer: CoarseTimer, shared: TlsRuntime) -> None:
        """Look at the files from now on.

        Args:
            timer: that of the server.
            shared: where new handshakes find their context.
        """
        self._timer = timer
        self._shared = shared
        self._schedule()

    def check_time(self, now: float) -> None:
        """Called by the coarse timer. What has just changed is left alone for one turn: its other half may follow."""
        seen = _look_at(self._config)
        if seen != self._loaded and seen == self._before:
            self.reload()
        self._before = seen
        self._schedule()

    def reload(self) -> bool:
        """Read the files now.

        Returns:
            Whether they could be used; if not, what was read before stays.
        """
        config = self._config
        if config is None:
            return False
        self._loaded = _look_at(config)
        try:
            self.context = server_context(config)
        except ConfigurationError as error:
            logger.error("the old TLS certificate stays: %s", error)
            return False
        if self._shared is not None:
            self._shared.context = self.context
        logger.info("the TLS certificate %s was read anew", ascii(os.fspath(config.certificate)))
        return True

    def _schedule(self) -> None:
        config, timer = self._config, self._timer
        if config is not None and config.reload_interval is not None and timer is not None:
            timer.schedule(self, timer.now() + config.reload_interval)


def _look_at(config: TLSConfig | None) -> Looks:
    return () if config is None else tuple(map(_look, config.files))


def _look(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
