"""What every connection is above the network: a stream of bytes that pushes.

TCP and TLS look alike from here on. A ``Stream`` is what an ``asyncio.Transport`` already is, narrowed to what this
library uses; a ``Receiver`` is told what arrives. Beside them stands what can be asked of every stream.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import Any, Final, Protocol

__all__ = ["Receiver", "Stream", "forget_unsent", "lasting_peer", "peer_host", "peer_name"]

_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""``SO_LINGER``: the end is a reset, and nothing is waited for."""


class Stream(Protocol):
    """The sending half, and the control over the receiving half."""

    def write(self, data: bytes) -> None:
        """Send at once what the system takes, and keep the rest."""
        ...

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        """Write several pieces, one behind the other."""
        ...

    def close(self) -> None:
        """Close once everything written has gone out."""
        ...

    def abort(self) -> None:
        """Close now; what has not gone out is lost."""
        ...

    def is_closing(self) -> bool:
        """Whether the stream is closed or about to be."""
        ...

    def can_write_eof(self) -> bool:
        """Whether the sending half can be closed alone."""
        ...

    def write_eof(self) -> None:
        """Close the sending half once everything written has gone out."""
        ...

    def pause_reading(self) -> None:
        """Stop telling the receiver what arrives."""
        ...

    def resume_reading(self) -> None:
        """Go on telling it."""
        ...

    def get_write_buffer_size(self) -> int:
        """Bytes written and not yet taken by the system."""
        ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """From how many such bytes on the receiver is told to pause writing."""
        ...

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Facts about the connection: ``peername``, ``sockname``, ``socket``, ``ssl_object``."""
        ...

    def set_protocol(self, protocol: Any) -> None:
        """Tell another receiver from now on."""
        ...


class Receiver(Protocol):
    """Who is told what arrives on a stream: the callbacks of an ``asyncio.Protocol``."""

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool | None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


def peer_name(stream: Stream) -> str:
    """The peer as ``ip:port`` (``[ip]:port`` for IPv6), or "" where it has no address, as on a Unix socket."""
    address = stream.get_extra_info("peername")
    if not isinstance(address, tuple) or len(address) < 2:
        return ""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_host(stream: Stream) -> str:
    """The address of the peer alone, or "" where it has none."""
    address = stream.get_extra_info("peername")
    return str(address[0]) if isinstance(address, tuple) and len(address) > 1 else ""


def lasting_peer(stream: Stream) -> str | Stream:
    """What tells the :func:`peer_name` of a stream for ever: itself if it remembers that by itself, else the name.

    Few programs ask, and a name is as large as all that a stream of the reactor keeps of its peer.
    """
    return stream if getattr(stream, "remembers_peer", False) else peer_name(stream)


def forget_unsent(stream: Stream) -> None:
    """Let the end of a TCP stream be a reset, with which the system drops what it holds for the peer.

    Otherwise it would hold it, megabytes in its own memory, for as long as a peer that reads nothing says that it is
    there.
    """
    sock = stream.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.fileno() < 0:
        return
    known = socket.socket(fileno=sock.fileno())  # uvloop's own object has no options
    try:
        known.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    except OSError:
        return
    finally:
        known.detach()
