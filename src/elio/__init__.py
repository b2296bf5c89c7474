"""Elio: WebSocket and Server-Sent Events, server and client, beside ordinary HTTP routes."""

from . import _twins

_twins.choose()

from . import causes as causes  # noqa: E402
from .auth.credentials import Credentials, basic_credentials, bearer_token, same_secret  # noqa: E402
from .auth.identity import Identity  # noqa: E402
from .auth.tickets import Tickets  # noqa: E402
from .causes import Cause  # noqa: E402
from .channels.backend import GapReason  # noqa: E402
from .channels.backlog import Policy  # noqa: E402
from .channels.channels import Channels  # noqa: E402
from .channels.message import Gap, Message, Snapshot  # noqa: E402
from .client import sync as sync  # noqa: E402
from .client.backoff import Change, ConnectionState, Reconnect, is_fatal  # noqa: E402
from .client.event_source import EventSource  # noqa: E402
from .client.websocket import connect  # noqa: E402
from .errors import (  # noqa: E402
    ChannelError,
    ClientDisconnected,
    ConcurrencyError,
    ConfigurationError,
    ConnectError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ElioError,
    EventTooBig,
    HandshakeError,
    HTTPError,
    InvalidChannel,
    InvalidHeader,
    InvalidURL,
    LimitExceeded,
    LocalProtocolError,
    MessageTooBig,
    ModelError,
    PublishError,
    RemoteProtocolError,
    SlowSubscriber,
    StreamClosed,
    StreamStalled,
    StreamTruncated,
    SubscriptionClosed,
    Unauthorized,
)
from .event_stream import EventStream  # noqa: E402
from .fan_out import broadcast  # noqa: E402
from .headers import Headers  # noqa: E402
from .limits import Limits  # noqa: E402
from .net.tls import TLSConfig  # noqa: E402
from .request import Request  # noqa: E402
from .response import Response  # noqa: E402
from .server.process.leash import Worker  # noqa: E402
from .server.router import Router  # noqa: E402
from .server.run import run  # noqa: E402
from .server.server import Server  # noqa: E402
from .server.watch.tracing import trace_connections  # noqa: E402
from .session import WebSocket  # noqa: E402
from .sse.event import Event  # noqa: E402
from .version import VERSION as __version__  # noqa: E402, N811
from .websocket.codes import CloseCode, Opcode  # noqa: E402
from .websocket.deflate import DeflateOptions  # noqa: E402

__all__ = [
    "Cause",
    "Change",
    "ChannelError",
    "Channels",
    "ClientDisconnected",
    "CloseCode",
    "ConcurrencyError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "ConnectionState",
    "Credentials",
    "DeflateOptions",
    "ElioError",
    "Event",
    "EventSource",
    "EventStream",
    "EventTooBig",
    "Gap",
    "GapReason",
    "HTTPError",
    "HandshakeError",
    "Headers",
    "Identity",
    "InvalidChannel",
    "InvalidHeader",
    "InvalidURL",
    "LimitExceeded",
    "Limits",
    "LocalProtocolError",
    "Message",
    "MessageTooBig",
    "ModelError",
    "Opcode",
    "Policy",
    "PublishError",
    "Reconnect",
    "RemoteProtocolError",
    "Request",
    "Response",
    "Router",
    "Server",
    "SlowSubscriber",
    "Snapshot",
    "StreamClosed",
    "StreamStalled",
    "StreamTruncated",
    "SubscriptionClosed",
    "TLSConfig",
    "Tickets",
    "Unauthorized",
    "WebSocket",
    "Worker",
    "__version__",
    "basic_credentials",
    "bearer_token",
    "broadcast",
    "causes",
    "connect",
    "is_fatal",
    "run",
    "same_secret",
    "trace_connections",
]
