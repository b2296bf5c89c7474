"""The WebSocket protocol (RFC 6455, RFC 7692) without I/O, both sides."""

from .codes import CloseCode, Opcode, may_be_sent
from .connection import Connection, NextStep, Role, State
from .message import Close, Event, Ping, Pong

__all__ = [
    "Close",
    "CloseCode",
    "Connection",
    "Event",
    "NextStep",
    "Opcode",
    "Ping",
    "Pong",
    "Role",
    "State",
    "may_be_sent",
]
