"""Server-Sent Events (WHATWG HTML 9.2), both sides, without I/O."""

from .encoder import encode_comment, encode_event, encode_retry
from .event import CONTENT_TYPE, Comment, Event
from .parser import MAX_RETRY, Parser
from .reconnection import (
    DEFAULT_RECONNECTION_TIME,
    Reconnection,
    Verdict,
    classify_leniently,
    classify_response,
    decode_last_event_id,
    encode_last_event_id,
    is_event_stream,
    parse_retry_after,
)

__all__ = [
    "CONTENT_TYPE",
    "DEFAULT_RECONNECTION_TIME",
    "MAX_RETRY",
    "Comment",
    "Event",
    "Parser",
    "Reconnection",
    "Verdict",
    "classify_leniently",
    "classify_response",
    "decode_last_event_id",
    "encode_comment",
    "encode_event",
    "encode_last_event_id",
    "encode_retry",
    "is_event_stream",
    "parse_retry_after",
]
