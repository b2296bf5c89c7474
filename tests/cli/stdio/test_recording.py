"""Lines of JSON, and files of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from elio import ConfigurationError, Event
from elio.cli.stdio.recording import (
    Recorder,
    decode_message,
    encode_event,
    encode_message,
    parse_line,
    replay,
    to_line,
)
from support.clock import VirtualLoop


@pytest.mark.parametrize("message", ["", "a\nb\0 ü €", b"", b"\x00\xff\n"])
def test_a_message_is_one_line_and_back(message: str | bytes) -> None:
    line = to_line(encode_message(message))
    assert line.count(b"\n") == 1
    assert decode_message(parse_line(line, "it"), "it") == message


def test_lines_are_for_people_too() -> None:
    assert to_line(encode_message("ü")) == '{"type":"text","data":"ü"}\n'.encode()
    assert to_line(encode_message(b"\0")) == b'{"type":"binary","data":"AA=="}\n'
    event = Event("a\nb", type="tick", id="7")
    assert to_line(encode_event(event)) == b'{"type":"tick","data":"a\\nb","id":"7"}\n'


def test_text_is_what_a_message_is_that_does_not_say() -> None:
    assert decode_message(parse_line(b' {"data":"a","more":[]} ', "it"), "it") == "a"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"no", "it is not JSON: 'no'"),
        (b"\xff", "it is not JSON: '\ufffd'"),
        (b"[" * 100_000, "it is not JSON: '" + "[" * 60 + "'"),
        (b'"data"', "it is not an object with 'data' as a string"),
        (b'{"data":5}', "it is not an object with 'data' as a string"),
        (b'{"data":"","type":"x"}', "it has the type 'x', allowed are 'text' and 'binary'"),
        (b'{"data":"","type":[]}', "it has the type [], allowed are 'text' and 'binary'"),
        (b'{"data":"A","type":"binary"}', "it has data that is not base64"),
        (b'{"data":"\xc3\xbc","type":"binary"}', "it has data that is not base64"),
        (b'{"data":"\\ud800"}', "it has data that is not Unicode text"),
    ],
)
def test_what_is_no_message_is_one_sentence(line: bytes, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decode_message(parse_line(line, "it"), "it")
    assert str(caught.value) == sentence


def test_a_recording_has_times_and_directions(tmp_path: Path) -> None:
    times = iter([10.0, 10.5, 12.0])
    with Recorder(str(tmp_path / "file"), clock=lambda: next(times)) as recorder:
        recorder.note("sent", encode_message("a"))
        recorder.note("received", encode_message(b"b"))
    assert [json.loads(line) for line in (tmp_path / "file").read_text().splitlines()] == [
        {"at": 0.5, "direction": "sent", "type": "text", "data": "a"},
        {"at": 2.0, "direction": "received", "type": "binary", "data": "Yg=="},
    ]


def test_a_file_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'.*' cannot be written to: Is a directory"):
        Recorder(str(tmp_path))
    with Recorder("/dev/full") as recorder, pytest.raises(ConfigurationError, match="No space left on device"):
        recorder.note("sent", {})


async def collect(path: Path, **options: Any) -> list[tuple[str, float]]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    return [(fields["data"], loop.time() - began) async for fields in replay(str(path), "sent", **options)]


@pytest.mark.parametrize(("speed", "times"), [(1.0, [0.0, 3.0, 60.0]), (2.0, [0.0, 1.5, 30.0]), (1e400, [0.0] * 3)])
def test_a_recording_is_replayed_at_its_times(tmp_path: Path, speed: float, times: list[float]) -> None:
    path = tmp_path / "file"
    path.write_text(
        '{"data":"a"}\n\n{"at":1,"direction":"received","data":"x"}\n'
        '{"at":3,"direction":"sent","data":"b"}\n{"at":60.0,"data":"c"}\n'
    )
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        replayed = runner.run(collect(path, speed=speed))
    assert [data for data, _ in replayed] == ["a", "b", "c"]
    assert [at for _, at in replayed] == pytest.approx(times)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("no", "line 2 of '.*' is not JSON: 'no'"),
        ('{"data":"","at":"x"}', "line 2 of '.*' has the time 'x', which is no number of seconds"),
        ('{"data":"","at":-1}', "line 2 of '.*' has the time -1, which is no number of seconds"),
        ('{"data":"","at":NaN}', "line 2 of '.*' has the time nan, which is no number of seconds"),
    ],
)
async def test_a_wrong_line_of_a_recording_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "file"
    path.write_text(f"\n{line}\n")
    with pytest.raises(ConfigurationError, match=sentence):
        await collect(path)


async def test_a_recording_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'.*none' cannot be read: No such file or directory"):
        await collect(tmp_path / "none")
