"""What is not from the peer, or not allowed, is dropped, and the reason is counted."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey, PrivateKey
from tests.tunnel.pair import ping, wait_until
from tests.tunnel.wire import Capture, DataMessage, without_offload
from tests.wireguard.ends import TIMESTAMP_SECONDS, foreign, ours, sides

if TYPE_CHECKING:
    from meshvpn import WireGuard
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping", "wg", "wireguard-go")]

RESTARTS = 20


def wait_for_drop(device: WireGuard, reason: str) -> None:
    wait_until(lambda: device.stats().drops[reason] > 0)
    assert {name for name, count in device.stats().drops.items() if count} == {reason}
    assert device.phase == "connecting"
    assert device.stats().received_packets == 0


def test_a_stranger(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    stranger = replace(far, key=PrivateKey.generate())
    with ours(near, far) as device, foreign(stranger, near, endpoint=near.endpoint()):
        assert ping(far, near, 4, seconds=1) is None
        wait_for_drop(device, "unknown_peer")


def test_who_takes_us_for_somebody_else(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    mistaken = replace(near, key=PrivateKey.generate())
    with ours(near, far) as device, foreign(far, mistaken, endpoint=near.endpoint()):
        assert ping(far, near, 4, seconds=1) is None
        wait_for_drop(device, "bad_mac1")


@pytest.mark.parametrize("knower", ["ours", "theirs", "both"])
def test_pre_shared_keys_that_differ(two_hosts: TwoHosts, knower: str) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    mine = None if knower == "theirs" else PresharedKey.generate()
    theirs = None if knower == "ours" else PresharedKey.generate()
    with (
        foreign(far, near, psk=theirs),
        ours(near, far, endpoint=far.endpoint(), psk=mine) as device,
    ):
        assert ping(near, far, 4, seconds=1) is None
        wait_until(lambda: device.stats().drops["bad_handshake"] > 0)
        assert device.stats().sessions == 0
        assert device.peers[0].last_handshake is None


def test_a_source_that_is_not_allowed(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near, endpoint=near.endpoint()), ours(near, far) as device:
        assert ping(far, near, 4)
        before = device.stats()
        far.host.ip(f"address add 10.66.0.1/32 dev {far.device}")
        assert ping(far, near, 4, 56, "-I", "10.66.0.1", seconds=1) is None
        after = device.stats()
        assert after.drops["source_not_allowed"] - before.drops["source_not_allowed"] == 1
        assert after.received_packets == before.received_packets
        device.set_peer(far.key.public_key, allowed_ips=[*far.alone, "10.66.0.0/16"])
        near.host.ip(f"route add 10.66.0.0/16 dev {near.device}")
        assert ping(far, near, 4, 56, "-I", "10.66.0.1")


def test_a_destination_that_nobody_has(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with ours(near, far, endpoint=far.endpoint()) as device:
        near.host.run(["ping", "-c1", "-W1", "10.8.0.99"], check=False)
        assert device.stats().drops["no_route"] == 1


def test_a_peer_whose_place_is_unknown(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with ours(near, far) as device:
        assert ping(near, far, 4, seconds=1) is None
        assert device.stats().drops["no_endpoint"] == 1


def test_every_handshake_has_keys_of_its_own(two_hosts: TwoHosts) -> None:
    """The same packets, with the same counters, are sealed differently after every start."""
    near, far = sides(two_hosts.a, two_hosts.b)
    for host in (near.host, far.host):
        without_offload(host)
    with Capture(far.host, "eth0") as wire, ours(far, near):
        for _ in range(RESTARTS):
            with ours(near, far, endpoint=far.endpoint()) as device:
                assert ping(near, far, 4)
                assert device.phase == "up"
            time.sleep(TIMESTAMP_SECONDS)
        seen = [m for m in map(DataMessage.parse, wire.datagrams(near.host.ipv4)) if m]
    counters = Counter(message.counter for message in seen)
    assert counters[0] == counters[1] == RESTARTS
    assert len({(message.counter, message.sealed) for message in seen}) == len(seen)
