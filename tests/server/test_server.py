"""``Server``: facts, start, end; over sockets, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elio import ConfigurationError, EventStream, Limits, Request, Response, Router, Server, WebSocket
from elio.server.run import new_event_loop
from support.certificates import Certificates, make
from support.programs import dial
from support.raw import DEADLINE, connect, serve, until

ASKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
EVENTS = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


def make_router(text: str = "hello") -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text(text)

    @router.post("/echo")
    async def echo(request: Request) -> Response:
        return Response.bytes(await request.body())

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send("one")
        await asyncio.Event().wait()

    return router


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def router() -> Router:
    return make_router()


def descriptors() -> set[str]:
    """The descriptors of this process that are sockets."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE).close()
    except ConnectionRefusedError:
        return True
    return False


# -- facts -------------------------------------------------------------------------------------------------------------


async def test_the_facts_before_while_and_after_it_runs(router: Router) -> None:
    server = Server(router, port=0)
    assert (server.port, server.urls, server.is_running, server.connections) == (0, [], False, 0)
    assert repr(server) == "<Server not started>"
    async with server as entered:
        assert entered is server
        url = f"http://127.0.0.1:{server.port}"
        assert server.port > 0
        assert (server.urls, server.is_running, server.connections) == ([url], True, 0)
        assert repr(server) == f"<Server {url}>"
    assert (server.urls, server.is_running, server.connections) == ([url], False, 0)
    assert repr(server) == f"<Server {url}, closed>"
    assert is_refused(server.port)


async def test_connections_are_those_of_every_kind(router: Router) -> None:
    async with serve(router) as server:
        async with connect(server) as idle, connect(server) as websocket, connect(server) as events:
            await idle.get("/")
            await websocket.upgrade()
            events.send(EVENTS)
            await events.read_until(b"data: one\n\n")
            assert server.connections == 3
        await until(lambda: server.connections == 0)


async def test_the_facts_are_there_while_it_ends(router: Router) -> None:
    async with serve(router) as server, connect(server) as raw:
        facts = (server.port, server.urls)
        raw.send(ASKED)
        await raw.head()
        closing = asyncio.ensure_future(server.close())
        await until(lambda: not server.is_running)
        assert (server.port, server.urls, server.connections) == (*facts, 1)
        raw.send(b"12345")
        assert (await raw.answer()).body == b"12345"
        await closing


# -- start -------------------------------------------------------------------------------------------------------------


async def test_it_is_started_once(router: Router) -> None:
    async with serve(router) as server:
        with pytest.raises(ConfigurationError, match=r"^the server was started already$"):
            await server.start()
        assert server.is_running
    with pytest.raises(ConfigurationError, match=r"^the server was started already$"):
        await server.start()


async def test_a_busy_port_leaves_nothing_open_and_may_be_tried_again(router: Router) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        before = descriptors()
        server = Server(router, port=busy.getsockname()[1])
        with pytest.raises(ConfigurationError, match="is in use by another program"):
            await server.start()
        assert descriptors() == before
        assert (server.port, server.urls, server.is_running) == (0, [], False)
        await server.close()
    async with server, connect(server) as raw:
        assert (await raw.get("/")).body == b"hello"


async def test_one_descriptor_that_cannot_be_used_leaves_nothing_open(router: Router) -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        before = descriptors()
        with pytest.raises(ConfigurationError, match="is not a socket that can listen"):
            await Server(router, fd=[owner.fileno(), 9999]).start()
        assert descriptors() == before


async def test_a_loop_that_refuses_leaves_nothing_open(
    router: Router, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no")

    before = descriptors()
    monkeypatch.setenv("ELIO_REACTOR", "0")
    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", refuse)
    server = Server(router, uds=str(tmp_path / "s"))
    with pytest.raises(OSError, match="no"):
        await server.start()
    assert descriptors() == before
    assert not (tmp_path / "s").exists()


def test_routes_in_each_others_way_are_told_before_the_start() -> None:
    router, other = make_router(), make_router()
    router.mount("/", other)
    with pytest.raises(ConfigurationError, match="is registered for GET already"):
        Server(router)


def test_tls_files_are_read_before_the_start(router: Router, certificates: Certificates) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Server(router, tls=(certificates.certificate, certificates.other_key))


# -- where it listens --------------------------------------------------------------------------------------------------


async def test_every_interface_has_one_url_and_any_host(router: Router) -> None:
    async with serve(router, host="") as server:
        assert server.urls == [f"http://localhost:{server.port}"]
        for host in ("127.0.0.1", "::1"):
            async with dial(server.port, host=host) as raw:
                raw.send(b"GET / HTTP/1.1\r\nHost: anything.example\r\n\r\n")
                assert (await raw.answer()).body == b"hello"


async def test_ipv6(router: Router) -> None:
    async with serve(router, host="::1") as server:
        assert server.urls == [f"http://[::1]:{server.port}"]
        async with dial(server.port, host="::1") as raw:
            assert (await raw.get("/")).body == b"hello"


async def test_the_path_of_a_unix_socket_is_removed_at_the_end(router: Router, tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serve(router, uds=str(path)) as server:
        assert (server.port, server.urls) == (0, [f"unix:{path}"])
        async with dial(str(path)) as raw:
            assert (await raw.get("/")).body == b"hello"
            raw.send(ASKED)
            await raw.head()
            closing = asyncio.ensure_future(server.close())
            await until(lambda: not path.exists())  # already now: who follows need not wait for the last answer
            raw.send(b"12345")
            assert (await raw.answer()).body == b"12345"
            await closing


async def test_the_path_of_a_unix_socket_that_another_program_took_is_left_to_it(
    router: Router, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        async with serve(router, uds=str(path)):
            path.unlink()
            other.bind(str(path))
        assert path.exists()


async def test_descriptors_are_left_to_their_owner(router: Router) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [sock.getsockname()[1] for sock in (first, second)]
        for _ in range(2):
            async with serve(router, fd=[first.fileno(), second.fileno()]) as server:
                assert server.urls == [f"http://127.0.0.1:{port}" for port in ports]
                for port in ports:
                    async with dial(port) as raw:
                        assert (await raw.get("/")).body == b"hello"
        assert not is_refused(ports[0])
        async with serve(router, fd=first.fileno()) as server:
            assert server.port == ports[0]


async def test_tls(router: Router, certificates: Certificates) -> None:
    async with serve(router, tls=(certificates.certificate, certificates.key)) as server:
        assert server.urls == [f"https://127.0.0.1:{server.port}"]
        async with connect(server, tls=certificates.client) as raw:
            assert (await raw.get("/")).body == b"hello"
            assert (await raw.upgrade()).status == 101
            raw.frame(0x81, b"hi")
            assert await raw.receive_frame() == (0x81, b"hi")
            closing = asyncio.ensure_future(server.close())
            assert await raw.receive_close() == (1001, "the server is going away")
            raw.frame(0x88, b"\x03\xe9")
            assert await raw.read_all() == b""
            await closing


async def test_a_handshake_that_ends_behind_the_server_opens_nothing(
    router: Router, certificates: Certificates
) -> None:
    async with serve(router, tls=(certificates.certificate, certificates.key)) as server:
        accepted = len(descriptors()) + 2
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await until(lambda: len(descriptors()) >= accepted)
        await server.close()
        try:
            with contextlib.suppress(ConnectionError):  # the reactor has cut it off already
                await writer.start_tls(certificates.client, server_hostname="localhost")
                writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                async with asyncio.timeout(DEADLINE):
                    assert await reader.read() == b""
        finally:
            writer.transport.abort()
            await until(lambda: len(descriptors()) <= accepted - 2)


async def test_several_servers_share_one_loop() -> None:
    async with serve(make_router("one")) as first, serve(make_router("two")) as second:
        async with connect(first) as to_first, connect(second) as to_second:
            assert (await to_first.get("/")).body == b"one"
            assert (await to_second.get("/")).body == b"two"
            await first.close()
            assert await to_first.read_all() == b""
            assert (await to_second.get("/")).body == b"two"
        assert (first.is_running, second.is_running) == (False, True)


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_serve_forever_ends_with_the_server(router: Router) -> None:
    server = Server(router, port=0)
    with pytest.raises(ConfigurationError, match=r"^the server was not started$"):
        await server.serve_forever()
    async with server:
        waiting = [asyncio.ensure_future(server.serve_forever()) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(each.done() for each in waiting)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*waiting)
        await server.serve_forever()


async def test_closing_before_the_start_does_nothing(router: Router) -> None:
    server = Server(router, port=0)
    await server.close()
    async with server, connect(server) as raw:
        assert (await raw.get("/")).body == b"hello"


async def test_close_may_be_called_again_and_all_wait_for_the_same_end(router: Router) -> None:
    async with serve(router) as server, connect(server) as raw:
        raw.send(ASKED)
        await raw.head()
        closing = [asyncio.ensure_future(server.close()) for _ in range(3)]
        await until(lambda: not server.is_running)
        assert not any(each.done() for each in closing)
        raw.send(b"12345")
        assert (await raw.answer()).body == b"12345"
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*closing)
            await server.close()


async def test_the_shortest_grace_counts(router: Router) -> None:
    async with serve(router) as server, connect(server) as raw:
        raw.send(ASKED)
        await raw.head()
        patient = asyncio.ensure_future(server.close(grace=1000.0))
        await until(lambda: not server.is_running)
        async with asyncio.timeout(DEADLINE):
            await server.close(grace=0)
            await patient
        assert await raw.read_all() == b""


async def test_the_end_goes_on_when_who_asked_for_it_is_cancelled(router: Router) -> None:
    async with serve(router) as server, connect(server) as raw:
        raw.send(ASKED)
        await raw.head()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await server.close()
        assert not server.is_running
        raw.send(b"12345")
        assert (await raw.answer()).body == b"12345"
        async with asyncio.timeout(DEADLINE):
            await server.serve_forever()


def test_a_loop_that_ends_cuts_what_is_open(router: Router) -> None:
    """As when a program is left in the middle of ``close``."""
    servers: list[Server] = []

    async def program() -> None:
        server = Server(router, port=0)
        servers.append(server)
        await server.start()
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(ASKED)
        await until(lambda: server.connections == 1)
        closing = asyncio.ensure_future(server.close())
        await until(lambda: not server.is_running)
        assert not closing.done()
        writer.close()

    before = descriptors()
    asyncio.run(program())
    assert servers[0].connections == 0
    assert descriptors() == before


async def test_websockets_are_told_whether_the_server_comes_back(router: Router) -> None:
    for returning, told in (
        (False, (1001, "the server is going away")),
        (True, (1012, "the server is restarting")),
    ):
        async with serve(router) as server, connect(server) as raw:
            await raw.upgrade()
            closing = asyncio.ensure_future(server.drain(window=0.0, returning=returning))
            assert await raw.receive_close() == told
            raw.frame(0x88, b"\x03\xe9")
            assert await raw.read_all() == b""
            await closing


async def test_a_websocket_that_does_not_answer_is_cut_behind_the_grace() -> None:
    router = Router()
    ended = asyncio.Event()

    @router.websocket("/ws")
    async def stubborn(ws: WebSocket) -> None:
        await ws.send("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)  # what it has to clean up is waited for
            ended.set()

    async with serve(router) as server, connect(server) as raw:
        await raw.upgrade()
        assert await raw.receive_frame() == (0x81, b"begun")
        await server.close(grace=0.05)
        assert ended.is_set()
        assert await raw.receive_close() == (1001, "the server is going away")
        assert await raw.read_all() == b""


async def test_event_streams_end_whole(router: Router) -> None:
    @router.sse("/many")
    async def many(stream: EventStream) -> None:
        await stream.send("begun")
        for _ in range(20):
            await stream.send("x" * 50_000)
        await asyncio.Event().wait()

    async with serve(router) as server, connect(server) as raw, connect(server) as behind:
        raw.send(EVENTS)
        await raw.read_until(b"data: one\n\n\r\n")
        behind.send(b"GET /many HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await behind.read_until(b"data: begun\n\n\r\n")
        closing = asyncio.ensure_future(server.close())
        assert await raw.read_all() == b"0\r\n\r\n"
        rest = await behind.read_all()
        assert rest.endswith(b"\n\n\r\n0\r\n\r\n")
        assert re.sub(rb"x{50000}", b"", rest).count(b"x") == 0  # no event was cut
        async with asyncio.timeout(DEADLINE):
            await closing


async def test_the_first_request_of_a_connection_is_waited_for_a_moment(router: Router) -> None:
    async with serve(router) as server, connect(server) as raw, connect(server) as silent, connect(server) as idle:
        await idle.get("/")
        await until(lambda: server.connections == 3)
        closing = asyncio.ensure_future(server.close(grace=1000.0))
        assert await idle.read_all() == b""
        answer = await raw.get("/")
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        assert await raw.read_all() == b""
        assert await silent.read_all() == b""
        async with asyncio.timeout(DEADLINE):
            await closing


# -- loops -------------------------------------------------------------------------------------------------------------


async def whole_life(tmp_path: Path, certificates: Certificates) -> None:
    files = (certificates.certificate, certificates.key)
    path = str(tmp_path / "s")
    async with (
        Server(make_router(), port=0) as tcp,
        Server(make_router(), uds=path) as unix,
        Server(make_router(), port=0, tls=files, limits=Limits(ping_interval=None)) as tls,
    ):
        secure: dict[str, Any] = {"ssl": certificates.client, "server_hostname": "localhost"}
        async with dial(tcp.port) as one, dial(path) as two, dial(tls.port, **secure) as three:
            for raw in (one, two, three):
                assert (await raw.get("/")).body == b"hello"
                assert (await raw.upgrade()).status == 101
            closing = [asyncio.ensure_future(server.close()) for server in (tcp, unix, tls)]
            for raw in (one, two, three):
                assert await raw.receive_close() == (1001, "the server is going away")
                raw.frame(0x88, b"\x03\xe9")
                assert await raw.read_all() == b""
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*closing)
        for server in (tcp, unix, tls):
            assert (server.is_running, server.connections) == (False, 0)


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, new_event_loop])
def test_both_event_loops(
    make_loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path, certificates: Certificates
) -> None:
    before = descriptors()
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(whole_life(tmp_path, certificates))
    assert descriptors() == before


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, new_event_loop])
def test_a_request_at_a_change_of_servers_is_answered_by_one_of_them(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def change(owner: socket.socket, turns: int) -> None:
        async with dial(owner.getsockname()[1]) as raw:
            raw.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            first = Server(make_router(), fd=owner.fileno())
            await first.start()
            for _ in range(turns):
                await asyncio.sleep(0)
            await first.close()
            async with Server(make_router(), fd=owner.fileno()):
                assert (await raw.answer()).body == b"hello"

    before = descriptors()
    with socket.create_server(("127.0.0.1", 0)) as owner, asyncio.Runner(loop_factory=make_loop) as runner:
        for turns in range(8):
            runner.run(change(owner, turns))
    gc.collect()
    assert descriptors() == before
