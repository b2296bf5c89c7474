"""An answer that comes word by word, as from a language model, and survives a reload of its page.

python examples/model_stream.py [port] [--interval SECONDS]        then open http://localhost:8080/, ask, and reload
"""

import argparse
import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import elio
from elio import Channels, Event, EventStream, Gap, HTTPError, Request, Response, Router

PAGES = Path(__file__).parent / "pages"
ID = re.compile(r"[0-9a-f-]{36}")
THOUGHTS = (
    "A stream that breaks is no tragedy as long as both sides know where it broke.",
    "Whoever comes back says what was seen last, and gets the rest.",
    "Whoever comes late gets all that was said so far.",
    "And what nobody can give any more is a gap, which is said aloud.",
)

channels = Channels()
router = Router(channels=channels)
router.static("/assets", PAGES / "assets")
interval = 0.1


async def think() -> AsyncIterator[str]:
    """The model: other words each time, so that one sees whether it was asked once or twice."""
    yield f"(Answer {random.randrange(10**6):06d}.)"
    for word in " ".join(random.sample(THOUGHTS, len(THOUGHTS))).split():
        await asyncio.sleep(interval)
        yield f" {word}"


@router.get("/")
async def index(request: Request) -> Response:
    return Response.file(PAGES / "model_stream.html")


@router.sse("/answers/:id")
async def answer(stream: EventStream) -> None:
    """Begin this answer, or go on with it: it is thought once, and goes on for 30 seconds while nobody listens."""
    if not ID.fullmatch(stream.params["id"]):
        raise HTTPError(404)
    run = await channels.run(stream.params["id"], think, on_disconnect="detach", ttl=30.0)
    async with contextlib.aclosing(run.follow(stream.last_event_id)) as parts:
        async for part in parts:
            if isinstance(part, Gap):
                await stream.send(Event(" [...]", id=part.id))
            else:
                await stream.send(Event(str(part.data), id=part.id))
    await stream.send(Event("the end", type="done"))


def main() -> None:
    global interval
    parser = argparse.ArgumentParser(description="An answer that comes word by word and survives a reload.")
    parser.add_argument("port", type=int, nargs="?", default=8080, help="port to listen on (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=0.1, help="seconds for a word (default: %(default)s)")
    options = parser.parse_args()
    interval = options.interval
    try:
        elio.run(router, port=options.port)
    except elio.ConfigurationError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
