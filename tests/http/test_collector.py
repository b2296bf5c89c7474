from __future__ import annotations

import pytest

from elio.errors import RemoteProtocolError
from elio.http.collector import HeadCollector, measure_head, split_head
from elio.http.head import check_request_line
from elio.limits import Limits
from support.frames import ways

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
HEAD_SIZE = 9 + 6


def collector(limits: Limits | None = None) -> HeadCollector:
    return HeadCollector(limits or Limits(), check_request_line, empty_lines=1)


def collect(pieces: list[bytes], limits: Limits | None = None) -> tuple[bytes, bytes] | None:
    """What comes out of the pieces: the head, and the rest with the pieces that were not needed."""
    subject = collector(limits)
    for index, piece in enumerate(pieces):
        found = subject.collect(piece)
        if found is not None:
            return found[0], found[1] + b"".join(pieces[index + 1 :])
    return None


def refusal(pieces: list[bytes], limits: Limits | None = None) -> tuple[int, int]:
    """The status, and how many bytes it took."""
    subject = collector(limits)
    taken = 0
    for piece in pieces:
        taken += len(piece)
        try:
            assert subject.collect(piece) is None
        except RemoteProtocolError as error:
            return error.status, taken
    raise AssertionError(f"{pieces} was not refused")


@pytest.mark.parametrize("rest", [b"", b"abc", b"\x81\x00", HEAD, b"\r\n\r\n"])
def test_the_head_and_what_follows_it(rest: bytes) -> None:
    for pieces in ways(HEAD + rest, seed=len(rest)):
        assert collect(pieces) == (HEAD, rest)


def test_a_head_without_headers() -> None:
    for pieces in ways(b"GET / HTTP/1.0\r\n\r\n", seed=1):
        assert collect(pieces) == (b"GET / HTTP/1.0\r\n\r\n", b"")


def test_an_unfinished_head_is_waited_for() -> None:
    for size in range(len(HEAD)):
        for pieces in ways(HEAD[:size], seed=size):
            assert collect(pieces) is None


def test_started_until_the_end_has_come() -> None:
    subject = collector()
    assert not subject.started
    subject.collect(b"G")
    assert subject.started
    subject.collect(HEAD[1:])
    assert not subject.started


def test_one_head_after_the_other() -> None:
    subject = collector()
    for _ in range(3):
        for piece in (b"\r", b"\n" + HEAD[:9], HEAD[9:20]):
            assert subject.collect(piece) is None
        assert subject.collect(HEAD[20:] + b"rest") == (HEAD, b"rest")


def test_a_head_is_measured_in_header_lines() -> None:
    assert measure_head(HEAD) == (HEAD_SIZE, 2)
    assert measure_head(b"GET / HTTP/1.0\r\n\r\n") == (0, 0)


@pytest.mark.parametrize("rest", [b"", b"abc", HEAD])
def test_data_that_begins_with_a_whole_head_is_split_at_once(rest: bytes) -> None:
    assert split_head(HEAD + rest, Limits()) == (HEAD, rest)


@pytest.mark.parametrize("data", [b"", HEAD[:-1], b"\r\n" + HEAD, b"\r\n\r\n" + HEAD])
def test_what_is_no_whole_head_is_left_to_the_collector(data: bytes) -> None:
    assert split_head(data, Limits()) is None


def test_a_whole_head_is_held_against_the_limits() -> None:
    with pytest.raises(RemoteProtocolError, match="start line of 14 bytes, limit 13"):
        split_head(HEAD, Limits(max_request_line_size=13))
    with pytest.raises(RemoteProtocolError, match="2 header lines, limit 1"):
        split_head(HEAD, Limits(max_headers=1))


def test_one_empty_line_before_a_head_is_ignored() -> None:
    for pieces in ways(b"\r\n" + HEAD, seed=2):
        assert collect(pieces) == (HEAD, b"")
    subject = collector()
    assert subject.collect(b"\r\n") is None
    assert not subject.started


def test_two_empty_lines_are_not() -> None:
    for pieces in ways(b"\r\n\r\n", seed=3)[1:]:
        assert refusal(pieces) == (400, 4)
    assert collect([b"\r\n\r\n\r\n" + HEAD]) == (b"\r\n\r\n", HEAD)  # this head is refused when it is parsed


def test_none_is_ignored_where_none_is_allowed() -> None:
    subject = HeadCollector(Limits(), check_request_line, empty_lines=0)
    with pytest.raises(RemoteProtocolError):
        subject.collect(b"\r\n")


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (b"\nGET / HTTP/1.1\r\n", 1),
        (b"\rGET / HTTP/1.1\r\n", 2),
        (b"GET / HTTP/1.1\nHost: a\r\n", 15),
        (b"GET / HTTP/1.1\rHost: a\r\n", 16),
        (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n", 24),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n", 30),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 26),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\ra", 27),
        (b"GET / HTTP/1.1\r\nHost: a\r\rX", 25),
        (b"GET / HTTP/1.1\r\nHost: a\x00", 24),
        (b"GET / HTTP/1.1\r\nHost: a\x0b", 24),
        (b"GET / HTTP/1.1\r\nHost: a\x7f", 24),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 1),  # a TLS ClientHello
        (b"GET /\r\n", 7),
        (b"hello\r\n", 7),
    ],
)
def test_what_cannot_become_a_head_is_refused_at_once(data: bytes, at: int) -> None:
    whole, byte_by_byte, *cut = ways(data, seed=at)
    assert refusal(byte_by_byte) == (400, at)
    for pieces in (whole, *cut):
        assert refusal(pieces)[0] == 400


def test_another_version_is_refused_at_the_end_of_its_line() -> None:
    for pieces in ways(b"GET / HTTP/2.0\r\n", seed=4):
        assert refusal(pieces) == (505, 16)


# -- limits: 14 + 2, then 9 + 6, then 2

EXACT = Limits(max_request_line_size=14, max_headers_size=15, max_headers=2)


def test_a_head_at_its_limits_passes() -> None:
    for pieces in ways(HEAD + b"rest", seed=5):
        assert collect(pieces, EXACT) == (HEAD, b"rest")


@pytest.mark.parametrize(
    ("limits", "status", "latest"),
    [
        (Limits(max_request_line_size=13), 414, 15),
        (Limits(max_headers_size=14), 431, 16 + 14 + 2),
        (Limits(max_headers=1), 431, 16 + 9 + 6),
        (Limits(max_headers=0), 431, 16 + 9),
    ],
)
def test_a_head_one_over_a_limit_is_refused_before_more_is_kept(limits: Limits, status: int, latest: int) -> None:
    whole, byte_by_byte, *cut = ways(HEAD, seed=latest)
    got, taken = refusal(byte_by_byte, limits)
    assert got == status
    assert taken <= latest
    for pieces in (whole, *cut):
        assert refusal(pieces, limits)[0] == status


@pytest.mark.parametrize(
    ("start", "filler", "status"),
    [
        (b"", b"A", 414),
        (b"GET /", b"a", 414),
        (b"GET / HTTP/1.1\r\n", b"a", 431),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n", 431),
        (b"GET / HTTP/1.1\r\na:", b" ", 431),
    ],
)
@pytest.mark.parametrize("times", [1, 7, 1000, 70000])
def test_an_endless_head_is_refused_whatever_the_cuts(start: bytes, filler: bytes, status: int, times: int) -> None:
    limits = Limits()
    pieces = [start] + [filler * times] * (50_000 // (len(filler) * times) + 1)
    got, taken = refusal(pieces, limits)
    assert got == status
    assert taken <= limits.max_request_line_size + limits.max_headers_size + len(filler) * times


def test_a_dribbled_head_costs_each_byte_once() -> None:
    subject = collector()
    subject.collect(b"GET / HTTP/1.1\r\n")
    for _ in range(20000):
        assert subject.collect(b"a") is None
    assert subject._scanned == 20016
