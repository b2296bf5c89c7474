"""uvicorn on uvloop and httptools, no access log, no pings.

BENCH_WS is its WebSocket implementation, BENCH_APP the module of the application."""

from __future__ import annotations

import os

import uvicorn

from .options import read_options


def main() -> None:
    options = read_options()
    uvicorn.run(
        f"benchmarks.servers.{os.environ.get('BENCH_APP', 'asgi_app')}:app",
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws=os.environ.get("BENCH_WS", "websockets-sansio"),
        ws_per_message_deflate=options.compresses,
        ws_ping_interval=None,
        lifespan="off",
        access_log=False,
        log_level="error",
        backlog=options.backlog,
        ssl_certfile=options.certificate if options.uses_tls else None,
        ssl_keyfile=options.key if options.uses_tls else None,
    )


if __name__ == "__main__":
    main()
