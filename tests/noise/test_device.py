"""A device of ours and peers by hand, honest and otherwise: the dishonest get no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from meshvpn import AuthenticationError, Packet, PresharedKey, PrivateKey
from meshvpn.noise import Initiation, Initiator, Responder, Timestamp
from tests.noise.echo import echo_request
from tests.noise.test_handshake import flipped
from tests.noise.wire import ByHand, let_time_pass
from tests.tunnel.pair import wait_until
from tests.wireguard.ends import ours, sides

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn import WireGuard
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = pytest.mark.root


@pytest.fixture
def met(two_hosts: TwoHosts) -> Iterator[tuple[ByHand, WireGuard]]:
    """A peer by hand on host ``a``, and a device on ``b`` that knows it."""
    near, far = sides(two_hosts.a, two_hosts.b)
    with ours(far, near) as device, ByHand(near, far) as hand:
        yield hand, device


def is_dropped(hand: ByHand, device: WireGuard, message: bytes, reason: str) -> bool:
    """Whether nothing came of it but this count."""
    before = device.stats()
    hand.send(message)
    wait_until(lambda: device.stats().drops[reason] > before.drops[reason])
    after = device.stats()
    changed = {name for name, count in after.drops.items() if count != before.drops[name]}
    return changed == {reason} and after.sessions == before.sessions and hand.hears_no_answer()


def test_a_ping_by_hand_is_answered(met: tuple[ByHand, WireGuard]) -> None:
    hand, device = met
    _, transport = hand.shake()
    ping = echo_request(hand.near.ipv4, hand.far.ipv4, sequence=7, data=b"by hand")
    hand.send(transport.seal(ping))
    reply = Packet(hand.receive_packet(transport))
    assert (reply.icmp_name, reply.icmp_sequence) == ("Echo Reply", 7)
    # The ping is answered before the session is counted.
    wait_until(lambda: device.stats().sessions == 1)
    assert not any(device.stats().drops.values())


def test_a_wrong_static_key(met: tuple[ByHand, WireGuard]) -> None:
    hand, device = met
    device_key = hand.far.key.public_key
    stranger = Initiator(PrivateKey.generate(), device_key).initiate()
    assert is_dropped(hand, device, stranger, "unknown_peer")
    mistaken = Initiator(hand.near.key, PrivateKey.generate().public_key).initiate()
    assert is_dropped(hand, device, mistaken, "bad_mac1")
    assert is_dropped(hand, device, mistaken.with_macs(device_key), "bad_handshake")
    hand.shake()


def test_a_replayed_initiation(met: tuple[ByHand, WireGuard]) -> None:
    hand, device = met
    initiation, transport = hand.shake()
    hand.send(transport.seal(b""))
    wait_until(lambda: device.stats().sessions == 1)
    let_time_pass()
    assert is_dropped(hand, device, initiation, "old_handshake")
    renumbered = Initiation(initiation[:4] + bytes(4) + initiation[8:])
    renumbered = renumbered.with_macs(hand.far.key.public_key)
    assert is_dropped(hand, device, renumbered, "old_handshake")
    assert device.stats().sessions == 1
    hand.shake()


def test_an_old_timestamp(met: tuple[ByHand, WireGuard]) -> None:
    hand, device = met
    moment = Timestamp.now()
    hand.shake(timestamp=moment)
    let_time_pass()
    unix_ns = moment.unix_ns
    assert unix_ns is not None
    initiator = Initiator(hand.near.key, hand.far.key.public_key)
    older = initiator.initiate(timestamp=Timestamp.from_unix_ns(unix_ns - 1))
    assert is_dropped(hand, device, older, "old_handshake")
    initiator = Initiator(hand.near.key, hand.far.key.public_key)
    assert is_dropped(hand, device, initiator.initiate(timestamp=moment), "old_handshake")
    let_time_pass()
    hand.shake(timestamp=Timestamp.from_unix_ns(unix_ns + 1))


def test_changed_bytes(met: tuple[ByHand, WireGuard]) -> None:
    hand, device = met
    initiation = Initiator(hand.near.key, hand.far.key.public_key).initiate()
    for at in (5, 9, 60, 100, 120):
        assert is_dropped(hand, device, flipped(initiation, at), "bad_mac1")
    for at in (9, 60, 100):
        forged = Initiation(flipped(initiation, at)).with_macs(hand.far.key.public_key)
        assert is_dropped(hand, device, forged, "bad_handshake")
    _, transport = hand.shake()
    keepalive = transport.seal(b"")
    assert is_dropped(hand, device, flipped(keepalive, 20), "bad_tag")
    hand.send(keepalive)
    wait_until(lambda: device.stats().sessions == 1)
    assert is_dropped(hand, device, keepalive, "replayed")


def test_another_pre_shared_key_shows_in_the_response(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    psk = PresharedKey.generate()
    with ours(far, near, psk=psk), ByHand(near, far) as hand:
        for wrong in (None, PresharedKey.generate()):
            with pytest.raises(AuthenticationError, match=r"response: .* not authentic"):
                hand.shake(psk=wrong)
            let_time_pass()
        hand.shake(psk=psk)


def test_who_stole_a_peers_place_but_not_its_key_answers_in_vain(two_hosts: TwoHosts) -> None:
    """The device begins a handshake; somebody else sits at the peer's address."""
    near, far = sides(two_hosts.a, two_hosts.b)
    thief = replace(near, key=PrivateKey.generate())
    with ByHand(thief, far) as hand, ours(far, near, endpoint=near.endpoint()) as device:
        far.host.popen(["ping", "-c1", "-W1", near.ipv4])
        initiation = hand.receive()
        assert isinstance(initiation, Initiation)
        assert initiation.has_valid_mac1(near.key.public_key)
        # What it cannot read it cannot answer; it makes up an initiation that it can.
        own = Initiator(PrivateKey.generate(), thief.key.public_key).initiate(
            sender=initiation.sender
        )
        response, _ = Responder(thief.key, own).respond()
        forged = response.with_macs(far.key.public_key)
        assert is_dropped(hand, device, forged, "bad_handshake")
        assert device.phase == "connecting"
