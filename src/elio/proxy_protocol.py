"""The PROXY protocol, versions 1 and 2, the side of a server: who really connected, said in front of a connection.

A proxy for TCP, such as HAProxy, writes one header before the bytes of its client. Version 1 is a line of text,
version 2 binary. ``UNKNOWN`` of version 1, the command LOCAL of version 2 (a proxy's own check) and addresses that are
none of TCP say nothing: the client is then who holds the socket. Of the additions (TLVs) of version 2 only the checksum
is looked at; the others are skipped, since they describe the connection to the proxy and not who it came from.

Not here: writing such headers, and whom to believe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from .errors import LimitExceeded, RemoteProtocolError

__all__ = ["MAX_HEADER_SIZE", "ProxyHeader", "ProxyParser"]

MAX_HEADER_SIZE: Final = 4096
"""Bytes of a header of version 2, additions included: proxies send a few hundred, a certificate's names among them."""

_LONGEST_LINE: Final = 107
"""Bytes of a header of version 1 with its CRLF: the longest that can be."""

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_PREFIX: Final = b"PROXY "
_FIXED: Final = 16
"""Bytes of version 2 before the addresses."""

_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")
_CHECKSUM: Final = 0x03
"""Type of the addition that holds the CRC32c of the whole header."""

_SIZES: Final = {0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
"""Bytes of both addresses by family and transport; what is not here is reserved."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a proxy says of its client.

    Attributes:
        source: who connected, as ``"ip:port"`` or ``"[ip]:port"``; "" where it says nothing.
        destination: what was connected to, in the same form.
    """

    source: str = ""
    destination: str = ""


Event: TypeAlias = ProxyHeader | RemoteProtocolError


class ProxyParser:
    """Reads one header from the beginning of a connection.

    Attributes:
        rest: what came behind the header, once there is one.
    """

    __slots__ = ("_data", "_done", "rest")

    def __init__(self) -> None:
        self._data = b""
        self._done = False
        self.rest = b""

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes of the proxy.

        Returns:
            Nothing as long as the header is not complete; then the header, or the violation with which it ends. After
            that nothing more is taken.
        """
        if self._done:
            return []
        self._data += data
        try:
            size = self._size()
            if size is None or len(self._data) < size:
                return []
            header = _parse(self._data[:size])
        except RemoteProtocolError as error:
            return self._end(error)
        self.rest = self._data[size:]
        return self._end(header)

    def receive_eof(self) -> list[Event]:
        """The proxy sends nothing more."""
        if self._done:
            return []
        return self._end(RemoteProtocolError(f"the connection ended after {len(self._data)} bytes of a PROXY header"))

    def _end(self, event: Event) -> list[Event]:
        self._done = True
        self._data = b""
        return [event]

    def _size(self) -> int | None:
        """Bytes of the header; None as long as they are not known."""
        data = self._data
        if data[: len(_PREFIX)] == _PREFIX[: len(data)]:
            return self._size_of_line()
        if data[: len(_SIGNATURE)] != _SIGNATURE[: len(data)]:
            raise RemoteProtocolError("the connection does not begin with a PROXY header")
        if len(data) < _FIXED:
            return None
        size = _FIXED + int.from_bytes(data[14:16], "big")
        if size > MAX_HEADER_SIZE:
            message = f"PROXY header of {size} bytes, limit {MAX_HEADER_SIZE}"
            raise LimitExceeded(message, bound="proxy_header", size=size, limit=MAX_HEADER_SIZE)
        return size

    def _size_of_line(self) -> int | None:
        end = self._data.find(b"\r\n", 0, _LONGEST_LINE)
        if end >= 0:
            return end + 2
        if len(self._data) >= _LONGEST_LINE:
            message = f"PROXY line of more than {_LONGEST_LINE} bytes"
            raise LimitExceeded(message, bound="proxy_header", size=len(self._data), limit=_LONGEST_LINE)
        return None


def _parse(header: bytes) -> ProxyHeader:
    return _parse_line(header) if header.startswith(_PREFIX) else _parse_binary(header)


# -- version 1 ---------------------------------------------------------------------------------------------------------


def _parse_line(line: bytes) -> ProxyHeader:
    words = line[:-2].decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":
        return ProxyHeader()
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise RemoteProtocolError(f"PROXY line {line!r} is not of a protocol, two addresses and two ports")
    _, family, source, destination, source_port, destination_port = words
    return ProxyHeader(_name(family, source, source_port), _name(family, destination, destination_port))


def _name(family: str, address: str, port: str) -> str:
    if _PORT.fullmatch(port) is None or int(port) > 65_535:
        raise RemoteProtocolError(f"port {port!r} of a PROXY line is not 0 to 65535")
    try:
        if family == "TCP4":
            return f"{IPv4Address(address)}:{port}"
        if "%" in address:
            raise ValueError(address)
        return f"[{IPv6Address(address)}]:{port}"
    except ValueError:
        raise RemoteProtocolError(f"address {address!r} of a PROXY line is none of {family}") from None


# -- version 2 ---------------------------------------------------------------------------------------------------------


def _parse_binary(header: bytes) -> ProxyHeader:
    version, command = header[12] >> 4, header[12] & 0x0F
    if version != 2 or command > 1:
        raise RemoteProtocolError(f"PROXY header of version {version} with command {command}, allowed are 2 and 0 or 1")
    if command == 0:  # LOCAL: the proxy itself, whatever follows
        return ProxyHeader()
    family = header[13]
    size = _SIZES.get(family)
    if size is None or len(header) < _FIXED + size:
        raise RemoteProtocolError(f"PROXY header of {len(header)} bytes with family and transport {family:#04x}")
    _check_additions(header, _FIXED + size)
    if family == 0x11:
        return ProxyHeader(*_names(header, 4))
    if family == 0x21:
        return ProxyHeader(*_names(header, 16))
    return ProxyHeader()


def _names(header: bytes, width: int) -> tuple[str, str]:
    """Source and destination of the addresses of version 2, of 4 or 16 bytes each."""
    ports = _FIXED + 2 * width
    names = []
    for number in range(2):
        packed = header[_FIXED + number * width :][:width]
        port = int.from_bytes(header[ports + 2 * number :][:2], "big")
        names.append(f"{IPv4Address(packed)}:{port}" if width == 4 else f"[{IPv6Address(packed)}]:{port}")
    return names[0], names[1]


def _check_additions(header: bytes, start: int) -> None:
    """The additions fill the header to its end, and the checksum is right if there is one."""
    while start < len(header):
        size = int.from_bytes(header[start + 1 : start + 3], "big")
        value = start + 3
        if len(header) - value < size:
            raise RemoteProtocolError(f"addition {header[start]:#04x} of a PROXY header is cut off")
        if header[start] == _CHECKSUM:
            _check_sum(header, value, size)
        start = value + size


def _check_sum(header: bytes, start: int, size: int) -> None:
    told = header[start : start + size]
    found = crc32c(header[:start] + bytes(size) + header[start + size :])
    if size != 4 or told != found.to_bytes(4, "big"):
        raise RemoteProtocolError(f"checksum {told.hex()} of a PROXY header, it is {found:08x}")


def _make_table() -> tuple[int, ...]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return tuple(table)


_TABLE: Final = _make_table()


def crc32c(data: bytes) -> int:
    """The checksum of version 2 (RFC 3720 B.4, Castagnoli)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
