"""What options of several commands mean, and those that clients of servers, or of engines, have in common."""

from __future__ import annotations

import argparse
import logging
import math
import ssl
import sys
from typing import TypedDict

from ..channels.channels import Channels
from ..channels.engines.choose import ENVIRONMENT as ENGINE
from ..channels.engines.choose import engine_url
from ..errors import ConfigurationError
from ..net.dial.proxy import ENVIRONMENT

__all__ = [
    "Reaching",
    "add_client_options",
    "add_engine_options",
    "count",
    "engine_of",
    "header",
    "log_to_stderr",
    "reaching",
    "seconds",
    "speed",
]


class Reaching(TypedDict):
    """How a server is reached: arguments that ``connect`` and ``EventSource`` share."""

    headers: list[tuple[str, str]]
    tls: ssl.SSLContext | None
    proxy: str | None
    uds: str | None


def seconds(text: str) -> float:
    """A finite number of seconds, not below 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def speed(text: str) -> float:
    """A factor above 0, or ``inf``.

    Raises:
        ArgumentTypeError: it is none.
    """
    if text == "inf":
        return math.inf
    value = seconds(text)
    if not value:
        raise argparse.ArgumentTypeError("a factor is above 0")
    return value


def count(text: str) -> int:
    """A whole number from 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text[:19]) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text[:19])


def header(text: str) -> tuple[str, str]:
    """A header as ``Name: value``.

    Raises:
        ArgumentTypeError: there is no name, or no colon.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not a header such as 'Name: value'")
    return name.strip(), value.strip()


def add_client_options(parser: argparse.ArgumentParser) -> None:
    """Add what both clients understand."""
    server = parser.add_argument_group("the server")
    server.add_argument(
        "-H", "--header", type=header, action="append", default=[], metavar="'NAME: VALUE'", help="header; repeatable"
    )
    server.add_argument("--insecure", action="store_true", help="trust any certificate")
    server.add_argument("--cacert", metavar="PATH", help="trust these authorities, in PEM, instead of the system's")
    server.add_argument("--proxy", metavar="URL", help="proxy; the variables of the environment decide without it")
    server.add_argument("--uds", metavar="PATH", help="connect to a Unix socket instead of the host")
    end = parser.add_argument_group("the end")
    _add_max_time(end)
    end.add_argument("--count", type=count, metavar="N", help="end when so many have come")
    parser.add_argument("--max-size", type=count, metavar="BYTES", help="of one message or event (default: 1 MiB)")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell on stderr what happens to the connection")
    _add_log_level(parser)


def _add_max_time(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--max-time", type=seconds, metavar="SECONDS", help="end after so long, with status 124")


def _add_log_level(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="warning",
        help="how much to log; debug shows tracebacks, too (default: %(default)s)",
    )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add what commands for channels understand."""
    parser.add_argument("--channels", metavar="URL", help=f"the engine; without it the variable {ENGINE} tells")
    _add_max_time(parser)
    _add_log_level(parser)


def engine_of(options: argparse.Namespace) -> Channels:
    """The channels that the options name.

    Raises:
        ConfigurationError: they name none, or none that another process could have.
    """
    url = engine_url(options.channels)
    if url.startswith("memory:"):
        raise ConfigurationError(f"no engine is named: --channels URL does, or the variable {ENGINE}")
    return Channels(url)


def reaching(options: argparse.Namespace) -> Reaching:
    """The arguments of a client that the common options stand for.

    Raises:
        ConfigurationError: the file of ``--cacert`` cannot be used.
    """
    return {
        "headers": options.header,
        "tls": _tls(options.cacert, trust_any=options.insecure),
        "proxy": options.proxy or ENVIRONMENT,
        "uds": options.uds,
    }


def _tls(authorities: str | None, *, trust_any: bool) -> ssl.SSLContext | None:
    if authorities is None and not trust_any:
        return None
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise ConfigurationError(f"the authorities {authorities!r} cannot be used: {error}") from error
    context.set_alpn_protocols(["http/1.1"])
    if trust_any:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def log_to_stderr(level: str) -> None:
    """Let the loggers of the library, and all others, write there."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s  %(message)s", stream=sys.stderr
    )
