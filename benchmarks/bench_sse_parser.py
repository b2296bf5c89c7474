"""Parsing of event streams, without a network: `python -m benchmarks.bench_sse_parser`.

Time per event of Elio's parser, of the parsers of httpx-sse, sseclient-py and aiohttp-sse-client, and of `bytes.split`
alone, which only finds the borders. Each parser gets the same chunks and its events are compared with what was written
before anything is timed.
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import gc
import importlib.util
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["STREAMS", "Stream", "main"]

SEED = 11
STREAM_SIZE = 2_000_000
CHUNKS = (1400, 65536)

Read = Callable[[Sequence[bytes]], list[str]]
"""Chunks to the data of the events in them."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A whole event stream, and the data of its events."""

    name: str
    title: str
    content: bytes
    data: list[str]

    def chunks(self, size: int) -> list[bytes]:
        return [self.content[start : start + size] for start in range(0, len(self.content), size)]


def _tokens(source: random.Random) -> Iterator[tuple[bytes, str]]:
    """Like the streams of language models: about 200 bytes of JSON for each piece of text."""
    while True:
        word = "".join(source.choices("abcdefghijklmnopqrstuvwxyz ", k=source.randint(2, 9)))
        delta = {"index": 0, "delta": {"content": f" {word}"}, "logprobs": None, "finish_reason": None}
        chunk = {"id": "chatcmpl-9f2c", "object": "chat.completion.chunk", "created": 1700000000, "choices": [delta]}
        data = json.dumps(chunk)
        yield b"data: %b\n\n" % data.encode(), data


def _tiny(source: random.Random) -> Iterator[tuple[bytes, str]]:
    while True:
        data = str(source.randint(0, 99))
        yield b"data: %b\n\n" % data.encode(), data


def _long(source: random.Random) -> Iterator[tuple[bytes, str]]:
    """4 KiB in 64 lines, with an ID and a type."""
    letters = "abcdefghijklmnopqrstuvwxyzéß"
    number = 0
    while True:
        number += 1
        lines = ["".join(source.choices(letters, k=60)) for _ in range(64)]
        fields = [f"id: {number}", "event: document", *(f"data: {line}" for line in lines)]
        yield ("\n".join(fields) + "\n\n").encode(), "\n".join(lines)


def _make(name: str, title: str, events: Callable[[random.Random], Iterator[tuple[bytes, str]]]) -> Stream:
    parts: list[bytes] = []
    data: list[str] = []
    size = 0
    for content, text in events(random.Random(SEED)):
        if size >= STREAM_SIZE:
            break
        parts.append(content)
        data.append(text)
        size += len(content)
    return Stream(name, title, b"".join(parts), data)


def streams() -> list[Stream]:
    return [
        _make("tokens", "200 B, as language models send them", _tokens),
        _make("tiny", "tiny events of 2 B", _tiny),
        _make("long", "4 KiB in 64 lines, with ID and type", _long),
    ]


STREAMS = ("tokens", "tiny", "long")


# -- the parsers -------------------------------------------------------------------------------------------------------


def split_only(chunks: Sequence[bytes]) -> list[str]:
    rest = b""
    found: list[bytes] = []
    for chunk in chunks:
        *events, rest = (rest + chunk).split(b"\n\n")
        found += events
    return found  # type: ignore[return-value]


def elio(chunks: Sequence[bytes]) -> list[str]:
    from elio.sse.parser import Parser

    receive = Parser(max_event_size=1024 * 1024).receive_data
    return [event.data for chunk in chunks for event in receive(chunk)]


def httpx_sse(chunks: Sequence[bytes]) -> list[str]:
    from httpx_sse._decoders import SSEDecoder, SSELineDecoder

    text = codecs.getincrementaldecoder("utf-8")("replace")
    lines, decoder = SSELineDecoder(), SSEDecoder()
    found = []
    for chunk in chunks:
        for line in lines.decode(text.decode(chunk)):
            event = decoder.decode(line)
            if event is not None:
                found.append(event.data)
    return found


def sseclient_py(chunks: Sequence[bytes]) -> list[str]:
    from sseclient import SSEClient

    return [event.data for event in SSEClient(iter(chunks)).events()]


def aiohttp_sse_client(chunks: Sequence[bytes]) -> list[str]:
    return asyncio.run(_aiohttp_sse_client(chunks))


async def _aiohttp_sse_client(chunks: Sequence[bytes]) -> list[str]:
    """Its event source over a stream of aiohttp that has all bytes at once."""
    from types import SimpleNamespace

    from aiohttp import StreamReader
    from aiohttp.base_protocol import BaseProtocol
    from aiohttp_sse_client.client import EventSource

    loop = asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), limit=2**30, loop=loop)
    for chunk in chunks:
        content.feed_data(chunk)
    source = EventSource("http://localhost/", session=SimpleNamespace())
    source._response = SimpleNamespace(content=content, status=200)
    found = []
    count = sum(chunk.count(b"\n\n") for chunk in chunks) + _borders_between(chunks)
    while len(found) < count:
        found.append((await source.__anext__()).data)
    return found


def _borders_between(chunks: Sequence[bytes]) -> int:
    return sum(a.endswith(b"\n") and b.startswith(b"\n") for a, b in pairwise(chunks))


PARSERS: dict[str, tuple[Read, str]] = {
    "split": (split_only, ""),
    "elio": (elio, "elio"),
    "httpx-sse": (httpx_sse, "httpx_sse"),
    "sseclient-py": (sseclient_py, "sseclient"),
    "aiohttp-sse-client": (aiohttp_sse_client, "aiohttp_sse_client"),
}


# -- measuring ---------------------------------------------------------------------------------------------------------


def _time(read: Read, chunks: Sequence[bytes]) -> float:
    gc.collect()
    start = time.process_time()
    read(chunks)
    return time.process_time() - start


def _check(name: str, read: Read, chunks: Sequence[bytes], stream: Stream) -> None:
    found = read(chunks)
    good = len(found) == len(stream.data) if name == "split" else found == stream.data
    if not good:
        raise SystemExit(f"{name} does not read the stream {stream.name!r} right")


def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Microseconds per event: for `stream/chunk size` and parser, one figure for each round."""
    out: dict[str, dict[str, list[float]]] = {}
    present = {name: read for name, (read, module) in PARSERS.items() if not module or importlib.util.find_spec(module)}
    for stream in streams():
        for size in CHUNKS:
            chunks = stream.chunks(size)
            figures: dict[str, list[float]] = {name: [] for name in present}
            for name, read in present.items():
                _check(name, read, chunks, stream)
            for number in range(rounds):
                print(f"  {stream.name}, {size} B chunks, round {number + 1}/{rounds}", file=sys.stderr, flush=True)
                for name, read in present.items():
                    figures[name].append(float(f"{_time(read, chunks) * 1e6 / len(stream.data):.5g}"))
            out[f"{stream.name}/{size}"] = figures
    return out


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_sse_parser", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.rounds)
    if options.json:
        print(json.dumps(figures))
        return
    for name, parsers in figures.items():
        medians = {parser: statistics.median(values) for parser, values in parsers.items()}
        print(name, ", ".join(f"{parser} {value:.3f} µs" for parser, value in medians.items()))


if __name__ == "__main__":
    main()
