"""Readers that stop reading among a thousand that go on: `python -m benchmarks.soak.slow`.

A server hands messages of 1 KiB to 1,000 WebSockets in 20 rooms, 5,000 deliveries in a second: five for each of them.
(As many for each would be 5 GB in a second, and measure the machine.) Then ten of them take nothing more. The buffers
of the system are made small, so that what they do not take stays in the server, and the bound of each is so low that
they reach it within the run. One that is cut off comes back and stops again: there are ten at any time.

The parts of a run: everybody reads, ten are stalled (`--seconds`), everybody reads; the outer two are half as long, so
that what only time changes counts on both sides. The verdict: with stalled readers the resident memory of the server
grows by no more than their ten bounds and 10 %; the 99th percentile of the time from `broadcast` to each of the others
is within 10 % of what it was without stalled ones; and nothing that they get is missing.

The readers run in this process, the server in its own, and where the system allows it both go before whatever else runs
on the machine. A virtual machine whose processors are taken away for 2 % of the time still decides on a 99th percentile
of the whole run; so that of each fifth of a second, in which every room has one message, is taken as well, and the
median of those is told, of all of them and of those in which stalled readers are cut off and come back.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
import time
from array import array
from collections.abc import Awaitable, Callable

from elio.server.run import new_event_loop

from ..processes import raise_limit
from .feed import STAMP
from .load import HANDSHAKE, Member, Socket, Tally, in_steps
from .program import Site, Verdict, site

SPARE = 0.1
"""What memory and time may have above their bound, as a share of it."""
LOOK = 0.1
"""Seconds between two looks at the stalled ones."""
SLICE = 0.2
"""Seconds whose 99th percentile is taken."""
ESTABLISHED = 1
"""Of the states of TCP (linux/tcp_states.h)."""
KIB = 1024


class Reader(Socket):
    """A WebSocket that knows how long each message was on its way."""

    def __init__(self, tally: Tally, on_lost: Callable[[Member], object]) -> None:
        super().__init__(tally, on_lost)
        self.arrivals = array("d")
        self.latencies = array("d")
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last = -1

    def _frame(self, head: int, payload: bytes) -> None:
        if head != 0x82:
            super()._frame(head, payload)
            return
        number, sent = STAMP.unpack_from(payload)
        now = time.monotonic_ns()
        self.arrivals.append(now / 1e9)
        self.latencies.append((now - sent) / 1e9)
        self.tally.received += 1
        self.tally.reordered += self._last >= 0 and number != self._last + 1
        self._last = number

    def leave(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.gone.set_result(None)


class Stalled:
    """WebSockets that take nothing once they are open. One that is cut off comes back.

    Attributes:
        cuts: when that was.
    """

    def __init__(self, port: int) -> None:
        self.cuts: list[float] = []
        self._port = port
        self._socks: list[socket.socket] = []

    async def come(self, count: int) -> None:
        """Open so many."""
        for _ in range(count):
            self._socks.append(await self._open())

    async def _open(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.setblocking(False)
        async with asyncio.timeout(30.0):
            await loop.sock_connect(sock, ("127.0.0.1", self._port))
            await loop.sock_sendall(sock, HANDSHAKE)
            await loop.sock_recv(sock, 1)
        return sock

    async def come_back(self) -> None:
        """Replace those that were cut off."""
        for place, sock in enumerate(self._socks):
            state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            if state != ESTABLISHED:
                self.cuts.append(time.monotonic())
                sock.close()
                self._socks[place] = await self._open()

    def close(self) -> None:
        for sock in self._socks:
            sock.close()


class Times:
    """How long messages were on their way, by the fifth of a second in which they came."""

    def __init__(self) -> None:
        self.slices: dict[int, list[float]] = {}

    def add(self, others: Times) -> None:
        self.slices.update(others.slices)

    def typical(self, share: float, which: set[int] | None = None) -> float:
        """The median of this quantile of each fifth."""
        some = [each for number, each in self.slices.items() if which is None or number in which]
        return quantile([quantile(each, share) for each in some], 0.5)

    def whole(self, share: float) -> float:
        """This quantile of all."""
        return quantile([time for each in self.slices.values() for time in each], share)


class Soak:
    """One run."""

    def __init__(self, options: argparse.Namespace, found: Site) -> None:
        self.options = options
        self.site = found
        self.verdict = Verdict()
        self.tally = Tally()
        self.others: list[Reader] = []
        self.lost = 0
        self.grown = 0
        self.cuts: list[float] = []
        self.without = Times()
        self.with_stalled = Times()

    async def run(self) -> None:
        options = self.options
        await in_steps([lambda: self._open(self.others) for _ in range(options.readers - options.stalled)])
        await self._all_read("warm-up", options.warmup)
        self._take()
        await self._all_read("all read", options.seconds / 2)
        self.without = self._take()
        resident = self.site.begin()
        self.cuts = await self._some_stall()
        self.with_stalled, self.grown = self._take(), self.site.peak() - resident
        await self._all_read("all read", options.seconds / 2)
        self.without.add(self._take())
        await self._leave(self.others)

    async def _open(self, readers: list[Reader]) -> None:
        loop = asyncio.get_running_loop()
        _, reader = await loop.create_connection(lambda: Reader(self.tally, self._lost), "127.0.0.1", self.site.port)
        await asyncio.wait_for(reader.ready, 30.0)
        readers.append(reader)

    def _lost(self, reader: Member) -> None:
        self.lost += 1

    async def _all_read(self, name: str, seconds: float) -> None:
        some: list[Reader] = []
        await in_steps([lambda: self._open(some) for _ in range(self.options.stalled)])
        await self._watch(name, seconds)
        await self._leave(some)

    async def _leave(self, readers: list[Reader]) -> None:
        lost = self.lost
        for reader in readers:
            reader.leave()
        await asyncio.gather(*(reader.gone for reader in readers))
        self.lost = lost

    async def _some_stall(self) -> list[float]:
        """Returns when one was cut off."""
        stalled = Stalled(self.site.port)
        try:
            await stalled.come(self.options.stalled)
            await self._watch("some are stalled", self.options.seconds, stalled.come_back)
        finally:
            stalled.close()
        return stalled.cuts

    async def _watch(self, name: str, seconds: float, look: Callable[[], Awaitable[None]] | None = None) -> None:
        end = time.monotonic() + seconds
        told = 0.0
        while (now := time.monotonic()) < end:
            if look is not None:
                await look()
            if now >= told:
                told = now + 5.0
                print(f"{name}, {end - now:.0f} s to go: {self.site.resident() / 1e6:.1f} MB", flush=True)
            await asyncio.sleep(min(LOOK, end - now))

    def _take(self) -> Times:
        """The times since the last call."""
        found = Times()
        for reader in self.others:
            for arrival, latency in zip(reader.arrivals, reader.latencies, strict=True):
                found.slices.setdefault(int(arrival / SLICE), []).append(latency)
            del reader.arrivals[:], reader.latencies[:]
        return found

    def judge(self, log: str) -> int:
        """Say what was found. Returns the exit status."""
        options, check = self.options, self.verdict.check
        allowed = int(options.stalled * options.max_backlog * (1 + SPARE))
        check("memory has grown by", f"{self.grown / KIB:.0f} of {allowed / KIB:.0f} KiB", self.grown <= allowed)
        check("stalled readers cut off", len(self.cuts), len(self.cuts) > 0)
        around = {int((when + step * SLICE) / SLICE) for when in self.cuts for step in (-1, 0, 1)}
        before, now = self.without.typical(0.5), self.with_stalled.typical(0.5)
        check("half of all arrive within", compared(before, now), min(before, now) > 0.0)
        before, now = self.without.whole(0.99), self.with_stalled.whole(0.99)
        check("99 % arrive within", compared(before, now), now <= before * (1 + SPARE))
        before = self.without.typical(0.99)
        print(f"99 % of a typical fifth of a second: {compared(before, self.with_stalled.typical(0.99))}")
        print(f"99 % where some are cut off: {compared(before, self.with_stalled.typical(0.99, around))}")
        check("missing", self.tally.reordered, self.tally.reordered == 0)
        check("others that were lost", self.lost, self.lost == 0)
        check("refused", self.tally.refused, self.tally.refused == 0)
        check("lines in the log", len(log.splitlines()), "Traceback" not in log and "ERROR" not in log)
        print(f"{self.tally.received} messages have come", flush=True)
        return self.verdict.status()


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def compared(before: float, now: float) -> str:
    change = f", {now / before - 1:+.1%}" if before else ""
    return f"{before * 1e3:.2f} ms, with stalled ones {now * 1e3:.2f} ms{change}"


def go_first(pid: int) -> None:
    """Let a process run before others that do not, where the system allows it; nothing happens elsewhere."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))


async def soak(options: argparse.Namespace) -> int:
    interval = options.readers / options.rate
    feed = ("--interval", str(interval), "--size", str(options.size), "--max-backlog", str(options.max_backlog))
    with site(*feed, module="feed") as found:
        for pid in (0, found.process.pid):
            go_first(pid)
        gc.disable()  # whatever pauses here would count as the server's
        run = Soak(options, found)
        await run.run()
        found.process.send_signal(signal.SIGTERM)
        await asyncio.get_running_loop().run_in_executor(None, found.end, 30.0)
        log = found.log
        print("\n".join(log.splitlines()[:20]), flush=True)
        return run.judge(log) or found.process.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=1000, help="in all (default: %(default)s)")
    parser.add_argument("--stalled", type=int, default=10, help="of them (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=5000.0, help="deliveries per second (default: %(default)s)")
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message (default: %(default)s)")
    parser.add_argument("--max-backlog", type=int, default=64 * KIB, help="bytes for each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="with stalled readers (default: %(default)s)")
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds that do not count (default: %(default)s)")
    raise_limit()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(soak(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
