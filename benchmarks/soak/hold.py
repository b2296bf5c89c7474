"""Ten thousand connections held for minutes with traffic: `python -m benchmarks.soak.hold --minutes 10 --workers 4`.

Half of them are WebSockets, which send numbers and get them back, half event streams; all get numbers of the server.
Meanwhile three random workers are killed. The verdict: memory grows by no more than 2 % behind the warm-up, in each
part of the run between two kills; nothing is lost or out of order on a connection that was not killed; a kill takes
along the connections of its worker and no others; and all of them come back.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field

from elio.server.run import new_event_loop

from ..processes import raise_limit
from .load import Events, Member, Socket, Tally, in_steps
from .program import Site, Verdict, site

FLAT = 0.02
KILLS = 3
RETURN = 60.0
"""Seconds in which everybody has come back."""


@dataclass
class Crowd:
    """All connections, each of which is made anew when it is lost."""

    port: int
    tally: Tally = field(default_factory=Tally)
    members: set[Member] = field(default_factory=set)
    lost: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    failed: int = 0
    ending: bool = False
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self, kind: type[Member]) -> None:
        loop = asyncio.get_running_loop()
        while not self.ending:
            try:
                _, member = await loop.create_connection(lambda: kind(self.tally, self._lost), "127.0.0.1", self.port)
                await asyncio.wait_for(member.ready, RETURN)
            except (OSError, TimeoutError):
                self.failed += 1
                await asyncio.sleep(0.2)
            else:
                self.members.add(member)
                return

    def _lost(self, member: Member) -> None:
        if self.ending or member not in self.members:
            return
        self.members.discard(member)
        self.lost[member.pid] += 1
        task = asyncio.get_running_loop().create_task(self._come_back(type(member)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _come_back(self, kind: type[Member]) -> None:
        await asyncio.sleep(random.random())
        await self.open(kind)

    async def ask(self, interval: float) -> None:
        """Let every WebSocket send a number in each interval, in small portions."""
        while True:
            sockets = [member for member in self.members if isinstance(member, Socket)]
            begun = time.monotonic()
            for at, member in enumerate(sockets):
                if member in self.members:
                    member.ask()
                if at % 50 == 49:
                    ahead = begun + interval * at / len(sockets) - time.monotonic()
                    await asyncio.sleep(max(ahead, 0.0))
            await asyncio.sleep(max(begun + interval - time.monotonic(), 0.01))

    def owed(self) -> int:
        """Numbers that were sent and have not come back, on connections that are open."""
        return sum(member.asked - member.answered for member in self.members if isinstance(member, Socket))


class Soak:
    """One run."""

    def __init__(self, options: argparse.Namespace, found: Site, crowd: Crowd) -> None:
        self.options = options
        self.site = found
        self.crowd = crowd
        self.verdict = Verdict()
        self.parts: list[list[int]] = []

    async def run(self) -> int:
        crowd, options = self.crowd, self.options
        half = options.connections // 2
        await in_steps([lambda kind=kind: crowd.open(kind) for _ in range(half) for kind in (Socket, Events)])  # type: ignore[misc]
        spread = Counter(member.pid for member in crowd.members)
        print(f"{len(crowd.members)} connections are open, on {sorted(spread.values())}", flush=True)
        asking = asyncio.create_task(crowd.ask(options.interval))
        part = options.minutes * 60.0 / (KILLS + 1)
        for number in range(KILLS + 1):
            await self._watch(part, f"part {number + 1}")
            if number < KILLS:
                await self._kill()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        self.verdict.check("numbers were sent until the end", asking.cancelled(), asking.cancelled())
        await asyncio.sleep(3.0)
        self._judge()
        return self.verdict.status()

    async def _watch(self, seconds: float, name: str) -> None:
        """Measure memory once a second, but for a warm-up."""
        begun = time.monotonic()
        warm = min(self.options.warmup, seconds / 2)
        values: list[int] = []
        while (passed := time.monotonic() - begun) < seconds:
            await asyncio.sleep(1.0)
            memory = self.site.memory()
            if passed >= warm:
                values.append(memory)
            if int(passed) % 15 == 0:
                tally = self.crowd.tally
                state = f"{len(self.crowd.members)} open, {tally.received} numbers, {tally.echoed} echoes"
                print(f"{name}, {passed:5.0f} s: {state}, {memory / 1e6:.1f} MB", flush=True)
        self.parts.append(values)

    async def _kill(self) -> None:
        crowd = self.crowd
        pid = random.choice(self.site.workers())
        mine = sum(member.pid == pid for member in crowd.members)
        before = crowd.lost.total()
        os.kill(pid, signal.SIGKILL)
        begun = time.monotonic()
        await asyncio.sleep(1.5)
        for _ in range(int(RETURN / 0.1)):
            if len(crowd.members) == self.options.connections // 2 * 2:
                break
            await asyncio.sleep(0.1)
        lost, others = crowd.lost[pid], crowd.lost.total() - before - crowd.lost[pid]
        self.verdict.check("lost with a killed worker, of its own", f"{lost} of {mine}", lost == mine)
        self.verdict.check("lost elsewhere", others, others == 0)
        seconds = time.monotonic() - begun
        self.verdict.check("back after", f"{seconds:.1f} s", seconds < RETURN)

    def _judge(self) -> None:
        crowd, check = self.crowd, self.verdict.check
        for number, values in enumerate(self.parts, 1):
            tenth = max(len(values) // 10, 1)
            first, last = statistics.mean(values[:tenth]), statistics.mean(values[-tenth:])
            drift = (last - first) / first
            check(f"memory in part {number}", f"{first / 1e6:.1f} to {last / 1e6:.1f} MB, {drift:+.2%}", drift <= FLAT)
        check("out of order or lost", crowd.tally.reordered, crowd.tally.reordered == 0)
        check("echoes that are owed", crowd.owed(), crowd.owed() == 0)
        check("refused", crowd.tally.refused, crowd.tally.refused == 0)
        check("attempts that failed", crowd.failed, crowd.failed == 0)
        print(f"{crowd.tally.received} numbers and {crowd.tally.echoed} echoes have come", flush=True)


async def soak(options: argparse.Namespace) -> int:
    with site("--workers", str(options.workers), "--drain", "1", "--interval", str(options.interval)) as found:
        crowd = Crowd(found.port)
        await asyncio.sleep(5.0)  # until the others have started, too
        soak = Soak(options, found, crowd)
        status = await soak.run()
        crowd.ending = True
        found.process.send_signal(signal.SIGTERM)
        await asyncio.get_running_loop().run_in_executor(None, found.end, 30.0)
        log = [line for line in found.log.splitlines() if "has ended by SIGKILL" not in line]
        print("\n".join(log[:20]), flush=True)
        return status or found.process.returncode


def main() -> int:
    limit = raise_limit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=min(10_000, limit - 500), help="(default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=10.0, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between numbers (default: %(default)s)")
    parser.add_argument("--warmup", type=float, default=45.0, help="seconds behind a kill (default: %(default)s)")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(soak(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
