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
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import FrameType

from ..errors import ConfigurationError
from ..limits import Limits
from ..net.listen import Address, addresses
from ..net.tls import TLS
from .entry.proxies import PROXY_HEADERS
from .process.drain import check_seconds
from .process.hub import hub_beside, named_engine
from .process.leash import Leash
from .process.workers import longest_end, run_workers
from .router import Router
from .server import Server
from .watch.status import status_socket

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
    loop_warning: float | None = 1.0,
    drain: float | None = None,
    grace: float = 10.0,
    workers: int | None = None,
    channels: str | None = None,
    status: str | None = None,
    on_start: Callable[[Server], object] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then end in order.

    With ``workers`` this process looks after so many others, each of which runs the whole program from its beginning,
    up to this call. They share the port. One that ends is replaced, SIGHUP replaces all, one by one, and
    :attr:`elio.Server.worker` tells which one a server is.

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
        loop_warning: see there.
        drain: seconds over which the ends of connections are spread; see :meth:`elio.Server.drain`.
        grace: seconds that open connections get behind it.
        workers: how many processes; None serves in this one.
        channels: the URL of the engine for channels that name none, such as ``redis://localhost``. By default what
            the environment variable ``ELIO_CHANNELS`` says; else workers share a hub of their own, and one process has
            its memory. With ``local:PATH`` the hub has its socket there, for other programs too.
        status: a folder in which each process that serves tells, on a Unix socket, what is open: for ``elio top``.
        on_start: called with the server once it accepts, in each process that serves; by default the URLs are printed.

    Raises:
        ConfigurationError: it cannot start like this.
    """
    check_seconds(drain=drain, grace=grace)
    if _is_inside_a_loop():
        raise ConfigurationError("run() is a whole program; inside a running event loop use: async with Server(...)")
    leash = Leash.take()
    server = Server(
        router,
        host=host,
        port=port,
        uds=uds,
        fd=fd if leash is None else leash.fds,
        tls=tls,
        limits=limits,
        origins=origins,
        allowed_hosts=allowed_hosts,
        trusted_proxies=trusted_proxies,
        proxy_headers=proxy_headers,
        proxy_protocol=proxy_protocol,
        loop_warning=loop_warning,
    )
    patience = longest_end(drain, grace)
    with named_engine(None if _is_worker(leash) else channels):
        if leash is None and workers is not None:
            where = addresses(host=host, port=port, uds=uds, fd=fd)
            _look_after(workers, where, limits or Limits(), patience=patience, is_tls=tls is not None)
            return
        with _signals(leash) as stop, asyncio.Runner(loop_factory=new_event_loop) as runner:
            end = partial(server.drain, window=drain, grace=grace)
            runner.run(_serve(server, stop, end, on_start or _announced, status=status))


def _look_after(workers: int, where: list[Address], limits: Limits, *, patience: float, is_tls: bool) -> None:
    command = [sys.executable, *sys.orig_argv[1:]]
    run_workers(command, workers, where, backlog=limits.backlog, patience=patience, is_tls=is_tls, on_start=_announce)


def _is_worker(leash: Leash | None) -> bool:
    """Whether this is one of several processes, which find everything else beside them."""
    return leash is not None and leash.worker is not None


def _is_inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Stop:
    """What a signal asks for.

    Python's own signal handlers, not the loop's: they are called even while a handler blocks the loop.

    Attributes:
        asked: whether to end.
        returning: whether another process takes the place of this one.
        leash: that of this process, if a supervisor has started it.
    """

    def __init__(self, leash: Leash | None) -> None:
        self.asked = asyncio.Event()
        self.returning = False
        self.leash = leash
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_second = False

    def watched_by(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on this loop waits for it."""
        self._loop = loop
        if self.leash is not None:
            self.leash.watch(loop, self.asked.set)

    def let_go(self) -> None:
        """This loop is about to end."""
        if self.leash is not None and self._loop is not None:
            self.leash.close(self._loop)

    def signalled(self, number: int, frame: FrameType | None) -> None:
        if self._is_second:
            # A service manager may send to all what the supervisor sends, too. It is the one that loses patience.
            if self.leash is None:
                os._exit(128 + number)
            return
        self._is_second = True
        self.returning = self.leash is not None and number == signal.SIGHUP
        if self._loop is None:
            self.asked.set()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and this program about to end
                self._loop.call_soon_threadsafe(self.asked.set)


@contextlib.contextmanager
def _signals(leash: Leash | None) -> Iterator[_Stop]:
    """SIGINT and SIGTERM stop the server, and do afterwards what they did before. On a leash, it is as that says."""
    stop = _Stop(leash)
    handlers: dict[int, signal._HANDLER] = {signal.SIGINT: stop.signalled, signal.SIGTERM: stop.signalled}
    if leash is not None:
        handlers |= {signal.SIGINT: signal.SIG_IGN, signal.SIGHUP: stop.signalled}
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stop
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _announced(server: Server) -> None:
    if server.worker is None:
        _announce(server.urls)


def _announce(urls: Sequence[str]) -> None:
    for url in urls:
        print(f"serving on {url} (Ctrl+C to stop)", flush=True)


async def _serve(
    server: Server,
    stop: _Stop,
    drain: Callable[..., Awaitable[None]],
    on_start: Callable[[Server], object],
    *,
    status: str | None,
) -> None:
    leash = stop.leash
    async with AsyncExitStack() as beside:
        if not _is_worker(leash):
            await beside.enter_async_context(hub_beside())
        stop.watched_by(asyncio.get_running_loop())
        server.serve_as(None if leash is None else leash.worker)
        try:
            await server.start()
            if status is not None:
                await beside.enter_async_context(status_socket(status, server.survey))
            on_start(server)
            if leash is not None:
                leash.ready()
            await _until_asked(server, stop)
            await drain(returning=stop.returning)
        finally:
            await server.close(grace=0)
            stop.let_go()


async def _until_asked(server: Server, stop: _Stop) -> None:
    closed = asyncio.ensure_future(server.serve_forever())
    closed.add_done_callback(lambda _: stop.asked.set())
    await stop.asked.wait()
    closed.cancel()
    if server.is_running:
        logger.info("ending, with %d connections open", server.connections)
