"""Each NAT of the lab does what its name says, measured by plain sockets on both sides."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from meshvpn.lab import Home, Lab, Mapping, Nat
from tests.lab.reflector import Reflector, expect, expect_silence

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.needs("nft")]

INNER_PORT = 5000
TRANSLATING = [nat for nat in Nat if nat is not Nat.UDP_BLOCKED]


@pytest.fixture
def reflector(lab: Lab) -> Iterator[Reflector]:
    reflector = Reflector.build(lab)
    yield reflector
    for sock in reflector.sockets.values():
        sock.close()


def inner_socket(home: Home, number: int = 0, port: int = INNER_PORT) -> socket.socket:
    host = home.hosts[number]
    return host.socket(bind=(host.ipv4, port))


@pytest.mark.parametrize("nat", TRANSLATING, ids=lambda nat: nat.value)
def test_mapping_and_filtering_are_as_named(lab: Lab, reflector: Reflector, nat: Nat) -> None:
    home = lab.home("home", nat=nat)
    with inner_socket(home) as asking, inner_socket(home, port=INNER_PORT + 1) as fresh:
        assert reflector.mapping(asking) is nat.mapping
        assert reflector.filtering(fresh) is nat.filtering


@pytest.mark.parametrize("nat", TRANSLATING, ids=lambda nat: nat.value)
def test_outer_endpoint(lab: Lab, reflector: Reflector, nat: Nat) -> None:
    home = lab.home("home", nat=nat)
    with inner_socket(home) as inner:
        outer = reflector.outer(inner)
    assert outer[0] == home.public_address
    assert (outer[1] == INNER_PORT) == nat.preserves_port


@pytest.mark.parametrize("nat", TRANSLATING, ids=lambda nat: nat.value)
def test_two_hosts_with_the_same_port_both_get_through(
    lab: Lab, reflector: Reflector, nat: Nat
) -> None:
    home = lab.home("home", nat=nat, hosts=2)
    with inner_socket(home, 0) as one, inner_socket(home, 1) as two:
        outer_one, outer_two = reflector.outer(one), reflector.outer(two)
        assert outer_one != outer_two
        # Answers go to the right host, and the mapping of the second is as firm as the first's.
        server = reflector.sockets[reflector.places[0]]
        server.sendto(b"one", outer_one)
        server.sendto(b"two", outer_two)
        assert set(expect(one)) == {b"one"}
        assert set(expect(two)) == {b"two"}
        assert reflector.mapping(two) is nat.mapping


@pytest.mark.parametrize("nat", TRANSLATING, ids=lambda nat: nat.value)
def test_hairpin(lab: Lab, reflector: Reflector, nat: Nat) -> None:
    home = lab.home("home", nat=nat, hosts=2)
    with inner_socket(home, 0) as one, inner_socket(home, 1) as two:
        outer_one, outer_two = reflector.outer(one), reflector.outer(two)
        one.sendto(b"over the wall", outer_two)
        if nat.hairpins:
            assert expect(two) == {b"over the wall": outer_one}, "it must show its outer source"
            two.sendto(b"and back", outer_one)
            assert expect(one) == {b"and back": outer_two}
        else:
            expect_silence(two)


@pytest.mark.parametrize("step", [1, 2, -1])
def test_sequential_ports_follow_each_other(lab: Lab, reflector: Reflector, step: int) -> None:
    home = lab.home("home", nat=Nat.SYMMETRIC_SEQUENTIAL, hosts=2)
    home.router.nat(Nat.SYMMETRIC_SEQUENTIAL, step=step)
    ports = []
    with inner_socket(home, 0) as one, inner_socket(home, 1) as two:
        for place in reflector.places:
            for inner in (one, two):  # the counter is the router's, not the host's
                outer = reflector.outer(inner, place)
                ports.append(outer[1])
    assert ports == list(range(ports[0], ports[0] + 8 * step, step))


@pytest.mark.parametrize(
    ("nat", "ports"),
    [
        (Nat.PORT_BLOCK, None),
        (Nat.SYMMETRIC_RANDOM, range(40000, 40064)),
        (Nat.FULL_CONE, range(40000, 40064)),
        (Nat.PORT_RESTRICTED, range(40000, 40064)),
    ],
    ids=str,
)
def test_ports_stay_in_their_range(
    lab: Lab, reflector: Reflector, nat: Nat, ports: range | None
) -> None:
    home = lab.home("home", nat=nat)
    home.router.nat(nat, ports=ports)
    seen = set()
    for number in range(20):
        with inner_socket(home, port=INNER_PORT + number) as inner:
            outer = reflector.outer(inner)
            seen.add(outer[1])
    assert seen <= set(ports or range(2048, 3072))
    assert len(seen) >= 15


def test_a_carrier_gives_each_subscriber_a_block_and_hairpins(
    lab: Lab, reflector: Reflector
) -> None:
    carrier = lab.carrier("carrier")
    homes = [lab.home(name, nat=Nat.PORT_RESTRICTED, upstream=carrier) for name in ("a", "b")]
    with inner_socket(homes[0]) as a, inner_socket(homes[1]) as b:
        outer_a, outer_b = reflector.outer(a), reflector.outer(b)
        assert outer_a[0] == outer_b[0] == carrier.public_address == homes[0].public_address
        assert outer_a[1] in range(2048, 3072)
        assert outer_b[1] in range(3072, 4096)
        # Each home's own NAT lets the other in once both have sent: a punch through the carrier.
        a.sendto(b"opens a", outer_b)
        b.sendto(b"opens b", outer_a)
        a.sendto(b"hello b", outer_b)
        assert expect(b, until=b"hello b")[b"hello b"] == outer_a
        assert expect(a, until=b"opens b")[b"opens b"] == outer_b


@pytest.mark.parametrize(
    ("nat", "keeps"), [(Nat.PORT_RESTRICTED, True), (Nat.HOSTILE_CONE, False)], ids=str
)
def test_an_early_datagram_of_the_peer_spoils_only_the_hostile_cone(
    lab: Lab, reflector: Reflector, nat: Nat, keeps: bool
) -> None:
    home = lab.home("home", nat=nat)
    peer = reflector.places[3]
    with inner_socket(home) as inner:
        outer = reflector.outer(inner)
        reflector.sockets[peer].sendto(b"too early", outer)
        expect_silence(inner)
        assert (reflector.outer(inner, peer) == outer) is keeps


def test_udp_blocked_lets_only_https_out(lab: Lab, reflector: Reflector) -> None:
    home = lab.home("home", nat=Nat.UDP_BLOCKED)
    with inner_socket(home) as inner:
        assert reflector.unreachable(inner)
    address = reflector.host.ipv4
    listeners = [reflector.host.socket(kind=socket.SOCK_STREAM) for _ in range(2)]
    for listener, port in zip(listeners, (443, 8443), strict=True):
        listener.bind((address, port))
        listener.listen()
    with home.host.socket(kind=socket.SOCK_STREAM) as https:
        https.settimeout(2)
        https.connect((address, 443))
        assert https.getpeername() == (address, 443)
    with home.host.socket(kind=socket.SOCK_STREAM) as other:
        other.settimeout(2)
        with pytest.raises(ConnectionRefusedError):
            other.connect((address, 8443))
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("like_udp", [True, False], ids=["tcp-like-udp", "tcp-masqueraded"])
@pytest.mark.parametrize("nat", TRANSLATING, ids=lambda nat: nat.value)
def test_tcp_is_mapped_like_udp_only_when_asked(
    lab: Lab, reflector: Reflector, nat: Nat, like_udp: bool
) -> None:
    home = lab.home("home", nat=nat)
    if nat is not Nat.CGNAT:  # whose home's own router masquerades both alike
        home.router.nat(nat, tcp_like_udp=like_udp)
    seen = []
    for place in reflector.places:
        with reflector.host.socket(kind=socket.SOCK_STREAM, bind=place) as listener:
            listener.listen()
            with home.host.socket(kind=socket.SOCK_STREAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                client.bind((home.host.ipv4, INNER_PORT))
                client.settimeout(2)
                client.connect(place)
                accepted, outer = listener.accept()
                accepted.close()
                seen.append(outer)
    mapping = nat.mapping if like_udp else Mapping.ENDPOINT_INDEPENDENT
    assert Reflector.classify(seen) is mapping
    if nat is not Nat.CGNAT:
        assert (seen[0][1] == INNER_PORT) is (nat.preserves_port or not like_udp)


@pytest.mark.parametrize("nat", [Nat.PORT_RESTRICTED, Nat.FULL_CONE], ids=lambda nat: nat.value)
def test_a_silent_mapping_is_forgotten(lab: Lab, reflector: Reflector, nat: Nat) -> None:
    home = lab.home("home", nat=nat)
    home.router.set_udp_timeout(2)
    server = reflector.sockets[reflector.places[0]]
    with inner_socket(home) as inner:
        outer = reflector.outer(inner)
        time.sleep(0.5)
        server.sendto(b"in time", outer)
        expect(inner)
        time.sleep(3.5)
        server.sendto(b"too late", outer)
        expect_silence(inner)


def test_a_stream_is_remembered_longer(lab: Lab, reflector: Reflector) -> None:
    home = lab.home("home", nat=Nat.PORT_RESTRICTED)
    home.router.set_udp_timeout(1, stream=4)
    server = reflector.sockets[reflector.places[0]]
    with inner_socket(home) as inner:
        outer = reflector.outer(inner)
        for _ in range(12):  # Linux calls a flow a stream once it has gone both ways for 2 s
            server.sendto(b"answer", outer)
            expect(inner)
            assert reflector.outer(inner) == outer
            time.sleep(0.2)
        time.sleep(2)
        server.sendto(b"in time", outer)
        expect(inner)
        time.sleep(5)
        server.sendto(b"too late", outer)
        expect_silence(inner)


@pytest.mark.parametrize(
    ("nat", "same_port"),
    [
        (Nat.PORT_RESTRICTED, True),
        (Nat.FULL_CONE, False),
        (Nat.SYMMETRIC_RANDOM, False),
    ],
    ids=str,
)
def test_a_reboot_forgets_every_mapping(
    lab: Lab, reflector: Reflector, nat: Nat, same_port: bool
) -> None:
    home = lab.home("home", nat=nat)
    with inner_socket(home) as inner:
        before = reflector.outer(inner)
        home.router.reboot()
        reflector.sockets[reflector.places[0]].sendto(b"anybody there?", before)
        expect_silence(inner)
        after = reflector.outer(inner)
        assert (after == before) is same_port


def test_a_reboot_amidst_traffic_forgets_too(lab: Lab, reflector: Reflector) -> None:
    home = lab.home("home", nat=Nat.FULL_CONE)
    stop = threading.Event()

    def send(talking: socket.socket) -> None:
        while not stop.wait(0.0005):
            talking.sendto(b"still there", reflector.places[1])

    with inner_socket(home) as inner:
        thread = threading.Thread(target=send, args=(inner,))
        before = {reflector.outer(inner)}
        thread.start()
        try:
            for _reboot in range(5):
                home.router.reboot()
                after = reflector.outer(inner)
                assert after not in before
                before.add(after)
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    "nat", [nat for nat in TRANSLATING if nat is not Nat.OPEN], ids=lambda nat: nat.value
)
def test_a_new_outer_address_is_used_at_once(lab: Lab, reflector: Reflector, nat: Nat) -> None:
    home = lab.home("home", nat=nat)
    site = home.carrier or home
    with inner_socket(home) as inner:
        reflector.outer(inner)
        site.router.renumber(lab.public.free_address())
        outer = reflector.outer(inner)
        assert outer[0] == site.wan.a.ipv4
        assert reflector.mapping(inner) is nat.mapping


def test_a_flapping_cable_drops_what_was_masqueraded(lab: Lab, reflector: Reflector) -> None:
    home = lab.home("home", nat=Nat.PORT_RESTRICTED)
    with inner_socket(home) as inner:
        before = reflector.outer(inner)
        home.wan.down().undo()
        reflector.sockets[reflector.places[0]].sendto(b"anybody there?", before)
        expect_silence(inner)
        assert reflector.outer(inner) == before
