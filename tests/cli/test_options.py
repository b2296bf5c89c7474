"""What the options of several commands mean."""

from __future__ import annotations

import argparse
import logging
import math
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from elio import ConfigurationError
from elio.cli.options import (
    add_client_options,
    add_engine_options,
    count,
    engine_of,
    header,
    log_to_stderr,
    reaching,
    seconds,
    speed,
)
from support.certificates import make


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_client_options(parser)
    return parser.parse_args(arguments)


def test_values_are_what_they_say() -> None:
    assert (seconds("0"), seconds("1.5")) == (0.0, 1.5)
    assert (speed("2"), speed("inf")) == (2.0, math.inf)
    assert (count("1"), count("1024")) == (1, 1024)
    assert header("X-One:  a: b ") == ("X-One", "a: b")
    assert header("Empty:") == ("Empty", "")


@pytest.mark.parametrize(
    ("parse_value", "text"),
    [
        *((seconds, text) for text in ("-1", "inf", "nan", "x", "")),
        *((speed, text) for text in ("0", "-1", "nan", "x")),
        *((count, text) for text in ("0", "-1", "1.5", "x", "", "²")),
        *((header, text) for text in ("X", ": x", "")),
    ],
)
def test_anything_else_is_refused(parse_value: Callable[[str], object], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_value(text)


def test_a_server_is_reached_as_usual_without_options() -> None:
    assert reaching(parse()) == {"headers": [], "tls": None, "proxy": "environment", "uds": None}


def test_options_say_how_a_server_is_reached() -> None:
    way = reaching(parse("-H", "A: 1", "-H", "A: 2", "--proxy", "socks5://localhost", "--uds", "/s"))
    assert way == {"headers": [("A", "1"), ("A", "2")], "tls": None, "proxy": "socks5://localhost", "uds": "/s"}


def test_any_certificate_is_trusted_only_if_asked_for(tmp_path: Path) -> None:
    trusting = reaching(parse("--insecure"))["tls"]
    assert trusting is not None
    assert (trusting.verify_mode, trusting.check_hostname) == (ssl.CERT_NONE, False)
    strict = reaching(parse("--cacert", str(make(tmp_path).certificate)))["tls"]
    assert strict is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("name", ["none.pem", "empty.pem"])
def test_authorities_that_cannot_be_read_are_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.pem").touch()
    with pytest.raises(ConfigurationError, match=r"the authorities '.*' cannot be used: "):
        reaching(parse("--cacert", str(tmp_path / name)))


def test_logs_are_at_the_level_of_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr(logging, "basicConfig", lambda **options: given.update(options))
    log_to_stderr("debug")
    assert given["level"] == "DEBUG"


def engine_options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    return parser.parse_args(arguments)


def test_an_engine_is_named_by_the_option_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELIO_CHANNELS", "kafka://x")
    assert not engine_of(engine_options("--channels", "local:/run/hub")).is_started
    with pytest.raises(ConfigurationError, match="'kafka' is no engine"):
        engine_of(engine_options())
    monkeypatch.delenv("ELIO_CHANNELS")
    for arguments in ([], ["--channels", "memory:"]):
        with pytest.raises(ConfigurationError, match="no engine is named: --channels URL does"):
            engine_of(engine_options(*arguments))
