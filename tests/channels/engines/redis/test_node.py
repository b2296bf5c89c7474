"""One server: what it is, and the master that sentinels name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from elio.channels.engines.redis.node import life_of, master_by_sentinels, open_connection, parse_info
from elio.channels.engines.redis.url import RedisURL
from elio.errors import EngineError, EngineLost
from support.servers import RedisServer


def ignore(*_: object) -> None:
    pass


def test_info_is_a_mapping() -> None:
    assert parse_info(b"# Server\r\nrun_id:abc\r\nempty:\r\nos:a:b\r\n") == {"run_id": "abc", "os": "a:b"}


class Said:
    """Answers INFO."""

    def __init__(self, policy: bytes = b"", **values: str) -> None:
        self.policy = policy
        self.values = values
        self.why = ""

    def execute(self, *command: str) -> asyncio.Future[Any]:
        answer = asyncio.get_running_loop().create_future()
        if command == ("CONFIG", "GET", "appendfsync"):
            answer.set_result([b"appendfsync", self.policy] if self.policy else [])
            return answer
        answer.set_result("".join(f"{name}:{value}\r\n" for name, value in self.values.items()).encode())
        return answer

    def abort(self, why: str) -> None:
        self.why = why


@pytest.mark.parametrize(
    ("policy", "values", "life"),
    [
        (b"always", {"run_id": "r", "aof_enabled": "1", "master_replid2": "0" * 40}, "kept"),
        (b"always", {"run_id": "r", "aof_enabled": "1", "master_replid2": "a" * 40}, "r"),
        (b"always", {"run_id": "r", "aof_enabled": "0"}, "r"),
        (b"everysec", {"run_id": "r", "aof_enabled": "1"}, "r"),
        (b"", {"run_id": "r", "aof_enabled": "1"}, "r"),
        (b"", {}, "unknown"),
    ],
)
async def test_the_life_of_a_server(policy: bytes, values: dict[str, str], life: str) -> None:
    assert await life_of(Said(policy, **values)) == life  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"role": "slave"}, "replica"),
        ({"role": "master", "loading": "1", "aof_enabled": "0"}, "still loading"),
        ({"role": "master", "loading": "0", "async_loading": "1"}, "still loading"),
    ],
)
async def test_a_server_that_cannot_tell_its_life_now_is_left(values: dict[str, str], why: str) -> None:
    said = Said(b"always", run_id="r", **values)
    with pytest.raises(EngineLost, match=why):
        await life_of(said)  # type: ignore[arg-type]
    assert why in said.why


async def test_logging_in_and_choosing_a_database() -> None:
    with RedisServer("--requirepass", "secret") as server:
        address = ("127.0.0.1", server.port)
        url = RedisURL.parse(f"redis://:secret@127.0.0.1:{server.port}/2")
        connection = await open_connection(url, address, None, ignore)
        assert b"db=2" in await connection.execute("CLIENT", "INFO")
        connection.abort("done")
        with pytest.raises(EngineError, match="WRONGPASS"):
            await open_connection(RedisURL.parse("redis://:wrong@h"), address, None, ignore)


async def test_over_a_unix_socket(redis_server: RedisServer) -> None:
    url = RedisURL.parse(f"unix://{redis_server.socket}")
    connection = await open_connection(url, url.addresses[0], None, ignore)
    assert await connection.execute("PING") == b"PONG"
    connection.abort("done")


async def test_sentinels_are_asked_one_after_the_other() -> None:
    with RedisServer() as nobody:
        answers = [b"*-1\r\n", b"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n"]

        async def sentinel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert b"get-master-addr-by-name" in await reader.read(1000)
            writer.write(answers.pop(0))
            await writer.drain()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(sentinel, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = RedisURL.parse(f"redis+sentinel://127.0.0.1:{port},127.0.0.1:{port}/main")
            assert await master_by_sentinels(url, None) == ("127.0.0.1", 6379)
        nobody.kill()
        with pytest.raises(EngineLost, match="no sentinel knows"):
            await master_by_sentinels(RedisURL.parse(f"redis+sentinel://127.0.0.1:{nobody.port}/main"), None)
