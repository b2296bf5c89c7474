"""Which feeds a channel belongs to."""

from __future__ import annotations

from elio.channels.delivery.feed import Feed
from elio.channels.delivery.routes import Routes


def test_names_and_patterns() -> None:
    routes, name, pattern, both = Routes(), Feed(("a.b",)), Feed(("a.*",)), Feed(("a.b", "a.>"))
    for feed in (name, pattern, both):
        routes.add(feed)
    assert routes.of("a.b") == (name, both, pattern)
    assert routes.of("a.c") == (pattern, both)
    assert routes.of("a.c.d") == (both,)
    assert routes.of("b") == ()
    assert routes.of("a.*") == (pattern,)
    assert routes.of("a.>") == (both,)
    routes.remove(both)
    assert routes.of("a.b") == (name, pattern)
    routes.remove(pattern)
    assert routes.of("a.b") == (name,)
    assert routes.of("a.c") == ()
    assert routes.of("a.*") == ()
    routes.remove(name)
    assert routes.of("a.b") == ()


def test_what_is_remembered_is_right_and_bounded() -> None:
    routes, pattern = Routes(), Feed(("a.*",))
    routes.add(pattern)
    for number in range(25_000):
        assert routes.of(f"a.{number}") == (pattern,)
    assert len(routes._known) <= 10_000
    late = Feed(("a.7",))
    routes.add(late)
    assert routes.of("a.7") == (late, pattern)
