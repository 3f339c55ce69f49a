"""The simulated internet: NATs by their behaviour, faults, captures, the same bytes again."""

from __future__ import annotations

import pytest

import meshvpn
from meshvpn.sim import Conditions, Internet, Nat, first_difference, outlook

_BEHIND_A_NAT = [nat for nat in Nat if nat not in {Nat.OPEN, Nat.UDP_BLOCKED}]


@pytest.mark.parametrize("nat", _BEHIND_A_NAT, ids=lambda nat: nat.value)
def test_discovery_finds_what_the_lab_says_of_the_same_kind(nat: Nat) -> None:
    net = Internet(seed=3)
    home = net.home("alice", nat=nat)
    report = net.discover(home.host, net.stun_server())
    # The lab's routers are Linux, these are not: both are what their common name says.
    assert (report.mapping, report.filtering) == (nat.mapping, nat.filtering)
    assert report.is_translated


def test_blocked_udp_is_told_in_a_sentence() -> None:
    net = Internet()
    home = net.home("alice", nat=Nat.UDP_BLOCKED)
    report = net.discover(home.host, net.stun_server())
    assert report.mapped is None
    assert "UDP does not get through" in str(report)


def test_the_same_program_gives_the_same_bytes_and_another_seed_others() -> None:
    def run(seed: int) -> Internet:
        net = Internet(seed)
        bad = Conditions(latency=0.02, jitter=0.02, loss=0.1, reordering=0.1)
        home = net.home("alice", nat=Nat.SYMMETRIC_RANDOM, conditions=bad)
        net.capture(home, home.host)
        net.discover(home.host, net.stun_server())
        return net

    one, same, other = run(1), run(1), run(2)
    assert first_difference(one.log, same.log) is None
    assert (one.digest, one.pcapng()) == (same.digest, same.pcapng())
    assert one.digest != other.digest
    difference = first_difference(one.log, other.log)
    assert difference is not None
    assert str(difference).startswith("line ")


def test_a_router_that_reboots_forgets_its_mappings() -> None:
    net = Internet()
    there = net.host("server").socket(3478)
    home = net.home("alice", nat=Nat.FULL_CONE)
    here = home.host.socket()
    here.send(b"out", there.address)
    net.run(1)
    [datagram] = there.receive()
    assert [mapping.outer for mapping in home.mappings()] == [datagram.source]
    there.send(b"in", datagram.source)
    net.run(1)
    assert [datagram.data for datagram in here.receive()] == [b"in"]
    home.reboot()
    there.send(b"in", datagram.source)
    net.run(1)
    assert here.receive() == []
    assert home.mappings() == []


def test_an_opener_dies_behind_the_own_nat() -> None:
    net = Internet()
    there = net.host("server").socket(3478)
    home = net.home("alice")
    home.host.socket(5000).send(b"opener", there.address, hops=2)
    net.run(1)
    assert there.receive() == []
    assert len(home.mappings()) == 1


def test_a_host_moves_and_a_line_fails() -> None:
    net = Internet()
    there = net.host("server").socket(3478)
    alice, bob = net.home("alice"), net.home("bob")
    here = alice.host.socket()

    def source() -> str | None:
        here.send(b"x", there.address)
        net.run(1)
        return next((datagram.source.split(":")[0] for datagram in there.receive()), None)

    first = source()
    alice.host.move(bob)
    second = source()
    assert first
    assert second
    assert first != second
    bob.change_address()
    assert source() not in {None, first, second}
    alice.host.disconnect()
    assert source() is None
    alice.host.reconnect()
    assert source()


def test_ipv6_goes_out_and_only_answers_come_in() -> None:
    net = Internet()
    server = net.host("server")
    home = net.home("alice", ipv6=True)
    there, here = server.socket(9), home.host.socket(9)
    [outside] = [address for address in server.addresses if ":" in address]
    [inside] = [address for address in home.host.addresses if ":" in address]
    there.send(b"early", f"[{inside}]:9")
    net.run(1)
    assert here.receive() == []
    here.send(b"out", f"[{outside}]:9")
    net.run(1)
    [datagram] = there.receive()
    assert datagram.source == f"[{inside}]:9"
    there.send(b"answer", datagram.source)
    net.run(1)
    assert [datagram.data for datagram in here.receive()] == [b"answer"]


def test_subscribers_of_one_carrier_share_its_address() -> None:
    net = Internet()
    there = net.host("server").socket(9)
    carrier = net.carrier("carrier")
    for name in ("alice", "bob"):
        net.home(name, carrier=carrier).host.socket().send(b"x", there.address)
    net.run(1)
    sources = [datagram.source.split(":") for datagram in there.receive()]
    assert len({address for address, _ in sources}) == 1
    assert len({port for _, port in sources}) == 2


def test_the_outlook_is_that_of_the_measured_matrix() -> None:
    assert outlook(Nat.PORT_RESTRICTED, Nat.PORT_RESTRICTED).kind == "direct"
    assert outlook(Nat.SYMMETRIC_RANDOM, Nat.SYMMETRIC_RANDOM).odds < 0.01
    assert outlook(Nat.SYMMETRIC_RANDOM, Nat.SYMMETRIC_RANDOM, same_lan=True).odds == 1
    assert outlook(Nat.CGNAT, Nat.CGNAT, same_carrier=True, hairpin=False).kind == "relayed"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.home("alice", nat="open"), "nat: 'open' is none"),
        (lambda net: (net.home("a"), net.host("a")), "name: 'a' is taken"),
        (lambda net: net.run(-1), "seconds: -1"),
        (lambda net: net.host("a", addresses=0), "addresses: 0"),
        (lambda net: net.host("a").socket(70000), "port: 70000"),
        (lambda net: [net.host("a").socket(9).send(b"", "nowhere")], "nowhere"),
        (lambda net: net.discover(net.host("a")), "servers"),
        (lambda _: Conditions(loss=2), "loss: 2 is no probability"),
        (lambda _: Conditions(latency=-1), "latency: -1"),
        (lambda _: Internet(-1), "seed: -1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(meshvpn.ConfigError, match=message):
        call(Internet())


def test_a_port_is_used_once() -> None:
    host = Internet().host("a")
    socket = host.socket(9)
    with pytest.raises(meshvpn.ConfigError, match="port: 9 is in use"):
        host.socket(9)
    socket.close()
    host.socket(9)
