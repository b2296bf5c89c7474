"""``elio serve module:router``: the server as a command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..errors import ConfigurationError
from ..limits import Limits
from ..net.listen import addresses
from ..net.tls import TLS, server_context
from ..server.process.hub import named_engine
from ..server.process.leash import Leash
from ..server.process.workers import longest_end, run_workers
from ..server.run import run
from ..server.server import Server
from .loading import load_router
from .options import count, log_to_stderr, seconds
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
    processes = parser.add_argument_group("processes")
    processes.add_argument("--reload", action="store_true", help="start anew when a Python file changes")
    processes.add_argument("--workers", type=count, metavar="N", help="serve in N processes; SIGHUP replaces them")
    parser.add_argument(
        "--channels", metavar="URL", help="engine for channels that name none, such as redis://localhost or local:PATH"
    )
    parser.add_argument("--status", metavar="FOLDER", help="tell elio top there, on Unix sockets, what is open")
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
    if options.reload and options.workers is not None:
        raise ConfigurationError("--reload goes with one process, not with --workers: kill -HUP starts workers anew")
    if options.reload and not Leash.is_here():
        return run_reloading(options)
    log_to_stderr(options.log_level)
    if options.workers is not None and not Leash.is_here():
        _serve_in_workers(options)
        return 0
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
        channels=options.channels,
        status=options.status,
        on_start=_started,
    )
    return 0


def _serve_in_workers(options: argparse.Namespace) -> None:
    with named_engine(options.channels):
        run_workers(
            options.command,
            options.workers,
            addresses(host=options.host, port=options.port, uds=options.uds, fd=options.fd),
            backlog=Limits().backlog,
            patience=longest_end(options.drain, options.grace),
            is_tls=options.tls_cert is not None,
            on_start=_banner,
        )


def _tls(options: argparse.Namespace) -> TLS | None:
    if options.tls_cert is None and options.tls_key is None:
        return None
    if options.tls_cert is None or options.tls_key is None:
        raise ConfigurationError("--tls-cert and --tls-key belong together")
    server_context((options.tls_cert, options.tls_key))
    return options.tls_cert, options.tls_key


def _started(server: Server) -> None:
    if server.worker is None:
        _banner(server.urls)


def _banner(urls: Sequence[str]) -> None:
    for url in urls:
        line = f"serving on {url}"
        if url.startswith("http"):
            line += f" and {url.replace('http', 'ws', 1)}"
        say(line)
    say("press Ctrl+C to stop")
