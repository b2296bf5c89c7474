"""Channels under fire: `python -m benchmarks.soak.channels --engine redis|nats`.

Three nodes in processes of their own, clients on them (half of them event streams, half WebSockets), numbers published
to two channels, random nodes killed with SIGKILL, the engine killed and started again. Every client goes on, at any
node, with the cursor that it saw last.

The verdict: every client has every number of each channel once and in order, or was told of a gap where one is missing.
Silent losses and repetitions: none.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import elio
from elio.channels.channels import Channels
from support.servers import NatsServer, RedisServer, Served, free_port

CHANNELS = ("chaos.a", "chaos.b")
ENGINES: dict[str, type[Served]] = {"redis": RedisServer, "nats": NatsServer}
WAIT = 120.0
"""Seconds that the last number may take to the last client."""


@dataclass
class Tally:
    """What all clients saw."""

    received: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    silent: int = 0
    repeated: int = 0
    connections: int = 0


class Node:
    """A server that can be killed."""

    def __init__(self, url: str, history: int) -> None:
        self.port = free_port()
        self._command = [sys.executable, "-m", "benchmarks.soak.channel_node", url, str(self.port), str(history)]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self._process.stdout is not None and not await self._process.stdout.readline():
            raise RuntimeError(f"{self._command} ended at once")

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()


class Client:
    """Follows both channels over whichever nodes there are."""

    def __init__(self, nodes: list[Node], tally: Tally) -> None:
        self.nodes = nodes
        self.tally = tally
        self.cursor = ""
        self.next = dict.fromkeys(CHANNELS, 0)
        self.excused = set[str]()
        self.is_ready = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                self.tally.connections += 1
                await self.follow(random.choice(self.nodes).port)
            except (elio.ElioError, OSError):
                pass
            await asyncio.sleep(0.1 + random.random() / 2)

    async def follow(self, port: int) -> None:
        raise NotImplementedError

    def take(self, kind: str, cursor: str, text: str) -> None:
        if kind == "ready":
            self.is_ready.set()
            return
        self.cursor = cursor
        channel, _, rest = text.partition(" ")
        if kind == "gap":
            self.tally.gaps[rest] += 1
            self.excused.update(CHANNELS if "*" in channel else (channel,))
            return
        self.count(channel, int(rest))

    def count(self, channel: str, number: int) -> None:
        self.tally.received += 1
        expected = self.next[channel]
        if number > expected and channel not in self.excused:
            self.tally.silent += number - expected
        if number < expected:
            self.tally.repeated += 1
        self.excused.discard(channel)
        self.next[channel] = max(expected, number + 1)


class Events(Client):
    """As a plain EventSource does it: the last event ID goes along, nothing else."""

    async def follow(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}/events"
        async with elio.EventSource(url, last_event_id=self.cursor, max_reconnects=0) as source:
            async for event in source:
                self.take(event.type, event.id or self.cursor, event.data)


class Sockets(Client):
    """Passes the cursor that it saw last."""

    async def follow(self, port: int) -> None:
        url = f"ws://127.0.0.1:{port}/ws?since={quote(self.cursor)}"
        async with elio.connect(url, compression=False) as ws:
            async for message in ws:
                kind, cursor, text = str(message).split(" ", 2)
                self.take(kind, cursor, text)


class Soak:
    """One run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tally = Tally()
        self.published = dict.fromkeys(CHANNELS, 0)
        self.kills = 0
        self.restarts = 0
        self.history = 2 * options.lag

    async def run(self, server: Served) -> int:
        url: str = server.url  # type: ignore[attr-defined]
        self.nodes = [Node(url, self.history) for _ in range(self.options.nodes)]
        for node in self.nodes:
            await node.start()
        self.clients: list[Client] = [
            (Events, Sockets)[number % 2](self.nodes, self.tally) for number in range(self.options.clients)
        ]
        tasks = [asyncio.create_task(client.run()) for client in self.clients]
        try:
            async with Channels(url, history=self.history, ttl=600.0, on_outage="wait") as channels:
                for client in self.clients:
                    await asyncio.wait_for(client.is_ready.wait(), 60.0)
                print(f"{len(self.clients)} clients on {len(self.nodes)} nodes are ready", flush=True)
                harm = asyncio.create_task(self.harm(server))
                report = asyncio.create_task(self.report())
                await asyncio.gather(*(self.publish(channels, channel) for channel in CHANNELS))
                await harm
                await self.last()
                report.cancel()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for node in self.nodes:
                await node.kill()
        return self.verdict()

    async def publish(self, channels: Channels, channel: str) -> None:
        for number in range(self.options.publishes // len(CHANNELS)):
            await channels.publish(channel, str(number))
            self.published[channel] = number + 1
            # History must reach back to the slowest client, or gaps would be honest.
            while number - min(client.next[channel] for client in self.clients) > self.options.lag:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            # Blows must fall while messages flow: whoever publishes waits for those that are due.
            while self.share() > (self.kills + self.restarts + 2) / (self.options.kills + self.options.restarts + 1):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def share(self) -> float:
        return sum(self.published.values()) / self.options.publishes

    async def harm(self, server: Served) -> None:
        """Kill nodes, and the engine, evenly over the run."""
        blows = ["node"] * self.options.kills
        for number in range(self.options.restarts):
            blows.insert((number + 1) * len(blows) // (self.options.restarts + 1), "engine")
        for number, blow in enumerate(blows):
            while self.share() < min((number + 1) / (len(blows) + 1), 0.98):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            if blow == "engine":
                await asyncio.get_running_loop().run_in_executor(None, server.restart)
                self.restarts += 1
            else:
                node = random.choice(self.nodes)
                await node.kill()
                await node.start()
                self.kills += 1

    async def last(self) -> None:
        until = time.monotonic() + WAIT
        while time.monotonic() < until and any(client.next != self.published for client in self.clients):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def report(self) -> None:
        begun = time.monotonic()
        while True:
            await asyncio.sleep(5.0)
            print(
                f"{time.monotonic() - begun:5.0f} s: {sum(self.published.values())} published, "
                f"{self.tally.received} received, {self.kills} kills, {self.restarts} restarts, "
                f"{sum(self.tally.gaps.values())} gaps",
                flush=True,
            )

    def verdict(self) -> int:
        tally = self.tally
        unfinished = sum(client.next != self.published for client in self.clients)
        total = sum(self.published.values()) * len(self.clients)
        print(f"published {sum(self.published.values())}, kills {self.kills}, engine restarts {self.restarts}")
        print(f"received {tally.received} of {total} over {tally.connections} connections")
        print(f"gaps {dict(tally.gaps)}")
        print(f"silent losses {tally.silent}, repetitions {tally.repeated}, clients without the end {unfinished}")
        is_good = not (tally.silent or tally.repeated or unfinished)
        print("GOOD" if is_good else "BAD", flush=True)
        return 0 if is_good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engine", choices=ENGINES, default="redis")
    parser.add_argument("--publishes", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--kills", type=int, default=50, help="of nodes")
    parser.add_argument("--restarts", type=int, default=2, help="of the engine")
    parser.add_argument("--lag", type=int, default=5000, help="messages of a channel that the slowest client may lag")
    options = parser.parse_args()
    with ENGINES[options.engine]() as server:
        return asyncio.run(Soak(options).run(server))


if __name__ == "__main__":
    raise SystemExit(main())
