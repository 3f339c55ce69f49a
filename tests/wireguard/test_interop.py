"""A device of ours and one of each foreign implementation understand each other."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Literal

import pytest

from meshvpn import PresharedKey
from tests.tunnel.pair import VERSIONS, Version, ping, transfer, wait_until
from tests.wireguard.ends import (
    TIMESTAMP_SECONDS,
    WIREGUARD_GO,
    Side,
    foreign,
    ours,
    sides,
    with_each_implementation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn import WireGuard
    from meshvpn.bench.contenders.wireguard import WireGuard as Implementation
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping", "wg")]

Role = Literal["initiator", "responder"]


class Met:
    """Our device on host ``a``, the foreign one on ``b``."""

    def __init__(self, near: Side, far: Side, device: WireGuard, role: Role) -> None:
        self.near, self.far, self.device = near, far, device
        self.first, self.second = (near, far) if role == "initiator" else (far, near)


@contextlib.contextmanager
def meeting(
    two_hosts: TwoHosts,
    by: Implementation,
    role: Role,
    outer: Version = 4,
    psk: PresharedKey | None = None,
) -> Iterator[Met]:
    near, far = sides(two_hosts.a, two_hosts.b)
    is_first = role == "initiator"
    begins = None if is_first else near.endpoint(outer)
    with (
        foreign(far, near, endpoint=begins, psk=psk, by=by),
        ours(near, far, endpoint=far.endpoint(outer) if is_first else None, psk=psk) as device,
    ):
        yield Met(near, far, device, role)


@with_each_implementation
@pytest.mark.parametrize("role", ["initiator", "responder"])
@pytest.mark.parametrize("outer", VERSIONS, ids=["over_v4", "over_v6"])
@pytest.mark.parametrize("has_psk", [False, True], ids=["no_psk", "psk"])
def test_pings_and_tcp_go_both_ways(
    two_hosts: TwoHosts, by: Implementation, role: Role, outer: Version, has_psk: bool
) -> None:
    psk = PresharedKey.generate() if has_psk else None
    with meeting(two_hosts, by, role, outer, psk) as met:
        assert ping(met.first, met.second, 4), "the first packet begins the handshake"
        wait_until(lambda: met.device.stats().sessions == 1)
        assert met.device.peers[0].has_preshared_key == has_psk
        for version in VERSIONS:
            for size in (0, 56, 1372, 4000, 60000):
                assert ping(met.near, met.far, version, size)
                assert ping(met.far, met.near, version, size)
            transfer(met.near, met.far, version, size=4 << 20)
            transfer(met.far, met.near, version, size=4 << 20)
        drops = {reason: count for reason, count in met.device.stats().drops.items() if count}
        assert drops == {}
        received, sent = met.far.dump()[1][5:7]
        assert int(received) > 8 << 20
        assert int(sent) > 8 << 20


@with_each_implementation
@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_traffic_goes_on_across_new_sessions(
    two_hosts: TwoHosts, by: Implementation, role: Role
) -> None:
    """Whoever renews forgets the peer and is told of it again: its next packet takes new keys."""
    with meeting(two_hosts, by, role) as met:
        assert ping(met.first, met.second, 4)
        stop, renewed = threading.Event(), []

        def renew() -> None:
            while not stop.wait(0.7):
                before = met.device.stats().sessions
                if role == "initiator":
                    met.device.remove_peer(met.far.key.public_key)
                    met.device.set_peer(
                        met.far.key.public_key,
                        endpoint=met.far.endpoint(),
                        allowed_ips=met.far.alone,
                    )
                else:
                    key = str(met.near.key.public_key)
                    met.far.wg("set", met.far.device, "peer", key, "remove")
                    allowed = ",".join(met.near.alone)
                    words = ("peer", key, "endpoint", met.near.endpoint(), "allowed-ips", allowed)
                    met.far.wg("set", met.far.device, *words)
                renewed.append(before)

        thread = threading.Thread(target=renew)
        thread.start()
        try:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                transfer(met.first, met.second, 4, size=2 << 20)
        finally:
            stop.set()
            thread.join()
        assert len(set(renewed)) >= 3
        assert met.device.stats().sessions >= 3
        assert ping(met.first, met.second, 6)


@pytest.mark.needs("wireguard-go")
@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_a_new_preshared_key_holds_from_the_next_handshake_on(
    two_hosts: TwoHosts, role: Role
) -> None:
    with meeting(two_hosts, WIREGUARD_GO, role, psk=PresharedKey.generate()) as met:
        assert ping(met.first, met.second, 4)
        psk = PresharedKey.generate()
        key = str(met.near.key.public_key)
        words = ("peer", key, "preshared-key", "/dev/stdin")
        met.far.wg("set", met.far.device, *words, input_text=psk.to_base64())
        met.device.set_peer(met.far.key.public_key, preshared_key=psk, allowed_ips=met.far.alone)
        assert ping(met.first, met.second, 4), "the session goes on as it was"
        wait_until(lambda: met.device.stats().sessions == 1)


@with_each_implementation
def test_a_peer_that_starts_anew_is_heard(two_hosts: TwoHosts, by: Implementation) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with ours(near, far) as device:
        for session in (1, 2):
            with foreign(far, near, endpoint=near.endpoint(), by=by):
                assert ping(far, near, 4)
                assert device.stats().sessions == session


@with_each_implementation
def test_a_device_of_ours_that_starts_anew_is_heard(
    two_hosts: TwoHosts, by: Implementation
) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near, by=by):
        for _start in range(3):
            with ours(near, far, endpoint=far.endpoint()) as device:
                assert ping(near, far, 4)
                wait_until(lambda device=device: device.phase == "up")  # type: ignore[misc]


def test_the_first_packet_after_a_restart_is_answered(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with ours(far, near):
        for _ in range(20):
            with ours(near, far, endpoint=far.endpoint()):
                assert ping(near, far, 4, seconds=1)
            time.sleep(TIMESTAMP_SECONDS)


@pytest.mark.needs("wireguard-go")
@pytest.mark.parametrize("backend", ["aws-lc", "portable"])
def test_every_aead_is_understood(two_hosts: TwoHosts, backend: str) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near), ours(near, far, endpoint=far.endpoint(), aead=backend) as device:
        transfer(near, far, 4, size=4 << 20)
        transfer(far, near, 6, size=4 << 20)
        assert device.stats().aead == backend
