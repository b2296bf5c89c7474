"""The servers that are compared, how each is started and what each can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["PEERS", "PYTHON_PEERS", "Peer"]

WEBSOCKET = frozenset({"echo", "deflate", "tls", "broadcast"})
EVERYTHING = WEBSOCKET | {"sse", "http"}


@dataclass(frozen=True, slots=True)
class Peer:
    """`module` is one of benchmarks/servers, or "" for the bare server in C."""

    name: str
    label: str
    module: str
    can: frozenset[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_ours: bool = False
    is_limit: bool = False


def _ours(name: str, label: str, can: frozenset[str] = EVERYTHING, **environment: str) -> Peer:
    return Peer(name, label, "elio_server", can, environment, is_ours=True)


def _uvicorn(name: str, label: str, can: frozenset[str], **environment: str) -> Peer:
    return Peer(name, label, "uvicorn_server", can, environment)


_LIST = (
    Peer("c", "bare C, epoll", "", frozenset({"echo", "broadcast", "sse", "http"}), is_limit=True),
    Peer("floor", "a protocol in Python on uvloop", "floor", frozenset({"short"}), is_limit=True),
    _ours("elio", "**Elio**, uvloop"),
    _ours("elio-asyncio", "**Elio**, stock asyncio", BENCH_LOOP="asyncio"),
    _ours("elio-loop", "**Elio**, uvloop's transports", ELIO_REACTOR="0"),
    _ours("elio-pure", "**Elio**, pure Python twins", ELIO_PURE="1"),
    Peer("picows", "picows, callbacks", "picows_callbacks", frozenset({"echo", "tls", "broadcast"})),
    Peer("picows-ws", "picows, websockets interface", "picows_websockets", WEBSOCKET),
    Peer("websockets", "websockets", "websockets_server", WEBSOCKET),
    Peer("aiohttp", "aiohttp", "aiohttp_server", EVERYTHING),
    _uvicorn("uvicorn-sansio", "uvicorn, websockets-sansio", EVERYTHING, BENCH_WS="websockets-sansio"),
    _uvicorn("uvicorn-websockets", "uvicorn, websockets", WEBSOCKET, BENCH_WS="websockets"),
    _uvicorn("uvicorn-wsproto", "uvicorn, wsproto", WEBSOCKET, BENCH_WS="wsproto"),
    Peer("granian", "granian, RSGI", "granian_server", EVERYTHING - {"deflate"}),
    Peer("socketify", "socketify", "socketify_server", WEBSOCKET - {"tls"} | {"http"}),
    _uvicorn("starlette", "Starlette, uvicorn", frozenset({"sse", "http"}), BENCH_APP="starlette_app"),
    _uvicorn("fastapi", "FastAPI, uvicorn", frozenset({"sse", "http"}), BENCH_APP="fastapi_app"),
    _uvicorn("sse-starlette", "sse-starlette, uvicorn", frozenset({"sse"}), BENCH_APP="sse_starlette_app"),
    Peer("aiohttp-sse", "aiohttp-sse", "aiohttp_sse_server", frozenset({"sse"})),
)

PEERS = {peer.name: peer for peer in _LIST}
PYTHON_PEERS = frozenset(peer.name for peer in _LIST if not peer.is_ours and not peer.is_limit)
