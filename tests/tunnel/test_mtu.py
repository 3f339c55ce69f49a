"""The device's MTU follows from the path and the framing, and what does not fit is told so."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from tests.tunnel.pair import (
    FRAMING_BYTES,
    FRAMINGS,
    OUTER_BYTES,
    VERSIONS,
    End,
    Framing,
    Version,
    open_pair,
    ping,
    wait_until,
)

if TYPE_CHECKING:
    from meshvpn.lab import NarrowPath
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping", "nft")]

# <linux/in.h>; not in Python's socket module.
IP_MTU_DISCOVER = 10
IP_PMTUDISC_DO = 2
IP_MTU = 14


@pytest.mark.parametrize(
    ("framing", "outer", "expected"),
    [
        ("plain", 4, 1472),
        ("preshared", 4, 1440),
        ("plain", 6, 1452),
        ("preshared", 6, 1420),
    ],
)
def test_mtu_on_an_ordinary_path(
    two_hosts: TwoHosts, framing: Framing, outer: Version, expected: int
) -> None:
    with open_pair(two_hosts.a, two_hosts.b, framing, outer=outer) as pair:
        for end in pair.ends:
            assert (end.tunnel.mtu, end.tunnel.path_mtu) == (expected, 1500)
            assert device_mtu(end) == expected


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("path_mtu", "inside"),
    [(1400, VERSIONS), (1280, (4,)), (1280, VERSIONS), (1124, (4,)), (576, (4,))],
)
def test_mtu_on_a_narrow_path(
    narrow_path: NarrowPath, framing: Framing, path_mtu: int, inside: tuple[Version, ...]
) -> None:
    narrow_path.set_mtu(path_mtu)
    expected = path_mtu - OUTER_BYTES[4] - FRAMING_BYTES[framing]
    if 6 in inside:
        expected = max(expected, 1280)
    with open_pair(narrow_path.a, narrow_path.b, framing, inside=inside) as pair:
        wait_until(lambda: {end.tunnel.path_mtu for end in pair.ends} == {path_mtu})
        assert [end.tunnel.mtu for end in pair.ends] == [expected, expected]
        assert [device_mtu(end) for end in pair.ends] == [expected, expected]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_mtu_of_a_jumbo_path_and_its_narrow_middle(
    narrow_path: NarrowPath, framing: Framing
) -> None:
    for host in (narrow_path.a, narrow_path.b, narrow_path.left, narrow_path.right):
        for device in list(host.interfaces):
            host.ip(f"link set {device} mtu 9000")
    narrow_path.block_icmp()
    narrow_path.set_mtu(4321)
    with open_pair(narrow_path.a, narrow_path.b, framing) as pair:
        wait_until(lambda: pair.a.tunnel.path_mtu == 4321)
        assert pair.a.tunnel.mtu == 4321 - 28 - FRAMING_BYTES[framing]
        assert ping(pair.a, pair.b, 4, pair.a.tunnel.mtu - 28, "-Mdo")


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_chosen_mtu_stays(narrow_path: NarrowPath, framing: Framing) -> None:
    with open_pair(narrow_path.a, narrow_path.b, framing, mtu=1360) as pair:
        wait_until(lambda: pair.a.tunnel.path_mtu == 1280)
        assert (pair.a.tunnel.mtu, device_mtu(pair.a)) == (1360, 1360)
        narrow_path.set_mtu(1300)
        assert ping(pair.a, pair.b, 4, 1360 - 28, "-Mdont"), "goes in fragments"
        assert (pair.a.tunnel.mtu, device_mtu(pair.a)) == (1360, 1360)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_who_sends_too_much_is_told_the_right_size(
    narrow_path: NarrowPath, framing: Framing
) -> None:
    """A fixed MTU above the path's makes the kernel believe that the packet fits."""
    with open_pair(narrow_path.a, narrow_path.b, framing, mtu=1420) as pair:
        wait_until(lambda: pair.a.tunnel.path_mtu == 1280)
        fits = 1280 - OUTER_BYTES[4] - FRAMING_BYTES[framing]
        assert told_mtu(pair.a, pair.b.ipv4, 1420 - 28) == fits
        assert ping(pair.a, pair.b, 4, fits - 28, "-Mdo")
        # IPv6 packets of 1280 bytes always pass: in fragments of the outer packet.
        assert told_mtu(pair.a, pair.b.ipv6, 1420 - 48) == 1280
        assert ping(pair.a, pair.b, 6, 1280 - 48, "-Mdo")
        assert pair.a.dropped == {"too_big": 2}


def test_programs_see_the_mtu_of_the_path(narrow_path: NarrowPath) -> None:
    """What tracepath does: send too much, look up what the kernel has learned from the answer."""
    with open_pair(narrow_path.a, narrow_path.b, "preshared", mtu=1420) as pair:
        wait_until(lambda: pair.a.tunnel.path_mtu == 1280)
        with pair.a.host.socket() as probing:
            probing.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            probing.connect((pair.b.ipv4, 33434))
            assert probing.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1420
            probing.send(bytes(1420 - 28))
            wait_until(lambda: probing.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1220)


def device_mtu(end: End) -> int:
    with end.host.enter():
        shown = end.host.run(["ip", "link", "show", "mesh0"]).stdout
    return int(shown.split(" mtu ")[1].split()[0])


def told_mtu(end: End, address: str, size: int) -> int:
    """The MTU that the answer to a packet which is too big names."""
    command = ["ping", "-n", "-c1", "-W2", "-Mdo", f"-s{size}", address]
    shown = end.host.run(command, check=False)
    told = re.search(r"mtu ?= ?([0-9]+)", shown.stdout + shown.stderr)
    assert shown.returncode != 0
    assert told, shown
    return int(told[1])
