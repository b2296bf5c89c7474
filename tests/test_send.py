"""Where the session is compiled, tasks get messages without an exception that carries them."""

from __future__ import annotations

import asyncio
import os

import pytest

from elio import _twins
from support.frames import frame
from support.sessions import Session

compiled = pytest.mark.skipif(
    os.environ.get("ELIO_PURE", "0") not in ("", "0") or os.environ.get("ELIO_BUILD_NATIVE") == "0",
    reason="the pure twin was asked for",
)


@compiled
def test_the_slot_is_installed_with_the_compiled_session() -> None:
    assert _twins.is_compiled("elio._send") == _twins.is_compiled("elio.session")


async def test_a_message_comes_back_as_the_value_whatever_drives_the_receive() -> None:
    session = Session()
    await session.feed(frame(0x81, b"a") + frame(0x82, b"b") + frame(0x81, b"c") + frame(0x81, b"d"))
    assert await session.ws.receive() == "a"
    assert await asyncio.create_task(session.ws.receive()) == b"b"
    assert await asyncio.wait_for(session.ws.receive(), 1) == "c"
    with pytest.raises(StopIteration) as caught:
        session.ws.receive().send(None)
    assert caught.value.value == "d"
    await session.lose()
    session.close()


async def test_a_receive_is_a_coroutine_and_no_future() -> None:
    session = Session()
    receive = session.ws.receive()
    assert asyncio.iscoroutine(receive)
    assert not asyncio.isfuture(receive)
    receive.close()
    await session.lose()
    session.close()


async def test_a_receive_that_is_thrown_into_or_closed_waits_no_more() -> None:
    session = Session()
    for end in (lambda coroutine: coroutine.close(), lambda coroutine: coroutine.throw(KeyError, KeyError("x"))):
        receive = session.ws.receive()
        receive.send(None)
        if end.__code__.co_names[0] == "throw":
            with pytest.raises(KeyError):
                end(receive)
        else:
            end(receive)
        await session.feed(frame(0x81, b"a"))
        assert await session.ws.receive() == "a"
    await session.lose()
    session.close()
