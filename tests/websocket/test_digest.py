"""The digest of the opening handshake: the example of RFC 6455 1.3, and the compiled twin beside the Python."""

from __future__ import annotations

import base64
import random

import pytest

from elio.errors import RemoteProtocolError
from elio.headers import Headers
from elio.websocket import digest, handshake

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def test_the_example_of_the_rfc() -> None:
    assert digest.accept_key(KEY) == handshake.accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_both_twins_agree_on_random_keys() -> None:
    source = random.Random(1)
    for _ in range(2_000):
        key = base64.b64encode(source.randbytes(16)).decode()
        assert digest.is_key(key)
        assert handshake.accept_key(key) == digest.accept_key(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        KEY[:-1],
        KEY + "=",
        KEY[:-2] + "A=",
        KEY[:-2] + "=A",
        "-" + KEY[1:],
        "_" + KEY[1:],
        " " + KEY[1:],
        KEY[:21] + "é==",
        KEY[:21] + "😀==",
        "\udc80" + KEY[1:],
        KEY[:-2] + "\0=",
        "=" * 24,
    ],
)
def test_what_is_no_key_is_neither_taken_nor_hashed(text: str) -> None:
    assert not digest.is_key(text)
    headers = Headers.from_trusted([("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", text)])
    with pytest.raises(RemoteProtocolError, match="16 bytes in base64"):
        handshake.check_version_and_key(headers)
    for accept in (digest.accept_key, handshake.accept_key):
        with pytest.raises(ValueError, match="no Sec-WebSocket-Key"):
            accept(text)


@pytest.mark.parametrize("place", range(22))
def test_every_digit_of_base64_may_stand_anywhere_and_nothing_else(place: int) -> None:
    digits = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    for octet in map(chr, range(256)):
        key = KEY[:place] + octet + KEY[place + 1 :]
        headers = Headers.from_trusted([("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)])
        if octet in digits:
            assert handshake.check_version_and_key(headers) == key
        else:
            with pytest.raises(RemoteProtocolError):
                handshake.check_version_and_key(headers)
