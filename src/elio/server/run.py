"""``run``: a server as the whole of a program, signals included.

It does not configure logging, and it does not load routers: that is the command line's.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from types import FrameType

from ..errors import ConfigurationError
from ..limits import Limits
from ..net.tls import TLS
from .entry.proxies import PROXY_HEADERS
from .process.drain import check_seconds
from .router import Router
from .server import Server

__all__ = ["new_event_loop", "run"]

logger = logging.getLogger("elio.server")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's event loop where it is installed, else asyncio's."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def run(
    router: Router,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    uds: str | None = None,
    fd: int | Sequence[int] | None = None,
    tls: TLS | None = None,
    limits: Limits | None = None,
    origins: Sequence[str] | None = None,
    allowed_hosts: Sequence[str] | None = None,
    trusted_proxies: Sequence[str] = (),
    proxy_headers: Sequence[str] = PROXY_HEADERS,
    proxy_protocol: bool = False,
    drain: float | None = None,
    grace: float = 10.0,
    on_start: Callable[[Server], object] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then end in order.

    A second signal ends the process at once, with 128 + its number as exit status.

    It also returns when the server was closed otherwise, by a handler for example. In another thread than the main one
    signals are not seen, and that is the only way.

    Args:
        router: the routes.
        host: and what follows up to ``proxy_protocol``: see :class:`elio.Server`.
        port: see there.
        uds: see there.
        fd: see there.
        tls: see there.
        limits: see there.
        origins: see there.
        allowed_hosts: see there.
        trusted_proxies: see there.
        proxy_headers: see there.
        proxy_protocol: see there.
        drain: seconds over which the ends of connections are spread; see :meth:`elio.Server.drain`.
        grace: seconds that open connections get behind it.
        on_start: called with the server once it accepts; by default the URLs are printed.

    Raises:
        ConfigurationError: it cannot start like this.
    """
    check_seconds(drain=drain, grace=grace)
    if _is_inside_a_loop():
        raise ConfigurationError("run() is a whole program; inside a running event loop use: async with Server(...)")
    server = Server(
        router,
        host=host,
        port=port,
        uds=uds,
        fd=fd,
        tls=tls,
        limits=limits,
        origins=origins,
        allowed_hosts=allowed_hosts,
        trusted_proxies=trusted_proxies,
        proxy_headers=proxy_headers,
        proxy_protocol=proxy_protocol,
    )
    with _signals() as stop, asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(server, stop, partial(server.drain, window=drain, grace=grace), on_start or _announce))


def _is_inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Stop:
    """What a signal asks for.

    Python's own signal handlers, not the loop's: they are called even while a handler blocks the loop.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_second = False

    def watched_by(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on this loop waits for it."""
        self._loop = loop

    def signalled(self, number: int, frame: FrameType | None) -> None:
        if self._is_second:
            os._exit(128 + number)
        self._is_second = True
        if self._loop is None:
            self.asked.set()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and this program about to end
                self._loop.call_soon_threadsafe(self.asked.set)


@contextlib.contextmanager
def _signals() -> Iterator[_Stop]:
    """SIGINT and SIGTERM stop the server, and do afterwards what they did before."""
    stop = _Stop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop.signalled)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(server: Server) -> None:
    for url in server.urls:
        print(f"serving on {url} (Ctrl+C to stop)", flush=True)


async def _serve(
    server: Server, stop: _Stop, drain: Callable[[], Awaitable[None]], on_start: Callable[[Server], object]
) -> None:
    stop.watched_by(asyncio.get_running_loop())
    try:
        await server.start()
        on_start(server)
        closed = asyncio.ensure_future(server.serve_forever())
        closed.add_done_callback(lambda _: stop.asked.set())
        await stop.asked.wait()
        closed.cancel()
        if server.is_running:
            logger.info("ending, with %d connections open", server.connections)
        await drain()
    finally:
        await server.close(grace=0)
