"""Both example servers under one roof: pages to click at http://localhost:8080/

python examples/demo.py [port]
"""

import argparse

import sse_server
import websocket_server
from websocket_server import PAGES

import elio
from elio import Request, Response, Router

router = Router()
router.mount("/websocket", websocket_server.router)
router.mount("/sse", sse_server.router)


@router.get("/")
async def index(request: Request) -> Response:
    return Response.file(PAGES / "index.html")


@router.get("/websocket")
@router.get("/sse")
async def with_slash(request: Request) -> Response:
    """What the pages name is found beside them, so their addresses end with a slash."""
    return Response.redirect(f"{request.path}/", status=308)


def main() -> None:
    parser = argparse.ArgumentParser(description="The WebSocket and the SSE example on one port.")
    parser.add_argument("port", type=int, nargs="?", default=8080, help="port to listen on (default: %(default)s)")
    try:
        elio.run(router, port=parser.parse_args().port)
    except elio.ConfigurationError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
