"""The state machine of one connection: both sides alone, and joined back to back."""

from __future__ import annotations

import array
import random
import tracemalloc
from collections.abc import Callable

import pytest

from elio.errors import LimitExceeded, LocalProtocolError, MessageTooBig, RemoteProtocolError
from elio.websocket.connection import Close, Connection, Event, NextStep, Ping, Pong, Role, State
from elio.websocket.deflate import DeflateOptions, PerMessageDeflate
from elio.websocket.frame import ENDS, STARTS, FrameDecoder
from support.frames import byte_by_byte, frame, header, random_cuts, ways

ABNORMAL = 1006


def receive_all(connection: Connection, data: bytes = b"") -> list[Event]:
    """Everything that the data completes, in as many calls as it takes."""
    events = connection.receive_data(data)
    while connection.more:
        events += connection.receive_data(b"")
    return events


def frames(data: bytes, *, masked: bool, rsv1: bool = False) -> list[tuple[int, bytes]]:
    """First byte and payload of each frame that was sent."""
    decoder = FrameDecoder(masked=masked, rsv1=rsv1)
    decoder.feed(data)
    sent: list[tuple[int, bytes]] = []
    while decoder.next_part():
        assert decoder.part == STARTS | ENDS
        sent.append((decoder.head, decoder.payload))
    assert decoder.error is None
    assert not decoder.inside_frame
    return sent


def fail(data: bytes, connection: Connection | None = None) -> tuple[Connection, RemoteProtocolError]:
    """A server that has received the data, and the violation that came out alone."""
    connection = connection or Connection(Role.SERVER)
    (error,) = receive_all(connection, data)
    assert isinstance(error, RemoteProtocolError)
    return connection, error


def next_step(connection: Connection) -> NextStep:
    return connection.next_step


def ending(connection: Connection) -> tuple[int | None, str]:
    """Close code and reason of the connection."""
    return connection.close_code, connection.close_reason


class Pair:
    """A client and a server joined back to back (no handshake, no sockets)."""

    def __init__(self, cut: Callable[[bytes], list[bytes]] = lambda data: [data], *, deflate: bool = False) -> None:
        def extension() -> PerMessageDeflate | None:
            return PerMessageDeflate(DeflateOptions(threshold=20)) if deflate else None

        self.client = Connection(Role.CLIENT, deflate=extension())
        self.server = Connection(Role.SERVER, deflate=extension())
        self.cut = cut

    def to_server(self) -> list[Event]:
        return self._carry(self.client, self.server)

    def to_client(self) -> list[Event]:
        return self._carry(self.server, self.client)

    def _carry(self, source: Connection, target: Connection) -> list[Event]:
        return [event for piece in self.cut(source.data_to_send()) for event in receive_all(target, piece)]


# -- a new connection


@pytest.mark.parametrize("role", Role)
def test_a_new_connection_is_open_and_silent(role: Role) -> None:
    connection = Connection(role)
    assert connection.state is State.OPEN
    assert connection.data_to_send() == b""
    assert connection.receive_data(b"") == []
    assert not connection.more
    assert not connection.inside_message
    assert (connection.close_sent, connection.close_received, connection.error) == (None, None, None)
    assert ending(connection)[0] is None
    assert connection.close_reason == ""
    assert not connection.closed_cleanly
    assert next_step(connection) is NextStep.CONTINUE
    assert repr(connection) == f"<Connection {role.value}, open>"


def test_an_idle_connection_is_small() -> None:
    data = frame(0x82, bytes(1000)) + frame(0x02, bytes(70_000)) + frame(0x80)
    Connection(Role.SERVER).receive_data(data)
    tracemalloc.start()
    try:
        connections = [Connection(Role.SERVER) for _ in range(100)]
        for connection in connections:
            receive_all(connection, data)
            connection.send_text("answer")
            connection.data_to_send()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held / len(connections) < 800
    assert not hasattr(connections[0], "__dict__")


# -- sending


@pytest.mark.parametrize(
    ("send", "wire"),
    [
        (lambda c: c.send_text("Hello"), "810548656c6c6f"),
        (lambda c: c.send_text("ä"), "8102c3a4"),
        (lambda c: c.send_binary(b"\x00\xff"), "820200ff"),
        (lambda c: c.send_binary(bytearray(b"ab")), "82026162"),
        (lambda c: c.send_binary(memoryview(b"abcd")[::2]), "82026163"),
        (lambda c: c.send_binary(array.array("H", [1, 1])), "8204" + array.array("H", [1, 1]).tobytes().hex()),
        (lambda c: c.send_text(""), "8100"),
        (lambda c: c.send_ping(), "8900"),
        (lambda c: c.send_ping(b"p"), "890170"),
        (lambda c: c.send_pong(b"p"), "8a0170"),
        (lambda c: c.send_close(), "880203e8"),
        (lambda c: c.send_close(None), "8800"),
        (lambda c: c.send_close(4000, "why"), "88050fa0776879"),
    ],
)
def test_what_a_server_sends(send: Callable[[Connection], None], wire: str) -> None:
    connection = Connection(Role.SERVER)
    send(connection)
    assert connection.data_to_send() == bytes.fromhex(wire)
    assert connection.data_to_send() == b""


def test_a_client_masks_every_frame_with_another_key() -> None:
    client = Connection(Role.CLIENT)
    for _ in range(3):
        client.send_text("Hello")
    client.send_ping(b"p")
    client.send_close()
    data = client.data_to_send()
    assert frames(data, masked=True) == [(0x81, b"Hello")] * 3 + [(0x89, b"p"), (0x88, b"\x03\xe8")]
    keys = {data[start + 2 : start + 6] for start in (0, 11, 22, 33)}
    assert len(keys) == 4


def test_what_was_queued_comes_out_in_order_and_once() -> None:
    server = Connection(Role.SERVER)
    server.send_text("a")
    server.send_binary(b"b")
    assert server.data_to_send() == b"\x81\x01a\x82\x01b"
    assert server.data_to_send() == b""


def test_fragments_with_control_frames_between_them() -> None:
    server = Connection(Role.SERVER)
    server.send_fragment("a", last=False)
    server.send_ping(b"1")
    server.send_fragment("", last=False)
    server.receive_data(frame(0x89, b"2"))
    server.send_pong(b"3")
    server.send_fragment("b", last=True)
    server.send_fragment(b"c", last=True)
    server.send_fragment(bytearray(b"d"), last=False)
    server.send_close()
    assert frames(server.data_to_send(), masked=False) == [
        (0x01, b"a"),
        (0x89, b"1"),
        (0x00, b""),
        (0x8A, b"2"),
        (0x8A, b"3"),
        (0x80, b"b"),
        (0x82, b"c"),
        (0x02, b"d"),
        (0x88, b"\x03\xe8"),
    ]


@pytest.mark.parametrize(
    "send",
    [
        lambda c: c.send_text("x"),
        lambda c: c.send_binary(b"x"),
        lambda c: c.send_fragment(b"x", last=True),
    ],
)
def test_no_other_message_inside_a_fragmented_one(send: Callable[[Connection], None]) -> None:
    server = Connection(Role.SERVER)
    server.send_fragment("a", last=False)
    with pytest.raises(LocalProtocolError, match="fragment"):
        send(server)
    server.send_fragment("b", last=True)
    assert frames(server.data_to_send(), masked=False) == [(0x01, b"a"), (0x80, b"b")]


@pytest.mark.parametrize(
    "send",
    [
        lambda c: c.send_text("\ud800"),
        lambda c: c.send_fragment("\ud800", last=True),
        lambda c: c.send_ping(bytes(126)),
        lambda c: c.send_pong(bytes(126)),
        lambda c: c.send_close(1005),
        lambda c: c.send_close(1006),
        lambda c: c.send_close(0),
        lambda c: c.send_close(1000, "x" * 124),
        lambda c: c.send_close(1000, "\ud800"),
        lambda c: c.send_close(None, "why"),
    ],
)
def test_what_may_not_be_sent_changes_nothing(send: Callable[[Connection], None]) -> None:
    server = Connection(Role.SERVER, max_empty_frames=0)
    with pytest.raises(LocalProtocolError):
        send(server)
    assert server.state is State.OPEN
    assert server.close_sent is None
    assert server.data_to_send() == b""
    server.send_text("good")
    assert server.data_to_send() == b"\x81\x04good"
    assert isinstance(server.receive_data(frame(0x8A))[-1], LimitExceeded)


SENDS = [
    lambda c: c.send_text("x"),
    lambda c: c.send_binary(b"x"),
    lambda c: c.send_fragment("x", last=True),
    lambda c: c.send_ping(),
    lambda c: c.send_pong(),
    lambda c: c.send_close(),
]


@pytest.mark.parametrize("send", SENDS)
def test_nothing_is_sent_after_a_close_frame(send: Callable[[Connection], None]) -> None:
    server = Connection(Role.SERVER)
    server.send_close()
    server.data_to_send()
    with pytest.raises(LocalProtocolError, match="the connection is closing"):
        send(server)
    server.receive_data(frame(0x88))
    with pytest.raises(LocalProtocolError, match="the connection is closed"):
        send(server)
    assert server.data_to_send() == b""


# -- sending in pieces

LARGE = 16 * 1024
"""Bytes of a payload from which on it is not copied behind its header."""


def test_nothing_to_send_is_no_piece() -> None:
    server = Connection(Role.SERVER)
    assert server.pieces_to_send() == b""
    server.send_text("a")
    server.send_binary(b"b")
    assert server.pieces_to_send() == b"\x81\x01a\x82\x01b"
    assert server.pieces_to_send() == b""
    assert server.data_to_send() == b""


def test_a_large_payload_is_not_copied_behind_its_header() -> None:
    server = Connection(Role.SERVER)
    for size in (LARGE, 65_535, 65_536, 100_000):
        payload = bytes(size)
        server.send_binary(payload)
        head, piece = server.pieces_to_send()
        assert head == header(0x82, size, masked=False)
        assert piece is payload
        assert server.pieces_to_send() == b""


def test_what_is_small_comes_in_one_piece() -> None:
    server = Connection(Role.SERVER)
    payload = bytes(LARGE - 1)
    server.send_text("before")
    server.send_binary(payload)
    assert server.pieces_to_send() == frame(0x81, b"before", None) + frame(0x82, payload, None)


def test_what_may_be_changed_later_is_copied() -> None:
    server = Connection(Role.SERVER)
    for payload in (bytearray(LARGE), memoryview(bytearray(LARGE))):
        server.send_binary(payload)
        pieces = server.pieces_to_send()
        payload[0] = 1
        assert pieces == frame(0x82, bytes(LARGE), None)


def test_a_client_masks_what_is_large_in_one_piece() -> None:
    client = Connection(Role.CLIENT)
    client.send_binary(bytes(LARGE))
    pieces = client.pieces_to_send()
    assert isinstance(pieces, bytes)
    assert frames(pieces, masked=True) == [(0x82, bytes(LARGE))]


def send_some_of_everything(server: Connection) -> None:
    server.send_text("a")
    server.send_binary(b"1" * LARGE)
    server.send_ping(b"p")
    server.send_fragment(b"2" * LARGE, last=False)
    server.send_fragment(b"3" * (LARGE + 1), last=True)
    server.receive_data(frame(0x89, b"q"))
    server.send_text("b" * LARGE)
    server.send_close(1000, "end")


def test_pieces_are_the_same_bytes_in_the_same_order() -> None:
    one, other = Connection(Role.SERVER), Connection(Role.SERVER)
    send_some_of_everything(one)
    send_some_of_everything(other)
    pieces = one.pieces_to_send()
    assert isinstance(pieces, list)
    assert b"".join(pieces) == other.data_to_send()
    assert [head for head, _ in frames(b"".join(pieces), masked=False)] == [
        0x81, 0x82, 0x89, 0x02, 0x80, 0x8A, 0x81, 0x88,
    ]  # fmt: skip
    assert one.pieces_to_send() == other.pieces_to_send() == b""


def test_either_way_of_taking_the_output_leaves_nothing_for_the_other() -> None:
    server = Connection(Role.SERVER)
    server.send_binary(bytes(LARGE))
    assert server.data_to_send() == frame(0x82, bytes(LARGE), None)
    for text in "ab":
        server.send_text(text)
    assert server.pieces_to_send() == b"\x81\x01a\x81\x01b", "what was large is gone"
    server.send_binary(bytes(LARGE))
    assert len(server.pieces_to_send()) == 2
    assert server.data_to_send() == b""


def test_a_large_compressed_payload_comes_in_two_pieces() -> None:
    server, client = deflating(Role.SERVER), deflating(Role.CLIENT)
    payload = random.Random(1).randbytes(2 * LARGE)
    server.send_binary(payload)
    pieces = server.pieces_to_send()
    assert isinstance(pieces, list)
    assert len(pieces) == 2
    assert pieces[0][0] == 0xC2
    assert receive_all(client, b"".join(pieces)) == [payload]


def test_pongs_among_large_pieces_stay_few() -> None:
    server = Connection(Role.SERVER)
    for number in range(200):
        server.send_binary(b"x" * LARGE)
        server.receive_data(frame(0x89, b"%d" % number))
    sent = frames(b"".join(server.pieces_to_send()), masked=False)
    assert [payload for head, payload in sent if head == 0x82] == [b"x" * LARGE] * 200
    pongs = [payload for head, payload in sent if head == 0x8A]
    assert pongs[-1] == b"199"
    assert len(pongs) < 100


# -- pings and pongs


def test_a_ping_is_answered_with_its_payload() -> None:
    for pieces in ways(frame(0x89, b"1") + frame(0x81, b"a") + frame(0x89), 1):
        server = Connection(Role.SERVER)
        assert [event for piece in pieces for event in receive_all(server, piece)] == [Ping(b"1"), "a", Ping(b"")]
        assert frames(server.data_to_send(), masked=False) == [(0x8A, b"1"), (0x8A, b"")]


def test_a_pong_is_not_answered() -> None:
    server = Connection(Role.SERVER)
    assert server.receive_data(frame(0x8A, b"x")) == [Pong(b"x")]
    assert server.data_to_send() == b""


def test_a_ping_is_answered_until_the_peer_closes() -> None:
    """RFC 6455 5.5.2: unless it already received a Close frame."""
    server = Connection(Role.SERVER)
    server.send_close()
    assert server.receive_data(frame(0x89, b"x")) == [Ping(b"x")]
    assert frames(server.data_to_send(), masked=False) == [(0x88, b"\x03\xe8"), (0x8A, b"x")]
    assert receive_all(server, frame(0x88) + frame(0x89)) == [Close(1005, "")]
    assert server.data_to_send() == b""


def test_pongs_that_wait_to_be_sent_do_not_pile_up() -> None:
    server = Connection(Role.SERVER, max_empty_frames=None)
    for number in range(1000):
        receive_all(server, frame(0x89, number.to_bytes(2, "big")))
    pongs = [int.from_bytes(payload, "big") for _, payload in frames(server.data_to_send(), masked=False)]
    assert pongs == [*range(128), 999]
    receive_all(server, frame(0x89, b"new"))
    assert frames(server.data_to_send(), masked=False) == [(0x8A, b"new")]


def test_the_pong_that_is_replaced_is_a_pong() -> None:
    server = Connection(Role.SERVER)
    for _ in range(200):
        server.send_text("x")
    receive_all(server, frame(0x89, b"1"))
    server.send_text("y")
    receive_all(server, frame(0x89, b"2") + frame(0x89, b"3"))
    sent = frames(server.data_to_send(), masked=False)
    assert sent == [(0x81, b"x")] * 200 + [(0x8A, b"3"), (0x81, b"y")]


def test_a_flood_of_pings_is_a_policy_violation() -> None:
    server = Connection(Role.SERVER, max_empty_frames=10)
    *pings, error = receive_all(server, frame(0x89) * 20)
    assert pings == [Ping(b"")] * 10
    assert isinstance(error, LimitExceeded)
    sent = frames(server.data_to_send(), masked=False)
    assert sent[:-1] == [(0x8A, b"")] * 10
    assert sent[-1][1].startswith(b"\x03\xf011 frames in a row without data, limit 10")


def test_the_count_of_empty_frames_can_begin_anew() -> None:
    server = Connection(Role.SERVER, max_empty_frames=3)
    for _ in range(5):
        assert receive_all(server, frame(0x89) * 3) == [Ping(b"")] * 3
        server.reset_empty_frames()


def test_pongs_for_pings_of_ours_are_no_flood() -> None:
    server = Connection(Role.SERVER, max_empty_frames=1)
    for _ in range(5):
        server.send_ping(b"p")
        assert receive_all(server, frame(0x8A, b"p")) == [Pong(b"p")]
    assert isinstance(receive_all(server, frame(0x8A) * 2)[-1], LimitExceeded)


# -- closing handshake (RFC 6455 7.1)


def test_a_close_of_the_server() -> None:
    pair = Pair()
    pair.server.send_close(1001, "going")
    assert pair.server.state is State.CLOSING
    assert pair.server.close_sent == Close(1001, "going")
    assert next_step(pair.server) is NextStep.CONTINUE
    assert ending(pair.server)[0] is None
    assert pair.to_client() == [Close(1001, "going")]
    assert (pair.client.state, pair.client.next_step) == (State.CLOSED, NextStep.WAIT)
    assert ending(pair.client) == (1001, "going")
    assert pair.client.closed_cleanly
    assert pair.to_server() == [Close(1001, "")]
    assert (pair.server.state, pair.server.next_step) == (State.CLOSED, NextStep.CLOSE)
    assert ending(pair.server) == (1001, "")
    assert pair.server.closed_cleanly
    assert pair.to_client() == []
    assert pair.client.receive_eof() == []
    assert next_step(pair.client) is NextStep.CLOSE
    assert pair.client.close_code == 1001


def test_a_close_of_the_client() -> None:
    pair = Pair()
    pair.client.send_close(4000, "why")
    assert pair.to_server() == [Close(4000, "why")]
    assert next_step(pair.server) is NextStep.CLOSE
    assert pair.to_client() == [Close(4000, "")]
    assert next_step(pair.client) is NextStep.WAIT
    assert pair.client.closed_cleanly
    assert pair.server.closed_cleanly


def test_a_close_without_code_is_answered_without_code() -> None:
    pair = Pair()
    pair.client.send_close(None)
    assert pair.to_server() == [Close(1005, "")]
    assert pair.server.close_code == 1005
    assert pair.server.close_sent == Close(1005, "")
    assert pair.server.data_to_send() == b"\x88\x00"


def test_both_close_at_once() -> None:
    pair = Pair()
    pair.client.send_close(1000)
    pair.server.send_close(1001)
    assert pair.to_client() == [Close(1001, "")]
    assert pair.to_server() == [Close(1000, "")]
    assert pair.client.data_to_send() == pair.server.data_to_send() == b""
    assert (pair.client.close_code, pair.server.close_code) == (1001, 1000)
    assert pair.client.closed_cleanly
    assert pair.server.closed_cleanly


def test_messages_of_the_peer_before_its_close_still_come() -> None:
    server = Connection(Role.SERVER)
    server.send_close()
    assert receive_all(server, frame(0x81, b"late") + frame(0x88) + frame(0x81, b"never")) == ["late", Close(1005, "")]
    assert receive_all(server, frame(0x81, b"never")) == []


def test_messages_before_a_close_can_be_answered_before_it() -> None:
    server = Connection(Role.SERVER)
    assert server.receive_data(frame(0x81, b"a") + frame(0x88, b"\x03\xe8")) == ["a"]
    assert server.more
    server.send_text("A")
    assert server.receive_data(b"") == [Close(1000, "")]
    assert not server.more
    assert frames(server.data_to_send(), masked=False) == [(0x81, b"A"), (0x88, b"\x03\xe8")]


def test_a_close_between_fragments_is_a_normal_close() -> None:
    server = Connection(Role.SERVER)
    assert receive_all(server, frame(0x01, b"a") + frame(0x88, b"\x03\xe8") + frame(0x80, b"b")) == [Close(1000, "")]
    assert server.data_to_send() == b"\x88\x02\x03\xe8"
    assert server.closed_cleanly


# -- the end of TCP


@pytest.mark.parametrize("role", Role)
def test_an_end_without_close_frame_is_abnormal(role: Role) -> None:
    connection = Connection(role)
    assert connection.receive_eof() == []
    assert (connection.state, connection.close_code, connection.close_reason) == (State.CLOSED, ABNORMAL, "")
    assert next_step(connection) is NextStep.CLOSE
    assert not connection.closed_cleanly
    assert connection.data_to_send() == b""
    assert receive_all(connection, frame(0x81, b"late")) == []


def test_an_end_after_our_close_frame_only_is_abnormal() -> None:
    server = Connection(Role.SERVER)
    server.send_close()
    server.receive_eof()
    assert (server.state, server.close_code) == (State.CLOSED, ABNORMAL)
    assert not server.closed_cleanly


def test_an_end_inside_a_message_is_abnormal() -> None:
    server = Connection(Role.SERVER)
    server.receive_data(frame(0x01, b"a") + frame(0x80, b"b")[:-1])
    assert server.inside_message
    assert server.receive_eof() == []
    assert server.close_code == ABNORMAL
    assert not server.inside_message


def test_the_end_comes_after_what_was_received() -> None:
    server = Connection(Role.SERVER, burst=2)
    assert server.receive_data(frame(0x81, b"a") * 5) == ["a", "a"]
    assert server.receive_eof() == ["a", "a"]
    assert (server.more, server.state) == (True, State.OPEN)
    assert server.receive_data(b"") == ["a"]
    assert (server.more, server.state) == (False, State.CLOSED)
    assert server.close_code == ABNORMAL


def test_a_close_frame_before_the_end_counts() -> None:
    server = Connection(Role.SERVER)
    assert server.receive_data(frame(0x81, b"a") + frame(0x88, b"\x03\xe8")) == ["a"]
    assert server.receive_eof() == [Close(1000, "")]
    assert server.close_code == 1000
    assert server.closed_cleanly


# -- violations (RFC 6455 7.1.7)

VIOLATIONS = [
    (b"\x81\x00", 1002, "frame of a client without a mask"),
    (b"\x83\x80", 1002, "reserved opcode 0x3"),
    (b"\xc1\x80", 1002, "reserved bits 100 on a frame with opcode 0x1"),
    (frame(0x80), 1002, "continuation frame without a message to continue"),
    (frame(0x81, b"\xff"), 1007, "text message is not UTF-8"),
    (header(0x82, 1024 * 1024 + 1, masked=True), 1009, "message of 1048577 bytes, limit 1048576"),
    (frame(0x88, b"\x03\xee"), 1002, "close frame with code 1006"),
    (frame(0x88, b"\x03"), 1002, "close frame of 1 byte"),
    (frame(0x88, b"\x03\xe8\xff"), 1007, "close reason is not UTF-8"),
]


@pytest.mark.parametrize(("data", "code", "reason"), VIOLATIONS)
def test_a_violation_is_answered_with_its_close_code(data: bytes, code: int, reason: str) -> None:
    server, error = fail(data)
    assert server.error is error
    assert error.close_code == code
    assert server.close_sent == Close(code, reason)
    assert server.data_to_send() == frame(0x88, code.to_bytes(2, "big") + reason.encode(), None)
    assert (server.state, server.next_step, server.close_code) == (State.CLOSED, NextStep.CLOSE, ABNORMAL)
    assert not server.closed_cleanly
    assert receive_all(server, frame(0x81, b"a") + frame(0x88)) == []
    assert server.data_to_send() == b""


def test_a_client_waits_for_the_server_after_a_violation() -> None:
    client, _ = fail(frame(0x81, b"masked"), Connection(Role.CLIENT))
    assert next_step(client) is NextStep.WAIT
    assert frames(client.data_to_send(), masked=True)[0][1].startswith(b"\x03\xea")
    client.receive_eof()
    assert next_step(client) is NextStep.CLOSE


def test_a_violation_after_our_close_frame_sends_no_second_one() -> None:
    server = Connection(Role.SERVER)
    server.send_close(1001)
    server.data_to_send()
    fail(b"\x83\x80", server)
    assert server.data_to_send() == b""
    assert server.close_sent == Close(1001, "")
    assert server.state is State.CLOSED


def test_messages_before_a_violation_can_be_answered_before_it() -> None:
    server = Connection(Role.SERVER)
    assert server.receive_data(frame(0x81, b"a") + frame(0x89, b"p") + b"\x83\x80") == ["a", Ping(b"p")]
    server.send_text("A")
    (error,) = server.receive_data(b"")
    assert isinstance(error, RemoteProtocolError)
    assert [head for head, _ in frames(server.data_to_send(), masked=False)] == [0x8A, 0x81, 0x88]


def test_a_long_reason_is_cut_between_characters() -> None:
    class Fault(RemoteProtocolError):
        def __str__(self) -> str:
            return "x" * 122 + "ä"

    class Faulty(PerMessageDeflate):
        def decompress(self, data: bytes, *, last: bool, limit: int | None) -> bytes:
            raise Fault("", close_code=1007)

    server = Connection(Role.SERVER, deflate=Faulty(DeflateOptions()))
    fail(frame(0xC1, b"x"), server)
    assert server.close_sent == Close(1007, "x" * 122)


def test_limits_are_those_of_the_constructor() -> None:
    server = Connection(Role.SERVER, max_message_size=3, max_fragments=2, max_empty_frames=None)
    assert isinstance(fail(frame(0x81, b"1234"), server)[1], MessageTooBig)
    server = Connection(Role.SERVER, max_message_size=None, max_fragments=2)
    assert receive_all(server, frame(0x82, bytes(2_000_000))) == [bytes(2_000_000)]
    assert fail(frame(0x01, b"1") + frame(0x00, b"2") + frame(0x80, b"3"), server)[1].close_code == 1008


def test_the_work_of_a_call_is_bounded() -> None:
    data = frame(0x81, b"x" * 100) * 200
    server = Connection(Role.SERVER)
    assert [len(server.receive_data(piece)) for piece in (data, b"", b"", b"", b"")] == [64, 64, 64, 8, 0]
    server = Connection(Role.SERVER, burst=1000, burst_size=1000)
    assert len(server.receive_data(data)) == 10
    assert server.more


def test_more_says_whether_input_is_left() -> None:
    server = Connection(Role.SERVER, burst=2)
    assert server.more is False
    seen = []
    for data in (frame(0x81, b"a"), frame(0x81, b"b") * 5, b"", b"", b""):
        seen.append((len(server.receive_data(data)), server.more))
    assert seen == [(1, False), (2, True), (2, True), (1, False), (0, False)]
    assert server.receive_data(frame(0x81, b"c") + frame(0x81, b"half")[:-1]) == ["c"]
    assert server.more is False, "half a frame is for the next read to end"


def test_more_is_over_behind_a_violation_and_a_close() -> None:
    for end in (frame(0x83), frame(0x88)):
        server = Connection(Role.SERVER)
        assert server.receive_data(frame(0x81, b"a") + end + frame(0x81, b"never")) == ["a"]
        assert server.more is True
        assert len(server.receive_data(b"")) == 1
        assert server.more is False


# -- compression


def deflating(role: Role, threshold: int = 10) -> Connection:
    return Connection(role, deflate=PerMessageDeflate(DeflateOptions(threshold=threshold)))


def test_messages_from_the_threshold_on_are_compressed() -> None:
    server, client = deflating(Role.SERVER), deflating(Role.CLIENT)
    server.send_text("x" * 9)
    server.send_text("x" * 10)
    server.send_binary(bytes(1000))
    server.send_binary(b"")
    data = server.data_to_send()
    assert [head for head, _ in frames(data, masked=False, rsv1=True)] == [0x81, 0xC1, 0xC2, 0x82]
    assert len(data) < 100
    assert receive_all(client, data) == ["x" * 9, "x" * 10, bytes(1000), b""]


def test_only_the_first_fragment_has_rsv1() -> None:
    server, client = deflating(Role.SERVER), deflating(Role.CLIENT)
    for fragment in ("a" * 50, "", "b"):
        server.send_fragment(fragment, last=False)
    server.send_fragment("c", last=True)
    server.send_fragment(b"short", last=True)
    server.send_fragment(b"long enough", last=True)
    data = server.data_to_send()
    heads = [head for head, _ in frames(data, masked=False, rsv1=True)]
    assert heads == [0x41, 0x00, 0x00, 0x80, 0x82, 0xC2]
    assert receive_all(client, data) == ["a" * 50 + "bc", b"short", b"long enough"]


def test_rsv1_is_refused_where_deflate_was_not_negotiated() -> None:
    client = deflating(Role.CLIENT)
    client.send_text("x" * 100)
    assert fail(client.data_to_send())[1].close_code == 1002


# -- both sides together


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("longest", [None, 1, 50, 5000])
def test_a_conversation_back_to_back(deflate: bool, longest: int | None) -> None:
    rng = random.Random(20)
    pair = Pair(cut_by(rng, longest), deflate=deflate)
    for sender, receiver, carry in [
        (pair.client, pair.server, pair.to_server),
        (pair.server, pair.client, pair.to_client),
    ] * 3:
        expected = talk(sender, rng)
        assert carry() == expected
        pongs: list[Event] = [Pong(event.payload) for event in expected if isinstance(event, Ping)]
        back = pair.to_client if receiver is pair.server else pair.to_server
        assert back() == pongs
    pair.client.send_close(1000, "done")
    assert pair.to_server() == [Close(1000, "done")]
    assert pair.to_client() == [Close(1000, "")]
    assert pair.client.closed_cleanly
    assert pair.server.closed_cleanly


def cut_by(rng: random.Random, longest: int | None) -> Callable[[bytes], list[bytes]]:
    if longest is None:
        return lambda data: [data]
    return byte_by_byte if longest == 1 else lambda data: random_cuts(data, rng, longest)


def talk(connection: Connection, rng: random.Random) -> list[Event]:
    """Queue messages of every kind and size; what the other side has to receive."""
    events: list[Event] = []
    for size in (0, 1, 19, 20, 125, 126, 127, 600, *[rng.randint(0, 300) for _ in range(20)]):
        text = "".join(rng.choice("aé€😀") for _ in range(size))
        message: str | bytes = text if rng.random() < 0.5 else rng.randbytes(size)
        kind = rng.randrange(3)
        if kind == 0:
            send_in_fragments(connection, message, events, rng)
        elif isinstance(message, str):
            connection.send_text(message)
        else:
            connection.send_binary(message)
        events.append(message)
    return events


def send_in_fragments(connection: Connection, message: str | bytes, events: list[Event], rng: random.Random) -> None:
    for start in range(0, len(message), 30):
        connection.send_fragment(message[start : start + 30], last=False)
        if rng.random() < 0.3:
            connection.send_ping(payload := rng.randbytes(5))
            events.append(Ping(payload))
    connection.send_fragment(message[:0], last=True)


@pytest.mark.parametrize("size", [65535, 65536, 300_000])
@pytest.mark.parametrize("deflate", [False, True])
def test_large_messages_both_ways(size: int, deflate: bool) -> None:
    pair = Pair(lambda data: [data[start : start + 40_000] for start in range(0, len(data), 40_000)], deflate=deflate)
    message = random.Random(size).randbytes(size)
    pair.client.send_binary(memoryview(message))
    assert pair.to_server() == [message]
    pair.server.send_binary(message)
    assert pair.to_client() == [message]


def test_a_wrong_byte_anywhere_never_raises() -> None:
    """Whatever comes: documented events, at most one violation, and that at the end."""
    rng = random.Random(21)
    source = deflating(Role.CLIENT)
    talk(source, rng)
    data = source.data_to_send()
    for _ in range(200):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        server = deflating(Role.SERVER)
        events = [event for piece in random_cuts(bytes(broken), rng, 3000) for event in receive_all(server, piece)]
        assert not any(isinstance(event, RemoteProtocolError | Close) for event in events[:-1])
        server.receive_eof()
        assert server.state is State.CLOSED


# -- sending the same to many ------------------------------------------------------------------------------------------


class Packing:
    """permessage-deflate on paper: what is compressed stands in brackets."""

    threshold = 4
    own_max_window_bits = 11

    def __init__(self) -> None:
        self.restarts = 0

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        return b"(%b)" % bytes(data)

    def compress_alone(self, data: bytes | bytearray | memoryview) -> bytes:
        return b"[%b]" % bytes(data)

    def restart(self) -> None:
        self.restarts += 1

    def compress_fragment(self, data: bytes | bytearray | memoryview, *, last: bool) -> bytes:
        return bytes(data)

    def decompress(self, data: bytes, *, last: bool, limit: int | None) -> bytes:
        return bytes(data)


def test_servers_that_do_not_compress_share_frames() -> None:
    one, two = Connection(Role.SERVER), Connection(Role.SERVER)
    assert one.fan_out_group == two.fan_out_group == 0
    one.send_text("a")
    for frame_of_both in (one.encode_shared("text"), one.encode_shared(memoryview(b"view"))):
        one.send_shared(frame_of_both)
        two.send_shared(frame_of_both)
    assert one.data_to_send() == b"\x81\x01a\x81\x04text\x82\x04view"
    assert two.data_to_send() == b"\x81\x04text\x82\x04view"


def test_servers_that_compress_share_frames_by_their_window_and_start_anew() -> None:
    deflate = Packing()
    connection = Connection(Role.SERVER, deflate=deflate)
    assert connection.fan_out_group == 11
    assert connection.encode_shared("abc") == b"\x81\x03abc"
    frame_of_both = connection.encode_shared("text")
    assert frame_of_both == b"\xc1\x06[text]"
    assert deflate.restarts == 0
    connection.send_shared(frame_of_both)
    connection.send_shared(b"\x81\x03abc")
    assert deflate.restarts == 1


def test_a_client_shares_nothing() -> None:
    connection = Connection(Role.CLIENT)
    assert connection.fan_out_group is None
    with pytest.raises(LocalProtocolError, match="masks"):
        connection.encode_shared("text")


def test_a_shared_frame_keeps_the_rules_of_sending() -> None:
    connection = Connection(Role.SERVER)
    connection.send_fragment("a", last=False)
    with pytest.raises(LocalProtocolError, match="not finished"):
        connection.send_shared(b"\x81\x01b")
    connection.send_close()
    with pytest.raises(LocalProtocolError, match="closing"):
        connection.send_shared(b"\x81\x01b")
