"""Opcodes and close codes (RFC 6455 5.2 and 7.4, and the IANA registry of close codes).

Not here: frames and the payload of a close frame.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["CloseCode", "Opcode", "may_be_sent"]


class Opcode(IntEnum):
    """What a frame is (RFC 6455 5.2). 3 to 7 and 11 to 15 are reserved."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    @property
    def is_control(self) -> bool:
        """Whether frames of this kind carry state of the protocol instead of data (RFC 6455 5.5)."""
        return self >= Opcode.CLOSE


class CloseCode(IntEnum):
    """Why a connection ends (RFC 6455 7.4.1, and the IANA registry for 1012 to 1014 and from 3000 on)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    """Never on the wire: the close frame had no code."""
    ABNORMAL = 1006
    """Never on the wire: the connection ended without a close frame."""
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015
    """Never on the wire: the TLS handshake failed."""
    UNAUTHORIZED = 3000
    """It is not known, or no longer, who the peer is: what 401 is to HTTP."""

    @property
    def label(self) -> str:
        """The meaning in English, for logs and people."""
        return _LABELS[self]


_LABELS: Final = {
    CloseCode.NORMAL: "normal closure",
    CloseCode.GOING_AWAY: "going away",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "unsupported data",
    CloseCode.NO_STATUS: "no close code received",
    CloseCode.ABNORMAL: "abnormal closure",
    CloseCode.INVALID_DATA: "invalid data",
    CloseCode.POLICY_VIOLATION: "policy violation",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.MANDATORY_EXTENSION: "mandatory extension missing",
    CloseCode.INTERNAL_ERROR: "internal error",
    CloseCode.SERVICE_RESTART: "service restart",
    CloseCode.TRY_AGAIN_LATER: "try again later",
    CloseCode.BAD_GATEWAY: "bad gateway",
    CloseCode.TLS_HANDSHAKE: "TLS handshake failed",
    CloseCode.UNAUTHORIZED: "unauthorized",
}


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry the code: 1000-1003, 1007-1014 and 3000-4999 (RFC 6455 7.4)."""
    return 3000 <= code <= 4999 or 1007 <= code <= 1014 or 1000 <= code <= 1003
