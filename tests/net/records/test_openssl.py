"""Records past the module `ssl`: that it is done, what it leaves alone, and that nothing dangles."""

from __future__ import annotations

import gc
import random
import socket
import ssl
import subprocess
import sys
import weakref
from subprocess import DEVNULL, PIPE
from types import SimpleNamespace
from typing import Any

import pytest

from elio import _twins
from elio.net.records.memory import MemoryRecords
from elio.net.records.records import Records
from support.site import Certificates, make_certificates
from support.tls import Line, read_all, server_context

if not _twins.is_compiled("elio.net.records._openssl"):
    pytest.skip("it is not built", allow_module_level=True)

from elio.net.records._openssl import direct


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def line(certificates: Certificates) -> Line:
    return Line(server_context(certificates), certificates.client(), direct)


def test_the_module_is_passed_on_this_python(line: Line) -> None:
    assert type(line.server) is not MemoryRecords
    assert line.server.tls is line.shaken.tls


def test_the_facts_of_the_connection_are_known_as_before(line: Line) -> None:
    assert line.server.tls.version() == line.client.version()
    assert line.server.tls.cipher() == line.client.cipher()


def test_a_context_chosen_by_name_is_passed_too(certificates: Certificates) -> None:
    outer, inner = server_context(certificates), server_context(certificates)
    outer.sni_callback = lambda connection, name, context: setattr(connection, "context", inner)
    line = Line(outer, certificates.client(), direct)
    assert line.server.tls.context is inner
    assert type(line.server) is not MemoryRecords
    assert read_all(line.server, line.sent(b"named")) == b"named"


def test_objects_of_another_make_are_left_alone() -> None:
    for tls in (SimpleNamespace(), SimpleNamespace(_sslobj=object(), context=object())):
        assert elsewhere(tls) is not None


def elsewhere(tls: Any) -> object:
    """What becomes of records whose connection is such an object."""
    context = SimpleNamespace(wrap_bio=lambda *given, **more: tls)
    records = MemoryRecords(context, bytearray(65_536))  # type: ignore[arg-type]
    assert direct(records) is records
    return records


def accept(listener: socket.socket, context: ssl.SSLContext) -> tuple[socket.socket, Records]:
    """The next connection, behind its handshake."""
    listener.settimeout(30)
    peer, _ = listener.accept()
    peer.settimeout(30)
    shaken = MemoryRecords(context, bytearray(8 * 16_384))
    is_complete = False
    while not is_complete:
        shaken.add(peer.recv(65_536))
        while shaken.has_input() and not is_complete:
            is_complete = shaken.shake_hands()
        peer.sendall(shaken.take())
    return peer, direct(shaken)


def test_a_change_of_keys_is_answered(certificates: Certificates) -> None:
    """The letter K lets OpenSSL's client change its keys and ask for new ones of ours (RFC 8446 4.6.3)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = ["openssl", "s_client", "-tls1_3", "-connect", f"127.0.0.1:{listener.getsockname()[1]}"]
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, bufsize=0) as client:
            peer, records = accept(listener, server_context(certificates))
            assert client.stdin is not None
            assert client.stdout is not None
            with peer, client.stdin, client.stdout:
                client.stdin.write(b"K\n")
                assert read_all(records, peer.recv(65_536)) == b""
                old, new = records.write(b"with new keys\n"), records.write(b"and so on\n")
                assert len(old) > len(new) + 4, "the answer stands before it"
                peer.sendall(old + new)
                while b"and so on" not in client.stdout.readline():
                    pass
                client.stdin.write(b"and back\n")
                assert read_all(records, peer.recv(65_536)) == b"and back\n"
                client.stdin.write(b"Q\n")
                while not records.at_end:
                    read_all(records, peer.recv(65_536))
            assert records.error is None
            assert client.wait(30) == 0


def test_openssls_object_may_outlive_the_records(line: Line) -> None:
    tls = line.server.tls
    ciphertext = line.sent(b"late")
    line.server.add(ciphertext)
    line.server = line.shaken = None  # type: ignore[assignment]
    gc.collect()
    with pytest.raises(ssl.SSLWantReadError):
        tls.read(100)
    with pytest.raises(ssl.SSLError):
        tls.write(b"nowhere")


def test_what_is_read_past_the_module_cannot_be_read_by_it(line: Line) -> None:
    line.server.add(line.sent(b"ours"))
    with pytest.raises(ssl.SSLWantReadError):
        line.server.tls.read(100)
    assert line.server.read() == b"ours"


def test_nothing_is_left_behind(certificates: Certificates) -> None:
    context = server_context(certificates)
    client = certificates.client()
    gone = []
    for _ in range(20):
        line = Line(context, client, direct)
        read_all(line.server, line.sent(b"x" * 1000)[:-1])  # half a record waits
        line.server.end()  # and so does our end
        gone.append(weakref.ref(line.server.tls))
        del line
    gc.collect()
    assert [each for each in gone if each() is not None] == []


def test_references_to_what_goes_in_and_comes_out_are_counted(line: Line) -> None:
    written = b"w" * 1000 + random.Random(1).randbytes(10)
    ciphertext = line.sent(b"r" * 5000)
    before = sys.getrefcount(written), sys.getrefcount(ciphertext)
    read = read_all(line.server, ciphertext)
    sent = line.server.write(written)
    assert (sys.getrefcount(written), sys.getrefcount(ciphertext)) == before
    assert sys.getrefcount(read) == sys.getrefcount(sent) == 2
