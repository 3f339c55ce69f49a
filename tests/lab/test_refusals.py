"""A value that the lab cannot use is refused by name, and nothing is left half built."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from meshvpn.errors import ConfigError, LabError, MeshError
from meshvpn.lab import Host, Lab, Nat, list_labs

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("nft", "tc")]

NAN, INFINITE = float("nan"), float("inf")


def devices(host: Host) -> set[str]:
    shown = json.loads(host.run(["ip", "-json", "link"]).stdout)
    return {device["ifname"] for device in shown} - {"lo"}


# --- links ---

LINKS: list[tuple[dict[str, Any], type[MeshError], str]] = [
    ({"b_addresses": "10.0.0.2"}, ConfigError, "lacks its prefix length"),
    ({"b_addresses": "10.0.0.2/+24"}, ConfigError, r"'10\.0\.0\.2/\+24'"),
    ({"b_addresses": "10.0.0.2/024"}, ConfigError, "'10.0.0.2/024'"),
    ({"b_addresses": "10.0.0.2/٢٤"}, ConfigError, "'10.0.0.2/٢٤'"),
    ({"b_addresses": "10.0.0.2/255.255.255.0"}, ConfigError, "'10.0.0.2/255.255.255.0'"),
    ({"b_addresses": "fe80::1%eth0/64"}, ConfigError, "'fe80::1%eth0/64'"),
    ({"b_addresses": "ff02::1/64"}, LabError, "ff02::1/64"),
    ({"mtu": 67}, ConfigError, "mtu: 67 is outside 68..=65535"),
    ({"mtu": 65536}, ConfigError, "mtu: 65536 is outside"),
    ({"rate": 0}, ConfigError, "rate must be between 8 and 500000000000 bits per second, not 0"),
    ({"rate": NAN}, ConfigError, "rate must be .* not nan"),
    ({"rate": INFINITE}, ConfigError, "rate must be .* not inf"),
    ({"loss": 1.1}, ConfigError, "loss must be between 0 and 1, not 1.1"),
    ({"loss": NAN}, ConfigError, "loss must be between 0 and 1, not nan"),
    ({"devices": ("a" * 16, None)}, ConfigError, "not a device name: 'aaaaaaaaaaaaaaaa'"),
    ({"devices": (None, "a b")}, ConfigError, "not a device name: 'a b'"),
    ({"devices": (None, "a\nb")}, ConfigError, "not a device name"),
    ({"devices": (None, "lo")}, ConfigError, "host 'b' already has a device 'lo'"),
    ({"devices": (None, "tun0")}, ConfigError, "host 'b' already has a device 'tun0'"),
]


@pytest.mark.parametrize(("wrong", "kind", "words"), LINKS, ids=lambda value: str(value)[:40])
def test_a_link_that_cannot_be_made_leaves_nothing(
    lab: Lab, wrong: dict[str, Any], kind: type[MeshError], words: str
) -> None:
    a, b = lab.host("a"), lab.host("b")
    b.ip("tuntap add tun0 mode tun")
    with pytest.raises(kind, match=words):
        lab.link(a, b, **{"a_addresses": "10.0.0.1/24", "b_addresses": "10.0.0.2/24"} | wrong)
    assert (a.interfaces, b.interfaces) == ({}, {})
    assert (devices(a), devices(b)) == (set(), {"tun0"})
    link = lab.link(a, b, "10.0.0.1/24", "10.0.0.2/24", rate=500e9)
    assert (link.a.name, link.b.name) == ("eth0", "eth0")


def test_a_host_can_be_linked_to_itself(lab: Lab) -> None:
    a = lab.host("a")
    link = lab.link(a, a)
    assert (link.a.name, link.b.name) == ("eth0", "eth1")
    with pytest.raises(ConfigError, match="both ends"):
        lab.link(a, a, devices=("x", "x"))
    assert devices(a) == {"eth0", "eth1"}


def test_a_condition_that_cannot_be_leaves_the_one_that_is(two_hosts: TwoHosts) -> None:
    link = two_hosts.link
    link.set_rate(1e6)
    for wrong in (-1, 7.9, NAN, INFINITE, 1 << 400):
        with pytest.raises(ConfigError, match="rate must be"):
            link.set_rate(wrong)
    for mtu in (0, 67, 1 << 64):
        with pytest.raises(ConfigError, match="mtu: "):
            link.set_mtu(mtu)
    assert link.mtu == 1500
    for host in (two_hosts.a, two_hosts.b):
        assert "rate 1Mbit" in host.run(["tc", "qdisc", "show", "dev", "eth0"]).stdout
    for lowest_and_highest in (8, 500e9, None):
        link.set_rate(lowest_and_highest)


def test_a_bridge_is_no_gateway_for_an_address_outside_its_network(lab: Lab) -> None:
    bridge, host = lab.bridge("switch", "10.5.0.1/24"), lab.host("a")
    with pytest.raises(ConfigError, match=r"10\.6\.0\.2/24 is outside 10\.5\.0\.0/24"):
        bridge.attach(host, "10.6.0.2/24")
    assert (devices(host), devices(bridge.router)) == (set(), {"br0"})
    bridge.attach(host, "10.6.0.2/24", gateway=False)
    assert devices(bridge.router) == {"br0", "br0p1"}


def test_a_bridge_that_cannot_be_made_leaves_nothing(lab: Lab) -> None:
    router = lab.router("r")
    for wrong, words in (("10.5.0.1", "lacks its prefix"), ("ff02::1/64", "ff02::1")):
        with pytest.raises(MeshError, match=words):
            router.bridge("br0", wrong)
        with pytest.raises(MeshError, match=words):
            lab.bridge("switch", wrong)
    assert (devices(router), router.interfaces, list(lab.hosts)) == (set(), {}, ["r"])
    lab.bridge("switch", "10.5.0.1/24")


# --- hosts ---


@pytest.mark.parametrize(
    ("destination", "via", "kind", "words"),
    [
        ("10.9.0.1/16", "172.31.0.2", ConfigError, "destination: not a network: '10.9.0.1/16'"),
        ("10.9.0.0/+16", "172.31.0.2", ConfigError, "destination: not a network"),
        ("fd09::/64", "172.31.0.2", ConfigError, "destination: not an IPv4 network"),
        ("everywhere", "172.31.0.2", ConfigError, "destination: not a network: 'everywhere'"),
        ("default", "b", ConfigError, "via: not an address: 'b'"),
        ("default", "10.77.0.1", LabError, "10.77.0.1"),
    ],
)
def test_a_route_that_cannot_be_is_not_remembered(
    two_hosts: TwoHosts, destination: str, via: str, kind: type[MeshError], words: str
) -> None:
    host = two_hosts.a
    before = host.ip("route show")
    with pytest.raises(kind, match=words):
        host.add_route(destination, via=via)
    two_hosts.link.down().undo()
    assert host.ip("route show") == before


WRONG_CALLS: dict[str, tuple[Callable[[Host], object], str]] = {
    "one text": (lambda host: host.run("ping -c 1"), "command: 'ping -c 1' is not a list"),
    "no word": (lambda host: host.popen([]), r"command: \[\] is not a list"),
    "not a time": (lambda host: host.run(["true"], timeout=NAN), "timeout: nan is not"),
    "no protocol": (lambda host: host.wait_listening(1, protocol="sctp"), "protocol: 'sctp'"),
    "no port": (lambda host: host.wait_listening(65536), "port: 65536 is outside 1..=65535"),
    "no time": (lambda host: host.wait_listening(1, timeout=-1), "timeout: -1 is not a number"),
    "a huge port": (
        lambda host: host.socket(socket.AF_INET, bind=("0.0.0.0", 1 << 70)),
        r"bind port: \d+ is outside 0..=65535",
    ),
}


@pytest.mark.parametrize(("call", "words"), WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_a_call_that_makes_no_sense_is_named(
    lab: Lab, call: Callable[[Host], object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        call(lab.host("a"))


# --- ready-made networks ---

SITES: dict[str, tuple[Callable[[Lab], object], type[MeshError], str]] = {
    "name too long": (lambda lab: lab.home("x" * 30), ConfigError, "not a host name"),
    "carrier's name": (
        lambda lab: lab.home("x" * 25, nat=Nat.CGNAT),
        ConfigError,
        "not a host name",
    ),
    "no hosts": (lambda lab: lab.home("h", hosts=0), ConfigError, "hosts: 0 is outside 1..=253"),
    "a name for a NAT": (
        lambda lab: lab.home("h", nat="open"),  # type: ignore[arg-type]  # the mistake
        ConfigError,
        "nat: 'open' is none",
    ),
    "no prefix": (lambda lab: lab.home("h", lan="10.0.0.1"), ConfigError, "lacks its prefix"),
    "no room": (lambda lab: lab.home("h", lan="10.0.0.1/30", hosts=2), LabError, "0 free"),
    "second name taken": (lambda lab: lab.home("taken", hosts=2), ConfigError, "'taken-2'"),
    "no IPv6 outside": (
        lambda lab: lab.home("h", ipv6=True, upstream=lab.carrier("c")),
        ConfigError,
        "has no IPv6",
    ),
    "no address": (lambda lab: lab.server("s", addresses=0), ConfigError, "addresses: 0 is outsi"),
    "too many": (lambda lab: lab.server("s", addresses=254), LabError, "free addresses, not 254"),
    "narrow": (lambda lab: lab.narrow_path(67), ConfigError, "mtu: 67"),
    "wide": (lambda lab: lab.narrow_path(outer_mtu=1 << 20), ConfigError, "mtu: 1048576"),
}


@pytest.mark.parametrize(("build", "kind", "words"), SITES.values(), ids=SITES)
def test_a_site_that_cannot_be_built_leaves_nothing(
    lab: Lab, build: Callable[[Lab], object], kind: type[MeshError], words: str
) -> None:
    lab.host("taken-2")
    public = lab.public.router
    free = lab.public.free_address()
    hosts, interfaces, routes = set(lab.hosts), set(public.interfaces), public.ip("route show")
    with pytest.raises(kind, match=words):
        build(lab)
    # A carrier that the test itself has asked for may stay.
    assert set(lab.hosts) - {"c"} == hosts
    assert {at for at in public.interfaces if at != "br0p1" or "c" not in lab.hosts} == interfaces
    assert public.ip("route show") == routes
    assert {host.netns for host in lab.hosts.values()} == own_namespaces(lab)
    server = lab.server("server", addresses=100)
    assert server.run(["ping", "-c1", "-W2", public.ipv4]).returncode == 0
    assert free not in {str(at) for at in server.interfaces["eth0"].addresses}


def test_a_home_that_is_full_takes_nobody_in(lab: Lab) -> None:
    home = lab.home("h", lan="10.0.0.1/30")
    with pytest.raises(LabError, match="0 free addresses"):
        home.add_host("guest")
    assert "guest" not in lab.hosts
    assert len(home.hosts) == 1


def own_namespaces(lab: Lab) -> set[str]:
    prefix = lab.hosts["taken-2"].netns.removesuffix("taken-2")
    names = (name for record in list_labs() for name in record.namespaces)
    return {name for name in names if name.startswith(prefix)}


@pytest.mark.parametrize("public", ["everything", "203.0.113.5/24", "fd00::/64", "10.0.0.0/31"])
def test_a_public_network_that_is_none_is_refused(public: str) -> None:
    with pytest.raises(ConfigError, match=f"public: .*{public}"):
        Lab(public=public)


WRONG_NATS: list[tuple[dict[str, Any], str]] = [
    ({"step": 0}, "step is 0"),
    ({"step": 12}, "step: 12 is outside -11..=11"),
    ({"timeout": 0}, "timeout: 0 is outside"),
    ({"timeout": 1 << 40}, "timeout: 1099511627776 is outside 1..=2147483"),
    ({"ports": range(5, 5)}, "ports: "),
    ({"ports": range(1, 65537)}, r"ports: range\(1, 65537\) is not a range of ports"),
    ({"ports": range(1, 9, 2)}, "ports: "),
    ({"wan": "eth9"}, "has no device 'eth9'"),
    ({"nat": "symmetric-random"}, "nat: 'symmetric-random' is none"),
]


def test_a_nat_that_cannot_be_leaves_the_one_that_is(lab: Lab) -> None:
    router = lab.home("home", nat=Nat.SYMMETRIC_SEQUENTIAL).router
    rules = router.run(["nft", "list", "ruleset"]).stdout
    for wrong, words in WRONG_NATS:
        with pytest.raises(ConfigError, match=words):
            router.nat(**{"nat": Nat.SYMMETRIC_SEQUENTIAL} | wrong)
    for seconds in (0, 1 << 31):
        with pytest.raises(ConfigError, match="seconds: "):
            router.set_udp_timeout(seconds)
        with pytest.raises(ConfigError, match="stream: "):
            router.set_udp_timeout(1, stream=seconds or -1)
    for address in ("10.0.0.1", "fd00::1/64", "10.0.0.300/24"):
        with pytest.raises(ConfigError, match="address"):
            router.renumber(address)
    router.reboot()
    assert router.run(["nft", "list", "ruleset"]).stdout == rules
    for step in (-11, 11):
        router.nat(Nat.SYMMETRIC_SEQUENTIAL, step=step, timeout=2147483)
    router.set_udp_timeout(2147483)
