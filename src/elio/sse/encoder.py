"""Events to bytes: the sending half of the event stream format (WHATWG HTML 9.2.5).

Each function gives whole blocks, ended by an empty line, so that blocks of different origin can follow each other. The
bytes depend on nothing else: encode once, hand the same bytes to every stream.
"""

from __future__ import annotations

from ..errors import LocalProtocolError
from .event import Event, check_retry

__all__ = ["encode_comment", "encode_event", "encode_retry"]


def encode_event(event: Event) -> bytes:
    r"""Encode one event: id, event, retry, then a ``data`` line for each line of the data.

    CR, LF and CRLF split the data into lines; nothing else does. Leading spaces and a final line end survive. Empty
    data is sent as ``data: ``, which receivers dispatch as an event with empty data.

    Raises:
        LocalProtocolError: the data has a lone surrogate, which UTF-8 cannot carry.
    """
    data = event.data
    kind = event.type
    event_id = event.id
    retry = event.retry
    if "\r" in data:
        data = data.replace("\r\n", "\n").replace("\r", "\n")
    if "\n" in data:
        data = data.replace("\n", "\ndata: ")
    if event_id is None and not kind and retry is None:
        return _encode(f"data: {data}\n\n")
    id_line = "" if event_id is None else f"id: {event_id}\n"
    type_line = f"event: {kind}\n" if kind else ""
    retry_line = "" if retry is None else f"retry: {round(retry * 1000)}\n"
    return _encode(f"{id_line}{type_line}{retry_line}data: {data}\n\n")


def encode_comment(text: str = "") -> bytes:
    """Encode a comment, which receivers ignore: it keeps proxies from closing an idle stream (9.2.7).

    Raises:
        LocalProtocolError: the text has a lone surrogate.
    """
    if not text:
        return b":\n\n"
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\n: ")
    return _encode(f": {lines}\n\n")


def encode_retry(seconds: float) -> bytes:
    """Encode a new reconnection time, in seconds, without an event. The wire has whole milliseconds.

    Raises:
        LocalProtocolError: it is negative or not finite.
    """
    check_retry(seconds)
    return b"retry: %d\n\n" % round(seconds * 1000)


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"lone surrogate {text[error.start]!r} cannot be sent as UTF-8") from error
