"""``elio serve module:router``: the server as a command."""

from __future__ import annotations

import argparse
import logging
import sys

from ..errors import ConfigurationError
from ..net.tls import TLS
from ..server.run import run
from ..server.server import Server
from .loading import load_router
from .reload import run_reloading

__all__ = ["add_command"]


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``serve`` to the commands."""
    parser = commands.add_parser(
        "serve",
        help="serve the routes of a router",
        description="Serve the routes of a router: HTTP, WebSocket and Server-Sent Events on one port.",
        epilog="Exit status: 0 after an orderly end, 1 if it cannot start, 2 for a wrong command line.",
    )
    parser.add_argument("target", metavar="MODULE:ROUTER", help="where the router is, such as app:router or app.py")
    where = parser.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1", help="name or address to listen on (default: %(default)s)")
    where.add_argument("--port", type=int, default=8080, help="port, 0 for a free one (default: %(default)s)")
    where.add_argument("--uds", metavar="PATH", help="listen on a Unix socket instead")
    where.add_argument("--fd", type=int, help="listen on an inherited descriptor instead")
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--tls-cert", metavar="PATH", help="certificate chain in PEM")
    tls.add_argument("--tls-key", metavar="PATH", help="its private key in PEM")
    who = parser.add_argument_group("who may come")
    who.add_argument("--origin", action="append", metavar="ORIGIN", help="origin that may open WebSockets; repeatable")
    who.add_argument("--allowed-host", action="append", metavar="NAME", help="host that is served; repeatable")
    parser.add_argument("--reload", action="store_true", help="start anew when a Python file changes")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds for open connections at the end")
    levels = ["debug", "info", "warning", "error"]
    parser.add_argument("--log-level", choices=levels, default="info", help="how much to log (default: %(default)s)")
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    tls = _tls(options)
    if options.reload:
        return run_reloading(options)
    logging.basicConfig(
        level=getattr(logging, options.log_level.upper()),
        format="%(asctime)s %(levelname)-7s %(name)s  %(message)s",
        stream=sys.stderr,
    )
    run(
        load_router(options.target),
        host=options.host,
        port=options.port,
        uds=options.uds,
        fd=options.fd,
        tls=tls,
        origins=options.origin,
        allowed_hosts=options.allowed_host,
        grace=options.grace,
        on_start=_banner,
    )
    return 0


def _tls(options: argparse.Namespace) -> TLS | None:
    if options.tls_cert is None and options.tls_key is None:
        return None
    if options.tls_cert is None or options.tls_key is None:
        raise ConfigurationError("--tls-cert and --tls-key belong together")
    return options.tls_cert, options.tls_key


def _banner(server: Server) -> None:
    for url in server.urls:
        secure = url.startswith("https")
        line = f"serving on {url}"
        if url.startswith("http"):
            line += f" and {url.replace('https' if secure else 'http', 'wss' if secure else 'ws', 1)}"
        print(line, flush=True)
    print("press Ctrl+C to stop", flush=True)
