"""Leases in memory."""

from __future__ import annotations

from elio.channels.backend import Lease
from elio.channels.engines.leases import Leases


def lease(member: str, holder: str = "1", data: str = "{}") -> Lease:
    return Lease("room", member, holder, data)


def test_a_member_joins_once_and_leaves_once() -> None:
    leases = Leases()
    assert leases.next_end is None
    assert leases.hold(lease("ann"), 10.0)
    assert not leases.hold(lease("ann", "2", "new"), 12.0)
    assert leases.members("room") == {"ann": "new"}
    assert leases.next_end == 10.0
    assert list(leases.expire(9.9)) == []
    assert list(leases.expire(10.0)) == []
    assert list(leases.expire(20.0)) == [lease("ann", "2", "new")]
    assert leases.members("room") == {}
    assert leases.next_end is None
    assert leases.hold(lease("ann"), 30.0)


def test_a_renewed_lease_ends_later() -> None:
    leases = Leases()
    leases.hold(lease("ann"), 10.0)
    assert not leases.hold(lease("ann"), 20.0)
    assert list(leases.expire(15.0)) == []
    assert list(leases.expire(20.0)) == [lease("ann")]


def test_releasing_ends_a_lease_earlier_and_never_later() -> None:
    leases = Leases()
    leases.release(lease("nobody"), 0.0)
    leases.hold(lease("ann"), 10.0)
    leases.release(lease("ann"), 20.0)
    leases.release(lease("ann", "2"), 0.0)
    assert leases.members("room") == {"ann": "{}"}
    leases.release(lease("ann"), 5.0)
    assert list(leases.expire(4.0)) == []
    assert list(leases.expire(5.0)) == [lease("ann")]
    assert list(leases.expire(99.0)) == []


def test_a_renewed_lease_is_one_entry_for_its_end() -> None:
    leases = Leases()
    for end in range(1, 1000):
        leases.hold(lease("ann"), float(end))
        assert list(leases.expire(end - 1.0)) == []
    assert len(leases._due) == 1
