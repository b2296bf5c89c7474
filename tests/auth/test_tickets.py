"""Tickets: once, in time, and worth nothing to anybody else."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode

import pytest

from elio import ConfigurationError, Request, Tickets
from support.request import make_request

SECRET = "a secret of many bytes"
KINDS = pytest.mark.parametrize("secret", [None, SECRET, SECRET.encode()])


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


def bearing(ticket: str) -> Request:
    return make_request("GET", f"/ws?room=a&ticket={ticket}")


@KINDS
def test_a_ticket_is_redeemed_once(secret: str | None) -> None:
    tickets = Tickets(secret)
    first, second = tickets.issue("ada"), tickets.issue("bob")
    assert tickets.redeem(bearing(second)) == "bob"
    assert tickets.redeem(bearing(first)) == "ada"
    assert tickets.redeem(bearing(first)) is None
    assert tickets.redeem(bearing(second)) is None


@KINDS
def test_a_ticket_may_come_as_a_subprotocol(secret: str | None) -> None:
    tickets = Tickets(secret)
    value = f"chat, elio.ticket.{tickets.issue('ada')}"
    assert tickets.redeem(make_request(headers={"Sec-WebSocket-Protocol": value})) == "ada"
    assert tickets.redeem(make_request(headers={"Sec-WebSocket-Protocol": value})) is None


@KINDS
def test_a_ticket_is_over_after_its_time(secret: str | None, clock: Clock) -> None:
    tickets = Tickets(secret, ttl=5.0)
    in_time, late = tickets.issue("ada"), tickets.issue("ada")
    clock.now += 4.9
    assert tickets.redeem(bearing(in_time)) == "ada"
    clock.now += 0.1
    assert tickets.redeem(bearing(late)) is None


@KINDS
@pytest.mark.parametrize("ticket", ["", "x", ".", "a.b", "é", "x" * 5000, "%00", "W10.W10"])
def test_what_is_no_ticket_is_nobody(secret: str | None, ticket: str) -> None:
    assert Tickets(secret).redeem(bearing(ticket)) is None


def test_without_a_ticket_there_is_nobody() -> None:
    assert Tickets().redeem(make_request()) is None


@KINDS
def test_nothing_is_remembered_beyond_the_time(secret: str | None, clock: Clock) -> None:
    tickets = Tickets(secret, ttl=5.0)
    for _ in range(100):
        tickets.redeem(bearing(tickets.issue("ada")))
        tickets.issue("ada")
    clock.now += 5.0
    tickets.redeem(bearing(tickets.issue("ada")))
    assert len(tickets._known) <= 1


def test_the_oldest_makes_room(clock: Clock) -> None:
    tickets = Tickets(max_tickets=2)
    issued = [tickets.issue(number) for number in range(3)]
    assert [tickets.redeem(bearing(ticket)) for ticket in issued] == [None, 1, 2]


def test_without_a_secret_the_user_is_any_object() -> None:
    tickets, user = Tickets(), object()
    assert tickets.redeem(bearing(tickets.issue(user))) is user


# -- with a secret -----------------------------------------------------------------------------------------------------


def test_signed_tickets_hold_in_every_process_that_has_the_secret() -> None:
    here, there = Tickets(SECRET), Tickets(SECRET)
    ticket = here.issue({"name": "ada", "rooms": [1, 2]})
    assert there.redeem(bearing(ticket)) == {"name": "ada", "rooms": [1, 2]}
    assert there.redeem(bearing(ticket)) is None
    assert here.redeem(bearing(ticket)) is not None  # once in each


def test_any_change_breaks_the_seal() -> None:
    tickets = Tickets(SECRET)
    ticket = tickets.issue("ada")
    for place in range(len(ticket)):
        changed = ticket[:place] + ("A" if ticket[place] != "A" else "B") + ticket[place + 1 :]
        assert tickets.redeem(bearing(changed)) is None
    assert tickets.redeem(bearing(ticket + "=")) is None
    assert tickets.redeem(bearing(ticket)) == "ada"


def test_a_seal_of_another_secret_is_worth_nothing() -> None:
    assert Tickets(SECRET).redeem(bearing(Tickets(SECRET + ".").issue("ada"))) is None


def test_what_is_signed_can_be_read() -> None:
    content = Tickets(SECRET).issue("ada").partition(".")[0]
    assert b'"ada"' in urlsafe_b64decode(content + "=" * (-len(content) % 4))


def test_a_signed_user_is_json() -> None:
    with pytest.raises(TypeError):
        Tickets(SECRET).issue(object())


def test_when_no_more_can_be_remembered_none_is_redeemed(clock: Clock) -> None:
    tickets = Tickets(SECRET, ttl=5.0, max_tickets=1)
    first, second = tickets.issue("ada"), tickets.issue("bob")
    assert tickets.redeem(bearing(first)) == "ada"
    assert tickets.redeem(bearing(second)) is None
    assert tickets.redeem(bearing(first)) is None
    clock.now += 5.0
    assert tickets.redeem(bearing(tickets.issue("bob"))) == "bob"


@pytest.mark.parametrize("options", [{"secret": "short"}, {"ttl": 0}, {"ttl": float("nan")}, {"max_tickets": 0}])
def test_what_would_not_be_safe_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        Tickets(**options)  # type: ignore[arg-type]


def test_a_secret_is_not_shown() -> None:
    assert repr(Tickets(SECRET)) == "<Tickets signed ttl=30>"
    assert repr(Tickets(ttl=0.5)) == "<Tickets random ttl=0.5>"
