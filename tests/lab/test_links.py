"""Links, bridges and paths carry what they should, and less when something is wrong with them."""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from meshvpn.errors import ConfigError
from meshvpn.lab import Host, Lab, Nat
from tests.lab.reflector import SILENCE_SECONDS, expect, expect_silence, receive

if TYPE_CHECKING:
    from meshvpn.lab import NarrowPath
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("nft", "ping")]


def pings(host: Host, address: str, *options: str) -> bool:
    command = ["ping", "-c", "1", "-W", "1", *options, address]
    return host.run(command, check=False).returncode == 0


def told_mtu(host: Host, address: str) -> int | None:
    """What the network says to a ping that is too big for it, if it says anything."""
    ping = host.run(["ping", "-c1", "-W1", "-Mdo", "-s1400", address], check=False)
    assert ping.returncode != 0
    told = re.search(r"mtu ?= ?([0-9]+)", ping.stdout + ping.stderr)
    return int(told[1]) if told else None


def largest_ping(host: Host, address: str, sizes: range) -> int | None:
    """The largest IP packet of the given sizes that arrives unfragmented."""
    headers = 48 if ":" in address else 28
    options = [(size, ["-M", "do", "-s", str(size - headers)]) for size in reversed(sizes)]
    return next((size for size, option in options if pings(host, address, *option)), None)


def received_bytes(sender: Host, receiver: Host, seconds: float) -> int:
    """How much a TCP stream carries in a time."""
    total = 0
    with receiver.enter():
        listener = socket.create_server((receiver.ipv4, 7000))
    with listener, sender.socket(kind=socket.SOCK_STREAM) as outgoing:
        outgoing.connect((receiver.ipv4, 7000))
        incoming, _ = listener.accept()
        stop = threading.Event()

        def send() -> None:
            outgoing.settimeout(0.2)
            while not stop.is_set():
                try:
                    outgoing.send(bytes(65536))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=send)
        thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            total += len(incoming.recv(65536))
        stop.set()
        thread.join()
        incoming.close()
    return total


def test_ipv4_and_ipv6_work_at_once(two_hosts: TwoHosts) -> None:
    assert pings(two_hosts.a, two_hosts.b.ipv4)
    assert pings(two_hosts.a, two_hosts.b.ipv6)


def test_a_link_carries_its_mtu_and_no_more(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    link = lab.link(a, b, "172.31.0.1/24", "172.31.0.2/24", mtu=1400)
    assert largest_ping(a, b.ipv4, range(1399, 1402)) == 1400
    with link.set_mtu(1124):
        assert largest_ping(a, b.ipv4, range(1123, 1126)) == 1124
    assert largest_ping(a, b.ipv4, range(1399, 1402)) == 1400


def test_loss_takes_its_share_of_each_direction(two_hosts: TwoHosts) -> None:
    a, b, link = two_hosts
    sent = 2000
    with (
        a.socket(bind=(a.ipv4, 7000)) as here,
        b.socket(bind=(b.ipv4, 7000)) as there,
        link.set_loss(0.1),
    ):
        for source, sink in ((here, there), (there, here)):
            arrived = 0
            for number in range(1, sent + 1):
                source.sendto(b"x", sink.getsockname())
                # Emptied now and then, so that the receive buffer loses nothing by itself.
                while number % 50 == 0 and receive(sink, SILENCE_SECONDS if number == sent else 0):
                    arrived += 1
            # Six standard deviations of a binomial distribution: wrong once in 10^9 runs.
            assert abs(arrived / sent - 0.9) < 0.04
    assert pings(a, b.ipv4, "-c", "50", "-i", "0.002")


def test_total_loss_lets_nothing_through(two_hosts: TwoHosts) -> None:
    link = two_hosts.link
    with link.set_loss(1):
        with link.set_loss(0):
            assert pings(two_hosts.a, two_hosts.b.ipv4), "the inner condition counts"
        assert not pings(two_hosts.a, two_hosts.b.ipv4)
        assert not pings(two_hosts.a, two_hosts.b.ipv6)
    assert pings(two_hosts.a, two_hosts.b.ipv4)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        link.set_loss(10)


@pytest.mark.needs("tc")
def test_rate_limits_a_stream(two_hosts: TwoHosts) -> None:
    with two_hosts.link.set_rate(20e6):
        limited = received_bytes(two_hosts.a, two_hosts.b, 1.5) * 8 / 1.5
    assert 10e6 < limited < 24e6
    assert received_bytes(two_hosts.a, two_hosts.b, 0.5) * 8 / 0.5 > 100e6


def test_a_pulled_cable_works_again_with_addresses_and_routes(lab: Lab) -> None:
    home = lab.home("home", nat=Nat.OPEN, ipv6=True)
    server = lab.server("server")
    assert pings(home.host, server.ipv4)
    with home.wan.down():
        assert not pings(home.host, server.ipv4)
    assert pings(home.host, server.ipv4)
    assert pings(home.host, server.ipv6)


def test_a_host_moves_to_another_network(lab: Lab) -> None:
    here = lab.home("here", nat=Nat.PORT_RESTRICTED)
    there = lab.home("there", nat=Nat.PORT_RESTRICTED, lan="192.168.7.1/24")
    server = lab.server("server")
    roamer = lab.host("roamer")
    cable = here.lan.attach(roamer)
    assert roamer.ipv4.startswith("192.168.1.")
    assert pings(roamer, server.ipv4)
    cable.remove()
    assert not pings(roamer, server.ipv4)
    there.lan.attach(roamer)
    assert roamer.ipv4.startswith("192.168.7.")
    assert pings(roamer, server.ipv4)


def test_a_bridge_joins_all_who_are_attached(lab: Lab) -> None:
    bridge = lab.bridge("switch", ["10.5.0.1/24", "fd05::1/64"])
    hosts = [lab.host(name) for name in ("a", "b", "c")]
    for host in hosts:
        bridge.attach(host)
    assert [host.ipv4 for host in hosts] == ["10.5.0.2", "10.5.0.3", "10.5.0.4"]
    for other in hosts[1:]:
        assert pings(hosts[0], other.ipv4)
        assert pings(hosts[0], other.ipv6)


def test_ipv6_of_a_home_is_routed_but_behind_a_firewall(lab: Lab) -> None:
    home = lab.home("home", nat=Nat.PORT_RESTRICTED, ipv6=True)
    server = lab.server("server")
    with (
        home.host.socket(socket.AF_INET6, bind=(home.host.ipv6, 7000)) as inside,
        server.socket(socket.AF_INET6, bind=(server.ipv6, 7000)) as outside,
    ):
        outside.sendto(b"uninvited", inside.getsockname())
        expect_silence(inside)
        inside.sendto(b"hello", outside.getsockname())
        source = expect(outside)[b"hello"]
        assert source[:2] == (home.host.ipv6, 7000), "IPv6 is not translated"
        outside.sendto(b"invited", inside.getsockname())
        expect(inside)


def test_blocked_udp_stops_udp_only(lab: Lab) -> None:
    home = lab.home("home", ipv6=True)
    server = lab.server("server")
    with (
        server.socket(bind=(server.ipv4, 7000)) as there,
        home.host.socket() as here,
    ):
        with home.router.block_udp():
            here.sendto(b"blocked", (server.ipv4, 7000))
            expect_silence(there)
            assert pings(home.host, server.ipv4)
        here.sendto(b"free", (server.ipv4, 7000))
        expect(there)


@pytest.mark.parametrize("mtu", [1280, 1124])
def test_a_narrow_path_says_so(lab: Lab, mtu: int) -> None:
    path = lab.narrow_path(mtu)
    assert path.mtu == mtu
    assert told_mtu(path.a, path.b.ipv4) == mtu
    assert largest_ping(path.a, path.b.ipv4, range(mtu - 1, mtu + 2)) == mtu


def test_a_narrow_path_carries_ipv6_from_1280_on(narrow_path: NarrowPath) -> None:
    path = narrow_path
    assert largest_ping(path.a, path.b.ipv6, range(1279, 1282)) == 1280
    with path.set_mtu(1124):
        assert not pings(path.a, path.b.ipv6)
        assert pings(path.a, path.b.ipv4)
    assert pings(path.a, path.b.ipv6)


def test_a_path_without_icmp_swallows_what_is_too_big(narrow_path: NarrowPath) -> None:
    path = narrow_path
    with path.block_icmp():
        for address in (path.b.ipv4, path.b.ipv6):
            assert told_mtu(path.a, address) is None
            assert pings(path.a, address)
    assert told_mtu(path.a, path.b.ipv4) == told_mtu(path.a, path.b.ipv6) == 1280


def test_a_path_shrinks_under_a_stream(narrow_path: NarrowPath) -> None:
    path = narrow_path
    threading.Timer(0.5, path.set_mtu, [1124]).start()
    assert received_bytes(path.a, path.b, 1.0) > 1_000_000
    assert path.mtu == 1124
    assert largest_ping(path.a, path.b.ipv4, range(1123, 1126)) == 1124
