"""A stream of Server-Sent Events that goes on where a reader left off, and a page that shows it.

python examples/sse_server.py [port] [--interval SECONDS] [--retry SECONDS]        then open http://localhost:8080/
"""

import argparse
import asyncio
import json
import time
from pathlib import Path

import elio
from elio import Event, EventStream, Request, Response, Router

PAGES = Path(__file__).parent / "pages"

interval = 1.0
retry = 3.0
sent = 0

router = Router()
router.static("/assets", PAGES / "assets")


@router.get("/")
async def index(request: Request) -> Response:
    return Response.file(PAGES / "sse.html")


@router.get("/info")
async def info(request: Request) -> Response:
    return Response.json(
        {
            "server": "Elio SSE Server",
            "version": elio.__version__,
            "total_events": sent,
            "endpoints": {"events": "/events", "sse": "/sse"},
        }
    )


def make_event(number: int) -> Event:
    """The event of that number: the same for whoever asks for it, now or after a reconnection."""
    kind = number % 4
    id = str(number)
    if kind == 1:
        return Event(json.dumps({"alive": True, "timestamp": time.time_ns()}), type="heartbeat", id=id)
    if kind == 2:
        return Event(json.dumps({"type": "update", "count": number, "id": id}), type="data", id=id)
    if kind == 3:
        return Event(f"Event number {number} is here", type="notification", id=id)
    return Event(f"Counter: {number}", id=id)


def number_after(last_event_id: str) -> int:
    """Where a reader goes on. What is no number of ours is somebody's invention: they start anew."""
    if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16:
        return int(last_event_id) + 1
    return 1


@router.sse("/events")
@router.sse("/sse")
async def events(stream: EventStream) -> None:
    """An event at every interval, a comment in between now and then."""
    global sent
    await stream.send_retry(retry)
    number = number_after(stream.last_event_id)
    while True:
        await stream.send(make_event(number))
        sent += 1
        if number % 4 == 0:
            await stream.send_comment("keep-alive")
        number += 1
        await asyncio.sleep(interval)


def seconds(text: str) -> float:
    """A number of seconds from the command line."""
    value = float(text)
    if not 0.001 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{text} seconds, allowed are 0.001 to 86400")
    return value


def main() -> None:
    global interval, retry
    parser = argparse.ArgumentParser(description="A stream of Server-Sent Events with a page that shows it.")
    parser.add_argument("port", type=int, nargs="?", default=8080, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--interval",
        type=seconds,
        default=interval,
        metavar="SECONDS",
        help="seconds between two events (default: %(default)g)",
    )
    parser.add_argument(
        "--retry",
        type=seconds,
        default=retry,
        metavar="SECONDS",
        help="seconds after which readers reconnect (default: %(default)g)",
    )
    options = parser.parse_args()
    interval, retry = options.interval, options.retry
    try:
        elio.run(router, port=options.port)
    except elio.ConfigurationError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
