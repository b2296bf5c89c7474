"""Engines of channels: publishes per second into one worker, and the delay of delivery at a tenth of that.

    python benchmarks/bench_engines.py [--engines redis,nats,local] [--peers broadcaster,litestar,socketio]

Redis syncs its file before it answers; with `--engines redis-unsynced` it has none, which shows what the disk costs.
The publisher and the worker are processes of their own, and so is the engine; all on this machine. Peers run on the
same Redis where they are installed (`pip install broadcaster[redis] litestar python-socketio redis[hiredis]`); none of
them knows of positions, history that can be resumed, or gaps. They have as many publishes in flight as ours. The pool
of their client refuses more than 100 connections, so they are given the one that waits, in its default size of 50.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.servers import NatsServer, RedisServer  # noqa: E402

CHANNEL = "bench"
IN_FLIGHT = 500
SECONDS = 5.0
"""How long a rate is held for the delay."""
PATIENCE = 30.0
"""Seconds that the last message may take behind the end of the publisher."""
LIMITS = {"redis": 20_000, "nats": 20_000}
"""Publishes per second that are wanted."""
MAX_DELAY = 0.020

Publish = Callable[[str], Awaitable[object]]


# -- who publishes and who receives ------------------------------------------------------------------------------------


def waiting(url: str) -> Any:
    """The client of the peers: who publishes waits for a connection that is free."""
    from redis.asyncio import BlockingConnectionPool, Redis

    return Redis.from_pool(BlockingConnectionPool.from_url(url, timeout=None))


@asynccontextmanager
async def elio_publisher(url: str) -> AsyncIterator[Publish]:
    from elio.channels.channels import Channels

    async with Channels(url) as channels:
        yield lambda text: channels.publish(CHANNEL, text)


async def elio_receiver(url: str, take: Callable[[str], bool]) -> None:
    from elio.channels.channels import Channels

    async with Channels(url) as channels, channels.subscribe(CHANNEL) as subscription:
        take("")
        async for message in subscription:
            if take(message.data):  # type: ignore[union-attr, arg-type]
                return


@asynccontextmanager
async def broadcaster_publisher(url: str) -> AsyncIterator[Publish]:
    from broadcaster import Broadcast
    from broadcaster._backends.redis import RedisBackend

    backend = RedisBackend(url)
    backend._conn = waiting(url)
    async with Broadcast(backend=backend) as broadcast:
        yield lambda text: broadcast.publish(CHANNEL, text)


async def broadcaster_receiver(url: str, take: Callable[[str], bool]) -> None:
    from broadcaster import Broadcast

    # The first subscription may come while its listener looks whether there is one; the second wakes it again.
    async with Broadcast(url) as broadcast, broadcast.subscribe("first"), broadcast.subscribe(CHANNEL) as subscriber:
        take("")
        async for event in subscriber:
            if take(event.message):
                return


@asynccontextmanager
async def litestar_publisher(url: str) -> AsyncIterator[Publish]:
    from litestar.channels.backends.redis import RedisChannelsPubSubBackend

    backend = RedisChannelsPubSubBackend(redis=waiting(url))
    await backend.on_startup()
    yield lambda text: backend.publish(text.encode(), [CHANNEL])
    await backend.on_shutdown()


async def litestar_receiver(url: str, take: Callable[[str], bool]) -> None:
    from litestar.channels.backends.redis import RedisChannelsPubSubBackend

    backend = RedisChannelsPubSubBackend(redis=waiting(url))
    await backend.on_startup()
    await backend.subscribe([CHANNEL])
    take("")
    async for _, data in backend.stream_events():
        if take(data.decode()):
            return


@asynccontextmanager
async def socketio_publisher(url: str) -> AsyncIterator[Publish]:
    import socketio

    class Manager(socketio.AsyncRedisManager):  # type: ignore[misc]
        def _redis_connect(self) -> None:
            super()._redis_connect()
            self.redis = waiting(url)

    manager = Manager(url, write_only=True)
    yield lambda text: manager.emit("message", text, room=CHANNEL)


async def socketio_receiver(url: str, take: Callable[[str], bool]) -> None:
    import socketio

    done = asyncio.get_running_loop().create_future()

    class Manager(socketio.AsyncRedisManager):  # type: ignore[misc]
        async def _handle_emit(self, message: dict[str, Any]) -> None:
            if take(message["data"][0]) and not done.done():
                done.set_result(None)

    server = socketio.AsyncServer(client_manager=Manager(url))
    server.manager.initialize()
    await asyncio.sleep(0.5)
    take("")
    await done


WHO: dict[str, tuple[Any, Any, str]] = {
    "redis": (elio_publisher, elio_receiver, "redis"),
    "redis-unsynced": (elio_publisher, elio_receiver, "redis-unsynced"),
    "nats": (elio_publisher, elio_receiver, "nats"),
    "local": (elio_publisher, elio_receiver, "local"),
    "broadcaster": (broadcaster_publisher, broadcaster_receiver, "redis"),
    "litestar": (litestar_publisher, litestar_receiver, "redis"),
    "socketio": (socketio_publisher, socketio_receiver, "redis"),
}


# -- in the processes --------------------------------------------------------------------------------------------------


async def receive(who: str, url: str, count: int) -> None:
    delays: list[float] = []
    begun = 0.0

    def take(text: str) -> bool:
        nonlocal begun
        if not text:
            print("ready", flush=True)
            return False
        begun = begun or time.perf_counter()
        delays.append(time.time() - float(text.partition(" ")[0]))
        return len(delays) == count

    await WHO[who][1](url, take)
    seconds = time.perf_counter() - begun
    delays.sort()
    print(json.dumps({"rate": count / seconds, "p99": delays[int(len(delays) * 0.99)], "median": delays[count // 2]}))


async def publish(who: str, url: str, count: int, rate: float) -> None:
    left = iter(range(count))
    begun = time.perf_counter()

    async def stream(send: Publish) -> None:
        for number in left:
            if rate:
                await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            await send(f"{time.time():.6f} hello, this is a message of some length")

    async with WHO[who][0](url) as send:
        begun = time.perf_counter()
        await asyncio.gather(*(stream(send) for _ in range(IN_FLIGHT)))


async def hub(path: str) -> None:
    from elio.channels.engines.local.hub import LocalHub

    async with LocalHub(path):
        print("ready", flush=True)
        await asyncio.Event().wait()


# -- around them -------------------------------------------------------------------------------------------------------


def child(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, *map(str, arguments)], stdout=subprocess.PIPE)


def measure(who: str, url: str, count: int, rate: float) -> dict[str, float]:
    receiver = child("--child", "receive", who, url, count, 0)
    assert receiver.stdout is not None
    receiver.stdout.readline()
    publisher = child("--child", "publish", who, url, count, rate)
    failed = publisher.wait()
    end = threading.Timer(0.0 if failed else PATIENCE, receiver.kill)
    end.start()
    answer = receiver.stdout.readline()
    end.cancel()
    receiver.kill()
    receiver.wait()
    if not answer:
        raise SystemExit(f"{who}: {'the publisher has failed' if failed else 'not every message has come'}")
    found: dict[str, float] = json.loads(answer)
    return found


def compare(who: str, url: str, count: int) -> None:
    full = measure(who, url, count, 0)
    tenth = full["rate"] / 10
    paced = measure(who, url, max(int(tenth * SECONDS), 200), tenth)
    wanted = f" ({full['rate'] / LIMITS[who]:.2f} of the aim)" if who in LIMITS else ""
    print(
        f"{who:12} {full['rate']:8.0f} publishes/s{wanted}; at a tenth: median {paced['median'] * 1000:.2f} ms, "
        f"p99 {paced['p99'] * 1000:.2f} ms",
        flush=True,
    )


def is_there(who: str) -> bool:
    needed = {"broadcaster": "broadcaster", "litestar": "litestar", "socketio": "socketio"}.get(who)
    return needed is None or importlib.util.find_spec(needed) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engines", default="redis,nats,local")
    parser.add_argument("--peers", default="broadcaster,litestar,socketio")
    parser.add_argument("--count", type=int, default=60_000, help="messages of ours; peers get a fifth")
    parser.add_argument("--child", nargs=5)
    options = parser.parse_args()
    if options.child:
        what, who, url, count, rate = options.child
        asyncio.run(receive(who, url, int(count)) if what == "receive" else publish(who, url, int(count), float(rate)))
        return
    names = [name for name in f"{options.engines},{options.peers}".split(",") if name]
    for name in names:
        if not is_there(name):
            print(f"{name:12} is not installed")
            continue
        count = options.count if WHO[name][0] is elio_publisher else options.count // 5
        run(name, count)


def run(name: str, count: int) -> None:
    engine = WHO[name][2]
    if engine.startswith("redis"):
        with RedisServer(keeps=engine == "redis") as redis:
            compare(name, redis.url, count)
    elif engine == "nats":
        with NatsServer() as nats:
            compare(name, nats.url, count)
    else:
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    f"import asyncio, runpy; m = runpy.run_path({__file__!r}); "
                    f"asyncio.run(m['hub']({folder + '/hub'!r}))",
                ],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            assert process.stdout is not None
            process.stdout.readline()
            compare(name, f"local:{folder}/hub", count)
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
