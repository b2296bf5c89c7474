"""A chat with rooms, over several processes: history, who is there, and nothing lost on the way.

python examples/chat.py [port] [--workers N]        then open http://localhost:8080/ twice
"""

import argparse
import asyncio
import json
import os
import re
from pathlib import Path

import elio
from elio import Channels, Request, Response, Router, WebSocket

PAGES = Path(__file__).parent / "pages"
WORD = re.compile(r"[\w-]{1,40}")

channels = Channels()
router = Router(channels=channels)
router.static("/assets", PAGES / "assets")


@router.get("/")
async def index(request: Request) -> Response:
    return Response.file(PAGES / "chat.html")


@router.websocket("/rooms/:room", max_message_size=16 * 1024)
async def chat(ws: WebSocket) -> None:
    """What is said in a room, since the last message that the page has seen; else the last 50 messages."""
    name, since = ws.request.query.get("name") or "", ws.request.query.get("since")
    if not WORD.fullmatch(ws.params["room"]) or not WORD.fullmatch(name):
        await ws.reject(404, "rooms and names have letters, digits, - and _")
        return
    room = f"chat.{ws.params['room']}"
    await ws.join(room, since=since, backlog=50, presence={}, member=name)
    await ws.send(json.dumps({"worker": os.environ.get("ELIO_WORKER", "")}))
    telling = asyncio.create_task(tell_who_is_there(ws, room))
    try:
        async for text in ws:
            await channels.publish(room, json.dumps({"from": name, "text": text}))
    finally:
        telling.cancel()


async def tell_who_is_there(ws: WebSocket, room: str) -> None:
    async with channels.presence(room) as changes:
        async for _ in changes:
            await ws.send(json.dumps({"members": sorted(await channels.members(room))}))


def main() -> None:
    parser = argparse.ArgumentParser(description="A chat with rooms, over several processes.")
    parser.add_argument("port", type=int, nargs="?", default=8080, help="port to listen on (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes that serve (default: %(default)s)")
    options = parser.parse_args()
    try:
        elio.run(router, port=options.port, workers=options.workers)
    except elio.ConfigurationError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
