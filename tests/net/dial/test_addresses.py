"""From hosts to connected sockets."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from elio.net.dial import addresses
from elio.net.dial.addresses import Target, open_tcp, open_unix, resolve

V4, V6 = socket.AF_INET, socket.AF_INET6


class Names:
    """Stands in for the resolver of a loop, except for addresses: uvloop asks it for what it connects to as well."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: list[Target]) -> None:
        self.asked: list[tuple[Any, Any]] = []
        self._found = found
        self._resolve = asyncio.get_running_loop().getaddrinfo
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self)

    async def __call__(self, host: Any, port: Any, **options: Any) -> list[Any]:
        if host == "127.0.0.1":
            return await self._resolve(host, port, **options)
        self.asked.append((host, port))
        return [(family, socket.SOCK_STREAM, 6, "", where) for family, where in self._found]


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def test_addresses_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, [])
    assert await resolve("127.0.0.1", 80) == [(V4, ("127.0.0.1", 80))]
    assert await resolve("::1", 80) == [(V6, ("::1", 80))]
    assert names.asked == []


async def test_the_versions_of_ip_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Target] = [(V6, ("a", 1)), (V6, ("b", 1)), (V6, ("c", 1)), (V4, ("d", 1)), (V6, ("a", 1))]
    Names(monkeypatch, found)
    assert [where[0] for _, where in await resolve("name", 1)] == ["a", "d", "b", "c"]


async def test_the_next_address_is_tried_at_once_if_one_refuses(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    monkeypatch.setattr(addresses, "_ATTEMPT_DELAY", 60.0)
    Names(monkeypatch, [(V4, ("127.0.0.1", closed_port())), (V4, listener.getsockname())])
    sock = await open_tcp("name", 1, None)
    assert sock.getpeername() == listener.getsockname()
    sock.close()


async def test_an_address_that_is_silent_is_overtaken(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    begun = asyncio.Event()

    async def silent(sock: socket.socket, where: Any) -> None:
        if where == ("127.0.0.1", 1):
            begun.set()
            await asyncio.Event().wait()
        await connect(sock, where)

    monkeypatch.setattr(loop, "sock_connect", silent)
    monkeypatch.setattr(addresses, "_ATTEMPT_DELAY", 0.001)
    Names(monkeypatch, [(V4, ("127.0.0.1", 1)), (V4, listener.getsockname())])
    async with asyncio.timeout(10):
        sock = await open_tcp("name", 1, None)
    assert begun.is_set()
    assert sock.getpeername() == listener.getsockname()
    sock.close()


async def test_the_first_error_counts_if_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, [(V4, ("127.0.0.1", closed_port())), (V4, ("127.0.0.1", closed_port()))])
    with pytest.raises(ConnectionRefusedError):
        await open_tcp("name", 1, None)
    Names(monkeypatch, [])
    with pytest.raises(OSError, match="name has no address"):
        await open_tcp("name", 1, None)


async def test_a_cancelled_attempt_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    tried: list[socket.socket] = []

    async def silent(sock: socket.socket, where: Any) -> None:
        tried.append(sock)
        await asyncio.Event().wait()

    monkeypatch.setattr(loop, "sock_connect", silent)
    monkeypatch.setattr(addresses, "_ATTEMPT_DELAY", 0.001)
    Names(monkeypatch, [(V4, ("127.0.0.1", 1)), (V4, ("127.0.0.1", 2))])
    task = asyncio.ensure_future(open_tcp("name", 1, None))
    async with asyncio.timeout(10):
        while len(tried) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [sock.fileno() for sock in tried] == [-1, -1]


async def test_a_local_address_is_bound(listener: socket.socket) -> None:
    port = closed_port()
    sock = await open_tcp("127.0.0.1", listener.getsockname()[1], ("127.0.0.2", port))
    assert sock.getsockname() == ("127.0.0.2", port)
    sock.close()


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with pytest.raises(FileNotFoundError):
        await open_unix(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sock = await open_unix(path)
        assert sock.getpeername() == path
        sock.close()
