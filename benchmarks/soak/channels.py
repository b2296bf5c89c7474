"""Channels under fire: `python -m benchmarks.soak.channels --engine redis|nats`.

Three nodes in processes of their own behind one port, clients on them (half of them plain event sources, half
WebSockets), numbers published to channels, random nodes killed with SIGKILL, the engine killed and started again. The
kernel sends a client that comes back to any node; it goes on there with the cursor that it saw last.

The verdict: every client has every number of each of its channels once and in order, or was told of a gap where one is
missing. Silent losses and repetitions: none.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import elio
from elio.channels.channels import Channels
from support.servers import NatsServer, RedisServer, Served, held_port

ENGINES: dict[str, type[Served]] = {"redis": RedisServer, "nats": NatsServer}
"""Redis with ``appendfsync always``: no other way keeps what it has acknowledged."""
WAIT = 120.0
"""Seconds that the last number may take to the last client."""
CHANNELS_OF_A_GROUP = 2


@dataclass
class Tally:
    """What all clients saw.

    Attributes:
        received: messages.
        gaps: by reason.
        told: messages that are missing where a gap stood.
        silent: messages that are missing elsewhere.
        repeated: messages that came again.
        connections: by kind of client.
    """

    received: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    told: int = 0
    silent: int = 0
    repeated: int = 0
    connections: Counter[str] = field(default_factory=Counter)


class Node:
    """A server that can be killed; all of them share a port."""

    def __init__(self, url: str, port: int, history: int) -> None:
        self._command = [sys.executable, "-m", "benchmarks.soak.channel_node", url, str(port), str(history)]
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
    """Follows the channels of one group.

    Attributes:
        next: the number that is expected, by channel.
    """

    def __init__(self, port: int, group: int, channels: Sequence[str], tally: Tally) -> None:
        self.port = port
        self.group = group
        self.tally = tally
        self.next = dict.fromkeys(channels, 0)
        self.is_ready = asyncio.Event()
        self._excused = set[str]()

    async def run(self) -> None:
        raise NotImplementedError

    def connected(self) -> None:
        self.tally.connections[type(self).__name__] += 1
        self.is_ready.set()

    def gap(self, channel: str, reason: str) -> None:
        self.tally.gaps[reason] += 1
        self._excused.update(self.next if "*" in channel else (channel,))

    def count(self, text: str) -> None:
        channel, _, word = text.partition(" ")
        number, expected = int(word), self.next[channel]
        self.tally.received += 1
        if number == expected:
            self.next[channel] = number + 1
        elif number < expected:
            self.tally.repeated += 1
        else:
            self.missing(channel, number - expected)
            self.next[channel] = number + 1
        if self._excused:
            self._excused.discard(channel)

    def missing(self, channel: str, count: int) -> None:
        if channel in self._excused:
            self.tally.told += count
        else:
            self.tally.silent += count


class Events(Client):
    """A plain event source: the same URL again after the time that the server has asked for, with the last event ID."""

    async def run(self) -> None:
        url = f"http://127.0.0.1:{self.port}/events/{self.group}"
        async with elio.EventSource(url, compression=False, on_change=self.changed) as source:
            async for event in source:
                if event.type == "gap":
                    gap = json.loads(event.data)
                    self.gap(gap["channel"], gap["reason"])
                else:
                    self.count(event.data)

    def changed(self, change: elio.Change) -> None:
        if change.state is elio.ConnectionState.OPEN:
            self.connected()


class Sockets(Client):
    """Comes back with the cursor that it saw last."""

    cursor = ""

    async def run(self) -> None:
        while True:
            with suppress(elio.ElioError, OSError):
                await self.follow()
            await asyncio.sleep(0.1 + random.random() / 2)

    async def follow(self) -> None:
        url = f"ws://127.0.0.1:{self.port}/ws/{self.group}?since={quote(self.cursor)}"
        async with elio.connect(url, compression=False) as ws:
            async for message in ws:
                item = json.loads(message)
                if "joined" in item:  # what this client has missed may have come before it
                    self.cursor = self.cursor or item["joined"]
                    self.connected()
                    continue
                self.cursor = item["id"]
                if "gap" in item:
                    self.gap(item["channel"], item["gap"])
                else:
                    self.count(item["data"])


class Soak:
    """One run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tally = Tally()
        self.groups = [
            [f"soak.{group}.{number}" for number in range(CHANNELS_OF_A_GROUP)] for group in range(options.groups)
        ]
        self.published = {channel: 0 for channels in self.groups for channel in channels}
        self.kills = 0
        self.restarts = 0
        self.history = 2 * options.lag
        self.begun = time.monotonic()

    async def run(self, server: Served) -> int:
        with held_port() as port:
            return await self.run_on(port, server)

    async def run_on(self, port: int, server: Served) -> int:
        url: str = server.url  # type: ignore[attr-defined]
        self.nodes = [Node(url, port, self.history) for _ in range(self.options.nodes)]
        await asyncio.gather(*(node.start() for node in self.nodes))
        self.clients: list[Client] = []
        for number in range(self.options.clients):
            group = number // 2 % len(self.groups)
            kind = (Events, Sockets)[number % 2]
            self.clients.append(kind(port, group, self.groups[group], self.tally))
        tasks = [asyncio.create_task(client.run()) for client in self.clients]
        try:
            async with Channels(url, history=self.history, ttl=600.0, on_outage="wait") as channels:
                await self.play(channels, server)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for node in self.nodes:
                await node.kill()
        return self.verdict()

    async def play(self, channels: Channels, server: Served) -> None:
        for client in self.clients:
            await asyncio.wait_for(client.is_ready.wait(), 60.0)
        # An event source that was never sent an id comes back as if it was new: what it missed nobody can tell it.
        await asyncio.gather(*(self.publish(channels, channel, 1) for channel in self.published))
        await self.arrived()
        self.begun = time.monotonic()
        self.tell(f"{len(self.clients)} clients on {len(self.nodes)} nodes are ready")
        report = asyncio.create_task(self.report())
        share = self.options.publishes // len(self.published)
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self.harm(server))
                for channel in self.published:
                    together.create_task(self.publish(channels, channel, share))
            self.tell(f"{sum(self.published.values())} published, waiting for the last client")
            await self.arrived()
        finally:
            report.cancel()

    async def publish(self, channels: Channels, channel: str, until: int) -> None:
        followers = [client for client in self.clients if channel in client.next]
        for number in range(self.published[channel], until):
            await channels.publish(channel, f"{channel} {number}")
            self.published[channel] = number + 1
            # History must reach back to the slowest client, or gaps would be honest.
            while number - min(client.next[channel] for client in followers) > self.options.lag:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            # Blows must fall while messages flow: whoever publishes waits for those that are due.
            while self.share() > (self.kills + self.restarts + 2) / (self.options.kills + self.options.restarts + 1):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def share(self) -> float:
        return sum(self.published.values()) / self.options.publishes

    async def harm(self, server: Served) -> None:
        """Kill nodes, and the engine, evenly over the run. Each is away for up to two seconds."""
        blows = ["node"] * self.options.kills
        for number in range(self.options.restarts):
            blows.insert((number + 1) * len(blows) // (self.options.restarts + 1), "engine")
        for number, blow in enumerate(blows):
            while self.share() < min((number + 1) / (len(blows) + 1), 0.98):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            if blow == "engine":
                server.kill()
                await asyncio.sleep(2 * random.random())
                await asyncio.get_running_loop().run_in_executor(None, server.start)
                self.restarts += 1
            else:
                node = random.choice(self.nodes)
                await node.kill()
                await asyncio.sleep(random.random())
                await node.start()
                self.kills += 1

    async def arrived(self) -> None:
        """Wait until every client has the last number of each of its channels."""
        until = time.monotonic() + WAIT
        while time.monotonic() < until and not all(self.has_all(client) for client in self.clients):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    def has_all(self, client: Client) -> bool:
        return all(number == self.published[channel] for channel, number in client.next.items())

    async def report(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            behind = Counter(type(client).__name__ for client in self.clients if not self.has_all(client))
            self.tell(
                f"{sum(self.published.values())} published, {self.tally.received} received, {self.kills} kills, "
                f"{self.restarts} restarts, {sum(self.tally.gaps.values())} gaps, {self.tally.silent} lost in silence, "
                f"behind are {dict(behind)}"
            )

    def tell(self, text: str) -> None:
        print(f"{time.monotonic() - self.begun:5.0f} s: {text}", flush=True)

    def verdict(self) -> int:
        tally = self.tally
        unfinished = sum(not self.has_all(client) for client in self.clients)
        total = sum(self.published[channel] for client in self.clients for channel in client.next)
        unseen = sum(
            self.published[channel] - number for client in self.clients for channel, number in client.next.items()
        )
        print(f"published {sum(self.published.values())} in {time.monotonic() - self.begun:.0f} s")
        print(f"kills {self.kills}, engine restarts {self.restarts}, connections {dict(tally.connections)}")
        print(f"received {tally.received} of {total}, told to be missing {tally.told}, gaps {dict(tally.gaps)}")
        print(f"silent losses {tally.silent}, repetitions {tally.repeated}, clients without the end {unfinished}")
        adds_up = tally.received - tally.repeated + tally.told + tally.silent + unseen == total
        is_good = adds_up and not (tally.silent or tally.repeated or unfinished)
        print("GOOD" if is_good else "BAD", flush=True)
        return 0 if is_good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engine", choices=ENGINES, default="redis")
    parser.add_argument("--publishes", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--groups", type=int, default=1, help="of clients, each with channels of its own")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--kills", type=int, default=50, help="of nodes")
    parser.add_argument("--restarts", type=int, default=2, help="of the engine")
    parser.add_argument("--lag", type=int, default=5000, help="messages of a channel that the slowest client may lag")
    options = parser.parse_args()
    with ENGINES[options.engine]() as server:
        return asyncio.run(Soak(options).run(server))


if __name__ == "__main__":
    raise SystemExit(main())
