"""Exit statuses, whatever ends a client command. Signals are in the tests of the commands."""

from __future__ import annotations

import asyncio

import pytest

from elio import ConfigurationError, ConnectError, ElioError, HandshakeError, InvalidURL, LocalProtocolError
from elio.cli.outcome import STATUSES, Status, describe, run_client, status_of
from elio.errors import (
    EngineError,
    EngineLost,
    EventTooBig,
    InvalidChannel,
    PublishError,
    RemoteProtocolError,
    StreamStalled,
    StreamTruncated,
    connection_closed,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConnectError("x"), 3),
        (HandshakeError("x"), 4),
        (connection_closed(4000), 5),
        (StreamTruncated("x"), 5),
        (StreamStalled(what="byte", seconds=1.0), 5),
        (RemoteProtocolError("x"), 5),
        (EventTooBig(size=2, limit=1), 5),
        (ConfigurationError("x"), 1),
        (InvalidURL("x"), 1),
        (LocalProtocolError("x"), 1),
        (EngineLost("x"), 3),
        (PublishError("x"), 3),
        (EngineError("x"), 4),
        (InvalidChannel("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_status(error: ElioError, status: int) -> None:
    assert status_of(error) == status


def run(error: BaseException | None) -> int:
    async def main() -> None:
        if error is not None:
            raise error

    return run_client(main, max_time=None)


def test_an_orderly_end_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(None) == 0
    assert run(BrokenPipeError()) == 141
    assert capsys.readouterr() == ("", "")


def test_an_error_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ConnectError("nobody\nthere")) == Status.UNREACHABLE
    assert capsys.readouterr() == ("", "elio: nobody there\n")


def test_what_cannot_be_done_is_left_to_the_command_line() -> None:
    with pytest.raises(ConfigurationError):
        run(ConfigurationError("x"))


def test_time_is_up_only_when_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_client(asyncio.Event().wait, max_time=0.01) == 124  # type: ignore[arg-type]
    assert capsys.readouterr().err == "elio: not at an end within 0.01 seconds\n"
    with pytest.raises(TimeoutError):
        run(TimeoutError())


def test_a_cancellation_of_ones_own_is_no_signal() -> None:
    with pytest.raises(asyncio.CancelledError):
        run(asyncio.CancelledError())


def test_a_refusal_is_told_with_the_beginning_of_its_body() -> None:
    assert describe(HandshakeError("status 403", body=b"go\n  away \x1b\xff")) == "status 403: go away \\x1b\ufffd"
    assert describe(HandshakeError("status 403", body=b"x" * 201)) == "status 403: " + "x" * 200 + "..."
    assert describe(HandshakeError("status 403")) == "status 403"


def test_the_help_has_every_status() -> None:
    assert all(str(int(status)) in STATUSES for status in Status)
