"""Whoever moves to another address or port keeps the session, and is followed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

import pytest

from meshvpn.lab import Nat
from tests.tunnel.pair import ping, transfer, wait_until
from tests.wireguard.ends import (
    PORT,
    foreign,
    ours,
    sides,
    with_each_implementation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.bench.contenders.wireguard import WireGuard as Implementation
    from meshvpn.lab import Host, Lab
    from meshvpn.pytest_plugin import TwoHosts
    from tests.tunnel.pair import Version

pytestmark = [pytest.mark.root, pytest.mark.needs("ping", "wg")]


def move(host: Host, start: str, to: str) -> None:
    # In this order: with the first address of a network go those that came to it later.
    host.ip(f"address del {start}/24 dev eth0", f"address add {to}/24 dev eth0")


@contextlib.contextmanager
def pings(host: Host, target: str) -> Iterator[None]:
    process = host.popen(["ping", "-q", "-i", "0.05", target])
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


@with_each_implementation
def test_a_foreign_peer_is_followed_when_its_nat_changes_its_mind(
    lab: Lab, by: Implementation
) -> None:
    """Its router forgets its mappings, then gets another address; the peer knows of neither."""
    home = lab.home("far", nat=Nat.FULL_CONE)
    near, far = sides(lab.server("near"), home.host)
    with foreign(far, near, endpoint=near.endpoint(), by=by), ours(near, far) as device:
        assert ping(far, near, 4)
        with pings(far.host, near.ipv4):
            before = device.peers[0].endpoint
            home.router.reboot()
            wait_until(lambda: device.peers[0].endpoint != before)
            address = lab.public.free_address()
            home.router.renumber(address)
            wait_until(lambda: str(device.peers[0].endpoint).startswith(address.partition("/")[0]))
        assert ping(near, far, 4)
        transfer(near, far, 4)
        assert device.stats().sessions == 1


@pytest.mark.needs("wireguard-go")
def test_a_foreign_peer_that_moves_is_followed(two_hosts: TwoHosts) -> None:
    """Debian's wireguard-go can be told to move; the others refuse to change a peer they have."""
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near, endpoint=near.endpoint()), ours(near, far) as device:
        assert ping(far, near, 4)
        with pings(far.host, near.ipv4):
            start = "172.31.0.2"
            for to in ("172.31.0.77", "172.31.0.78", "172.31.0.2"):
                move(far.host, start, to)
                # This version goes on from the address that is gone, until it is told where we are.
                key = str(near.key.public_key)
                far.wg("set", far.device, "peer", key, "endpoint", near.endpoint())
                expected = f"{to}:{PORT}"
                wait_until(lambda wanted=expected: str(device.peers[0].endpoint) == wanted)  # type: ignore[misc]
                start = to
            far.wg("set", far.device, "listen-port", "52000")
            wait_until(lambda: str(device.peers[0].endpoint) == "172.31.0.2:52000")
        assert ping(near, far, 4)
        assert device.stats().sessions == 1


@with_each_implementation
def test_we_move_and_are_followed(two_hosts: TwoHosts, by: Implementation) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near, by=by), ours(near, far, endpoint=far.endpoint()) as device:
        assert ping(near, far, 4)
        with pings(near.host, far.ipv4):
            move(near.host, "172.31.0.1", "172.31.0.66")
            wait_until(lambda: far.dump()[1][2] == f"172.31.0.66:{PORT}")
            near.wg("set", near.device, "listen-port", "52001")
            wait_until(lambda: far.dump()[1][2] == "172.31.0.66:52001")
        assert ping(far, near, 4)
        transfer(far, near, 4)
        assert device.stats().sessions == 1


@pytest.mark.parametrize("mover", ["a", "b"])
def test_from_one_ip_version_to_the_other(two_hosts: TwoHosts, mover: Literal["a", "b"]) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with ours(near, far, endpoint=far.endpoint(4)) as a, ours(far, near) as b:
        assert ping(near, far, 4)
        device, other, peer = (a, b, far) if mover == "a" else (b, a, near)
        device.set_peer(peer.key.public_key, endpoint=peer.endpoint(6), allowed_ips=peer.alone)
        mine = near if mover == "a" else far
        assert ping(mine, peer, 4)
        assert str(other.peers[0].endpoint) == mine.endpoint(6)
        assert a.stats().sessions == b.stats().sessions == 1


@pytest.mark.parametrize("version", [4, 6])
def test_the_answer_comes_from_the_address_that_was_asked(
    two_hosts: TwoHosts, version: Version
) -> None:
    """A host has several addresses; a peer that asked one of them is not answered from another."""
    near, far = sides(two_hosts.a, two_hosts.b)
    second, bits = ("172.31.0.22", 24) if version == 4 else ("fd31::22", 64)
    far.host.ip(f"address add {second}/{bits} dev eth0" + " nodad" * (version == 6))
    asked = f"{second}:{PORT}" if version == 4 else f"[{second}]:{PORT}"
    with ours(near, far, endpoint=asked) as device, ours(far, near):
        assert ping(near, far, 4)
        transfer(far, near, 4)
        assert str(device.peers[0].endpoint) == asked
        far.host.ip(f"address del {second}/{bits} dev eth0")
        assert ping(far, near, 4), "from an address that is left"
        assert ping(near, far, 4)
        assert str(device.peers[0].endpoint) == far.endpoint(version)
