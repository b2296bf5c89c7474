"""The epoll set of the reactor: every ready stream is served, and none is told what was meant for another."""

from __future__ import annotations

import pytest

from support.engines import HAS_REACTOR, Engine, Recorder, on_engines

pytestmark = pytest.mark.skipif(not HAS_REACTOR, reason="the reactor is not built or switched off")

on_all = on_engines("reactor")


@on_all
async def test_everyone_that_is_ready_is_served(engine: Engine) -> None:
    recorders = [Recorder() for _ in range(20)]
    peers = [(await engine.pair(recorder))[1] for recorder in recorders]
    for number, peer in enumerate(peers):
        await engine.send(peer, b"%d" % number)
    for number, recorder in enumerate(recorders):
        await recorder.until_received(len(str(number)))
        assert bytes(recorder.data) == b"%d" % number
    for peer in peers:
        peer.close()


@on_all
async def test_a_descriptor_that_is_used_again_gets_nothing_of_its_predecessor(engine: Engine) -> None:
    for number in range(20):
        recorder = Recorder()
        stream, peer = await engine.pair(recorder)
        await engine.send(peer, b"%d" % number)
        await recorder.until_received(len(str(number)))
        assert bytes(recorder.data) == b"%d" % number
        stream.abort()
        peer.close()
        await recorder.until_told("lost")
