"""How many connections each address has open: one client must not take the room of all others.

Counted is who the client is, as far as that is known. Not counted, since they stand for many clients or for this very
machine: Unix sockets, loopback addresses, and proxies that are trusted; these name their clients with each request, and
then those count for as long as it is being answered.
"""

from __future__ import annotations

from functools import lru_cache

from ...net.stream import Stream, peer_host
from .proxies import TrustedProxies, counted_address, host_of

__all__ = ["Addresses"]


class Addresses:
    """Open connections by address; an address that has none takes no memory.

    Args:
        bound: how many one address may have open; None for no bound, and nothing is counted.
        proxies: who is trusted, if anybody is.
    """

    __slots__ = ("_bound", "_key", "_open", "_proxies")

    def __init__(self, bound: int | None, proxies: TrustedProxies | None) -> None:
        self._bound = bound
        self._proxies = proxies
        self._open: dict[str, int] = {}
        self._key = lru_cache(maxsize=1024)(self._look_up)

    def __repr__(self) -> str:
        return f"<Addresses {len(self._open)} with {sum(self._open.values())} connections, at most {self._bound} each>"

    def enter(self, client: str | Stream) -> int:
        """A connection of this client is open, until :meth:`leave`.

        Returns:
            How many its address has open now, this one included; 0 if it is not counted.
        """
        key = self._key_of(client)
        if not key:
            return 0
        count = self._open[key] = self._open.get(key, 0) + 1
        return count

    def leave(self, client: str | Stream) -> None:
        """It has ended."""
        key = self._key_of(client)
        if not key:
            return
        count = self._open.get(key, 0) - 1
        if count > 0:
            self._open[key] = count
        else:
            self._open.pop(key, None)

    def _key_of(self, client: str | Stream) -> str:
        """What the client counts as, "" for not at all."""
        if self._bound is None:
            return ""
        host = host_of(client) if isinstance(client, str) else peer_host(client)
        return self._key(host) if host else ""

    def _look_up(self, host: str) -> str:
        counted = counted_address(host)
        is_local = counted.startswith("127.") or counted == "::/64"
        if is_local or (self._proxies is not None and self._proxies.trusts(f"[{host}]:0")):
            return ""
        return counted
