"""``run``: a server as the whole of a program, from the first log line to the last."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Sequence

from ..limits import Limits
from ..net.tls import TLS
from .router import Router
from .server import Server, on_signals

__all__ = ["new_event_loop", "run"]


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
    fd: int | None = None,
    tls: TLS | None = None,
    limits: Limits | None = None,
    origins: Sequence[str] | None = None,
    allowed_hosts: Sequence[str] | None = None,
    grace: float = 10.0,
    on_start: Callable[[Server], object] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then end in order; a second signal ends at once.

    Args:
        router: the routes.
        host: and what follows up to ``allowed_hosts``: see :class:`elio.Server`.
        port: see there.
        uds: see there.
        fd: see there.
        tls: see there.
        limits: see there.
        origins: see there.
        allowed_hosts: see there.
        grace: seconds that open connections get at the end.
        on_start: called with the server once it accepts; by default the URLs are printed.

    Raises:
        ConfigurationError: it cannot start like this.
    """
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
    )
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(server, grace, on_start or _announce))


def _announce(server: Server) -> None:
    for url in server.urls:
        print(f"serving on {url} (Ctrl+C to stop)", flush=True)


async def _serve(server: Server, grace: float, on_start: Callable[[Server], object]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def signalled() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    await server.start()
    restore = on_signals(loop, signalled)
    try:
        on_start(server)
        await stop.wait()
        await server.close(grace=grace)
    finally:
        restore()
        await server.close(grace=0)
