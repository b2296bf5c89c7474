"""A live page with a chart: a made-up sensor publishes on a channel, and every open page draws what comes.

python examples/dashboard.py [port] [--interval SECONDS]        then open http://localhost:8080/
"""

import argparse
import asyncio
import random
from functools import partial
from pathlib import Path

import elio
from elio import Channels, Request, Response, Router, Server

PAGES = Path(__file__).parent / "pages"

channels = Channels(history=300)
router = Router(channels=channels)
router.static("/assets", PAGES / "assets")

# No handler, no task: a page gets the last 120 figures, then each one as it is published. When its connection breaks,
# the browser asks for what it has missed.
router.sse("/figures", channel="figures", backlog=120)


@router.get("/")
async def index(request: Request) -> Response:
    return Response.file(PAGES / "dashboard.html")


async def measure(interval: float) -> None:
    value = 20.0
    while channels.is_started:
        value += random.uniform(-1.0, 1.0) + (20.0 - value) / 20.0
        await channels.publish("figures", f"{value:.2f}")
        await asyncio.sleep(interval)


measuring: list[asyncio.Task[None]] = []


def started(interval: float, server: Server) -> None:
    print(f"serving on {server.urls[0]} (Ctrl+C to stop)", flush=True)
    measuring.append(asyncio.get_running_loop().create_task(measure(interval)))


def main() -> None:
    parser = argparse.ArgumentParser(description="A live page with a chart.")
    parser.add_argument("port", type=int, nargs="?", default=8080, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--interval", type=float, default=0.5, help="seconds between two figures (default: %(default)s)"
    )
    options = parser.parse_args()
    try:
        elio.run(router, port=options.port, on_start=partial(started, options.interval))
    except elio.ConfigurationError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
