"""``elio serve module:router``: the server as a command."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal

from ..errors import ConfigurationError
from ..net.tls import TLS, server_context
from ..server.run import run
from ..server.server import Server
from .loading import load_router
from .options import log_to_stderr, seconds
from .reload import run_reloading
from .terminal import say

__all__ = ["add_command"]

_EPILOG = """Exit status: 0 after an orderly end, 1 if it cannot start, 2 for a wrong command line, 70 for an error in
Elio itself. SIGINT (Ctrl+C) and SIGTERM end it in order; a second one ends it at once, with 128 + its number."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``serve`` to the commands."""
    parser = commands.add_parser(
        "serve",
        help="serve the routes of a router",
        description="Serve the routes of a router: HTTP, WebSocket and Server-Sent Events on one port.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("target", metavar="MODULE:ROUTER", help="where the router is, such as app:router or app.py")
    _add_addresses(parser)
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--tls-cert", metavar="PATH", help="certificate chain in PEM")
    tls.add_argument("--tls-key", metavar="PATH", help="its private key in PEM")
    who = parser.add_argument_group("who may come")
    who.add_argument("--origin", action="append", metavar="ORIGIN", help="origin that may open WebSockets; repeatable")
    who.add_argument("--allowed-host", action="append", metavar="NAME", help="host that is served; repeatable")
    who.add_argument(
        "--trusted-proxy", action="append", default=[], metavar="NET", help="address or network; repeatable"
    )
    who.add_argument("--proxy-protocol", action="store_true", help="connections begin with a PROXY header")
    parser.add_argument("--reload", action="store_true", help="start anew when a Python file changes")
    end = parser.add_argument_group("the end")
    end.add_argument(
        "--drain",
        type=seconds,
        metavar="SECONDS",
        help="over which the ends of connections are spread (default: as their number asks for, at most 10)",
    )
    end.add_argument(
        "--grace",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="behind that for what is still open (default: %(default)g)",
    )
    parser.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="info",
        help="how much to log; debug shows tracebacks, too (default: %(default)s)",
    )
    parser.add_argument("--supervisor", type=int, help=argparse.SUPPRESS)
    parser.set_defaults(run=_serve)


def _add_addresses(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1", help="name or address to listen on (default: %(default)s)")
    one_of = where.add_mutually_exclusive_group()
    one_of.add_argument("--port", type=int, default=8080, help="port, 0 for a free one (default: %(default)s)")
    one_of.add_argument("--uds", metavar="PATH", help="listen on a Unix socket instead")
    one_of.add_argument("--fd", type=int, action="append", help="listen on an inherited descriptor instead; repeatable")


def _serve(options: argparse.Namespace) -> int:
    tls = _tls(options)
    if options.reload:
        return run_reloading(options)
    log_to_stderr(options.log_level)

    def started(server: Server) -> None:
        _banner(server)
        if options.supervisor is not None:
            _obey(server, options)

    run(
        load_router(options.target),
        host=options.host,
        port=options.port,
        uds=options.uds,
        fd=options.fd,
        tls=tls,
        origins=options.origin,
        allowed_hosts=options.allowed_host,
        trusted_proxies=options.trusted_proxy,
        proxy_protocol=options.proxy_protocol,
        drain=options.drain,
        grace=options.grace,
        on_start=started,
    )
    return 0


def _tls(options: argparse.Namespace) -> TLS | None:
    if options.tls_cert is None and options.tls_key is None:
        return None
    if options.tls_cert is None or options.tls_key is None:
        raise ConfigurationError("--tls-cert and --tls-key belong together")
    server_context((options.tls_cert, options.tls_key))
    return options.tls_cert, options.tls_key


def _banner(server: Server) -> None:
    for url in server.urls:
        line = f"serving on {url}"
        if url.startswith("http"):
            line += f" and {url.replace('http', 'ws', 1)}"
        say(line)
    say("press Ctrl+C to stop")


def _obey(server: Server, options: argparse.Namespace) -> None:
    """Be a child of ``--reload``: Ctrl+C is the parent's matter, and if the parent is gone, end."""
    loop = asyncio.get_running_loop()
    fd: int = options.supervisor
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def orphaned() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        ending.append(loop.create_task(server.drain(window=options.drain, grace=options.grace)))

    ending: list[asyncio.Task[None]] = []
    loop.add_reader(fd, orphaned)
