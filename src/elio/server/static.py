"""A directory of files as an endpoint.

Only regular files below the directory are served, after every symbolic link is resolved; whatever else is asked for is
404, and there are no listings. Not here: compression, and files that change while they are sent: those break off.

Whoever may write into the directory is trusted: a directory that is exchanged for a symbolic link between the check and
the opening of a file is followed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from ..conditional import Facts
from ..errors import ConfigurationError, HTTPError
from ..file_body import FileBody, identity_of
from ..headers import Headers
from ..request import Request
from ..response import Response, content_type_of

__all__ = ["StaticFiles", "static_files"]

WHOLE_SIZE: Final = 64 * 1024
"""Bytes up to which a file is read at once, where it is looked up; larger ones are opened again when they are sent."""

# What the name alone can cause. Anything else, such as too many open files, is not the client's doing and stays an
# error.
_ABSENT: Final = frozenset(
    {
        errno.EACCES,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
    }
)
# A FIFO would block the opening; after resolving there is no link left to follow. Windows has none of these.
_FLAGS: Final = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")
)


def static_files(
    directory: str | os.PathLike[str],
    *,
    index: str = "index.html",
    hidden: bool = False,
    cache_control: str = "no-cache",
    parameter: str = "*",
) -> StaticFiles:
    """Make an endpoint for a pattern that ends with the rest of the path, such as ``/static/*``.

    Args:
        directory: the files; its own path is resolved once, here.
        index: the file that stands for a directory; empty: directories are 404.
        hidden: whether names that start with a dot are served.
        cache_control: the ``Cache-Control`` of every file; by default caches ask each time, and mostly get 304.
        parameter: the name of the rest in the pattern.

    Raises:
        ConfigurationError: there is no such directory.
    """
    root = os.path.realpath(directory)
    if not os.path.isdir(root):
        raise ConfigurationError(f"static directory {os.fspath(directory)!r} does not exist")
    headers = (("Cache-Control", cache_control), ("X-Content-Type-Options", "nosniff"))
    return StaticFiles(root, index, hidden, Headers(headers), parameter)


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """The endpoint that :func:`static_files` makes.

    Attributes:
        root: the directory, resolved.
        index: as given.
        hidden: as given.
        headers: those of every file.
        parameter: as given.
    """

    root: str
    index: str
    hidden: bool
    headers: Headers
    parameter: str

    async def __call__(self, request: Request) -> Response:
        """Answer a GET or HEAD request, conditions and ranges included.

        Raises:
            HTTPError: 404.
        """
        response = await asyncio.to_thread(self._respond, request.params[self.parameter])
        if response.status == 307 and request.query_string:
            response.headers["Location"] += f"?{request.query_string}"
        return response.select(request.method, request.headers)

    def _respond(self, rest: str) -> Response:
        try:
            return self._find(rest)
        except ValueError as error:
            raise HTTPError(404) from error
        except OSError as error:
            if error.errno in _ABSENT:
                raise HTTPError(404) from error
            raise

    def _find(self, rest: str) -> Response:
        path = self._resolve(self._components(rest))
        is_directory = os.path.isdir(path)
        if is_directory:
            if not self.index:
                raise HTTPError(404)
            path = self._resolve([path, self.index])
        elif rest.endswith("/"):
            raise HTTPError(404)
        response = _open(path, self.headers)
        if is_directory and rest and not rest.endswith("/"):
            # Relative, so that no path that a client made up can lead to another host.
            return Response.redirect(f"./{quote(rest.rpartition('/')[2], safe='')}/", status=307)
        return response

    def _components(self, rest: str) -> list[str]:
        components = rest.removesuffix("/").split("/") if rest else []
        for name in components:
            if name in ("", ".", "..") or "\\" in name or "\0" in name or (name.startswith(".") and not self.hidden):
                raise HTTPError(404)
        return components

    def _resolve(self, components: list[str]) -> str:
        path = os.path.realpath(os.path.join(self.root, *components), strict=True)
        if os.path.commonpath([self.root, path]) != self.root:
            raise HTTPError(404)
        return path


def _open(path: str, headers: Headers) -> Response:
    """The response for a regular file: all facts come from what was opened."""
    with open(path, "rb", buffering=0, opener=_opener) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise HTTPError(404)
        facts = Facts.from_stat(status)
        body: bytes | FileBody = FileBody(path, 0, status.st_size, identity_of(status))
        if status.st_size <= WHOLE_SIZE:
            body = file.read(WHOLE_SIZE)
            facts = Facts(len(body), facts.etag, facts.modified)
    return Response.with_facts(body, facts, headers=headers, content_type=content_type_of(path))


def _opener(path: str, _: int) -> int:
    return os.open(path, _FLAGS)
