"""The cases: what the load does, what is counted, and what we aim at. One table, `CASES`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CASES", "CPU", "LATENCY", "MEMORY", "Aim", "Case", "best_of"]

CPU = "cpu_us"
LATENCY = "p50_us"
MEMORY = "memory"

UNITS = {CPU: "µs of server CPU", LATENCY: "µs, median latency", MEMORY: "bytes per connection"}


@dataclass(frozen=True, slots=True)
class Aim:
    """Our figure shall be at most `factor` times that of a peer (or of the best one of the Python peers), or at most a
    plain number."""

    factor: float
    reference: str = ""
    """A peer's name, `best` for the best Python peer, "" for a plain number."""
    ours: str = "elio"
    metric: str = CPU

    def __str__(self) -> str:
        value = f"{self.factor:,g}"
        return f"{value} × {self.reference}" if self.reference else f"{value} {UNITS[self.metric]}"


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `needs` is what a server must be able to do, `load` the arguments of the load generator."""

    name: str
    title: str
    needs: str
    load: tuple[str, ...]
    aims: tuple[Aim, ...] = ()
    per: str = "message"
    metric: str = CPU
    server_case: str = "echo"


def _echo(size: int, connections: int, in_flight: int = 1) -> tuple[str, ...]:
    return ("echo", "--size", str(size), "--connections", str(connections), "--in-flight", str(in_flight))


def _fan_out(mode: str, connections: int, size: int, ahead: int) -> tuple[str, ...]:
    return (mode, "--text", "--connections", str(connections), "--size", str(size), "--in-flight", str(ahead))


def _case(name: str, title: str, needs: str, load: tuple[str, ...], *aims: Aim, **more: str) -> Case:
    return Case(name, title, needs, load, aims, **more)


_LIST = (
    _case(
        "echo-1",
        "WebSocket echo, 32 B, one connection",
        "echo",
        _echo(32, 1),
        Aim(1.10, "picows", metric=LATENCY),
    ),
    _case(
        "echo-64",
        "WebSocket echo, 32 B, 64 connections",
        "echo",
        _echo(32, 64),
        Aim(1.12, "c"),
        Aim(1.0, "picows"),
        Aim(1.0, "websockets", ours="elio-pure"),
    ),
    _case(
        "echo-1000",
        "WebSocket echo, 32 B, 1,000 connections",
        "echo",
        _echo(32, 1000),
        Aim(1.40, "c"),
        Aim(0.90, "picows"),
    ),
    _case(
        "echo-64x16",
        "WebSocket echo, 32 B, 64 connections, 16 messages in flight on each",
        "echo",
        _echo(32, 64, 16),
        Aim(3.0, "c"),
        Aim(0.40, "best"),
    ),
    _case("echo-text", "WebSocket echo, 32 B of text, 64 connections", "echo", (*_echo(32, 64), "--text")),
    _case("echo-1k", "WebSocket echo, 1 KiB, 64 connections", "echo", _echo(1024, 64)),
    _case("echo-64k", "WebSocket echo, 64 KiB, 16 connections", "echo", _echo(65536, 16), Aim(1.25, "c")),
    _case("echo-1m", "WebSocket echo, 1 MiB, 4 connections", "echo", _echo(1048576, 4), Aim(1.25, "c")),
    _case(
        "deflate",
        "WebSocket echo, 1 KiB of JSON with permessage-deflate, 64 connections",
        "deflate",
        (*_echo(1024, 64), "--json", "--deflate"),
        Aim(0.85, "best"),
        server_case="deflate",
    ),
    _case(
        "memory-deflate",
        "Resident memory per compressing connection, 500 open after an exchange of 1 KiB JSON messages",
        "deflate",
        (*_echo(1024, 500), "--json", "--deflate"),
        per="connection",
        metric=MEMORY,
        server_case="deflate",
    ),
    _case(
        "tls-64",
        "WebSocket echo over TLS, 32 B, 64 connections",
        "tls",
        (*_echo(32, 64), "--tls"),
        Aim(1.0, "best"),
        server_case="tls",
    ),
    _case(
        "tls-64k",
        "WebSocket echo over TLS, 64 KiB, 16 connections",
        "tls",
        (*_echo(65536, 16), "--tls"),
        Aim(1.0, "best"),
        server_case="tls",
    ),
    _case(
        "handshake",
        "WebSocket opening handshakes, batches of 1,000, 64 at once",
        "echo",
        ("handshake", "--connections", "1000", "--in-flight", "64"),
        Aim(60),
        per="handshake",
    ),
    _case(
        "idle-ws",
        "Resident memory per idle WebSocket with its handler, 5,000 open",
        "echo",
        ("idle-ws", "--connections", "5000", "--in-flight", "64"),
        Aim(3072, metric=MEMORY),
        per="connection",
        metric=MEMORY,
    ),
    _case(
        "idle-sse",
        "Resident memory per idle event stream with its handler, 5,000 open",
        "sse",
        ("idle-sse", "--connections", "5000", "--in-flight", "64"),
        Aim(3072, metric=MEMORY),
        per="connection",
        metric=MEMORY,
        server_case="sse",
    ),
    _case(
        "broadcast",
        "WebSocket broadcast of 32 B to 1,000 connections",
        "broadcast",
        _fan_out("broadcast", 1000, 32, 1),
        Aim(1.15, "c"),
        per="delivery",
        server_case="broadcast",
    ),
    _case(
        "sse-16",
        "Events of 100 B to 500 event streams, the publisher up to 16 ahead",
        "sse",
        _fan_out("sse", 500, 100, 16),
        Aim(0.40, "best"),
        per="delivery",
        server_case="sse",
    ),
    _case(
        "sse-1",
        "Events of 100 B to 500 event streams, one at a time",
        "sse",
        _fan_out("sse", 500, 100, 1),
        Aim(1.3, "c"),
        per="delivery",
        server_case="sse",
    ),
    _case(
        "http-get",
        "HTTP GET of 13 B, 64 kept connections",
        "http",
        ("get", "--connections", "64"),
        per="request",
        server_case="http",
    ),
)

CASES = {case.name: case for case in _LIST}


def best_of(figures: dict[str, float], names: frozenset[str]) -> str:
    """The name of the lowest figure among these."""
    return min((name for name in figures if name in names), key=lambda name: figures[name], default="")
