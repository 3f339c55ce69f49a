"""The stock ``wg`` reads and changes a device of ours as it does any other."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import socket
import time
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey, PrivateKey, Tunnel
from tests.tunnel.pair import ping
from tests.wireguard.ends import PORT, Side, ours, settings, sides

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshvpn import WireGuard
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping", "wg")]

Sections = dict[str, set[str]]


@pytest.fixture
def near(two_hosts: TwoHosts) -> Side:
    return sides(two_hosts.a, two_hosts.b)[0]


@pytest.fixture
def bare(near: Side) -> Iterator[WireGuard]:
    """A device that knows nothing yet."""
    with Tunnel.wireguard(name=near.device, netns=near.host.netns, uapi=True) as device:
        yield device


def sections(text: str) -> Sections:
    """A configuration without the order of its lines: the lines of each section by their key."""
    parsed: Sections = {}
    for section in text.split("[")[1:]:
        lines = section.split("]")[1].strip().splitlines()
        words = {tuple(line.replace(" ", "").split("=", 1)) for line in lines if line}
        key = next((value for name, value in words if name == "PublicKey"), "")
        parsed[key] = {
            f"{name}={one}"
            for name, value in words
            for one in (value.split(",") if name == "AllowedIPs" else [value])
        }
    return parsed


def test_show_tells_what_set_has_set(near: Side, bare: WireGuard) -> None:
    key, peer, psk = PrivateKey.generate(), PrivateKey.generate(), PresharedKey.generate()
    near.wg("set", near.device, "private-key", "/dev/stdin", input_text=key.to_base64())
    near.wg("set", near.device, "listen-port", "4500", "fwmark", "0x77")
    near.wg(
        *("set", near.device, "peer", str(peer.public_key), "preshared-key", "/dev/stdin"),
        *("endpoint", "[fd31::2]:7", "persistent-keepalive", "25"),
        *("allowed-ips", "10.0.0.0/8,fd00::/8,192.0.2.1"),
        input_text=psk.to_base64(),
    )
    device, *peers = near.dump()
    (shown,) = peers
    assert device == [key.to_base64(), str(key.public_key), "4500", "0x77"]
    assert shown[:3] == [str(peer.public_key), psk.to_base64(), "[fd31::2]:7"]
    assert set(shown[3].split(",")) == {"10.0.0.0/8", "fd00::/8", "192.0.2.1/32"}
    assert shown[4] == "0"
    assert shown[7] == "25"
    state = bare.state()
    assert (state.public_key, state.listen_port, state.mark) == (key.public_key, 4500, 0x77)
    assert near.device in near.wg("show", "interfaces").split()


def test_set_removes_what_it_is_told_to(near: Side, bare: WireGuard) -> None:
    one, two = (str(PrivateKey.generate().public_key) for _ in range(2))
    near.wg("set", near.device, "peer", one, "allowed-ips", "10.0.0.0/8", "peer", two)
    assert len(bare.peers) == 2
    near.wg("set", near.device, "peer", two, "allowed-ips", "10.0.0.0/8")
    assert {str(peer.public_key): peer.allowed_ips for peer in bare.peers} == {
        one: (),
        two: (ipaddress.IPv4Network("10.0.0.0/8"),),
    }
    near.wg("set", near.device, "peer", one, "remove")
    assert [str(peer.public_key) for peer in bare.peers] == [two]


def test_what_showconf_prints_setconf_takes(near: Side, bare: WireGuard, tmp_path: Path) -> None:
    file = tmp_path / "device.conf"
    peers = "".join(
        f"[Peer]\nPublicKey = {PrivateKey.generate().public_key}\n"
        f"PresharedKey = {PresharedKey.generate().to_base64()}\n"
        f"AllowedIPs = 10.{number}.0.0/16, fd00:{number}::/32\n"
        f"Endpoint = 192.0.2.{number}:{PORT}\nPersistentKeepalive = {number}\n"
        for number in range(1, 6)
    )
    key = PrivateKey.generate().to_base64()
    head = f"[Interface]\nPrivateKey = {key}\nListenPort = {PORT}\nFwMark = 0xca6c\n"
    file.write_text(head + peers)
    near.wg("setconf", near.device, str(file))
    printed = near.wg("showconf", near.device)
    assert sections(printed) == sections(head + peers)
    file.write_text(printed)
    near.wg("setconf", near.device, str(file))
    assert sections(near.wg("showconf", near.device)) == sections(printed)
    assert len(bare.peers) == 5


def test_syncconf_leaves_sessions_alone(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with ours(near, far, endpoint=far.endpoint()) as device, ours(far, near):
        assert ping(near, far, 4)
        before = device.peers[0]
        other = str(PrivateKey.generate().public_key)
        config = settings(near, far, endpoint=far.endpoint())
        more = f"{config}[Peer]\nPublicKey = {other}\nAllowedIPs = 10.50.0.0/16\n"
        near.wg("syncconf", near.device, "/dev/stdin", input_text=more)
        assert other in {str(peer.public_key) for peer in device.peers}
        assert ping(near, far, 4)
        near.wg("syncconf", near.device, "/dev/stdin", input_text=config)
        (after,) = device.peers
        assert ping(near, far, 6)
        assert after.last_handshake == before.last_handshake
        assert device.stats().sessions == 1


def test_a_port_that_is_taken_changes_nothing(near: Side, bare: WireGuard) -> None:
    before = bare.state()
    with near.host.socket(bind=("0.0.0.0", 4501)):
        done = near.host.run(["wg", "set", near.device, "listen-port", "4501"], check=False)
    assert done.returncode != 0
    assert "in use" in done.stderr
    assert bare.state() == before


def test_a_hundred_thousand_allowed_ips_load_and_list(
    near: Side, bare: WireGuard, tmp_path: Path
) -> None:
    networks = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32" for n in range(60_000)]
    networks += [f"fd00:{n:x}::/{32 + n % 90}" for n in range(40_000)]
    networks = [str(ipaddress.ip_network(network, strict=False)) for network in networks]
    keys = [str(PrivateKey.generate().public_key) for _ in range(100)]
    wanted = {key: set(networks[number::100]) for number, key in enumerate(keys)}
    file = tmp_path / "large.conf"
    file.write_text(
        "".join(
            f"[Peer]\nPublicKey = {key}\nAllowedIPs = {', '.join(sorted(allowed))}\n"
            for key, allowed in wanted.items()
        )
    )
    start = time.monotonic()
    near.wg("setconf", near.device, str(file))
    loaded = time.monotonic()
    printed = near.wg("showconf", near.device)
    listed = time.monotonic()
    got = {
        key: {line.removeprefix("AllowedIPs=") for line in lines if line.startswith("AllowedIPs")}
        for key, lines in sections(printed).items()
        if key
    }
    assert got == wanted
    assert sum(len(peer.allowed_ips) for peer in bare.peers) == 100_000
    took = f"setconf {loaded - start:.2f} s, showconf {listed - loaded:.2f} s"
    logging.getLogger(__name__).info("100,000 allowed IPs: %s", took)


@pytest.mark.parametrize("garbage", [b"set=1\nlisten_port=x\n\n", b"\0" * 4096, b"get=2\n\n"])
def test_a_client_that_talks_nonsense_harms_nobody(
    near: Side, bare: WireGuard, garbage: bytes
) -> None:
    before = bare.state()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"/var/run/wireguard/{near.device}.sock")
        client.sendall(garbage + secrets.token_bytes(100))
        client.shutdown(socket.SHUT_WR)
        client.settimeout(5)
        while client.recv(4096):
            pass
    assert bare.state() == before
    assert near.dump()[0][2] == str(before.listen_port)
