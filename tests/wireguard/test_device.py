"""A device as a Python program has it: its state, its events, its changes and its end."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from meshvpn import (
    ConfigError,
    DeviceError,
    Peer,
    PresharedKey,
    PrivateKey,
    Tunnel,
    TunnelClosedError,
    WireGuard,
)
from tests.cli.command import devices
from tests.tunnel.pair import ping, wait_until
from tests.tunnel.processes import held_by
from tests.wireguard.ends import PORT, SOCKETS, Side, ours, sides

if TYPE_CHECKING:
    from pathlib import Path

    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping")]


@pytest.fixture
def both(two_hosts: TwoHosts) -> tuple[Side, Side]:
    return sides(two_hosts.a, two_hosts.b)


def test_the_state_is_told_in_types(both: tuple[Side, Side]) -> None:
    near, far = both
    psk = PresharedKey.generate()
    with (
        ours(near, far, endpoint=far.endpoint(6), psk=psk) as device,
        ours(far, near, psk=psk),
    ):
        start = datetime.now(UTC)
        assert ping(near, far, 4)
        state = device.state()
        assert state.public_key == near.key.public_key
        assert (state.listen_port, state.mark, state.mtu) == (PORT, None, 1420)
        (peer,) = state.peers
        assert peer.public_key == far.key.public_key
        assert peer.endpoint == (ip_address("fd31::2"), PORT)
        assert str(peer.endpoint) == f"[fd31::2]:{PORT}"
        assert set(peer.allowed_ips) == {ip_network("10.8.0.2/32"), ip_network("fd08::2/128")}
        assert peer.has_preshared_key
        assert peer.has_session
        assert peer.last_handshake is not None
        assert timedelta() <= peer.last_handshake - start < timedelta(seconds=5)
        # An initiation, a keepalive that tells of the session, and an echo, padded and in its
        # framing; a response and the reply.
        assert (peer.sent_bytes, peer.received_bytes) == (148 + 32 + 128, 92 + 128)
        assert device.phase == "up"
        assert device.stats().received_packets == 1


def test_no_secret_is_in_what_is_shown(both: tuple[Side, Side]) -> None:
    near, far = both
    psk = PresharedKey.generate()
    with ours(near, far, psk=psk) as device:
        shown = f"{device!r}{device.state()!r}{device._repr_html_()}{device.stats()!r}"
        for secret in (psk, near.key):
            assert secret.to_base64() not in shown
            assert bytes(secret).hex() not in shown
        assert str(far.key.public_key) in shown
        assert near.device in repr(device)


def test_peers_come_change_and_go(both: tuple[Side, Side]) -> None:
    near, far = both
    with Tunnel.wireguard(name=near.device, private_key=near.key, netns=near.host.netns) as device:
        assert device.state().peers == ()
        key = far.key.public_key
        device.set_peer(
            key,
            preshared_key=PresharedKey.generate(),
            endpoint=("172.31.0.2", PORT),
            allowed_ips=["10.0.0.0/8", "fd00::/8"],
            persistent_keepalive=timedelta(seconds=25),
        )
        (peer,) = device.peers
        assert peer.has_preshared_key
        assert peer.persistent_keepalive == timedelta(seconds=25)
        device.set_peer(str(key), allowed_ips="10.1.0.0/16")
        (peer,) = device.peers
        assert not peer.has_preshared_key
        assert peer.allowed_ips == (ip_network("10.1.0.0/16"),)
        assert str(peer.endpoint) == f"172.31.0.2:{PORT}", "it stays where it was"
        assert peer.persistent_keepalive is None
        device.remove_peer(key)
        device.remove_peer(key)
        assert device.state().peers == ()


def test_a_refused_change_changes_nothing(both: tuple[Side, Side]) -> None:
    near, far = both
    with ours(near, far) as device:
        before = device.state()
        with pytest.raises(ConfigError, match="the device's own"):
            device.set_peer(near.key.public_key)
        with pytest.raises(ConfigError, match="allowed_ips: 'x'"):
            device.set_peer(PrivateKey.generate().public_key, allowed_ips="x")
        assert device.state() == before


def test_routes_are_those_asked_for(both: tuple[Side, Side]) -> None:
    near, far = both
    peer = Peer(public_key=far.key.public_key, allowed_ips=["10.8.0.0/25", "10.77.0.0/16"])
    cases: list[tuple[str | tuple[()] | None, set[str]]] = [
        (None, {"10.77.0.0/16"}),
        ((), set()),
        ("10.78.0.0/16", {"10.78.0.0/16"}),
    ]
    for route, expected in cases:
        with Tunnel.wireguard(
            name=near.device,
            private_key=near.key,
            peers=[peer],
            address="10.8.0.1/24",
            route=route,
            netns=near.host.netns,
        ):
            lines = near.host.ip("route show").splitlines()
            routed = {line.split()[0] for line in lines if near.device in line}
            assert routed == {"10.8.0.0/24"} | expected


def test_persistent_keepalive_begins_by_itself(both: tuple[Side, Side]) -> None:
    near, far = both
    with ours(far, near):
        peer = Peer(
            public_key=far.key.public_key,
            endpoint=far.endpoint(),
            allowed_ips=far.alone,
            persistent_keepalive=1,
        )
        with Tunnel.wireguard(
            name=near.device, private_key=near.key, peers=[peer], netns=near.host.netns
        ) as device:
            device.wait_ready(timeout=5)
            event = device.next_event(0)
            assert event is not None
            sent = device.peers[0].sent_bytes
            wait_until(lambda: device.peers[0].sent_bytes >= sent + 32)


def test_nobody_answers(both: tuple[Side, Side]) -> None:
    near, far = both
    with (
        ours(near, far, endpoint=far.endpoint()) as device,
        pytest.raises(TimeoutError, match="did not answer within"),
    ):
        device.wait_ready(timeout=0.2)


async def test_its_asyncio_twins(both: tuple[Side, Side]) -> None:
    near, far = both
    async with ours(near, far, endpoint=far.endpoint()) as device:
        with ours(far, near):
            assert await asyncio.to_thread(ping, near, far, 4)
            await device.wait_ready_async(timeout=5)
        closing = asyncio.create_task(device.aclose())
        kinds = [event.kind async for event in device.events_async()]
        await closing
    assert "up" in kinds
    assert kinds[-1] == "closed"


def test_its_end_leaves_nothing(both: tuple[Side, Side]) -> None:
    near, far = both
    ours(near, far).close()
    before = held_by(os.getpid())
    for _ in range(5):
        ours(near, far).close()
    after = held_by(os.getpid())
    assert (after.descriptors, after.threads) == (before.descriptors, before.threads)

    device = ours(near, far)
    assert (SOCKETS / f"{near.device}.sock").exists()
    device.close()
    device.close()
    assert not (SOCKETS / f"{near.device}.sock").exists()
    assert devices(near.host) == {"lo", "eth0"}
    assert device.phase == "closed"
    assert device.stats().failure is None
    for ask in (device.state, lambda: device.remove_peer(far.key.public_key)):
        with pytest.raises(TunnelClosedError):
            ask()
    with pytest.raises(TunnelClosedError):
        device.wait_ready(0)
    assert device._repr_html_()


def test_it_ends_when_its_device_or_its_socket_is_removed(both: tuple[Side, Side]) -> None:
    near, far = both
    with ours(near, far) as device:
        near.host.ip(f"link delete {near.device}")
        assert [event.kind for event in device.events()][-1] == "closed"
        assert device.stats().failure == "the device was deleted"
    with ours(near, far) as device:
        (SOCKETS / f"{near.device}.sock").unlink()
        assert [event.kind for event in device.events()][-1] == "closed"
        assert device.stats().failure == "the UAPI socket was removed"


def test_a_name_that_is_taken(both: tuple[Side, Side]) -> None:
    near, far = both
    with ours(near, far) as device:
        with pytest.raises(DeviceError) as refused:
            Tunnel.wireguard(name=near.device, netns=near.host.netns)
        assert "choose another name" in str(refused.value.hint)
        with pytest.raises(DeviceError, match="UAPI") as refused:
            Tunnel.wireguard(name=near.device, netns=far.host.netns, uapi=True)
        assert "choose another name" in str(refused.value.hint)
        assert devices(far.host) == {"lo", "eth0"}
        # Without a socket for wg, every namespace may have a device of that name.
        with Tunnel.wireguard(name=near.device, netns=far.host.netns) as namesake:
            assert devices(far.host) == {"lo", "eth0", namesake.name}
        assert isinstance(device, WireGuard)
        assert device.phase == "connecting"


def test_a_key_file_and_a_configuration_file(both: tuple[Side, Side], tmp_path: Path) -> None:
    near, far = both
    file = tmp_path / "key"
    near.key.to_file(file)
    with Tunnel.wireguard(
        name=near.device, private_key=file, netns=near.host.netns, mark=7, mtu=1300
    ) as device:
        state = device.state()
        assert (state.public_key, state.mark, state.mtu) == (near.key.public_key, 7, 1300)
        assert device.mtu == 1300
    config = tmp_path / f"{far.device}.conf"
    config.write_text(f"[Interface]\nPrivateKey = {far.key.to_base64()}\nAddress = 10.8.0.2/24\n")
    with Tunnel.wireguard(str(config), netns=far.host.netns) as device:
        assert device.name == far.device
        assert "10.8.0.2/24" in far.host.ip(f"address show {far.device}")
