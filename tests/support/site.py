"""The server that peers of other make talk to: echoes, ends, refusals, event streams, ordinary HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trustme

from elio import (
    ConnectionClosed,
    DeflateOptions,
    Event,
    EventStream,
    HTTPError,
    Limits,
    Request,
    Response,
    Router,
    Server,
    WebSocket,
)
from support.raw import serve

__all__ = ["LIMITS", "Certificates", "End", "Site", "make_certificates", "open_site"]

LIMITS = Limits(max_message_size=8 * 1024 * 1024, close_timeout=2.0, commit_delay=0.1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a certificate for localhost and 127.0.0.1, and of the authority that issued it."""

    authority: Path
    certificate: Path
    key: Path

    def client(self) -> ssl.SSLContext:
        """A client's context that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.authority))


def make_certificates(folder: Path) -> Certificates:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    files = Certificates(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(files.authority)
    for index, part in enumerate(issued.cert_chain_pems):
        part.write_to_path(files.certificate, append=index > 0)
    issued.private_key_pem.write_to_path(files.key)
    return files


@dataclass(frozen=True, slots=True)
class End:
    """How a WebSocket ended, as its handler saw it."""

    code: int | None
    reason: str | None
    by_exception: str


@dataclass(slots=True)
class Site:
    """One server with its addresses.

    Attributes:
        server: it.
        certificates: those of TLS, or None.
        ends: how WebSockets at ``/ends`` ended.
        left: the event streams whose readers have left, by their last event ID at the start.
    """

    server: Server
    certificates: Certificates | None
    ends: list[End]
    left: list[str]

    @property
    def http(self) -> str:
        return f"{'http' if self.certificates is None else 'https'}://localhost:{self.server.port}"

    @property
    def ws(self) -> str:
        return self.http.replace("http", "ws", 1)

    @property
    def ssl(self) -> ssl.SSLContext | None:
        """What a client in Python needs for TLS."""
        return None if self.certificates is None else self.certificates.client()

    @property
    def curl(self) -> list[str]:
        """curl with the options that it needs for this site."""
        options = ["curl", "--silent", "--show-error", "--max-time", "15", "--noproxy", "*", "--ipv4"]
        if self.certificates is not None:
            options += ["--cacert", str(self.certificates.authority)]
        return options

    @property
    def node(self) -> dict[str, str]:
        """Variables of Node's environment."""
        return {} if self.certificates is None else {"NODE_EXTRA_CA_CERTS": str(self.certificates.authority)}


@asynccontextmanager
async def open_site(certificates: Certificates | None = None, *, files: Path | None = None) -> AsyncIterator[Site]:
    """Serve all of it, over TLS with certificates, and a folder of files below ``/files``."""
    router = Router()
    ends: list[End] = []
    left: list[str] = []
    add_echoes(router)
    add_ends(router, ends)
    add_event_streams(router, left)
    add_http(router)
    if files is not None:
        router.static("/files", files)
    tls = None if certificates is None else (certificates.certificate, certificates.key)
    async with serve(router, limits=LIMITS, tls=tls) as server:
        yield Site(server, certificates, ends, left)


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def add_echoes(router: Router) -> None:
    everything = DeflateOptions(server_max_window_bits=15, client_max_window_bits=15, threshold=0)
    router.websocket("/echo", subprotocols=["json", "chat"])(echo)
    router.websocket("/plain", compression=False)(echo)
    router.websocket("/small", max_message_size=1000)(echo)
    router.websocket("/compressed", compression=everything)(echo)
    router.websocket("/forgetful", compression=replace(everything, server_no_context_takeover=True))(echo)
    router.websocket("/from-afar", origins=["https://example.com"])(echo)
    for bits in range(8, 16):
        options = replace(everything, client_max_window_bits=bits)
        router.websocket(f"/window/{bits}", compression=options)(echo)

    @router.websocket("/fragments")
    async def in_fragments(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send_fragments(pieces(message))

    @router.websocket("/pings")
    async def ping(ws: WebSocket) -> None:
        async for message in ws:
            payload = message if isinstance(message, bytes) else message.encode()
            seconds = await ws.ping(payload)
            await ws.pong(b"unasked")
            await ws.send(f"{seconds:.6f}")

    @router.websocket("/request")
    async def facts(ws: WebSocket) -> None:
        request = ws.request
        assert request is not None
        told = {"scheme": request.scheme, "query": request.query.get("a"), "cookies": request.cookies}
        await ws.send(json.dumps(told | {"x-test": request.headers.get("x-test"), "path": request.path}))


async def pieces(message: str | bytes) -> AsyncIterator[str | bytes]:
    """Three pieces or more."""
    size = max(1, len(message) // 3)
    for start in range(0, len(message), size):
        yield message[start : start + size]


def add_ends(router: Router, ends: list[End]) -> None:
    @router.websocket("/ends")
    async def note(ws: WebSocket) -> None:
        try:
            while True:
                await ws.send(await ws.receive())
        except ConnectionClosed as closed:
            ends.append(End(ws.close_code, ws.close_reason, type(closed).__name__))

    @router.websocket("/close/:code")
    async def close(ws: WebSocket) -> None:
        assert ws.request is not None
        await ws.send("goodbye")
        await ws.close(int(ws.params["code"]), ws.request.query.get("reason") or "")
        ends.append(End(ws.close_code, ws.close_reason, ""))

    @router.websocket("/return")
    async def nothing(ws: WebSocket) -> None:
        await ws.accept()

    @router.websocket("/bug")
    async def bug(ws: WebSocket) -> None:
        await ws.accept()
        raise RuntimeError("a bug of the handler")

    @router.websocket("/refused")
    async def refuse(ws: WebSocket) -> None:
        await ws.reject(403, "not you, <b>sorry</b>", {"X-Why": "because"})

    @router.websocket("/unauthorized")
    async def unauthorized(ws: WebSocket) -> None:
        raise HTTPError(401, "who are you?", headers=[("WWW-Authenticate", "Bearer")])


def add_event_streams(router: Router, left: list[str]) -> None:
    @router.sse("/events", methods=["GET", "POST"])
    async def count(stream: EventStream) -> None:
        """From behind the last event ID up to 5, then the end; a reader that comes back gets more."""
        await stream.send_retry(0.05)
        first = int(stream.last_event_id or 0) + 1
        for number in range(first, first + 5):
            await stream.send(Event(f"line {number}\nsecond line", type="count", id=str(number)))

    @router.sse("/endless")
    async def endless(stream: EventStream) -> None:
        try:
            await stream.send(Event("the only one", id="é✓"))
            await asyncio.Event().wait()
        finally:
            left.append(stream.last_event_id)

    @router.sse("/no-more")
    async def no_more(stream: EventStream) -> None:
        raise HTTPError(503, "later")


def add_http(router: Router) -> None:
    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text("hello\n", headers={"ETag": '"one"'})

    @router.route("/digest", ["POST", "PUT"])
    async def digest(request: Request) -> Response:
        size = 0
        found = hashlib.sha256()
        async for part in request.stream():
            size += len(part)
            found.update(part)
        return Response.json({"size": size, "sha256": found.hexdigest(), "type": request.content_type})

    @router.post("/unread")
    async def unread(request: Request) -> Response:
        return Response.text("no, thanks\n", status=403)

    @router.get("/parts")
    async def parts(request: Request) -> Response:
        async def numbers() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"part %d\n" % number

        return Response.stream(numbers(), content_type="text/plain")

    @router.get("/request/:name")
    async def facts(request: Request) -> Response:
        return Response.json(
            {
                "name": request.params["name"],
                "query": request.query.get_all("q"),
                "cookies": request.cookies,
                "client": request.client_host,
                "scheme": request.scheme,
                "version": request.http_version,
            }
        )
