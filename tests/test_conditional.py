"""Tests of elio.conditional."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from elio.conditional import Facts, Selection, parse_range, select
from elio.headers import Headers

SIZE = 1000
ETAG = '"abc"'
MODIFIED = 784111777.5  # Sun, 06 Nov 1994 08:49:37 GMT and a half
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"

FACTS = Facts(SIZE, ETAG, MODIFIED)
WHOLE = Selection(200, 0, SIZE)
NOT_MODIFIED = Selection(304)
FAILED = Selection(412)
PART = Selection(206, 0, 10, "bytes 0-9/1000")


def ask(*headers: tuple[str, str], method: str = "GET", facts: Facts = FACTS) -> Selection:
    return select(method, Headers(headers), facts)


# -- facts ------------------------------------------------------------------------------------------------------------


def test_the_facts_of_a_file_are_its_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    os.utime(path, ns=(0, 784111777_500000000))
    facts = Facts.from_stat(path.stat())
    assert facts == Facts(5, '"ae1b981da166f00-5"', MODIFIED)
    assert facts.headers == [("ETag", facts.etag), ("Accept-Ranges", "bytes"), ("Last-Modified", DATE)]


def test_the_entity_tag_changes_with_size_and_nanoseconds(tmp_path: Path) -> None:
    path = tmp_path / "a"
    tags = set()
    for data, time in ((b"1", 1), (b"12", 1), (b"12", 2)):
        path.write_bytes(data)
        os.utime(path, ns=(0, time))
        tags.add(Facts.from_stat(path.stat()).etag)
    assert len(tags) == 3


def test_an_unknown_time_is_left_out() -> None:
    assert Facts(1, ETAG).headers == [("ETag", ETAG), ("Accept-Ranges", "bytes")]


def test_without_conditions_everything_is_sent() -> None:
    for method in ("GET", "HEAD", "POST"):
        assert ask(method=method) == WHOLE


# -- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        (ETAG, NOT_MODIFIED),
        (f"W/{ETAG}", NOT_MODIFIED),
        ("*", NOT_MODIFIED),
        (f'"x", {ETAG} , "y"', NOT_MODIFIED),
        (f'"a,b",W/{ETAG}', NOT_MODIFIED),
        ('"x"', WHOLE),
        ("abc", WHOLE),
        ('"ABC"', WHOLE),
        ('"x, *"', WHOLE),
        ("w/" + ETAG, WHOLE),
        ("", WHOLE),
    ],
)
def test_if_none_match_is_compared_weakly(value: str, chosen: Selection) -> None:
    assert ask(("If-None-Match", value)) == chosen
    assert ask(("If-None-Match", value), method="HEAD") == chosen
    assert ask(("If-None-Match", value), facts=Facts(SIZE, f"W/{ETAG}")) == chosen


def test_if_none_match_may_stand_in_several_lines() -> None:
    assert ask(("If-None-Match", '"x"'), ("If-None-Match", ETAG)) == NOT_MODIFIED


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        (DATE, NOT_MODIFIED),
        (AFTER, NOT_MODIFIED),
        (BEFORE, WHOLE),
        ("Sunday, 06-Nov-94 08:49:37 GMT", NOT_MODIFIED),
        ("yesterday", WHOLE),
        ("784111777", WHOLE),
    ],
)
def test_if_modified_since_counts_in_whole_seconds(value: str, chosen: Selection) -> None:
    assert ask(("If-Modified-Since", value)) == chosen
    assert ask(("If-Modified-Since", value), method="HEAD") == chosen


def test_if_modified_since_does_not_count_beside_if_none_match() -> None:
    assert ask(("If-None-Match", '"x"'), ("If-Modified-Since", AFTER)) == WHOLE
    assert ask(("If-None-Match", ETAG), ("If-Modified-Since", BEFORE)) == NOT_MODIFIED


def test_dates_do_not_count_if_the_time_is_unknown() -> None:
    facts = Facts(SIZE, ETAG)
    assert ask(("If-Modified-Since", AFTER), facts=facts) == WHOLE
    assert ask(("If-Unmodified-Since", BEFORE), facts=facts) == WHOLE
    assert ask(("Range", "bytes=0-9"), ("If-Range", DATE), facts=facts) == WHOLE


@pytest.mark.parametrize(
    ("value", "chosen"),
    [(ETAG, WHOLE), ("*", WHOLE), (f'"x", {ETAG}', WHOLE), (f"W/{ETAG}", FAILED), ('"x"', FAILED), ("", FAILED)],
)
def test_if_match_is_compared_strongly(value: str, chosen: Selection) -> None:
    assert ask(("If-Match", value)) == chosen


def test_a_weak_entity_tag_never_matches_strongly() -> None:
    facts = Facts(SIZE, f"W/{ETAG}")
    assert ask(("If-Match", f"W/{ETAG}"), facts=facts) == FAILED
    assert ask(("Range", "bytes=0-9"), ("If-Range", f"W/{ETAG}"), facts=facts) == Selection(200, 0, SIZE)


@pytest.mark.parametrize(("value", "chosen"), [(DATE, WHOLE), (AFTER, WHOLE), (BEFORE, FAILED), ("x", WHOLE)])
def test_if_unmodified_since(value: str, chosen: Selection) -> None:
    assert ask(("If-Unmodified-Since", value)) == chosen


def test_if_unmodified_since_does_not_count_beside_if_match() -> None:
    assert ask(("If-Match", ETAG), ("If-Unmodified-Since", BEFORE)) == WHOLE


def test_a_failed_precondition_goes_before_not_modified() -> None:
    assert ask(("If-Match", '"x"'), ("If-None-Match", ETAG)) == FAILED


def test_conditions_are_for_get_and_head() -> None:
    assert ask(("If-None-Match", ETAG), ("If-Match", '"x"'), ("Range", "bytes=0-9"), method="POST") == WHOLE


# -- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-9", (0, 10)),
        ("bytes=10-", (10, 990)),
        ("bytes=999-999", (999, 1)),
        ("bytes=999-", (999, 1)),
        ("bytes=0-999", (0, 1000)),
        ("bytes=0-1000", (0, 1000)),
        ("bytes=500-99999999999999999999", (500, 500)),
        ("bytes=-1", (999, 1)),
        ("bytes=-1000", (0, 1000)),
        ("bytes=-1001", (0, 1000)),
        ("BYTES=0-9", (0, 10)),
        ("bytes= 0-9\t", (0, 10)),
        ("bytes=00-09", (0, 10)),
        ("bytes=1000-", (0, 0)),
        ("bytes=1000-1001", (0, 0)),
        ("bytes=99999999999999999999-", (0, 0)),
        ("bytes=-0", (1000, 0)),
    ],
)
def test_one_range_is_read(value: str, found: tuple[int, int]) -> None:
    assert parse_range(value, SIZE) == found


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=9",
        "bytes=9-8",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=1_0-20",
        "bytes=1 0-20",
        "bytes=0x1-2",
        "bytes=\u0661-\u0662",
        "bytes=--1",
        "bytes=0-9,20-29",
        "bytes=0-9,",
        "bytes=" + ",".join(["0-"] * 10_000),
        "bytes=" + "0" * 31 + "-",
        "bytes=" + "9" * 100_000 + "-",
        "items=0-9",
        "0-9",
    ],
)
def test_what_is_not_one_range_is_ignored(value: str) -> None:
    assert parse_range(value, SIZE) is None


@pytest.mark.parametrize(
    ("value", "found"), [("bytes=0-", (0, 0)), ("bytes=0-0", (0, 0)), ("bytes=-1", None), ("bytes=-0", (0, 0))]
)
def test_ranges_of_nothing(value: str, found: tuple[int, int] | None) -> None:
    assert parse_range(value, 0) == found


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        ("bytes=0-9", PART),
        ("bytes=-1", Selection(206, 999, 1, "bytes 999-999/1000")),
        ("bytes=0-", Selection(206, 0, 1000, "bytes 0-999/1000")),
        ("bytes=1000-", Selection(416, content_range="bytes */1000")),
        ("bytes=-0", Selection(416, content_range="bytes */1000")),
        ("bytes=0-9,20-29", WHOLE),
        ("items=0-9", WHOLE),
    ],
)
def test_a_range_makes_206_or_416_or_is_ignored(value: str, chosen: Selection) -> None:
    assert ask(("Range", value)) == chosen


def test_a_range_of_an_empty_file_cannot_be_had() -> None:
    empty = Facts(0, ETAG)
    assert ask(("Range", "bytes=0-"), facts=empty) == Selection(416, content_range="bytes */0")
    assert ask(("Range", "bytes=-5"), facts=empty) == Selection(200, 0, 0)


def test_two_range_headers_are_ignored() -> None:
    assert ask(("Range", "bytes=0-9"), ("Range", "bytes=0-9")) == WHOLE


def test_only_get_has_ranges() -> None:
    assert ask(("Range", "bytes=0-9"), method="HEAD") == WHOLE


def test_not_modified_goes_before_the_range() -> None:
    assert ask(("Range", "bytes=0-9"), ("If-None-Match", ETAG)) == NOT_MODIFIED


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        (ETAG, PART),
        ('"x"', WHOLE),
        (f"W/{ETAG}", WHOLE),
        (DATE, PART),
        (BEFORE, WHOLE),
        (AFTER, WHOLE),
        ("nonsense", WHOLE),
    ],
)
def test_if_range_must_name_exactly_what_is_here(value: str, chosen: Selection) -> None:
    assert ask(("Range", "bytes=0-9"), ("If-Range", value)) == chosen


def test_if_range_alone_means_nothing() -> None:
    assert ask(("If-Range", '"x"')) == WHOLE
