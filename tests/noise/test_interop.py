"""A peer by hand, on a UDP socket and without a device, and Debian's wireguard-go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshvpn import Packet, PresharedKey, PrivateKey
from meshvpn.noise import Cookie, CookieReply, Initiation, Initiator, Responder, Response, Transport
from tests.noise.echo import echo_request
from tests.noise.wire import ByHand, let_time_pass
from tests.wireguard.ends import foreign, ours, sides

if TYPE_CHECKING:
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping", "wg", "wireguard-go")]

PSKS = pytest.mark.parametrize("psk", [None, PresharedKey.generate()], ids=["no_psk", "psk"])
FLOOD = 3000


@PSKS
def test_as_initiator(two_hosts: TwoHosts, psk: PresharedKey | None) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near, psk=psk), ByHand(near, far) as hand:
        _, transport = hand.shake(psk=psk)
        for sequence in range(1, 4):
            ping = echo_request(near.ipv4, far.ipv4, sequence=sequence, data=b"by hand")
            hand.send(transport.seal(ping))
            reply = Packet(hand.receive_packet(transport))
            assert not reply.defects
            assert (str(reply.source), str(reply.destination)) == (far.ipv4, near.ipv4)
            assert (reply.icmp_name, reply.icmp_sequence) == ("Echo Reply", sequence)
            assert reply.payload == b"by hand"
        view = far.dump()[1]
        assert int(view[4]) > 0, "it has seen a handshake"


@PSKS
def test_as_responder(two_hosts: TwoHosts, psk: PresharedKey | None) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with ByHand(near, far) as hand, foreign(far, near, endpoint=near.endpoint(), psk=psk):
        ping = far.host.popen(["ping", "-c3", "-i0.2", "-W3", near.ipv4])
        initiation = hand.receive()
        assert isinstance(initiation, Initiation)
        responder = Responder(near.key, initiation)
        assert responder.peer == far.key.public_key
        response, transport = responder.respond(preshared_key=psk)
        hand.send(response)
        for sequence in range(1, 4):
            request = Packet(hand.receive_packet(transport))
            assert (request.icmp_name, request.icmp_sequence) == ("Echo Request", sequence)
            reply = request.echo_reply()
            assert reply is not None
            hand.send(transport.seal(bytes(reply)))
        output, _ = ping.communicate(timeout=10)
        assert ping.returncode == 0
        assert "3 received" in output


def test_a_wrong_key_or_pre_shared_key_gets_no_session(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near), ByHand(near, far) as hand:
        hand.send(Initiator(PrivateKey.generate(), far.key.public_key).initiate())
        hand.send(Initiator(near.key, near.key.public_key).initiate())
        assert hand.hears_no_answer()
        hand.shake()


def test_a_replayed_or_old_initiation_is_not_answered(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near), ByHand(near, far) as hand:
        older = Initiator(near.key, far.key.public_key).initiate()
        let_time_pass()
        initiation, _ = hand.shake()
        let_time_pass()
        for old in (initiation, older):
            hand.send(old)
            assert hand.hears_no_answer()
        hand.shake()


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_a_busy_device_asks_for_a_cookie_and_serves_who_has_it(
    two_hosts: TwoHosts, whose: str
) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with foreign(far, near) if whose == "theirs" else ours(far, near), ByHand(near, far) as hand:

        def initiate(cookie: Cookie | None = None) -> tuple[Initiator, Initiation]:
            initiator = Initiator(near.key, far.key.public_key)
            return initiator, initiator.initiate(cookie=cookie)

        def answer(initiation: Initiation) -> Response | CookieReply:
            hand.send(initiation)
            while True:
                message = hand.receive()
                match message:
                    case Response() | CookieReply() if message.receiver == initiation.sender:
                        return message

        _, flood = initiate()
        for _ in range(FLOOD):
            hand.send(flood)
        let_time_pass()
        hand.drain()
        let_time_pass()

        _, first = initiate()
        reply = answer(first)
        assert isinstance(reply, CookieReply)
        cookie = Cookie.from_reply(reply, first, far.key.public_key)
        initiator, second = initiate(cookie)
        response = answer(second)
        assert isinstance(response, Response), "it was served"
        transport: Transport = initiator.finish(response)
        _, third = initiate()
        assert isinstance(answer(third), CookieReply), "and it still is busy"
        hand.send(transport.seal(echo_request(near.ipv4, far.ipv4, sequence=1)))
        assert Packet(hand.receive_packet(transport)).icmp_name == "Echo Reply"
