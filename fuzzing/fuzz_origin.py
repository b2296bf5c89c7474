"""Whatever headers a client writes, where a request comes from is an address, a scheme and a host, or nothing: nothing
is raised, nobody but a trusted proxy is believed, and what such a proxy appends counts before all that stands there.

The first byte of an input chooses who connects and which headers count; the rest is the request.
"""

from __future__ import annotations

from ipaddress import ip_address

from harness import main
from heads import request_of

from elio.headers import Headers
from elio.server.entry.proxies import Origin, TrustedProxies, counted_address, host_of
from elio.url import parse_authority

TRUSTED = ("10.0.0.0/8", "fd00::/8", "unix")
KINDS = (
    (TrustedProxies(TRUSTED), "X-Forwarded-For", "192.0.2.9"),
    (TrustedProxies(TRUSTED, ["X-Forwarded-For"]), "X-Forwarded-For", "192.0.2.9"),
    (TrustedProxies(TRUSTED, ["Forwarded"]), "Forwarded", "for=192.0.2.9;proto=https"),
)
PEERS = ("10.0.0.1:4000", "[fd00::1]:4000", "", "192.0.2.1:4000")


def check_origin(origin: Origin, peer: str) -> None:
    """It is one, or the peer."""
    if origin.client != peer:
        host, _, port = origin.client.rpartition(":")
        ip_address(host.strip("[]"))
        assert 0 <= int(port) <= 65_535
    assert counted_address(host_of(origin.client)) or not peer
    assert origin.scheme in ("", "http", "https")
    if origin.host:
        parse_authority(origin.host)


def check(data: bytes) -> None:
    if not data:
        return
    proxies, name, appended = KINDS[data[0] % len(KINDS)]
    peer = PEERS[data[0] // len(KINDS) % len(PEERS)]
    request = request_of(data[1:], peer)
    if request is None:
        return
    headers = request.headers
    origin = proxies.origin(headers, peer)
    check_origin(origin, peer)
    if not proxies.trusts(peer):
        assert origin == Origin(peer)
        return
    behind = proxies.origin(Headers([*headers.items(), (name, appended)]), peer)
    check_origin(behind, peer)
    assert behind.client == "192.0.2.9:0", f"{behind} of a proxy that says {appended}"


if __name__ == "__main__":
    main("origin", check)
