"""Tests of elio.server.static."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from elio.body import Body
from elio.errors import ConfigurationError, HTTPError
from elio.file_body import FileBody
from elio.response import Response
from elio.routing import Match, RouteTable
from elio.server.static import WHOLE_SIZE, StaticFiles, static_files
from support.request import make_request

SECRET = b"secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to serve, with a secret beside it and in a sibling whose name starts like its own."""
    root = tmp_path / "www"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / ".git").mkdir()
    (tmp_path / "www-private").mkdir()
    for name, data in {
        "www/index.html": b"<h1>index</h1>",
        "www/a.txt": b"0123456789",
        "www/a b&c.txt": b"odd",
        "www/nothing.css": b"",
        "www/sub/index.html": b"<h1>sub</h1>",
        "www/sub/deep/b.js": b"b",
        "www/.env": SECRET,
        "www/.git/config": SECRET,
        "secret": SECRET,
        "www-private/secret": SECRET,
    }.items():
        (tmp_path / name).write_bytes(data)
    return root


async def get(
    files: StaticFiles, rest: str, headers: dict[str, str] | None = None, *, method: str = "GET", query: str = ""
) -> Response:
    """What a request for this rest of the path gets, already decoded as by the routing."""
    return await files(make_request(method, f"/static/{query}", headers or {}, params={"*": rest}))


async def data_of(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    return b"".join([data async for data in response.body])


async def refused(files: StaticFiles, rest: str) -> bool:
    try:
        await get(files, rest)
    except HTTPError as error:
        return error.status == 404
    return False


# -- what is served ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "data", "content_type"),
    [
        ("", b"<h1>index</h1>", "text/html; charset=utf-8"),
        ("index.html", b"<h1>index</h1>", "text/html; charset=utf-8"),
        ("a.txt", b"0123456789", "text/plain; charset=utf-8"),
        ("a b&c.txt", b"odd", "text/plain; charset=utf-8"),
        ("nothing.css", b"", "text/css; charset=utf-8"),
        ("sub/", b"<h1>sub</h1>", "text/html; charset=utf-8"),
        ("sub/deep/b.js", b"b", "text/javascript; charset=utf-8"),
    ],
)
async def test_files_and_index_files_are_served(root: Path, rest: str, data: bytes, content_type: str) -> None:
    response = await get(static_files(root), rest)
    assert (response.status, await data_of(response)) == (200, data)
    assert response.headers["Content-Type"] == content_type
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-cache"
    assert {"ETag", "Last-Modified", "Accept-Ranges"} <= {name for name, _ in response.headers.items()}


@pytest.mark.parametrize(("size", "kind"), [(WHOLE_SIZE, bytes), (WHOLE_SIZE + 1, FileBody)])
async def test_small_files_are_read_at_once_and_large_ones_in_parts(root: Path, size: int, kind: type) -> None:
    data = os.urandom(size)
    (root / "x.bin").write_bytes(data)
    response = await get(static_files(root), "x.bin")
    assert isinstance(response.body, kind)
    assert response.body_size == size
    assert await data_of(response) == data


@pytest.mark.parametrize("size", [10, WHOLE_SIZE + 10])
async def test_ranges_and_conditions_hold_for_small_and_large_files(root: Path, size: int) -> None:
    data = os.urandom(size)
    (root / "x.bin").write_bytes(data)
    files = static_files(root)
    part = await get(files, "x.bin", {"Range": "bytes=-3"})
    assert (part.status, await data_of(part)) == (206, data[-3:])
    assert part.headers["Content-Range"] == f"bytes {size - 3}-{size - 1}/{size}"
    same = await get(files, "x.bin", {"If-None-Match": part.headers["ETag"]})
    assert (same.status, same.body) == (304, b"")
    assert "content-type" not in same.headers
    same = await get(files, "x.bin", {"If-Modified-Since": part.headers["Last-Modified"]})
    assert same.status == 304
    beyond = await get(files, "x.bin", {"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")


async def test_head_is_answered_like_get(root: Path) -> None:
    files = static_files(root)
    got, asked = await get(files, "a.txt"), await get(files, "a.txt", {"Range": "bytes=0-1"}, method="HEAD")
    assert (asked.status, asked.body_size, asked.headers) == (200, 10, got.headers)


async def test_a_changed_file_has_another_entity_tag(root: Path) -> None:
    files = static_files(root)
    tag = (await get(files, "a.txt")).headers["ETag"]
    (root / "a.txt").write_bytes(b"changed")
    changed = await get(files, "a.txt", {"If-None-Match": tag})
    assert (changed.status, changed.body) == (200, b"changed")


async def test_the_size_of_a_small_file_is_what_was_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fstat

    def shrinking(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        (root / "a.txt").write_bytes(b"012")
        return status

    monkeypatch.setattr(os, "fstat", shrinking)
    response = await get(static_files(root), "a.txt", {"Range": "bytes=0-99"})
    assert response.headers["Content-Range"] == "bytes 0-2/3"


async def test_options(root: Path) -> None:
    files = static_files(root, index="a.txt", hidden=True, cache_control="max-age=60", parameter="name")
    response = await files(make_request(params={"name": ""}))
    assert (response.body, response.headers["Cache-Control"]) == (b"0123456789", "max-age=60")
    assert (await files(make_request(params={"name": ".env"}))).body == SECRET


async def test_responses_do_not_share_their_headers(root: Path) -> None:
    files = static_files(root)
    (await get(files, "a.txt")).headers["X-A"] = "1"
    assert "x-a" not in (await get(files, "a.txt")).headers


# -- directories ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "query", "location"),
    [("sub", "", "./sub/"), ("sub", "?a=//b&c", "./sub/?a=//b&c"), ("x y", "", "./x%20y/")],
)
async def test_a_directory_without_a_slash_is_sent_to_the_one_with(
    root: Path, rest: str, query: str, location: str
) -> None:
    (root / "x y").mkdir()
    (root / "x y" / "index.html").write_bytes(b"")
    response = await get(static_files(root), rest, query=query)
    assert (response.status, response.headers["Location"], response.body) == (307, location, b"")


async def test_the_name_of_a_directory_cannot_send_to_another_host(root: Path) -> None:
    (root / "sub" / "https:").mkdir()
    (root / "sub" / "https:" / "index.html").write_bytes(b"")
    response = await get(static_files(root), "sub/https:")
    assert response.headers["Location"] == "./https%3A/"


async def test_a_query_does_not_redirect_anything_else(root: Path) -> None:
    response = await get(static_files(root), "a.txt", query="?v=2")
    assert (response.status, response.headers.get("location")) == (200, None)


@pytest.mark.parametrize("rest", ["empty", "empty/", "sub/deep", "sub/deep/"])
async def test_a_directory_without_an_index_is_404_and_never_a_listing(root: Path, rest: str) -> None:
    assert await refused(static_files(root), rest)


@pytest.mark.parametrize("rest", ["", "sub", "sub/"])
async def test_directories_are_404_without_index_files(root: Path, rest: str) -> None:
    assert await refused(static_files(root, index=""), rest)


async def test_an_index_that_is_a_directory_is_404(root: Path) -> None:
    (root / "empty" / "index.html").mkdir()
    assert await refused(static_files(root), "empty/")


def test_the_directory_must_exist(root: Path) -> None:
    for name in ("none", "a.txt"):
        path = root / name
        with pytest.raises(ConfigurationError) as caught:
            static_files(path)
        assert str(caught.value) == f"static directory {str(path)!r} does not exist"


def test_repr_shows_the_directory(root: Path) -> None:
    assert repr(str(root)) in repr(static_files(root))


# -- what is not ------------------------------------------------------------------------------------------------------

TRAVERSALS = [
    "../secret",
    "..",
    "../",
    "./a.txt",
    ".",
    "sub/../a.txt",
    "sub/../../secret",
    "sub/./index.html",
    "../www-private/secret",
    "..\\secret",
    "sub\\..\\..\\secret",
    "a.txt\\",
    "/etc/passwd",
    "//etc/passwd",
    "sub//index.html",
    "sub//",
    "//",
    "/",
    "a.txt\0",
    "a.txt\0.html",
    "\0",
    "\ud800",
    "a.txt/",
    "a.txt/b",
    "none",
    "none/",
    "x" * 5000,
    "x/" * 5000,
    ".env",
    ".git/config",
    "sub/.git",
    "...",
    "C:\\windows",
    "a.txt\n",
]


@pytest.mark.parametrize("rest", TRAVERSALS)
async def test_nothing_else_is_served(root: Path, rest: str) -> None:
    assert await refused(static_files(root), rest)


@pytest.mark.parametrize("rest", [".", "..", "../secret", "./a.txt", "sub/.."])
async def test_hidden_files_do_not_open_the_way_up(root: Path, rest: str) -> None:
    assert await refused(static_files(root, hidden=True), rest)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret",
        "/static/%2e%2e/secret",
        "/static/%2e%2e%2fsecret",
        "/static/..%5csecret",
        "/static/%2fetc/passwd",
        "/static//etc/passwd",
        "/static/a.txt%00",
        "/static/%252e%252e/secret",
        "/static/..%c0%afsecret",
        "/static/%2e%2e/www-private/secret",
    ],
)
async def test_no_encoding_leads_out_of_the_directory(root: Path, path: str) -> None:
    table: RouteTable[StaticFiles] = RouteTable()
    table.add("/static/*", "GET", static_files(root))
    match = table.match("GET", path)
    assert isinstance(match, Match)
    with pytest.raises(HTTPError) as caught:
        await match.endpoint(make_request("GET", path, params=match.params))
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("link", "target", "rest"),
    [
        ("out", "../secret", "out"),
        ("out", "..", "out/secret"),
        ("out", "../www-private", "out/secret"),
        ("out", "/etc", "out/passwd"),
        ("sub/deep/out", "../../..", "sub/deep/out/secret"),
        ("sub/deep/index.html", "../../../secret", "sub/deep/"),
        ("loop", "loop", "loop"),
        ("dangling", "none", "dangling"),
    ],
)
async def test_a_link_does_not_lead_out_of_the_directory(root: Path, link: str, target: str, rest: str) -> None:
    (root / link).symlink_to(target)
    assert await refused(static_files(root), rest)


async def test_a_link_inside_the_directory_is_followed(root: Path) -> None:
    (root / "link").symlink_to("sub/deep")
    assert (await get(static_files(root), "link/b.js")).body == b"b"


async def test_the_directory_itself_may_be_a_link(root: Path) -> None:
    (root.parent / "current").symlink_to("www")
    assert (await get(static_files(root.parent / "current"), "a.txt")).body == b"0123456789"


async def test_only_regular_files_are_served(root: Path) -> None:
    os.mkfifo(root / "fifo")
    assert await refused(static_files(root), "fifo")


async def test_a_file_without_permission_is_404(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    assert await refused(static_files(root), "a.txt")


async def test_trouble_of_the_system_is_not_404(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        await get(static_files(root), "a.txt")


async def test_nothing_stays_open(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "empty" / "index.html").mkdir()
    (root / "large").write_bytes(bytes(WHOLE_SIZE + 1))
    files = static_files(root)
    await get(files, "a.txt")
    before = set(os.listdir("/proc/self/fd"))
    for rest in ("a.txt", "large", "fifo", "empty/", "none", "sub"):
        try:
            await get(files, rest)
        except HTTPError:
            continue
    assert set(os.listdir("/proc/self/fd")) == before


async def test_a_body_is_not_looked_at(root: Path) -> None:
    request = make_request("GET", "/static/a.txt", body=Body(), params={"*": "a.txt"})
    assert (await static_files(root)(request)).status == 200
