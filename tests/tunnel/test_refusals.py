"""A value that cannot be used is refused by name, and nothing is left behind."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest

from meshvpn import ConfigError, DeviceError, MeshError, NetworkError, PresharedKey, Tunnel
from tests.tunnel.processes import own_descriptors, own_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.lab import Host
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = pytest.mark.root

# Field, value, exception, and what its message must hold.
REFUSED: list[tuple[str, Any, type[MeshError], str]] = [
    ("name", "", ConfigError, 'name ""'),
    ("name", "a" * 16, ConfigError, '"aaaaaaaaaaaaaaaa" must be 1 to 15 characters'),
    ("name", "a/b", ConfigError, "a/b"),
    ("name", "a\0b", ConfigError, "must be 1 to 15 characters"),
    ("name", "mesh%d", ConfigError, "mesh%d"),
    ("name", "a\x1b[31m", ConfigError, r"device name 'a\x1b[31m' must be 1 to 15 characters, all"),
    ("name", "mesh\udcff", ConfigError, r"device name 'mesh\udcff' must be"),
    ("name", "eth0", DeviceError, "a network interface of that name exists"),
    ("name", "taken0", DeviceError, "choose another name"),
    ("local", "nonsense", ConfigError, 'local: "nonsense" is not an IP address and a UDP port'),
    ("local", "172.31.0.1", ConfigError, '"172.31.0.1"'),
    ("local", "fd31::1:7000", ConfigError, "write 192.0.2.1:7000, or [2001:db8::1]:7000"),
    ("local", ("172.31.0.1", 70000), ConfigError, "local port: 70000 is outside 0..=65535"),
    ("remote", ("172.31.0.2", 10**30), ConfigError, "remote port: 1000000000000000000000000000000"),
    ("remote", "172.31.0.2:\udcff", ConfigError, r"remote: '172.31.0.2:\udcff' is not UTF-8"),
    ("local", "[fd31::1]:7000", ConfigError, "differ in IP version"),
    ("local", "172.31.0.99:7000", NetworkError, "must be one of this host's"),
    ("local", "172.31.0.1:7777", NetworkError, "another socket has that port"),
    ("local", "224.0.0.1:7000", ConfigError, "224.0.0.1:7000"),
    ("remote", "172.31.0.2:0", ConfigError, "172.31.0.2:0"),
    ("remote", "0.0.0.0:7000", ConfigError, "0.0.0.0:7000"),
    ("remote", "[ff02::1]:7000", ConfigError, "differ in IP version"),
    ("remote", "255.255.255.255:7000", ConfigError, "remote: 255.255.255.255:7000"),
    ("remote", "172.31.0.1:7000", ConfigError, "the tunnel's own address"),
    ("remote", "8.8.8.8:7000", NetworkError, "no route from 172.31.0.1:7000 to 8.8.8.8:7000"),
    ("address", "nonsense", ConfigError, 'address: "nonsense"'),
    ("address", "10.9.0.1/33", ConfigError, 'address: "10.9.0.1/33"'),
    ("address", "fd09::1/129", ConfigError, 'address: "fd09::1/129"'),
    ("address", ["10.9.0.1/24", "10.9.1/24"], ConfigError, "10.9.1/24"),
    ("address", "224.0.0.1/24", NetworkError, "cannot add address 224.0.0.1/24 on mesh0"),
    ("address", "0.0.0.0/0", ConfigError, "address: 0.0.0.0/0"),
    *(
        (field, f"10.9.0.0/{prefix_len}", ConfigError, f"{field}: '10.9.0.0/{prefix_len}' is not")
        for field in ("address", "route")
        for prefix_len in ("+24", " 24", "024", "2_4", "٢٤", "24/24", "")
    ),
    ("route", "10.9.0.1/24", ConfigError, "10.9.0.1/24"),
    ("route", "10.9.0.0/33", ConfigError, 'route: "10.9.0.0/33"'),
    ("route", ["10.0.0.0/8", "10.0.0.0/8"], NetworkError, "cannot add route 10.0.0.0/8 on mesh0"),
    ("route", "172.31.0.2/32", ConfigError, "leads to its own remote 172.31.0.2:7000"),
    ("mtu", 67, ConfigError, "mtu: 67 is outside 68..=65500"),
    ("mtu", -1, ConfigError, "mtu: -1"),
    ("mtu", 65536, ConfigError, "mtu: 65536"),
    ("mtu", 10**30, ConfigError, "mtu: 1000000000000000000000000000000 is outside 0..=65535"),
    ("mtu", 1 << 9999, ConfigError, "mtu: a number of 10000 bits is outside"),
    ("mtu", 1279, ConfigError, "1279 is below the 1280 bytes that IPv6"),
    ("netns", "no-such", ConfigError, 'cannot enter network namespace "no-such"'),
    ("netns", "/dev/null", ConfigError, "/dev/null"),
    ("netns", "", ConfigError, 'namespace ""'),
    ("netns", "\udcff", ConfigError, r"netns: '\udcff' is not UTF-8"),
    ("mark", -1, ConfigError, "mark: -1"),
    ("mark", 1 << 32, ConfigError, "mark: 4294967296"),
    ("mark", -(1 << 64), ConfigError, "mark: -18446744073709551616 is outside 0..=4294967295"),
    ("aead", "rot13", ConfigError, 'unknown AEAD backend "rot13"; the choices are aws-lc'),
    ("key", "/no/such/file", ConfigError, "key file /no/such/file: no such file"),
]


@pytest.fixture
def occupied(two_hosts: TwoHosts) -> Iterator[Host]:
    """Host ``a`` with a UDP port and a device that are taken; nothing else may be there after."""
    host = two_hosts.a
    host.ip("tuntap add taken0 mode tun")
    devices = host.run(["ip", "-o", "link"]).stdout.count("\n")
    gc.collect()
    descriptors = own_descriptors()
    with host.socket(bind=(host.ipv4, 7777)):
        yield host
        assert host.run(["ip", "-o", "link"]).stdout.count("\n") == devices
        sockets = host.run(["ss", "-Huan"]).stdout.splitlines()
        assert len(sockets) == 1, sockets
    gc.collect()
    assert own_threads() == []
    assert own_descriptors() == descriptors


def start(host: Host, field: str, value: object) -> Tunnel:
    values: dict[str, Any] = {
        "name": "mesh0",
        "local": "172.31.0.1:7000",
        "remote": "172.31.0.2:7000",
        "address": ["10.9.0.1/24", "fd09::1/64"],
        "netns": host.netns,
        "key": PresharedKey.generate(),
    }
    return Tunnel.preshared(**values | {field: value})


def test_every_field(occupied: Host) -> None:
    for field, value, kind, message in REFUSED:
        with pytest.raises(MeshError) as raised:
            start(occupied, field, value)
        assert type(raised.value) is kind, f"{field}={value!r}: {raised.value}"
        assert message in str(raised.value), f"{field}={value!r}: {raised.value}"


def test_a_builtin_catches_each(occupied: Host) -> None:
    for field, value, builtin in [("mtu", 1, ValueError), ("name", "eth0", OSError)]:
        with pytest.raises(builtin):
            start(occupied, field, value)


WRONG_TIMES = [float("nan"), float("inf"), -0.1, -1, 10**400]


@pytest.mark.parametrize("timeout", WRONG_TIMES, ids=["nan", "inf", "-0.1", "-1", "huge"])
async def test_a_timeout_that_is_no_time(occupied: Host, timeout: float) -> None:
    with start(occupied, "name", "mesh0") as tunnel:
        for wait in (tunnel.wait_ready, tunnel.next_event):
            with pytest.raises(ConfigError, match=r"timeout: .* is not a number of seconds"):
                wait(timeout)
        with pytest.raises(ConfigError, match=r"timeout: "):
            await tunnel.wait_ready_async(timeout)
        with pytest.raises(TypeError):
            tunnel.wait_ready("5")  # type: ignore[arg-type]  # the mistake


def test_values_of_another_type(occupied: Host) -> None:
    for field, value in [("name", 5), ("mtu", "1400"), ("mtu", 1279.5), ("key", b"x"), ("aead", 5)]:
        with pytest.raises(TypeError):
            start(occupied, field, value)


def test_a_name_that_a_tunnel_has(occupied: Host) -> None:
    with start(occupied, "name", "mesh0"):
        with pytest.raises(NetworkError, match="Address already in use"):
            start(occupied, "name", "mesh1")
        with pytest.raises(DeviceError, match="a device of that name is in use"):
            start(occupied, "local", "172.31.0.1:7001")


def test_a_process_without_rights(occupied: Host) -> None:
    program = """
import os, meshvpn
from meshvpn import Tunnel
os.setuid(65534)
try:
    Tunnel.plain("mesh0", local="172.31.0.1:7000", remote="172.31.0.2:7000")
except PermissionError as error:
    assert isinstance(error, meshvpn.PermissionDeniedError)
    print(error)
"""
    said = occupied.run([sys.executable, "-c", program]).stdout
    assert "CAP_NET_ADMIN" in said
    assert "sudo" in said
