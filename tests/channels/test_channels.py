"""``Channels``: life, publishing, and what is refused. Subscriptions: ``test_subscription.py``."""

from __future__ import annotations

from typing import Any

import pytest

from elio.channels.channels import Channels
from elio.channels.engines.memory import MemoryBackend
from elio.channels.message import Message
from elio.errors import ChannelError, ConfigurationError, InvalidChannel


async def test_it_works_between_start_and_close_which_count() -> None:
    channels = Channels()
    assert (channels.is_started, channels.is_healthy, channels.trouble) == (
        False,
        False,
        "the channels are not started",
    )
    async with channels:
        await channels.start()
        assert (channels.is_started, channels.is_healthy, channels.trouble) == (True, True, "")
        await channels.close()
        assert channels.is_started
        channels._running().health(False, "the link is cut")
        assert (channels.is_healthy, channels.trouble) == (False, "the link is cut")
    assert not channels.is_started
    await channels.close()
    assert repr(channels) == "<Channels not started>"


async def test_before_the_start_everything_says_so() -> None:
    channels = Channels()
    with pytest.raises(ChannelError, match="not started"):
        await channels.publish("a", "x")
    with pytest.raises(ChannelError, match="not started"):
        await channels.subscribe("a").receive()


async def test_an_engine_that_cannot_start_can_be_tried_again() -> None:
    class Failing(MemoryBackend):
        fails = True

        async def start(self, receiver: Any) -> None:
            if self.fails:
                raise ChannelError("refused")
            await super().start(receiver)

    backend = Failing()
    channels = Channels(backend=backend)
    with pytest.raises(ChannelError, match="refused"):
        await channels.start()
    assert not channels.is_started
    backend.fails = False
    async with channels:
        assert channels.is_healthy


async def test_publishing_answers_with_a_cursor_and_keys_publish_once() -> None:
    async with Channels() as channels:
        first = await channels.publish("a", "1", idempotency_key="k")
        assert await channels.publish("a", "1", idempotency_key="k") == first
        second = await channels.publish("a", b"2")
        async with channels.subscribe("a", since=first) as subscription:
            message = await subscription.receive()
            assert message.id == second


@pytest.mark.parametrize("name", ["", "a b", "a.*", ">", "a..b"])
async def test_what_is_no_channel_is_not_published_to(name: str) -> None:
    async with Channels() as channels:
        with pytest.raises(InvalidChannel):
            await channels.publish(name, "x")


async def test_channels_of_the_library_are_not_published_to() -> None:
    async with Channels() as channels:
        with pytest.raises(InvalidChannel, match="belongs to the library"):
            await channels.publish("$presence.a", "x")


async def test_what_is_no_message_is_a_type_error() -> None:
    async with Channels() as channels:
        with pytest.raises(TypeError):
            await channels.publish("a", {"a": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ([], {}),
        ([f"a{number}" for number in range(101)], {}),
        (["a"], {"policy": "drop"}),
        (["a"], {"backlog": -1}),
        (["a"], {"max_queue_size": -1}),
    ],
)
async def test_subscriptions_that_cannot_be_are_refused_at_once(names: list[str], options: dict[str, Any]) -> None:
    async with Channels() as channels:
        with pytest.raises(ConfigurationError):
            channels.subscribe(*names, **options)
        with pytest.raises(InvalidChannel):
            channels.subscribe("a b")


def test_the_environment_names_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELIO_CHANNELS", "nosuch://x")
    with pytest.raises(ConfigurationError, match="nosuch"):
        Channels()
    Channels("memory:")
    monkeypatch.setenv("ELIO_CHANNELS", "")
    Channels()


@pytest.mark.parametrize("wrong", [{"url": "x:"}, {"history": 0}, {"ttl": -1.0}, {"on_outage": "no"}])
def test_wrong_options_are_said_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Channels(**wrong)
    with pytest.raises(ConfigurationError, match="not both"):
        Channels("memory:", backend=MemoryBackend())


async def test_the_engine_of_the_environment_is_the_one_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = Channels()
    assert channels.states() == []
    monkeypatch.setenv("ELIO_CHANNELS", "kafka://nowhere")
    with pytest.raises(ConfigurationError, match="'kafka' is no engine"):
        await channels.start()
    monkeypatch.delenv("ELIO_CHANNELS")
    async with channels, channels.subscribe("a", "b.*"):
        (state,) = channels.states()
        assert (state.channels, state.subscribers) == (("a", "b.*"), 1)


async def test_a_cursor_says_where_a_channel_is() -> None:
    async with Channels() as channels:
        await channels.publish("a.1", "before")
        for name in ("a.1", "a.*"):
            cursor = await channels.cursor(name)
            await channels.publish("a.1", "behind")
            async with channels.subscribe(name, since=cursor) as subscription:
                message = await subscription.receive()
                assert isinstance(message, Message)
                assert message.data == "behind"
        with pytest.raises(InvalidChannel):
            await channels.cursor("a b")
