"""Whether requests may be sent here, as a load balancer asks."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from elio import ConfigurationError, Router
from support.raw import Raw, connect, serve


async def ask(raw: Raw, target: str = "/readyz") -> tuple[int, Any]:
    answer = await raw.get(target)
    assert answer.headers["cache-control"] == "no-store"
    return answer.status, json.loads(answer.body)


async def test_without_checks_a_server_that_accepts_is_ready() -> None:
    router = Router()
    router.readiness("/readyz")
    async with serve(router) as server, connect(server) as raw:
        assert await ask(raw) == (200, {"ready": True, "checks": {}})


async def test_it_is_red_while_the_server_goes_away_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.shuffle", lambda found: None)  # the connection that came first is closed last
    router = Router()
    router.readiness("/readyz")
    async with serve(router) as staying, connect(staying) as other:
        async with serve(router) as server, connect(server) as raw, connect(server) as first:
            for each in (raw, first):
                assert (await ask(each))[0] == 200
            draining = asyncio.ensure_future(server.drain(window=1000.0))
            assert await first.read_all() == b""
            assert await ask(raw) == (503, {"ready": False, "checks": {"server": "going away"}})
            await draining
        assert (await ask(other))[0] == 200


async def test_checks_of_every_kind_are_run_side_by_side(caplog: pytest.LogCaptureFixture) -> None:
    router, mounted = Router(), Router()
    router.mount("/sub", mounted)
    router.readiness("/readyz", timeout=0.05)
    mounted.readiness("/readyz")
    results: dict[str, object] = {"plain": None, "async": True}

    @router.readiness_check("plain")
    def plain() -> object:
        return results["plain"]

    @mounted.readiness_check("async")
    async def later() -> object:
        result = results["async"]
        if isinstance(result, Exception):
            raise result
        if result == "hang":
            await asyncio.Event().wait()
        return result

    async with serve(router) as server, connect(server) as raw:
        assert await ask(raw) == (200, {"ready": True, "checks": {"async": "ok", "plain": "ok"}})
        results["plain"] = False
        assert await ask(raw) == (503, {"ready": False, "checks": {"async": "ok", "plain": "failed"}})
        assert await ask(raw, "/sub/readyz") == (200, {"ready": True, "checks": {"async": "ok"}})
        results.update({"plain": 0, "async": OSError("no route")})
        caplog.set_level(logging.WARNING, "elio.server")
        assert await ask(raw) == (503, {"ready": False, "checks": {"async": "failed", "plain": "ok"}})
        assert caplog.messages == ["readiness check 'async' has failed: OSError: no route"]
        results["async"] = "hang"
        assert (await ask(raw))[0] == 503
        assert caplog.messages[1] == "readiness check 'async' has failed: TimeoutError: "


def test_its_path_may_be_taken() -> None:
    router = Router()
    router.readiness("/readyz")
    with pytest.raises(ConfigurationError, match="is registered for GET already"):
        router.readiness("/readyz")
