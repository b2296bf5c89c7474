"""A stream of Server-Sent Events that goes on where a reader left off, and a page that shows it.

python examples/sse_server.py [port]        then open http://localhost:8080/
"""

import argparse
import asyncio
import json
import time
from pathlib import Path

import elio
from elio import Event, EventStream, Request, Response, Router

PAGES = Path(__file__).parent / "pages"
INTERVAL = 1.0

router = Router()
sent = 0


@router.get("/")
async def index(request: Request) -> Response:
    return Response.file(PAGES / "sse.html")


@router.get("/style.css")
async def style(request: Request) -> Response:
    return Response.file(PAGES / "style.css")


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
    """One event a second, a comment in between now and then."""
    global sent
    await stream.send_retry(3.0)
    number = number_after(stream.last_event_id)
    while True:
        await stream.send(make_event(number))
        sent += 1
        if number % 4 == 0:
            await stream.send_comment("keep-alive")
        number += 1
        await asyncio.sleep(INTERVAL)


def main() -> None:
    parser = argparse.ArgumentParser(description="A stream of Server-Sent Events with a page that shows it.")
    parser.add_argument("port", type=int, nargs="?", default=8080, help="port to listen on (default: %(default)s)")
    try:
        elio.run(router, port=parser.parse_args().port)
    except elio.ConfigurationError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
