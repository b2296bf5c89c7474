"""HTTP clients: ``curl``, ``http.client`` of Python, ``aiohttp``."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import json
import random
from pathlib import Path

import aiohttp
import pytest

from support.processes import Finished, run
from support.raw import DEADLINE, until
from support.site import Site

pytestmark = pytest.mark.peer

BYTES = random.Random(3).randbytes(3_000_000)
DIGEST = {"size": len(BYTES), "sha256": hashlib.sha256(BYTES).hexdigest()}


@pytest.fixture(autouse=True)
def there_is_curl(curl: str) -> None:
    """Without curl these tests fail."""


async def fetch(site: Site, path: str, *options: str, data: bytes = b"", status: int = 0) -> Finished:
    """Run curl; its own exit status must be this."""
    finished = await run(*site.curl, *options, site.http + path, data=data)
    assert finished.status == status, finished.errors
    return finished


def split(output: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of what ``curl --include`` wrote."""
    head, _, body = output.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return first, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


# -- curl --------------------------------------------------------------------------------------------------------------


async def test_curl_gets_a_page(site: Site) -> None:
    status, headers, body = split((await fetch(site, "/", "--include")).output)
    assert status == "HTTP/1.1 200 OK"
    assert body == b"hello\n"
    assert headers["content-length"] == "6"
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert "date" in headers


async def test_curl_asks_for_the_head_only(site: Site) -> None:
    status, headers, body = split((await fetch(site, "/", "--head")).output)
    assert (status, headers["content-length"], body) == ("HTTP/1.1 200 OK", "6", b"")


async def test_curl_uses_one_connection_for_several_requests(site: Site) -> None:
    written = "%{num_connects} %{http_code}\n"
    urls = [site.http + path for path in ("/", "/parts", "/nowhere", "/")]
    finished = await run(*site.curl, "--output", "/dev/null", "--write-out", written, *with_outputs(urls))
    assert finished.output.decode().splitlines() == ["1 200", "0 200", "0 404", "0 200"]


def with_outputs(urls: list[str]) -> list[str]:
    """Each URL needs an ``--output`` of its own; the first one has its."""
    return [urls[0], *(part for url in urls[1:] for part in ("--output", "/dev/null", url))]


async def test_curl_speaks_http_1_0(site: Site) -> None:
    for path, body in (("/", b"hello\n"), ("/parts", b"part 0\npart 1\npart 2\n")):
        status, headers, received = split((await fetch(site, path, "--http1.0", "--include")).output)
        assert status.endswith(" 200 OK")
        assert received == body
        assert "transfer-encoding" not in headers


async def test_curl_reads_chunks(site: Site) -> None:
    _, headers, body = split((await fetch(site, "/parts", "--include", "--raw")).output)
    assert headers["transfer-encoding"] == "chunked"
    assert body == b"7\r\npart 0\n\r\n7\r\npart 1\n\r\n7\r\npart 2\n\r\n0\r\n\r\n"


async def test_curl_sends_a_large_body_after_100_continue(site: Site) -> None:
    options = ["--data-binary", "@-", "--header", "Expect: 100-continue", "--include"]
    finished = await fetch(site, "/digest", *options, data=BYTES)
    interim, _, rest = finished.output.partition(b"\r\n\r\n")
    assert interim.decode() == "HTTP/1.1 100 Continue"
    status, _, body = split(rest)
    assert status == "HTTP/1.1 200 OK"
    assert json.loads(body) == {**DIGEST, "type": "application/x-www-form-urlencoded"}


async def test_curl_does_not_send_a_body_that_nobody_wants(site: Site) -> None:
    options = ["--data-binary", "@-", "--header", "Expect: 100-continue", "--expect100-timeout", "10"]
    written = ["--write-out", "%{http_code} %{size_upload}"]
    finished = await fetch(site, "/unread", *options, *written, data=BYTES)
    assert finished.output == b"no, thanks\n403 0"


async def test_curl_uploads_in_chunks(site: Site) -> None:
    options = ["--upload-file", "-", "--header", "Expect:", "--header", "Content-Type: application/octet-stream"]
    finished = await fetch(site, "/digest", *options, data=BYTES)
    assert json.loads(finished.output) == {**DIGEST, "type": "application/octet-stream"}


async def test_curl_is_told_that_a_body_is_too_large(site: Site) -> None:
    options = ["--data-binary", "@-", "--header", "Expect: 100-continue", "--write-out", "%{http_code} %{size_upload}"]
    finished = await fetch(site, "/digest", *options, data=b"x" * (10 * 1024 * 1024 + 1))
    assert finished.output.endswith(b"413 0")


async def test_curl_gets_parts_of_a_file_and_resumes(site: Site, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(BYTES)
    for wanted, expected in [("0-9", BYTES[:10]), ("2999990-", BYTES[-10:]), ("-5", BYTES[-5:])]:
        status, headers, body = split((await fetch(site, "/files/data.bin", "--range", wanted, "--include")).output)
        assert status == "HTTP/1.1 206 Partial Content"
        assert headers["content-range"].endswith(f"/{len(BYTES)}")
        assert body == expected
    partial = tmp_path / "partial"
    partial.write_bytes(BYTES[:1_000_000])
    await fetch(site, "/files/data.bin", "--continue-at", "-", "--output", str(partial))
    assert partial.read_bytes() == BYTES
    status, headers, _ = split((await fetch(site, "/files/data.bin", "--range", "3000000-", "--include")).output)
    assert status.startswith("HTTP/1.1 416 ")
    assert headers["content-range"] == f"bytes */{len(BYTES)}"


async def test_curl_does_not_get_again_what_it_has(site: Site, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>hello")
    tag = tmp_path / "tag"
    first = await fetch(site, "/files/page.html", "--etag-save", str(tag), "--write-out", " %{http_code}")
    assert first.output == b"<p>hello 200"
    second = await fetch(site, "/files/page.html", "--etag-compare", str(tag), "--write-out", "%{http_code}")
    assert second.output == b"304"


async def test_curl_cannot_leave_the_folder(site: Site, tmp_path: Path) -> None:
    (tmp_path / "inside").write_text("inside")
    for path in ("/files/../../../../etc/passwd", "/files/%2e%2e/%2e%2e/etc/passwd", "/files/..%2f..%2fetc/passwd"):
        finished = await fetch(site, path, "--path-as-is", "--write-out", "%{http_code}")
        assert finished.output.endswith(b"404")
        assert b"root:" not in finished.output


async def test_curl_sees_the_facts_of_its_request(site: Site) -> None:
    path = "/request/caf%C3%A9%2Fbar?q=1&q=a+b%26c"
    told = json.loads((await fetch(site, path, "--cookie", "a=1; b=2")).output)
    assert told == {
        "name": "café/bar",
        "query": ["1", "a b&c"],
        "cookies": {"a": "1", "b": "2"},
        "client": "127.0.0.1",
        "scheme": "http" if site.ssl is None else "https",
        "version": "1.1",
    }


async def test_curl_is_told_which_methods_there_are(site: Site) -> None:
    status, headers, _ = split((await fetch(site, "/digest", "--include")).output)
    assert status == "HTTP/1.1 405 Method Not Allowed"
    assert set(headers["allow"].split(", ")) == {"OPTIONS", "POST", "PUT"}
    status, headers, _ = split((await fetch(site, "/digest", "--include", "--request", "OPTIONS")).output)
    assert status == "HTTP/1.1 204 No Content"
    assert set(headers["allow"].split(", ")) == {"OPTIONS", "POST", "PUT"}


async def test_curl_reads_an_event_stream(site: Site) -> None:
    status, headers, body = split((await fetch(site, "/events", "--no-buffer", "--include")).output)
    assert status == "HTTP/1.1 200 OK"
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert body.startswith(b"retry: 50\n\nid: 1\nevent: count\ndata: line 1\ndata: second line\n\n")
    assert body.endswith(b"data: line 5\ndata: second line\n\n")


async def test_curl_goes_on_behind_the_last_event(site: Site) -> None:
    finished = await fetch(site, "/events", "--no-buffer", "--header", "Last-Event-ID: 41", "--http1.0")
    assert b"\nid: 42\n" in finished.output
    assert finished.output.count(b"\nid: ") == 5


async def test_curl_gets_an_event_as_soon_as_it_is_sent_and_may_leave(site: Site) -> None:
    command = [*site.curl, "--no-buffer", "--header", "Last-Event-ID: gone", f"{site.http}/endless"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        assert await process.stdout.readuntil(b"\n\n") == "id: é✓\ndata: the only one\n\n".encode()
        process.kill()
        await process.communicate()
    await until(lambda: site.left == ["gone"])


async def test_curl_posts_to_an_event_stream(site: Site) -> None:
    finished = await fetch(site, "/events", "--no-buffer", "--data", "anything")
    assert finished.output.count(b"\nid: ") == 5


async def test_curl_offers_http_2_and_gets_http_1_1(site: Site) -> None:
    finished = await fetch(site, "/", "--http2", "--write-out", "%{http_version}")
    assert finished.output == b"hello\n1.1"


# -- http.client -------------------------------------------------------------------------------------------------------


def talk(site: Site) -> list[tuple[int, bytes]]:
    """Several requests on one connection."""
    port = site.server.port
    if site.ssl is None:
        connection = http.client.HTTPConnection("localhost", port, timeout=DEADLINE)
    else:
        connection = http.client.HTTPSConnection("localhost", port, timeout=DEADLINE, context=site.ssl)
    found = []
    try:
        connection.connect()
        sock = connection.sock
        for method, path, body in [
            ("GET", "/", None),
            ("HEAD", "/", None),
            ("POST", "/digest", BYTES),
            ("POST", "/digest", iter([b"chunk", b"ed"])),
            ("GET", "/parts", None),
            ("GET", "/nowhere", None),
            ("GET", "/events", None),
            ("GET", "/", None),
        ]:
            connection.request(method, path, body=body, encode_chunked=False)
            response = connection.getresponse()
            found.append((response.status, response.read()))
            assert connection.sock is sock, "the connection was not kept"
    finally:
        connection.close()
    return found


async def test_http_client_keeps_its_connection_through_everything(site: Site) -> None:
    found = await asyncio.to_thread(talk, site)
    assert [status for status, _ in found] == [200, 200, 200, 200, 200, 404, 200, 200]
    assert [body for _, body in found[:2]] == [b"hello\n", b""]
    assert json.loads(found[2][1])["sha256"] == DIGEST["sha256"]
    assert json.loads(found[3][1])["size"] == 7
    assert found[4][1] == b"part 0\npart 1\npart 2\n"
    assert found[6][1].count(b"\nid: ") == 5
    assert found[7][1] == b"hello\n"


# -- aiohttp -----------------------------------------------------------------------------------------------------------


async def test_aiohttp_reads_an_event_stream_and_keeps_its_connection(site: Site) -> None:
    connector = aiohttp.TCPConnector(limit=1, ssl=site.ssl or True)
    async with aiohttp.ClientSession(connector=connector) as session:
        for first in (1, 6):
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(first - 1)}
            async with session.get(f"{site.http}/events", headers=headers) as response:
                assert response.content_type == "text/event-stream"
                assert response.charset == "utf-8"
                ids = [line[4:].strip() async for line in response.content if line.startswith(b"id: ")]
            assert [int(id) for id in ids] == list(range(first, first + 5))
        assert site.server.connections == 1


async def test_aiohttp_that_leaves_an_event_stream_ends_its_handler(site: Site) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{site.http}/endless", ssl=site.ssl or True) as response,
    ):
        assert await response.content.readuntil(b"\n\n") == "id: é✓\ndata: the only one\n\n".encode()
    await until(lambda: site.left == [""])


async def test_aiohttp_uploads_and_downloads(site: Site, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(BYTES)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{site.http}/files/data.bin", ssl=site.ssl or True) as response:
            assert await response.read() == BYTES
        async with session.post(
            f"{site.http}/digest", data=io.BytesIO(BYTES), ssl=site.ssl or True, expect100=True
        ) as response:
            assert (await response.json())["sha256"] == DIGEST["sha256"]
