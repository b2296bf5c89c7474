"""Thousands of WebSockets and event streams whose server is told to go away: `python -m benchmarks.soak.drain`.

All of them get numbers, before and while the server drains. The verdict: no 100 ms hold more than 3 % of the ends, each
has its farewell (a close code, or a reconnection time and an orderly end), every number that was handed over has
arrived in its order, the process ends within the window and a second, and nothing went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from bisect import bisect_left

from elio.server.run import new_event_loop

from ..processes import raise_limit
from .load import Events, Member, Socket, Tally, in_steps
from .program import Site, Verdict, site

BUCKET = 0.1
SHARE = 0.03
OVERTIME = 1.0


async def open_all(found: Site, count: int, tally: Tally) -> None:
    loop = asyncio.get_running_loop()

    async def open_one(kind: type[Member]) -> None:
        _, member = await loop.create_connection(lambda: kind(tally), "127.0.0.1", found.port)
        await asyncio.wait_for(member.ready, 30.0)

    kinds: list[type[Member]] = [Socket, Events]
    await in_steps([lambda kind=kind: open_one(kind) for _ in range(count) for kind in kinds])  # type: ignore[misc]


async def soak(options: argparse.Namespace) -> int:
    verdict, tally = Verdict(), Tally()
    with site("--drain", str(options.window), "--interval", "1") as found:
        await open_all(found, options.connections, tally)
        print(f"{options.connections} WebSockets and {options.connections} event streams are open", flush=True)
        await asyncio.sleep(options.before)
        begun = time.monotonic()
        found.process.send_signal(signal.SIGTERM)
        ending = asyncio.get_running_loop().run_in_executor(None, found.end, options.window + 30.0)
        while not ending.done():
            await asyncio.wait({ending}, timeout=2.0)
            print(f"{time.monotonic() - begun:5.1f} s: {len(tally.ends)} have ended", flush=True)
        ended, counts = await ending
        await asyncio.sleep(0.2)
        judge(verdict, tally, options, begun=begun, ended=ended, sent=counts.get("sent", -1))
        log = found.log
        verdict.check("exit status", found.process.returncode, found.process.returncode == 0)
        verdict.check("lines in the log", len(log.splitlines()), "Traceback" not in log and "ERROR" not in log)
    return verdict.status()


def judge(
    verdict: Verdict, tally: Tally, options: argparse.Namespace, *, begun: float, ended: float, sent: int
) -> None:
    total = 2 * options.connections
    times = sorted(tally.ends)
    fullest = max((bisect_left(times, when + BUCKET) - at for at, when in enumerate(times)), default=total)
    verdict.check("refused", tally.refused, tally.refused == 0)
    verdict.check("ends with a farewell", f"{len(times)} of {total}", len(times) == total)
    verdict.check("without one", tally.without_farewell, tally.without_farewell == 0)
    verdict.check("close codes", dict(tally.codes), tally.codes == {1001: options.connections})
    retries = f"{min(tally.retries, default=0)} to {max(tally.retries, default=0)} ms"
    verdict.check("reconnection times", retries, len(set(tally.retries)) > len(tally.retries) // 4)
    verdict.check("in the fullest 100 ms", f"{fullest / total:.1%}", fullest <= SHARE * total)
    verdict.check("numbers sent and received", f"{sent}, {tally.received}", sent == tally.received)
    verdict.check("out of order", tally.reordered, tally.reordered == 0)
    seconds = ended - begun
    verdict.check("the end after", f"{seconds:.2f} s", seconds <= options.window + OVERTIME)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=2000, help="of each kind (default: %(default)s)")
    parser.add_argument("--window", type=float, default=10.0, help="seconds (default: %(default)s)")
    parser.add_argument("--before", type=float, default=2.0, help="seconds of traffic before (default: %(default)s)")
    raise_limit()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(soak(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
