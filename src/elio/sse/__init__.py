"""Server-Sent Events (WHATWG HTML 9.2), both sides, without I/O."""

from .encoder import encode_comment, encode_event, encode_retry
from .event import CONTENT_TYPE, Comment, Event
from .parser import MAX_RETRY, Parser

__all__ = [
    "CONTENT_TYPE",
    "MAX_RETRY",
    "Comment",
    "Event",
    "Parser",
    "encode_comment",
    "encode_event",
    "encode_retry",
]
