"""Records through the module `ssl`, and what all ways have in common: both ways, in any cuts, up to the end."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable

import pytest

from elio.net.records.memory import RECORD
from support.frames import random_cuts
from support.site import Certificates, make_certificates
from support.tls import Line, Way, as_they_are, read_all, server_context

WAYS: dict[str, Way] = {"memory": as_they_are}
try:
    from elio.net.records._openssl import direct
except ImportError:
    pass
else:
    WAYS["direct"] = direct

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
SIZES = [1, 32, RECORD - 1, RECORD, RECORD + 1, 4 * RECORD, 4 * RECORD + 1, 9 * RECORD, 300_000]

Open = Callable[..., Line]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def open_line(request: pytest.FixtureRequest, certificates: Certificates) -> Open:
    def open_line(version: ssl.TLSVersion | None = None, ciphers: str | None = None) -> Line:
        server, client = server_context(certificates), certificates.client()
        if version is not None:
            client.minimum_version = client.maximum_version = version
        if ciphers is not None:
            client.set_ciphers(ciphers)
            server.set_ciphers(ciphers)
        return Line(server, client, request.param)

    return open_line


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", SIZES)
def test_what_the_client_writes_is_read(open_line: Open, version: ssl.TLSVersion, size: int) -> None:
    line = open_line(version)
    data = random.Random(size).randbytes(size)
    assert read_all(line.server, line.sent(data)) == data
    assert not line.server.has_input()
    assert not line.server.at_end


@pytest.mark.parametrize("size", [1, 100, 3 * RECORD])
def test_any_cuts_come_to_the_same(open_line: Open, size: int) -> None:
    random_ = random.Random(size)
    line = open_line()
    for _ in range(20):
        data = random_.randbytes(size)
        read = b"".join(read_all(line.server, piece) for piece in random_cuts(line.sent(data), random_))
        assert read == data


def test_bytes_that_come_one_by_one(open_line: Open) -> None:
    line = open_line()
    ciphertext = line.sent(b"hello") + line.sent(b", world")
    read = [read_all(line.server, ciphertext[place : place + 1]) for place in range(len(ciphertext))]
    assert [part for part in read if part] == [b"hello", b", world"]


def test_what_comes_while_some_is_unread_stands_behind_it(open_line: Open) -> None:
    line = open_line()
    assert line.server.add(line.sent(b"a" * 300_000))
    read = line.server.read()
    assert not line.server.add(line.sent(b"b" * 300_000))
    while line.server.has_input():
        read += line.server.read()
    assert read == b"a" * 300_000 + b"b" * 300_000


def test_one_read_is_bounded(open_line: Open) -> None:
    line = open_line()
    line.server.add(line.sent(b"x" * 1_000_000))
    sizes = []
    while line.server.has_input():
        sizes.append(len(line.server.read()))
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 8 * RECORD


def test_input_that_was_dropped_is_not_read(open_line: Open) -> None:
    line = open_line()
    line.server.add(line.sent(b"hello"))
    line.server.drop_input()
    assert not line.server.has_input()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_read_by_the_client(open_line: Open, version: ssl.TLSVersion, size: int) -> None:
    line = open_line(version)
    data = random.Random(size).randbytes(size)
    assert line.read(line.server.write(data)) == data
    assert line.read(b"".join(line.server.write_pieces([data]))) == data
    assert line.server.take() == b""


@pytest.mark.parametrize("ciphers", ["ECDHE+AESGCM", "ECDHE+CHACHA20", "ECDHE+SHA384", "ECDHE+SHA"])
def test_records_of_any_cipher_grow_as_they_must(open_line: Open, ciphers: str) -> None:
    line = open_line(ssl.TLSVersion.TLSv1_2, ciphers)
    data = random.Random(1).randbytes(100_000)
    assert line.read(line.server.write(data)) == data
    assert (
        b"".join(read_all(line.server, line.sent(data[start : start + 7])) for start in range(0, 700, 7)) == data[:700]
    )


def test_pieces_are_read_one_behind_the_other(open_line: Open) -> None:
    line = open_line()
    pieces = [b"head", b"", bytearray(b"body") * 30_000, memoryview(b"tail")]
    parts = line.server.write_pieces(pieces)  # type: ignore[arg-type]
    assert line.read(b"".join(parts)) == b"head" + b"body" * 30_000 + b"tail"
    assert max(map(len, parts)) < 2 * 4 * RECORD + 1000
    assert line.server.write_pieces([]) == []
    assert line.server.write_pieces([b""]) == []


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
def test_any_kind_of_bytes_can_be_written(open_line: Open, data: bytes) -> None:
    line = open_line()
    assert line.read(line.server.write(data)) == b"bytes"


def test_the_clients_end_is_an_end_without_an_error(open_line: Open) -> None:
    line = open_line()
    assert read_all(line.server, line.sent(b"bye") + line.end()) == b"bye"
    assert line.server.at_end
    assert line.server.error is None


def test_our_end_is_one_for_the_client(open_line: Open) -> None:
    line = open_line()
    line.server.end()
    ending = line.server.take()
    assert ending
    line.read(ending)
    assert line.client.read(100) == b""


def test_what_the_client_sends_behind_our_end_is_read(open_line: Open) -> None:
    line = open_line()
    line.server.end()
    line.server.take()
    assert read_all(line.server, line.sent(b"still there")) == b"still there"


def test_nothing_can_be_written_behind_our_end(open_line: Open) -> None:
    line = open_line()
    line.server.end()
    line.server.take()
    with pytest.raises(ssl.SSLError) as seen:
        line.server.write(b"too late")
    assert seen.value.reason == "PROTOCOL_IS_SHUTDOWN"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_damaged_record_is_an_error_with_its_reason(open_line: Open, version: ssl.TLSVersion) -> None:
    line = open_line(version)
    good = line.sent(b"good")
    damaged = bytearray(line.sent(b"damaged"))
    damaged[-1] ^= 1
    assert read_all(line.server, good + bytes(damaged) + line.sent(b"never")) == b"good"
    assert line.server.at_end
    assert isinstance(line.server.error, ssl.SSLError)
    assert line.server.error.reason == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
    assert "DECRYPTION_FAILED_OR_BAD_RECORD_MAC" in str(line.server.error)
    assert line.server.take(), "the alert"


def test_what_is_no_record_is_an_error(open_line: Open) -> None:
    line = open_line()
    assert read_all(line.server, b"GET / HTTP/1.1\r\n\r\n") == b""
    assert line.server.at_end
    assert isinstance(line.server.error, ssl.SSLError)
    assert line.server.error.library == "SSL"


def test_errors_of_one_connection_are_none_of_another(open_line: Open) -> None:
    broken, sound = open_line(), open_line()
    for _ in range(3):
        read_all(broken.server, b"\x99" * 100)
        assert read_all(sound.server, sound.sent(b"sound")) == b"sound"
        assert sound.read(sound.server.write(b"sound")) == b"sound"
        with pytest.raises(ssl.SSLError):
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers("no such cipher")
    assert not sound.server.at_end


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_records_that_came_with_the_handshake_are_read(certificates: Certificates, way: Way) -> None:
    line = Line(server_context(certificates), certificates.client())
    line.shaken.add(line.sent(b"early"))
    records = way(line.shaken)
    assert records.has_input()
    assert records.read() == b"early"
