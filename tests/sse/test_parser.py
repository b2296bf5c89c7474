"""The parser against every sentence of WHATWG HTML 9.2.5 and 9.2.6, and beyond.

Each vector is read whole, byte by byte, in two pieces at every place and cut at random, with each kind of line end,
with and without a limit (``support.event_streams.check``).
"""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.errors import ConfigurationError, EventTooBig
from elio.sse.event import Comment, Event, received_event
from elio.sse.parser import MAX_RETRY, Parser
from support.event_streams import check, cut, message, read, ways

REPLACEMENT = "\ufffd"
BOM = b"\xef\xbb\xbf"


def parse(stream: bytes, *, limit: int | None = None, comments: bool = False) -> list[Event | Comment | EventTooBig]:
    return read([stream], Parser(max_event_size=limit, comments=comments))


# -- 9.2.5 Parsing an event stream: the grammar ------------------------------------------------------------------------


def test_empty_stream_has_no_events() -> None:
    check(b"", [])


def test_stream_may_begin_with_a_byte_order_mark() -> None:
    check(BOM + b"data: x\n\n", [message("x")])


def test_stream_may_be_a_byte_order_mark_and_nothing_else() -> None:
    check(BOM, [])


def test_event_may_be_nothing_but_its_line_end() -> None:
    check(b"\n\n\n\n", [])


def test_event_is_any_number_of_comments_and_fields() -> None:
    check(b": one\ndata: a\n: two\nfoo: bar\ndata: b\n: three\n\n", [message("a\nb")])


def test_comment_is_a_colon_and_any_characters() -> None:
    check(b":\n: : :\n:data: x\n:\xc3\xa9\n::\n\ndata: x\n\n", [message("x")])


def test_field_is_a_name_alone() -> None:
    check(b"data\n\n", [message("")])


def test_field_is_a_name_and_a_colon() -> None:
    check(b"data:\n\n", [message("")])


def test_field_is_a_name_a_colon_and_any_characters() -> None:
    check(b"data:x\n\n", [message("x")])


def test_field_is_a_name_a_colon_a_space_and_any_characters() -> None:
    check(b"data: x\n\n", [message("x")])


def test_field_value_may_have_colons() -> None:
    check(b"data::\n\ndata: a:b: c\n\n", [message(":"), message("a:b: c")])


def test_name_may_have_any_character_but_line_ends_and_colon() -> None:
    check(b"d\x00t\xc3\xa4 \t\x7f: x\ndata: y\n\n", [message("y")])


def test_value_may_have_any_character_but_line_ends() -> None:
    every = "".join(chr(i) for i in range(0x80) if i not in (10, 13)) + "\x80\x85ä\u2028\u2029\ufeff€😀"
    check(f"data: {every}\n\n".encode(), [message(every)])


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_line_ends_are_crlf_lf_and_cr(end: bytes) -> None:
    check(end.join([b"event: t", b"data: a", b"data: b", b"", b""]), [message("a\nb", type="t")])


def test_line_ends_may_be_mixed() -> None:
    check(
        b"data: a\rdata: b\ndata: c\r\n\ndata: d\n\rdata: e\r\r\ndata: f\r\n\r\n", [*map(message, ["a\nb\nc", *"def"])]
    )


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_nothing_else_ends_a_line(char: str) -> None:
    check(f"data: a{char}data: b\n\nid: 1{char}2\n\n".encode(), [message(f"a{char}data: b")], last_event_id=f"1{char}2")


def test_event_streams_are_always_utf_8() -> None:
    check("data: grüße, 世界, 😀\n\n".encode(), [message("grüße, 世界, 😀")])
    check("data: ü\n\n".encode("latin-1"), [message(REPLACEMENT)])


def test_no_line_waits_for_a_fuller_buffer() -> None:
    parser = Parser(max_event_size=None)
    assert parser.receive_data(b"data: x\n") == []
    assert parser.receive_data(b"\n") == [message("x")]


# -- 9.2.6 Interpreting an event stream: decoding ----------------------------------------------------------------------


def test_one_leading_byte_order_mark_is_dropped_and_only_one() -> None:
    check(BOM + BOM + b"data: 1\n\ndata: 2\n\n", [message("2")])


def test_byte_order_mark_later_in_the_stream_is_a_character() -> None:
    check(b"data: 1\n\n" + BOM + b"data: 2\n\ndata: " + BOM + b"3\n\n", [message("1"), message("\ufeff3")])


def test_half_a_byte_order_mark_is_invalid_text() -> None:
    check(b"\xef\xbbdata: 1\n\ndata: 2\n\n", [message("2")])
    check(b"\xef\ndata: 1\n\n", [message("1")])


def test_byte_order_mark_before_a_line_end() -> None:
    check(BOM + b"\ndata: 1\n\n", [message("1")])


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x80", REPLACEMENT),
        (b"\xff\xfe", REPLACEMENT * 2),
        (b"\xc3", REPLACEMENT),
        (b"\xc3(", REPLACEMENT + "("),
        (b"\xe2\x82", REPLACEMENT),
        (b"\xe2\x82x", REPLACEMENT + "x"),
        (b"\xf0\x9f\x98", REPLACEMENT),
        (b"\xc0\xaf", REPLACEMENT * 2),
        (b"\xe0\x80\xaf", REPLACEMENT * 3),
        (b"\xf0\x80\x80\xaf", REPLACEMENT * 4),
        (b"\xed\xa0\x80", REPLACEMENT * 3),
        (b"\xf4\x90\x80\x80", REPLACEMENT * 4),
        (b"\xf5\x80\x80\x80", REPLACEMENT * 4),
        (b"\xe2\x82\xe2\x82\xac", REPLACEMENT + "€"),
    ],
)
def test_invalid_utf_8_is_replaced_once_per_maximal_part(raw: bytes, text: str) -> None:
    check(b"data: <" + raw + b">\ndata: " + raw + b"\n\n", [message(f"<{text}>\n{text}")])


def test_invalid_utf_8_is_replaced_in_types_and_ids() -> None:
    check(b"event: \xff\nid: \xfe\ndata: x\n\n", [message("x", id=REPLACEMENT, type=REPLACEMENT)])


def test_invalid_utf_8_does_not_swallow_the_line_end() -> None:
    check(b"data: \xf0\ndata: \xe2\n\ndata: x\n\n", [message("\ufffd\n\ufffd"), message("x")])


# -- 9.2.6: lines ------------------------------------------------------------------------------------------------------


def test_crlf_pair_is_one_line_end() -> None:
    check(b"data: a\r\ndata: b\r\n\r\n", [message("a\nb")])


def test_lf_not_behind_cr_is_a_line_end() -> None:
    check(b"data: a\n\ndata: b\n\n", [message("a"), message("b")])


def test_cr_not_before_lf_is_a_line_end() -> None:
    check(b"data: a\r\rdata: b\r\r", [message("a"), message("b")])


def test_lf_before_cr_is_two_line_ends() -> None:
    check(b"data: a\n\rdata: b\n\r", [message("a"), message("b")])


def test_lone_cr_dispatches_at_once_on_an_open_stream() -> None:
    parser = Parser(max_event_size=None)
    assert parser.receive_data(b"data: a\r\r") == [message("a")]
    assert parser.receive_data(b"\ndata: b\r") == []
    assert parser.receive_data(b"\r") == [message("b")]


def test_lf_behind_a_cr_of_an_earlier_read_is_no_line_end() -> None:
    parser = Parser(max_event_size=None)
    assert parser.receive_data(b"data: a\r") == []
    assert parser.receive_data(b"") == []
    assert parser.receive_data(b"\n") == []
    assert parser.receive_data(b"\n") == [message("a")]


def test_only_the_first_lf_behind_a_cr_belongs_to_it() -> None:
    parser = Parser(max_event_size=None)
    parser.receive_data(b"data: a\r")
    assert parser.receive_data(b"\n\ndata: b\r") == [message("a")]
    assert parser.receive_data(b"x\n\n") == [message("b")]


def test_lines_are_processed_in_the_order_received() -> None:
    check(b"data: a\nevent: one\nid: 1\nevent: two\ndata: b\nid: 2\n\n", [message("a\nb", id="2", type="two")])


def test_empty_line_dispatches_the_event() -> None:
    check(b"data: a\n\ndata: b\n\n\n\ndata: c\n\n", [message("a"), message("b"), message("c")])


def test_line_that_starts_with_a_colon_is_ignored() -> None:
    check(b":data: a\n:\n:event: x\n:id: 1\n\ndata: b\n\n", [message("b")])


def test_field_is_before_the_first_colon_and_the_value_behind_it() -> None:
    check(b"event:a:b\ndata:c:d\nid:e:f\n\n", [message("c:d", id="e:f", type="a:b")])


def test_one_space_behind_the_colon_is_removed() -> None:
    check(
        b"event: t\nid: i\ndata: a\n\nevent:  t\nid:  i\ndata:  a\n\n",
        [message("a", id="i", type="t"), message(" a", id=" i", type=" t")],
    )


def test_other_white_space_behind_the_colon_stays() -> None:
    check("data:\ta\n\ndata:\u00a0b\n\ndata: \tc \n\n".encode(), [message("\ta"), message("\u00a0b"), message("\tc ")])


def test_white_space_before_the_colon_belongs_to_the_name() -> None:
    check(b"data : a\n data: b\ndata\t: c\ndata: d\n\n", [message("d")])


@pytest.mark.parametrize("line", [b"data", b"data:", b"data: "])
def test_line_without_colon_is_a_name_with_an_empty_value(line: bytes) -> None:
    check(line + b"\n\n", [message("")])


def test_event_and_id_without_colon_have_an_empty_value() -> None:
    check(b"event: t\nevent\nid: 1\nid\ndata: x\n\n", [message("x")])


def test_end_of_file_discards_pending_data() -> None:
    check(b"data: a\n\ndata: b\n", [message("a")])
    check(b"data: a\n\ndata: b", [message("a")])


def test_end_of_file_does_not_end_a_line() -> None:
    check(b"retry: 1\nretry: 2", [], retry=0.001)


def test_end_of_file_discards_the_id_of_an_unfinished_event() -> None:
    check(b"id: 1\ndata: a\n\nid: 2\ndata: b\n", [message("a", id="1")])


def test_nothing_comes_out_after_the_end_of_file() -> None:
    parser = Parser(max_event_size=None)
    parser.receive_data(b"data: a\n")
    assert parser.receive_eof() == []
    assert parser.receive_data(b"\ndata: b\n\n") == []
    assert parser.receive_eof() == []


# -- 9.2.6: fields -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"Data", b"DATA", b"dat", b"dataa", b"da ta", b"data\x00", b"\x00data", b"\xef\xbb\xbfdata"]
)
def test_field_names_are_compared_literally(name: bytes) -> None:
    check(b"data: a\n" + name + b": b\n" + name + b"\n\n", [message("a")])


@pytest.mark.parametrize(
    ("name", "value"), [(b"Event", b"t"), (b"ID", b"1"), (b"Retry", b"1"), (b"events", b"t"), (b"ids", b"1")]
)
def test_other_field_names_are_compared_literally_too(name: bytes, value: bytes) -> None:
    check(name + b": " + value + b"\ndata: x\n\n", [message("x")])


def test_field_event_sets_the_event_type() -> None:
    check(b"event: a\ndata: x\n\ndata: x\nevent: b\n\n", [message("x", type="a"), message("x", type="b")])


def test_last_field_event_wins() -> None:
    check(b"event: a\nevent: b\ndata: x\n\n", [message("x", type="b")])


def test_field_data_appends_the_value_and_an_lf() -> None:
    check(b"data: a\ndata: b\n\n", [message("a\nb")])
    check(b"data: \ndata:\ndata\n\n", [message("\n\n")])


def test_field_data_may_be_cut_by_other_fields() -> None:
    check(b"data: a\nevent: t\ndata: b\n: c\ndata: d\n\n", [message("a\nb\nd", type="t")])


def test_field_id_sets_the_last_event_id() -> None:
    check(b"id: 1\ndata: x\n\ndata: y\nid: 2\n\n", [message("x", id="1"), message("y", id="2")])


def test_last_field_id_wins() -> None:
    check(b"id: 1\nid: 2\ndata: x\n\n", [message("x", id="2")])


@pytest.mark.parametrize("value", [b"\x00", b"1\x002", b"\x002", b"2\x00"])
def test_field_id_with_nul_is_ignored(value: bytes) -> None:
    check(b"id: 1\nid: " + value + b"\nid:" + value + b"\ndata: x\n\n", [message("x", id="1")])


def test_nul_elsewhere_is_kept() -> None:
    check(b"event: a\0b\ndata: c\0d\n\n", [received_event("c\0d", "a\0b", "")])


@pytest.mark.parametrize(
    ("digits", "seconds"),
    [
        (b"0", 0.0),
        (b"1", 0.001),
        (b"3000", 3.0),
        (b"007", 0.007),
        (b"0000000000000000000000003000", 3.0),
        (b"000000000000000000000", 0.0),
    ],
)
def test_field_retry_of_digits_sets_the_reconnection_time(digits: bytes, seconds: float) -> None:
    check(b"retry: " + digits + b"\n\n", [], retry=seconds)
    check(b"retry:" + digits + b"\ndata: x\n\n", [message("x")], retry=seconds)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"-1",
        b"+1",
        b"1.5",
        b"1e3",
        b"0x10",
        b"1 000",
        b" 1",
        b"1 ",
        b"1_0",
        b"3000x",
        b"\xc2\xb2",
        b"\xd9\xa3",
        b"1\x00",
    ],
)
def test_field_retry_of_anything_else_is_ignored(value: bytes) -> None:
    check(b"retry: 5\nretry: " + value + b"\ndata: x\n\n", [message("x")], retry=0.005)
    check(b"retry: " + value + b"\n\n", [])


def test_field_retry_alone_is_ignored() -> None:
    check(b"retry: 5\nretry\nretry:\n\n", [], retry=0.005)


def test_field_retry_takes_effect_with_its_line() -> None:
    parser = Parser(max_event_size=None)
    assert parser.retry is None
    parser.receive_data(b"retry: 250\n")
    assert parser.retry == 0.25


@pytest.mark.parametrize("digits", [b"86400000", b"86400001", b"99999999", b"100000000", b"9" * 20, b"1" + b"0" * 5000])
def test_huge_retry_counts_as_a_day(digits: bytes) -> None:
    parser = Parser(max_event_size=None)
    parser.receive_data(b"retry: " + digits + b"\n")
    assert parser.retry == MAX_RETRY == 86_400.0


def test_retry_just_below_the_ceiling_is_kept() -> None:
    check(b"retry: 86399999\n", [], retry=86_399.999)


def test_any_other_field_is_ignored() -> None:
    check(b"foo: bar\nfoo\n\ndata: x\nid : 1\ntime: 2\n\n", [message("x")])


# -- 9.2.6: dispatching ------------------------------------------------------------------------------------------------


def test_id_stays_until_the_next_one() -> None:
    check(
        b"id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
        [message("a", id="1"), message("b", id="1"), message("c", id="2")],
    )


def test_empty_id_clears_the_last_event_id() -> None:
    check(b"id: 1\ndata: a\n\nid\ndata: b\n\ndata: c\n\n", [message("a", id="1"), message("b"), message("c")])


def test_event_without_data_is_not_dispatched() -> None:
    check(b"event: a\n\nevent: b\nid: 1\nretry: 2\n: c\n\n", [], last_event_id="1", retry=0.002)


def test_event_type_of_an_event_without_data_is_dropped() -> None:
    check(b"event: a\n\ndata: x\n\n", [message("x")])


def test_id_of_an_event_without_data_is_remembered() -> None:
    check(b"id: 1\n\ndata: x\n\nid: 2\n\n", [message("x", id="1")], last_event_id="2")


def test_id_becomes_the_last_event_id_with_the_empty_line_only() -> None:
    parser = Parser(max_event_size=None)
    parser.receive_data(b"id: 1\n")
    assert parser.last_event_id == ""
    parser.receive_data(b"data: x\n")
    assert parser.last_event_id == ""
    parser.receive_data(b"\nid: 2\nid")
    assert parser.last_event_id == "1"


def test_one_trailing_lf_of_the_data_is_removed() -> None:
    check(b"data: a\ndata\n\ndata\ndata\n\n", [message("a\n"), message("\n")])


def test_event_type_is_message_by_default() -> None:
    check(b"data: x\n\nevent:\ndata: y\n\nevent: \ndata: z\n\n", [message("x"), message("y"), message("z")])


def test_event_type_is_what_the_field_said() -> None:
    check("event: größe\ndata: x\n\n".encode(), [message("x", type="größe")])


def test_buffers_are_empty_behind_a_dispatch() -> None:
    check(b"event: a\ndata: x\n\ndata: y\n\n", [message("x", type="a"), message("y")])
    check(b"event: a\ndata: x\ndata: y\n\ndata: z\n\n", [message("x\ny", type="a"), message("z")])
    check(b"data: x\nevent: a\n\ndata: z\n\n", [message("x", type="a"), message("z")])


def test_retry_of_an_event_that_came_out_is_none() -> None:
    [event] = parse(b"retry: 5\ndata: x\n\n")
    assert isinstance(event, Event)
    assert event.retry is None


# -- 9.2.6: what its examples say --------------------------------------------------------------------------------------


def test_several_data_lines_are_one_event() -> None:
    check(b"data: ELIO\ndata: +3\ndata: 12.50\n\n", [message("ELIO\n+3\n12.50")])


def test_comment_then_event_with_id_then_id_cleared_then_unfinished_event() -> None:
    check(
        b": a comment\n\ndata: one\nid: 1\n\ndata:two\nid\n\ndata:  three\n",
        [message("one", id="1"), message("two")],
    )


def test_bare_data_lines_make_an_empty_event_and_one_of_a_line_end() -> None:
    check(b"data\n\ndata\ndata\n\ndata:", [message(""), message("\n")])


def test_space_behind_the_colon_makes_no_difference() -> None:
    check(b"data:same\n\ndata: same\n\n", [message("same"), message("same")])


# -- the eventsource folder of web-platform-tests, as facts ------------------------------------------------------------


def test_wpt_event_data() -> None:
    check(
        b"data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
        [message("msg\nmsg"), message(""), message("end")],
    )


def test_wpt_byte_order_mark() -> None:
    check(BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n", [message("1"), message("3")])


def test_wpt_two_byte_order_marks() -> None:
    check(BOM + BOM + b"data:1\n\ndata:2\n\ndata:3\n\n", [message("2"), message("3")])


def test_wpt_comments() -> None:
    long = b"x" * 2048
    stream = b"data:1\r:\0\n:\r\ndata:2\n:" + long + b"\rdata:3\n:data:fail\r:" + long + b"\ndata:4\n\n"
    for pieces in [
        [stream],
        [stream[i : i + 1] for i in range(len(stream))],
        *(cut(stream, seed) for seed in range(5)),
    ]:
        assert read(pieces, Parser(max_event_size=None)) == [message("1\n2\n3\n4")]


def test_wpt_data_before_the_final_empty_line() -> None:
    check(b"retry:1000\ndata:test1\n\nid:test\ndata:test2", [message("test1")], last_event_id="", retry=1.0)


def test_wpt_field_data() -> None:
    check(b"data:\n\ndata\ndata\n\ndata:test\n\n", [message(""), message("\n"), message("test")])


def test_wpt_field_event() -> None:
    check(b"event:test\ndata:x\n\ndata:x\n\n", [message("x", type="test"), message("x")])


def test_wpt_field_event_empty() -> None:
    check(b"event: \ndata:data\n\n", [message("data")])


def test_wpt_id_persists_changes_and_resets() -> None:
    check(b"id: 1\ndata: 1\n\ndata:2\n\n", [message("1", id="1"), message("2", id="1")])
    check(b"id: 1\ndata: 1\n\nid: 2\ndata:2\n\ndata:3\n\n", [message("1", "1"), message("2", "2"), message("3", "2")])
    check(b"id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n", [message("1", id="1"), message("2"), message("3")])


def test_wpt_non_ascii_id() -> None:
    check("id: …\ndata: hello\n\n".encode(), [message("hello", id="…")])


def test_wpt_id_of_nuls() -> None:
    check(b"id:\0\0\ndata:hello\n\n", [message("hello")])


def test_wpt_field_parsing() -> None:
    check(
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\n"
        b"data:3\rdata:\r\n data:32\ndata:4\n\n",
        [message("\0\n 2\n1\n3\n\n4")],
    )


@pytest.mark.parametrize(
    ("lines", "retry"), [(b"retry:3000", 3.0), (b"retry:3000\nretry:1000x", 3.0), (b"retry", None)]
)
def test_wpt_field_retry(lines: bytes, retry: float | None) -> None:
    check(lines + b"\ndata:test\n\n", [message("test")], retry=retry)


def test_wpt_unknown_fields() -> None:
    check(
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        [message("test\n\ntest")],
    )


def test_wpt_leading_space() -> None:
    check(b"data:\ttest\rdata: \ndata:test\n\n", [message("\ttest\n\ntest")])


def test_wpt_line_ends() -> None:
    check(b"data:test\r\ndata\ndata:test\r\n\r", [message("test\n\ntest")])


def test_wpt_nul_in_data() -> None:
    check(b"data:\0\n\n\n\n", [message("\0")])


def test_wpt_utf_8() -> None:
    check("data:ok…\n\n".encode(), [message("ok…")])


# -- connections, one after the other ----------------------------------------------------------------------------------


def test_last_event_id_of_an_earlier_connection_is_kept() -> None:
    check(b"data: x\n\nid: 8\ndata: y\n\n", [message("x", id="7"), message("y", id="8")], started_from="7")


def test_last_event_id_of_an_earlier_connection_survives_a_stream_without_events() -> None:
    check(b": nothing\n\n", [], started_from="7", last_event_id="7")


def test_reset_keeps_last_event_id_and_retry_and_drops_the_rest() -> None:
    parser = Parser(max_event_size=None)
    parser.receive_data(b"retry: 5\nid: 1\ndata: a\n\nid: 2\nevent: t\ndata: b\nda\r")
    parser.reset()
    assert (parser.last_event_id, parser.retry) == ("1", 0.005)
    assert parser.receive_data(b"\n" + b"data: c\n\n") == [message("c", id="1")]


def test_reset_expects_a_byte_order_mark_again() -> None:
    parser = Parser(max_event_size=None)
    parser.receive_data(b"data: a\n\n")
    parser.receive_eof()
    parser.reset()
    assert parser.receive_data(BOM + b"data: b\n\n") == [message("b")]


def test_reset_makes_a_failed_parser_usable() -> None:
    parser = Parser(max_event_size=4)
    assert isinstance(parser.receive_data(b"data: a")[0], EventTooBig)
    parser.reset()
    assert parser.receive_data(b"id:1\n\n") == []
    assert parser.last_event_id == "1"


# -- comments as items -------------------------------------------------------------------------------------------------


def test_comments_come_out_when_asked_for() -> None:
    check(
        b":\n: a\n\n:b\ndata: x\n:  c\ndata: y\n\n: d\n",
        [Comment(""), Comment("a"), Comment("b"), Comment(" c"), message("x\ny"), Comment("d")],
    )


def test_comment_is_a_sign_of_life_before_its_event_ends() -> None:
    parser = Parser(max_event_size=None, comments=True)
    assert parser.receive_data(b"data: x\n: still here\n") == [Comment("still here")]
    assert parser.receive_data(b"\n") == [message("x")]


def test_nothing_but_comments_becomes_a_comment() -> None:
    check(b"foo: bar\nfoo\nretry: x\nid: \0\n:yes\n\n", [Comment("yes")])


def test_comment_text_is_decoded() -> None:
    check(b": \xe2\x82\xac \xff\n", [Comment("€ \ufffd")])


# -- limits ------------------------------------------------------------------------------------------------------------


def too_big(stream: bytes, limit: int) -> tuple[list[Event | Comment | EventTooBig], EventTooBig]:
    """What comes before the violation, the same however the stream is cut, and the violation when read whole."""
    *before, error = read([stream], Parser(max_event_size=limit))
    assert isinstance(error, EventTooBig)
    for pieces in ways(stream):
        *others, last = read(pieces, Parser(max_event_size=limit))
        assert others == before
        assert isinstance(last, EventTooBig)
        assert last.limit == limit < last.size
    return before, error


def test_line_of_the_limit_is_read_and_one_byte_more_is_too_big() -> None:
    check_limit = Parser(max_event_size=10)
    assert check_limit.receive_data(b"data: 1234\n\n") == [message("1234")]
    before, error = too_big(b"data: 1\n\ndata: 12345\n\ndata: 2\n\n", 10)
    assert before == [message("1")]
    assert (error.size, error.limit, str(error)) == (11, 10, "line of 11 bytes, limit 10")


def test_unfinished_line_over_the_limit_is_too_big_at_once() -> None:
    parser = Parser(max_event_size=10)
    assert parser.receive_data(b"data: 1234") == []
    [error] = parser.receive_data(b"5")
    assert isinstance(error, EventTooBig)


def test_lines_of_every_kind_are_bounded() -> None:
    for line in (b"id: 12345678", b": 1234567890", b"event: 12345", b"foo: 1234567", b"x" * 11, b"retry: 12345"):
        before, _ = too_big(line + b"\ndata: 1\n\n", 10)
        assert before == []


def test_data_of_the_limit_is_read_and_one_byte_more_is_too_big() -> None:
    assert parse(b"data:1234\ndata:56789\n\n", limit=10) == [message("1234\n56789")]
    before, error = too_big(b"data:1\n\ndata:1234\ndata:56789\ndata\n\ndata:2\n\n", 10)
    assert before == [message("1")]
    assert (error.size, str(error)) == (11, "event of 11 bytes, limit 10")


def test_limit_counts_bytes_as_they_arrive() -> None:
    assert parse("data:€€€\n\n".encode(), limit=14) == [message("€€€")]
    too_big("data:€€€\n\n".encode(), 13)
    assert parse(b"data:\xff\xff\xff\ndata:\xff\n\n", limit=8) == [message("\ufffd\ufffd\ufffd\n\ufffd")]
    too_big(b"data:\xff\xff\xff\ndata:\xff\xff\xff\xff\n\n", 7)


@pytest.mark.parametrize("limit", [-1, 2**63])
def test_a_limit_that_nothing_can_be_compared_with_is_refused(limit: int) -> None:
    with pytest.raises(ConfigurationError, match=f"^max_event_size is {limit}, allowed are 0 to "):
        Parser(max_event_size=limit)


def test_limit_holds_for_each_event_alone() -> None:
    assert parse(b"data:123\ndata:456\n\n" * 50, limit=10) == [message("123\n456")] * 50


def test_types_and_ids_do_not_count_as_data() -> None:
    stream = b"event:1234\nid:1234567\ndata:12345\ndata:1234\n\n"
    assert parse(stream, limit=10) == [message("12345\n1234", id="1234567", type="1234")]


def test_nothing_comes_out_after_a_violation() -> None:
    parser = Parser(max_event_size=10)
    assert len(parser.receive_data(b"x" * 11 + b"\ndata: a\n\n")) == 1
    assert parser.receive_data(b"data: b\n\n") == []
    assert parser.receive_data(b"\r") == []
    assert parser.receive_data(b"\ndata: c\n\n" + b"x" * 11) == []
    assert parser.receive_eof() == []


def test_violation_keeps_the_last_event_id() -> None:
    parser = Parser(max_event_size=10)
    parser.receive_data(b"id: 5\ndata: x\n\nid: 6\n" + b"x" * 11)
    assert parser.last_event_id == "5"


def test_no_limit_reads_everything() -> None:
    big = "x" * 3_000_000
    assert parse(f"data: {big}\n\n".encode()) == [message(big)]


@pytest.mark.parametrize("stream", [b"x", b"data: ", b"data:ab\n", b"data\n", b": x", b"event: abc\n"])
def test_endless_input_takes_bounded_memory(stream: bytes) -> None:
    limit = 64 * 1024
    parser = Parser(max_event_size=limit)
    piece = stream * 64
    tracemalloc.start()
    try:
        for _ in range(1024):
            parser.receive_data(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * limit


def test_endless_line_in_small_pieces_costs_linear_time() -> None:
    parser = Parser(max_event_size=None)
    parser.receive_data(b"data: ")
    started = time.process_time()
    for _ in range(250_000):
        parser.receive_data(b"abcd")
    # A join or a search of all that has come, each time, takes minutes.
    assert time.process_time() - started < 5
    [event] = parser.receive_data(b"\n\n")
    assert isinstance(event, Event)
    assert len(event.data) == 1_000_000


def test_endless_event_in_small_pieces_costs_linear_time() -> None:
    parser = Parser(max_event_size=None)
    started = time.process_time()
    for _ in range(100_000):
        parser.receive_data(b"data: abcdefg\n")
    assert time.process_time() - started < 5
    [event] = parser.receive_data(b"\n")
    assert isinstance(event, Event)
    assert len(event.data) == 8 * 100_000 - 1


# -- properties --------------------------------------------------------------------------------------------------------

PARTS = [
    *(b"data", b"event", b"id", b"retry", b"foo", b"", b":", b": ", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r"),
    *(b"data: a", b"data:b\n", b"data: c\n\n", b"event: t\n", b"id: 1\n", b"id\n", b"retry: 10\n", b": note\n"),
    *(b"\0", b"\xef\xbb\xbf", b"\xe2\x82", b"\xac", b"\xff", b"12", "ä€😀".encode()),
]
streams = st.lists(st.sampled_from(PARTS), max_size=40).map(b"".join) | st.binary(max_size=200)


@given(streams, st.integers(0, 2**32), st.sampled_from([None, 8, 20, 60, 1000]), st.booleans())
def test_any_cut_gives_the_same_events(stream: bytes, seed: int, limit: int | None, comments: bool) -> None:
    whole = Parser(max_event_size=limit, comments=comments)
    expected = read([stream], whole)
    for pieces in (cut(stream, seed), [stream[i : i + 1] for i in range(len(stream))]):
        parser = Parser(max_event_size=limit, comments=comments)
        items = read(pieces, parser)
        assert [shape(item) for item in items] == [shape(item) for item in expected]
        assert (parser.last_event_id, parser.retry) == (whole.last_event_id, whole.retry)


def shape(item: Event | Comment | EventTooBig) -> object:
    """What does not depend on where the stream was cut: the size of a violation does."""
    return item.limit if isinstance(item, EventTooBig) else item


@given(streams, st.sampled_from([None, 60]))
def test_parser_agrees_with_the_standard_followed_to_the_letter(stream: bytes, limit: int | None) -> None:
    parser = Parser(max_event_size=limit)
    items = read([stream], parser)
    events, last_event_id = by_the_letter(stream)
    if items and isinstance(items[-1], EventTooBig):
        assert items[:-1] == events[: len(items) - 1]
    else:
        assert items == events
        assert parser.last_event_id == last_event_id


def by_the_letter(stream: bytes) -> tuple[list[Event], str]:
    """The steps of 9.2.6 one by one, slow and plain."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    events = []
    data = kind = last_id = dispatched_id = ""
    for line in lines:
        field, colon, value = line.partition(":")
        if not line:
            dispatched_id = last_id
            if data:
                events.append(received_event(data[:-1], kind or "message", last_id))
            data = kind = ""
        elif not field and colon:
            continue
        else:
            value = value[1:] if value[:1] == " " else value
            if field == "data":
                data += value + "\n"
            elif field == "event":
                kind = value
            elif field == "id" and "\0" not in value:
                last_id = value
    return events, dispatched_id


@given(st.lists(st.binary(max_size=60), max_size=12), st.sampled_from([None, 1, 10, 100]))
def test_random_bytes_raise_nothing(pieces: list[bytes], limit: int | None) -> None:
    parser = Parser(max_event_size=limit, comments=True)
    items = read(pieces, parser)
    assert all(isinstance(item, Event | Comment | EventTooBig) for item in items)
    assert not any(isinstance(item, EventTooBig) for item in items[:-1])


def test_long_random_streams_are_the_same_however_they_are_cut() -> None:
    source = random.Random(2)
    for seed in range(20):
        stream = b"".join(source.choices(PARTS, k=2000))
        expected = read([stream], Parser(max_event_size=None, comments=True))
        for longest in (3, 40, 1400):
            assert read(cut(stream, seed, longest=longest), Parser(max_event_size=None, comments=True)) == expected
