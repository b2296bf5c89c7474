"""A reader of an event stream: some events, a few, or many over reconnections.

python examples/sse_client.py [--demo | --simple | --reconnect] [url]

It expects examples/sse_server.py, and works with every event stream.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

import elio
from elio import Change, ConnectionState, EventSource


@dataclass(frozen=True)
class Mode:
    """How many events are read, and how often in a row another attempt is made when the stream breaks."""

    events: int
    max_reconnects: int | None = None
    reconnection_time: float = 3.0


MODES = {
    "demo": Mode(20),
    "simple": Mode(5, max_reconnects=0),
    "reconnect": Mode(30, max_reconnects=3, reconnection_time=2.0),
}


def tell(change: Change) -> None:
    """Say what happens to the connection, beside the events."""
    if change.state is ConnectionState.WAITING:
        reason = change.error or "the server ended the stream"
        print(f"-- {reason}; attempt {change.attempt} in {change.delay:.1f} s", file=sys.stderr)
    else:
        print(f"-- {change.state.value}", file=sys.stderr)


async def read(url: str, mode: Mode) -> int:
    """Print events; returns how many came."""
    number = 0
    options = {"max_reconnects": mode.max_reconnects, "reconnection_time": mode.reconnection_time}
    async with EventSource(url, on_change=tell, **options) as source:
        async for event in source:
            number += 1
            print(f"[Event #{number:3}] type={event.type} id={event.id}", event.data, sep="\n", flush=True)
            if number == mode.events:
                break
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("-d", "--demo", action="store_const", dest="mode", const="demo", help="20 events (default)")
    modes.add_argument("-s", "--simple", action="store_const", dest="mode", const="simple", help="5 events, once")
    modes.add_argument(
        "-r", "--reconnect", action="store_const", dest="mode", const="reconnect", help="30 events, 3 more attempts"
    )
    parser.add_argument("url", nargs="?", default="http://localhost:8080/events")
    options = parser.parse_args()
    try:
        number = asyncio.run(read(options.url, MODES[options.mode or "demo"]))
    except elio.ElioError as error:
        sys.exit(f"sse_client: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"{number} events")


if __name__ == "__main__":
    main()
