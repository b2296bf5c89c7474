"""Messages and events as lines of JSON: for ``--json``, and with their times for ``--record`` and ``--replay``."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self

from ...errors import ConfigurationError
from ...sse.event import Event

__all__ = ["Recorder", "decode_message", "encode_event", "encode_message", "parse_line", "replay", "to_line"]

_SHOWN: Final = 60
"""Characters of a wrong line that an error shows."""


def encode_message(message: str | bytes) -> dict[str, Any]:
    """A message as an object of JSON: ``type`` is text or binary, ``data`` the text or the bytes in base64."""
    if isinstance(message, str):
        return {"type": "text", "data": message}
    return {"type": "binary", "data": b64encode(message).decode()}


def encode_event(event: Event) -> dict[str, Any]:
    """An event as an object of JSON."""
    return {"type": event.type, "data": event.data, "id": event.id or ""}


def to_line(fields: dict[str, Any]) -> bytes:
    """One line of JSON."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def parse_line(line: bytes, where: str) -> dict[str, Any]:
    """The object of a line of JSON.

    Args:
        line: what :func:`to_line` makes.
        where: what errors call it.

    Raises:
        ConfigurationError: it is not JSON, or no object with data.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where} is not JSON: {line[:_SHOWN].decode('utf-8', 'replace')!r}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("data"), str):
        raise ConfigurationError(f"{where} is not an object with 'data' as a string")
    return fields


def decode_message(fields: dict[str, Any], where: str) -> str | bytes:
    """The message that an object stands for; text if it does not name its type.

    Raises:
        ConfigurationError: it stands for none.
    """
    data: str = fields["data"]
    kind = fields.get("type", "text")
    if not isinstance(kind, str) or kind not in _CONTENTS:
        raise ConfigurationError(f"{where} has the type {kind!r}, allowed are 'text' and 'binary'")
    try:
        if kind == "binary":
            return b64decode(data, validate=True)
        data.encode()  # a lone surrogate cannot be sent
    except ValueError as error:
        raise ConfigurationError(f"{where} has data that is not {_CONTENTS[kind]}") from error
    return data


_CONTENTS: Final = {"text": "Unicode text", "binary": "base64"}


class Recorder:
    """Writes what comes and goes into a file, with seconds since the start.

    Raises:
        ConfigurationError: the file cannot be written to.
    """

    def __init__(self, path: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._began = clock()
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise ConfigurationError(f"{path!r} cannot be written to: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def note(self, direction: str, fields: dict[str, Any]) -> None:
        """Add a line.

        Args:
            direction: "sent" or "received".
            fields: a message or an event.

        Raises:
            ConfigurationError: the file cannot be written to any more.
        """
        line = {"at": round(self._clock() - self._began, 6), "direction": direction, **fields}
        try:
            self._file.write(to_line(line))
        except OSError as error:
            raise ConfigurationError(f"{self._path!r} cannot be written to: {error.strerror}") from error


async def replay(path: str, direction: str, *, speed: float = 1.0) -> AsyncGenerator[dict[str, Any], None]:
    """What a recording has of one direction, each at its time.

    Args:
        path: of the file.
        direction: "sent" or "received"; a line that names none counts for both.
        speed: how many times faster than it was.

    Yields:
        The object of the line, and as ``where`` what errors call it.

    Raises:
        ConfigurationError: the file cannot be read, or a line is none of a recording.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, line in _lines(path):
        where = f"line {number} of {path!r}"
        fields = parse_line(line, where)
        if fields.get("direction", direction) != direction:
            continue
        at = fields.get("at", 0.0)
        if not isinstance(at, (int, float)) or not 0 <= at < 1e9:
            raise ConfigurationError(f"{where} has the time {at!r}, which is no number of seconds")
        delay = began + at / speed - loop.time()
        if delay > 0:
            await asyncio.sleep(delay)
        yield {**fields, "where": where}


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    try:
        with open(path, "rb") as file:
            yield from ((number, line.rstrip()) for number, line in enumerate(file, 1) if line.strip())
    except OSError as error:
        raise ConfigurationError(f"{path!r} cannot be read: {error.strerror}") from error
