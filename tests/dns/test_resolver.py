"""A node's resolver as other programs see it: ``dig`` asks it, and it asks ``dnsmasq``."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from meshvpn.dns import Resolver
from meshvpn.errors import ConfigError, NetworkError
from tests.dns.asking import dig, dnsmasq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshvpn.dns import Address, Names
    from meshvpn.lab import Host
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("dig", "dnsmasq")]

_MANY: list[Address] = [f"100.64.9.{n}" for n in range(200)]
NAMES: Names = {
    "laptop": ["100.64.0.1", "fd7a::1"],
    "server": "100.64.0.2",
    "phone": ["fd7a::3"],
    "many": _MANY,
}
LAPTOP_V6 = f"1.{'0.' * 23}0.0.0.0.a.7.d.f.ip6.arpa"
# A text record that no datagram of 1,232 bytes holds.
LONG = "x" * 200
LONG_RECORD = f"--txt-record=long.example.com,{','.join([LONG] * 10)}"


@pytest.fixture
def near(two_hosts: TwoHosts) -> Host:
    return two_hosts.a


@pytest.fixture
def resolver(two_hosts: TwoHosts) -> Iterator[Resolver]:
    """At loopback of the one host, with a name server on the other."""
    upstream = str(two_hosts.b.ipv4)
    with (
        dnsmasq(two_hosts.b, upstream, LONG_RECORD),
        Resolver(
            NAMES,
            domain="mesh.internal",
            listen=["127.0.0.1:53", "[::1]:53"],
            upstreams=(upstream, 53),
            netns=two_hosts.a.netns,
        ) as running,
    ):
        yield running


def test_names_of_the_mesh_have_addresses(near: Host, resolver: Resolver) -> None:
    for server in ("127.0.0.1", "::1"):
        for name in ("laptop.mesh.internal", "laptop", "LAPTOP.Mesh.Internal"):
            for transport in ("+notcp", "+tcp"):
                reply = dig(near, server, name, "A", transport)
                assert reply.status == "NOERROR"
                assert reply.answers == ((f"{name}.", "A", "100.64.0.1"),)
                assert {"qr", "aa", "rd", "ra"} == reply.flags
                assert dig(near, server, name, "AAAA", transport).data == {"fd7a::1"}
    assert resolver.stats().forwarded == 0
    assert resolver.stats().answered == 24


def test_addresses_of_the_mesh_have_names(near: Host, resolver: Resolver) -> None:
    for name in ("1.0.64.100.in-addr.arpa", LAPTOP_V6):
        assert dig(near, "127.0.0.1", name, "PTR").data == {"laptop.mesh.internal."}
    assert dig(near, "127.0.0.1", "-x", "fd7a::3").data == {"phone.mesh.internal."}
    assert resolver.stats().forwarded == 0


def test_no_such_name_and_no_such_record_are_told_apart(near: Host, resolver: Resolver) -> None:
    for name, kind, status, apex in (
        ("nobody.mesh.internal", "A", "NXDOMAIN", "mesh.internal."),
        ("x.laptop.mesh.internal", "A", "NXDOMAIN", "mesh.internal."),
        ("server.mesh.internal", "AAAA", "NOERROR", "mesh.internal."),
        ("laptop.mesh.internal", "MX", "NOERROR", "mesh.internal."),
        ("mesh.internal", "A", "NOERROR", "mesh.internal."),
        ("server", "AAAA", "NOERROR", "server."),
        ("1.0.64.100.in-addr.arpa", "A", "NOERROR", "1.0.64.100.in-addr.arpa."),
    ):
        reply = dig(near, "127.0.0.1", name, kind)
        assert (reply.status, reply.answers) == (status, ()), reply.text
        assert reply.authority == ((apex, "SOA"),), reply.text
    soa = dig(near, "127.0.0.1", "mesh.internal", "SOA").data
    assert soa == {"mesh.internal. . 0 1200 180 1209600 5"}
    assert resolver.stats().forwarded == 0


def test_everything_else_is_passed_on(near: Host, resolver: Resolver) -> None:
    for transport in ("+notcp", "+tcp"):
        reply = dig(near, "127.0.0.1", "www.example.com", "A", transport)
        assert reply.answers == (("www.example.com.", "A", "198.51.100.7"),)
        assert dig(near, "::1", "example.com", "AAAA", transport).data == {"2001:db8::7"}
    assert dig(near, "127.0.0.1", "-x", "198.51.100.7").data == {"www.example.com."}
    # This server knows of nothing else, and says so.
    assert dig(near, "127.0.0.1", "example.org", "A").status == "REFUSED"
    assert resolver.stats().forwarded == 6
    assert resolver.stats().answered == 0


def test_what_is_too_long_for_a_datagram_comes_by_tcp(near: Host, resolver: Resolver) -> None:
    for name, kind, count in (("many.mesh.internal", "A", 200), ("long.example.com", "TXT", 1)):
        cut = dig(near, "127.0.0.1", name, kind, "+ignore")
        assert "tc" in cut.flags, cut.text
        assert cut.answers == ()
        whole = dig(near, "127.0.0.1", name, kind)
        assert "retrying in TCP" in whole.text
        assert len(whole.answers) == count
        assert "tc" not in whole.flags
    assert len(dig(near, "127.0.0.1", "long.example.com", "TXT", "+bufsize=4096").answers) == 1
    assert resolver.stats().failed == 0


def test_names_change_while_it_runs(near: Host, resolver: Resolver) -> None:
    resolver.set_names({"tablet": "100.64.0.9"}, domain="other")
    assert dig(near, "127.0.0.1", "tablet.other", "A").data == {"100.64.0.9"}
    assert dig(near, "127.0.0.1", "laptop.other", "A").status == "NXDOMAIN"
    assert dig(near, "127.0.0.1", "laptop.mesh.internal", "A").status == "REFUSED"


def test_the_next_name_server_takes_over(two_hosts: TwoHosts) -> None:
    near, far, _ = two_hosts
    # Nobody listens at the first, which is told at once; nobody is at the second: that takes time.
    upstreams = [f"{near.ipv4}:5", "172.31.0.99:53", f"{far.ipv4}:53"]
    with (
        dnsmasq(far, str(far.ipv4)),
        Resolver(
            {}, listen="127.0.0.1:53", upstreams=list(upstreams), netns=near.netns
        ) as resolver,
    ):
        start = time.monotonic()
        assert dig(near, "127.0.0.1", "example.com", "A").data == {"198.51.100.7"}
        assert 0.9 < time.monotonic() - start < 3.5
        start = time.monotonic()
        assert dig(near, "127.0.0.1", "www.example.com", "A").data == {"198.51.100.7"}
        assert time.monotonic() - start < 0.9, "it has remembered who answers"
        resolver.set_upstreams("172.31.0.99:53")
        reply = dig(near, "127.0.0.1", "example.com", "A")
        assert reply.status == "SERVFAIL"
        assert resolver.stats().failed == 1


def test_only_its_own_host_may_ask(two_hosts: TwoHosts) -> None:
    near, far, _ = two_hosts
    at = str(near.ipv4)
    for clients in ([], ["172.31.0.0/24"]):
        with (
            dnsmasq(far, str(far.ipv4)),
            Resolver(
                NAMES,
                domain="mesh.internal",
                listen=[(at, 53)],
                upstreams=(str(far.ipv4), 53),
                clients=clients,
                netns=near.netns,
            ),
        ):
            for name in ("laptop.mesh.internal", "example.com"):
                for transport in ("+notcp", "+tcp"):
                    own = dig(near, at, name, "A", transport)
                    assert own.status == "NOERROR"
                    foreign = dig(far, at, name, "A", transport)
                    assert foreign.status == ("NOERROR" if clients else "REFUSED")


def test_the_systems_name_servers_are_followed(two_hosts: TwoHosts, tmp_path: Path) -> None:
    near, far, _ = two_hosts
    file = tmp_path / "resolv.conf"
    file.write_text(f"# by DHCP\nnameserver 127.0.0.1\nnameserver {far.ipv4}\n")
    with (
        dnsmasq(far, str(far.ipv4)),
        Resolver({}, listen="127.0.0.1:53", resolv_conf=file, netns=near.netns),
    ):
        assert dig(near, "127.0.0.1", "example.com", "A").data == {"198.51.100.7"}
        file.write_text("nameserver 127.0.0.1\n")
        time.sleep(2.1)
        # Only itself is left, and that is nobody.
        assert dig(near, "127.0.0.1", "www.example.com", "A").status == "REFUSED"


def test_a_loop_through_others_ends(two_hosts: TwoHosts) -> None:
    near, far, _ = two_hosts
    at = str(near.ipv4)
    with (
        Resolver(
            {},
            listen=[(at, 53)],
            upstreams=(str(far.ipv4), 53),
            clients=["172.31.0.0/24"],
            netns=near.netns,
        ) as resolver,
        dnsmasq(far, str(far.ipv4), f"--server={at}"),
    ):
        assert dig(near, at, "loop.test", "A").status in {"SERVFAIL", "REFUSED"}
        assert resolver.stats().forwarded < 20


def test_what_is_no_question_does_no_harm(near: Host, resolver: Resolver) -> None:
    good = struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + b"\x06laptop\0\0\x01\0\x01"
    with near.socket() as sock:
        sock.settimeout(3)
        sock.connect(("127.0.0.1", 53))
        for bad, reply in (
            (b"", None),
            (b"\0" * 11, None),
            (good[:2] + b"\x81" + good[3:], None),  # an answer
            (good[:12], b"\0\x07\x81\x81"),  # format error
            (good[:-1], b"\0\x07\x81\x81"),
            (good[:4] + b"\xff\xff" + good[6:], b"\0\x07\x81\x81"),  # 65,535 questions
            (good[:12] + b"\xc0\x0c\0\x01\0\x01", b"\0\x07\x81\x81"),  # a name within itself
            (good[:2] + b"\x28\0" + good[4:], b"\0\x07\xa8\x84"),  # an update: not implemented
            (b"\xff" * 5000, None),
        ):
            sock.send(bad)
            if reply is not None:
                assert sock.recv(512)[:4] == reply, bad
        sock.send(good)
        assert sock.recv(512).endswith(bytes([100, 64, 0, 1]))
    with near.socket() as sock:
        for _ in range(2000):
            sock.sendto(os.urandom(40), ("127.0.0.1", 53))
    assert dig(near, "127.0.0.1", "laptop", "A").data == {"100.64.0.1"}
    with near.enter():
        streams = [socket.create_connection(("127.0.0.1", 53), timeout=12) for _ in range(70)]
    # More than are let in at once, all of which say nothing, or half a message.
    for stream in streams[:10]:
        stream.send(b"\0")
    assert dig(near, "127.0.0.1", "laptop", "A").data == {"100.64.0.1"}
    streams[-1].send(struct.pack(">H", len(good)) + good)
    assert streams[-1].recv(512)[2:4] == b"\0\x07", "when the silent ones have been sent away"
    for stream in streams:
        stream.close()
    assert dig(near, "127.0.0.1", "laptop", "A", "+tcp").data == {"100.64.0.1"}
    assert resolver.stats().failed == 0


def test_many_ask_at_once(near: Host, resolver: Resolver) -> None:
    def ask(thread: int) -> None:
        with near.socket() as sock:
            sock.settimeout(5)
            sock.connect(("127.0.0.1", 53))
            for number in range(100):
                name = b"\x07example\x03com" if number % 2 else b"\x06laptop"
                header = struct.pack(">6H", thread << 8 | number, 0x0100, 1, 0, 0, 0)
                sock.send(header + name + b"\0\0\x01\0\x01")
                answer = sock.recv(512)
                assert struct.unpack(">H", answer[:2])[0] == thread << 8 | number
                assert answer[-4:] == bytes([198, 51, 100, 7] if number % 2 else [100, 64, 0, 1])
                answered[thread] += 1

    answered = [0] * 10
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answered == [100] * 10
    assert resolver.stats().failed == 0


def test_bad_values_are_refused(two_hosts: TwoHosts) -> None:
    netns = two_hosts.a.netns
    with pytest.raises(ConfigError, match=r"listen: 0\.0\.0\.0:53 is not one host's address"):
        Resolver({}, listen="0.0.0.0:53", upstreams=[], netns=netns)
    with pytest.raises(ConfigError, match="no address to answer at"):
        Resolver({}, listen=[], upstreams=[], netns=netns)
    with pytest.raises(ConfigError, match=r"upstreams: .*own address, a loop"):
        Resolver({}, listen="127.0.0.1:53", upstreams="127.0.0.1:53", netns=netns)
    with pytest.raises(ConfigError, match=r"laptop: .nowhere. is not an IP address"):
        Resolver({"laptop": "nowhere"}, listen="127.0.0.1:53", upstreams=[], netns=netns)
    with pytest.raises(NetworkError, match=r"cannot answer at 192\.0\.2\.1:53"):
        Resolver({}, listen="192.0.2.1:53", upstreams=[], netns=netns)
    with Resolver({}, listen="127.0.0.1:53", upstreams=[], netns=netns) as first:
        with pytest.raises(NetworkError, match="another resolver has that port"):
            Resolver({}, listen="127.0.0.1:53", upstreams=[], netns=netns)
        first.close()
        first.close()
        Resolver({}, listen="127.0.0.1:53", upstreams=[], netns=netns).close()
