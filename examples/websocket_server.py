"""A WebSocket server with an echo and a chat, and a page to try both.

python examples/websocket_server.py [port]        then open http://localhost:8080/
"""

import argparse
import itertools
import json
from pathlib import Path

import elio
from elio import Request, Response, Router, WebSocket

PAGES = Path(__file__).parent / "pages"

router = Router()
router.static("/assets", PAGES / "assets")
chat: dict[WebSocket, str] = {}
numbers = itertools.count(1)
open_now: set[WebSocket] = set()


def message(type: str, **fields: str) -> str:
    return json.dumps({"type": type, **fields})


@router.get("/")
async def index(request: Request) -> Response:
    return Response.file(PAGES / "websocket.html")


@router.get("/info")
async def info(request: Request) -> Response:
    return Response.json(
        {
            "server": "Elio WebSocket Server",
            "version": elio.__version__,
            "connected_clients": len(open_now),
            "endpoints": {"echo": "/ws/echo", "chat": "/ws/chat"},
        }
    )


@router.websocket("/ws")
async def plain_echo(ws: WebSocket) -> None:
    """Every message back as it is."""
    async for received in ws:
        await ws.send(received)


@router.websocket("/ws/echo")
async def echo(ws: WebSocket) -> None:
    """Text back in JSON, bytes back as they are."""
    open_now.add(ws)
    try:
        await ws.send(message("welcome", message="Connected to echo server"))
        async for received in ws:
            if isinstance(received, str):
                await ws.send(message("echo", data=received))
            else:
                await ws.send(received)
    finally:
        open_now.discard(ws)


def tell_everyone(text: str) -> None:
    """To all who are in the chat; one that is slow or gone is nobody else's trouble."""
    elio.broadcast(chat, text)


@router.websocket("/ws/chat", max_message_size=1024 * 1024)
async def chat_room(ws: WebSocket) -> None:
    """Text to everyone in the room, with notices of who comes and goes."""
    name = f"guest {next(numbers)}"
    await ws.send(message("system", message=f"Welcome to the chat room, {name}!", you=name))
    tell_everyone(message("system", message=f"{name} has joined"))
    open_now.add(ws)
    chat[ws] = name
    try:
        async for received in ws:
            if isinstance(received, str):
                tell_everyone(message("message", **{"from": name, "data": received}))
    finally:
        del chat[ws]
        open_now.discard(ws)
        tell_everyone(message("system", message=f"{name} has left"))


def main() -> None:
    parser = argparse.ArgumentParser(description="A WebSocket server with an echo and a chat.")
    parser.add_argument("port", type=int, nargs="?", default=8080, help="port to listen on (default: %(default)s)")
    try:
        elio.run(router, port=parser.parse_args().port)
    except elio.ConfigurationError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
