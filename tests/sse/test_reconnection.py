"""When and how an event stream is asked for again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.errors import InvalidHeader, LocalProtocolError
from elio.headers import check_header
from elio.sse.parser import MAX_RETRY
from elio.sse.reconnection import (
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

STREAM = "text/event-stream"
NOVEMBER = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110 5.6.7


def least() -> float:
    """Randomness that adds nothing."""
    return 0.0


def half() -> float:
    return 0.5


# -- what a response means (9.2.3) -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "text/event-stream",
        "text/event-stream; charset=utf-8",
        "text/event-stream;charset=windows-1252",
        "Text/Event-Stream",
        "text/event-stream;",
        "text/event-stream;x bogus",
        " text/event-stream ",
        "text/event-stream\t; a=b",
    ],
)
def test_type_of_an_event_stream_is_known_by_its_essence(content_type: str) -> None:
    assert is_event_stream(content_type)
    assert classify_response(200, content_type) is Verdict.OPEN


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/x-bogus",
        "text/event-stream-x",
        "xtext/event-stream",
        "text / event-stream",
        "a;text/event-stream",
    ],
)
def test_any_other_type_fails_for_good(content_type: str) -> None:
    assert not is_event_stream(content_type)
    assert classify_response(200, content_type) is Verdict.FAIL
    assert classify_leniently(200, content_type) is Verdict.FAIL


@pytest.mark.parametrize(
    "status", [101, 201, 202, 205, 206, 210, 299, 304, 400, 401, 404, 410, 429, 500, 502, 503, 599]
)
def test_any_status_but_200_fails_for_good(status: int) -> None:
    assert classify_response(status, STREAM) is Verdict.FAIL


@pytest.mark.parametrize("content_type", ["", STREAM, "text/plain"])
def test_204_asks_to_stop(content_type: str) -> None:
    assert classify_response(204, content_type) is Verdict.STOP
    assert classify_leniently(204, content_type) is Verdict.STOP


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_lenient_judgement_tries_passing_trouble_again(status: int) -> None:
    assert classify_leniently(status, "text/html") is Verdict.RETRY


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, Verdict.OPEN), (400, Verdict.FAIL), (500, Verdict.FAIL), (501, Verdict.FAIL)]
)
def test_lenient_judgement_is_strict_otherwise(status: int, verdict: Verdict) -> None:
    assert classify_leniently(status, STREAM) is verdict


# -- the last event ID (9.2.4) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last_event_id", "value"),
    [
        ("1", b"1"),
        ("epoch:42", b"epoch:42"),
        ("…", b"\xe2\x80\xa6"),
        ("ü 😀", "ü 😀".encode()),
        ("a\tb", b"a\tb"),
        (" 1 ", b"1"),
        ("\ud800", b"?"),
    ],
)
def test_last_event_id_goes_back_as_utf_8(last_event_id: str, value: bytes) -> None:
    assert encode_last_event_id(last_event_id) == value


@pytest.mark.parametrize("last_event_id", ["", " ", "\t", "\x01", "a\x1fb", "a\x7f", "a\rb", "a\nb", "a\0b", "\x08"])
def test_header_is_left_out_if_there_is_nothing_it_could_carry(last_event_id: str) -> None:
    assert encode_last_event_id(last_event_id) is None


@given(st.text())
def test_every_value_stands_in_a_header(last_event_id: str) -> None:
    value = encode_last_event_id(last_event_id)
    if value is not None:
        check_header("Last-Event-ID", value.decode("latin-1"))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_server_reads_what_the_client_sent(last_event_id: str) -> None:
    value = encode_last_event_id(last_event_id)
    assert decode_last_event_id((value or b"").decode("latin-1")) == last_event_id.strip(" \t")


def test_server_reads_any_header_value() -> None:
    assert decode_last_event_id("\xe2\x80\xa6") == "…"
    assert decode_last_event_id("\xff") == "\ufffd"
    assert decode_last_event_id("€") == "?"
    assert decode_last_event_id("") == ""


def test_last_event_id_is_carried() -> None:
    reconnection = Reconnection(random=least, last_event_id="1")
    assert (reconnection.last_event_id, reconnection.last_event_id_header()) == ("1", b"1")
    reconnection.last_event_id = "ü"
    reconnection.lost(0)
    assert (reconnection.last_event_id, reconnection.last_event_id_header()) == ("ü", b"\xc3\xbc")
    reconnection.last_event_id = ""
    assert reconnection.last_event_id_header() is None


@pytest.mark.parametrize("last_event_id", ["a\rb", "a\nb", "\0", "\ud800"])
def test_first_last_event_id_must_be_one_that_could_be_sent(last_event_id: str) -> None:
    with pytest.raises(InvalidHeader):
        Reconnection(random=least, last_event_id=last_event_id)


# -- Retry-After (RFC 9110 10.2.3) -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("007", 7.0),
        ("999999999", 999_999_999.0),
        ("1" * 10, MAX_RETRY),
        ("9" * 5000, MAX_RETRY),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    assert parse_retry_after(value, unix_time=NOVEMBER) == seconds


@pytest.mark.parametrize(
    "value", ["", "-1", "1.5", "soon", "²", "٣", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 99999 08:49:37 GMT"]
)
def test_retry_after_that_nobody_understands_says_nothing(value: str) -> None:
    assert parse_retry_after(value, unix_time=NOVEMBER) is None


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d\d \w{3} \d{1,5} \d\d:\d\d:\d\d \S{0,6}", fullmatch=True))
def test_retry_after_raises_nothing(value: str) -> None:
    seconds = parse_retry_after(value, unix_time=NOVEMBER)
    assert seconds is None or seconds >= 0


# -- how long to wait --------------------------------------------------------------------------------------------------


def live(reconnection: Reconnection, now: float, seconds: float, *, events: int = 1) -> float | None:
    """One stream that lives so long and gives so many events; the wait after it."""
    reconnection.opened(now)
    for _ in range(events):
        reconnection.received()
    return reconnection.lost(now + seconds)


def test_default_reconnection_time_is_three_seconds() -> None:
    reconnection = Reconnection(random=least)
    assert reconnection.reconnection_time == DEFAULT_RECONNECTION_TIME == 3.0
    assert live(reconnection, 0, 100) == 3.0


def test_reconnection_time_can_be_configured() -> None:
    reconnection = Reconnection(random=least, reconnection_time=0.3)
    assert live(reconnection, 0, 100) == 0.3


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_reconnection_time_must_be_a_time(seconds: float) -> None:
    with pytest.raises(LocalProtocolError):
        Reconnection(random=least, reconnection_time=seconds)


def test_retry_of_the_server_is_honoured_from_then_on() -> None:
    reconnection = Reconnection(random=least)
    reconnection.set_retry(7.5)
    assert live(reconnection, 0, 100) == 7.5
    assert live(reconnection, 200, 100) == 7.5


def test_retry_has_a_floor_so_that_zero_is_no_hammer() -> None:
    reconnection = Reconnection(random=least)
    reconnection.set_retry(0)
    assert live(reconnection, 0, 100) == reconnection.reconnection_time == 0.1
    reconnection = Reconnection(random=least, min_time=1.0)
    reconnection.set_retry(0.5)
    assert reconnection.reconnection_time == 1.0


def test_retry_has_a_ceiling() -> None:
    reconnection = Reconnection(random=least)
    reconnection.set_retry(1e9)
    assert reconnection.reconnection_time == MAX_RETRY
    reconnection = Reconnection(random=least, max_time=30)
    reconnection.set_retry(31)
    assert reconnection.reconnection_time == 30


def test_stable_stream_is_reconnected_with_a_small_spread() -> None:
    assert live(Reconnection(random=half), 0, 100) == 3.0 + 0.5 * 0.25 * 3.0
    assert live(Reconnection(random=half, spread=0), 0, 100) == 3.0


def test_backoff_doubles_with_each_failure_up_to_its_ceiling() -> None:
    reconnection = Reconnection(random=half)
    waits = [reconnection.lost(now) for now in range(8)]
    assert waits == [3 + 3, 3 + 6, 3 + 12, 3 + 24, 3 + 30, 3 + 30, 3 + 30, 3 + 30]


def test_backoff_is_full_jitter_above_the_reconnection_time() -> None:
    low, high = Reconnection(random=least), Reconnection(random=lambda: 1.0)
    assert [low.lost(now) for now in range(4)] == [3.0] * 4
    assert [high.lost(now) for now in range(4)] == [3 + 6, 3 + 12, 3 + 24, 3 + 48]


def test_backoff_grows_from_the_retry_of_the_server() -> None:
    reconnection = Reconnection(random=half)
    reconnection.set_retry(1)
    assert [reconnection.lost(now) for now in range(3)] == [2, 3, 5]


def test_backoff_grows_even_from_a_reconnection_time_of_zero() -> None:
    reconnection = Reconnection(random=half, reconnection_time=0)
    assert [reconnection.lost(now) for now in range(3)] == [0.1, 0.2, 0.4]


def test_backoff_never_overflows() -> None:
    reconnection = Reconnection(random=half)
    waits = [reconnection.lost(now) for now in range(5000)]
    assert waits[-1] == 33.0


def test_failures_are_forgotten_after_a_stable_stream() -> None:
    reconnection = Reconnection(random=half, spread=0)
    for now in range(4):
        reconnection.lost(now)
    assert live(reconnection, 10, 5) == 3.0
    assert reconnection.lost(30) == 6.0


@pytest.mark.parametrize(("seconds", "events"), [(4.9, 100), (5.0, 0), (59.9, 0), (0.0, 0)])
def test_stream_that_was_short_or_silent_counts_as_a_failure(seconds: float, events: int) -> None:
    reconnection = Reconnection(random=half)
    assert live(reconnection, 0, seconds, events=events) == 6.0
    assert live(reconnection, 100, seconds, events=events) == 9.0


@pytest.mark.parametrize(("seconds", "events"), [(5.0, 1), (60.0, 0), (1000.0, 3)])
def test_stream_that_lived_and_gave_an_event_or_lived_very_long_is_stable(seconds: float, events: int) -> None:
    reconnection = Reconnection(random=half, spread=0)
    reconnection.lost(0)
    assert live(reconnection, 10, seconds, events=events) == 3.0


def test_events_of_an_earlier_stream_do_not_count() -> None:
    reconnection = Reconnection(random=half)
    live(reconnection, 0, 100)
    assert live(reconnection, 200, 10, events=0) == 6.0


def test_life_of_an_earlier_stream_does_not_count() -> None:
    reconnection = Reconnection(random=half)
    live(reconnection, 0, 100)
    assert reconnection.lost(300) == 6.0


def test_servers_that_end_the_stream_behind_each_event_are_polled_at_their_pace() -> None:
    reconnection = Reconnection(random=least, stable_time=0)
    reconnection.set_retry(1)
    assert [live(reconnection, now, 0) for now in range(5)] == [1.0] * 5
    assert live(reconnection, 10, 0, events=0) == 1.0
    assert reconnection.attempts == 2


def test_flapping_server_is_not_hit_at_a_constant_pace() -> None:
    source = random.Random(3)
    reconnection = Reconnection(random=source.random)
    reconnection.set_retry(0)
    now = 0.0
    requests = 0
    while now < 90:
        requests += 1
        wait = live(reconnection, now, 0.01)
        assert wait is not None
        now += 0.01 + wait
    assert requests < 20


def test_clients_that_lose_one_server_do_not_come_back_at_once() -> None:
    source = random.Random(4)
    waits = [live(Reconnection(random=source.random), 0, 100) or 0 for _ in range(1000)]
    assert min(waits) >= 3.0
    assert max(waits) < 3.75
    assert len({round(wait, 2) for wait in waits}) > 60


# -- Retry-After and attempts ------------------------------------------------------------------------------------------


def test_retry_after_is_waited_for_at_least() -> None:
    reconnection = Reconnection(random=least)
    assert reconnection.lost(0, retry_after=20) == 20
    assert reconnection.lost(30, retry_after=1) == 3
    assert reconnection.reconnection_time == 3


def test_retry_after_is_spread_too() -> None:
    assert Reconnection(random=half).lost(0, retry_after=20) == 23


def test_retry_after_has_a_ceiling() -> None:
    assert Reconnection(random=least).lost(0, retry_after=1e9) == MAX_RETRY
    assert Reconnection(random=least, max_time=10).lost(0, retry_after=11) == 10


def test_attempts_in_a_row_are_bounded() -> None:
    reconnection = Reconnection(random=least, max_attempts=2)
    assert reconnection.attempts == 0
    assert [reconnection.lost(now) for now in range(4)] == [3.0, 3.0, None, None]
    assert reconnection.attempts == 2


def test_attempts_are_counted_anew_after_a_stable_stream() -> None:
    reconnection = Reconnection(random=least, max_attempts=1)
    assert reconnection.lost(0) == 3.0
    assert live(reconnection, 10, 10) == 3.0
    assert live(reconnection, 30, 0) is None


def test_no_attempts_means_never_again() -> None:
    assert live(Reconnection(random=least, max_attempts=0), 0, 100) is None


def test_attempts_are_not_bounded_by_default() -> None:
    reconnection = Reconnection(random=least)
    assert None not in [reconnection.lost(now) for now in range(1000)]
    assert reconnection.attempts == 1000


def test_a_day_of_trouble_on_a_virtual_clock() -> None:
    source = random.Random(5)
    reconnection = Reconnection(random=source.random)
    now = 0.0
    attempts = 0
    while now < 86_400:
        wait = reconnection.lost(now)
        assert wait is not None
        assert 3 <= wait <= 63
        now += wait
        attempts += 1
    assert 86_400 / 40 < attempts < 86_400 / 25


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.booleans(), st.none() | st.floats(0, 1e6)), max_size=30),
    st.floats(0, 100),
    st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_within_its_bounds(
    lives: list[tuple[float, bool, bool, float | None]], retry: float, chance: float
) -> None:
    reconnection = Reconnection(random=lambda: chance)
    reconnection.set_retry(retry)
    now = 0.0
    for seconds, opened, received, retry_after in lives:
        if opened:
            reconnection.opened(now)
        if received:
            reconnection.received()
        now += seconds
        wait = reconnection.lost(now, retry_after=retry_after)
        asked = max(reconnection.reconnection_time, min(retry_after or 0, MAX_RETRY))
        assert wait is not None
        assert asked <= wait <= asked + 60
        now += wait
