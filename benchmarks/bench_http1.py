"""HTTP/1.1 without a network: `python -m benchmarks.bench_http1`.

Time of a request and its small answer with Elio and with h11, of one chunk that arrives as a whole and of one that is
read step by step, and what the head of a request keeps in memory, lazily and as a list of strings.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable

import h11

from elio.headers import Headers
from elio.http.framing import ChunkedDecoder
from elio.http.head import parse_request_head
from elio.http.http1 import ServerConnection
from elio.limits import Limits

__all__ = ["main"]

SMALL = b"GET /hello?x=1 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.1\r\nAccept: */*\r\n\r\n"
BROWSER = (
    b"GET /ws HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\nPragma: no-cache\r\n"
    b"Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/126.0.0.0 Safari/537.36\r\nOrigin: http://localhost:8080\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-US,en;q=0.9\r\nCookie: session=%06d; theme=dark\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
HEADERS = Headers({"Content-Type": "text/plain; charset=utf-8"})
ROUNDS = 7


def _elio(request: bytes) -> Callable[[], object]:
    connection = ServerConnection(Limits())

    def exchange() -> bytes:
        connection.receive_data(request)
        connection.send_response(200, HEADERS, body_size=13, date=DATE)
        connection.send_body(b"Hello, World!")
        connection.end_body()
        data = connection.data_to_send()
        connection.start_next()
        return data

    return exchange


def _h11(request: bytes) -> Callable[[], object]:
    connection = h11.Connection(h11.SERVER)
    headers = [*HEADERS.items(), ("Date", DATE), ("Content-Length", "13")]

    def exchange() -> bytes:
        connection.receive_data(request)
        while not isinstance(connection.next_event(), h11.EndOfMessage):
            pass
        data = connection.send(h11.Response(status_code=200, headers=headers)) or b""
        data += connection.send(h11.Data(data=b"Hello, World!")) or b""
        data += connection.send(h11.EndOfMessage()) or b""
        connection.start_next_cycle()
        return data

    return exchange


def _chunks(one: bytes, count: int) -> Callable[[], object]:
    data = one * count
    return lambda: ChunkedDecoder(Limits(), max_size=None, max_overhead=None).decode(data, [])


def _median_us(action: Callable[[], object], count: int) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(count):
            action()
        times.append((time.perf_counter() - start) / count)
    return statistics.median(times) * 1e6


def _bytes_each(make: Callable[[int], object], count: int = 2000) -> float:
    make(0)
    tracemalloc.start()
    kept = [make(number) for number in range(count)]
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / len(kept)


def main() -> None:
    """Print the figures."""
    for name, request in (("small", SMALL), ("browser's", BROWSER % 1)):
        ours, theirs = _median_us(_elio(request), 3000), _median_us(_h11(request), 500)
        print(f"a {name} request and its answer: {ours:.1f} us, h11 {theirs:.1f} us, ratio {theirs / ours:.1f}")
    whole = _median_us(_chunks(b"5\r\nhello\r\n", 5000), 5) / 5000
    steps = _median_us(_chunks(b"5;a\r\nhello\r\n", 5000), 5) / 5000
    print(f"a chunk as a whole: {whole:.2f} us, step by step {steps:.2f} us, ratio {steps / whole:.1f}")
    lazy = _bytes_each(lambda number: parse_request_head(BROWSER % number))
    eager = _bytes_each(lambda number: parse_request_head(BROWSER % number).headers.items())
    print(
        f"a browser's head of {len(BROWSER % 1)} bytes: {lazy:.0f} bytes kept, its headers alone as strings {eager:.0f}"
    )


if __name__ == "__main__":
    main()
