"""What recorded traffic tells to who steals keys afterwards (whitepaper, section 5.4; Noise 7.7).

The thief is given the whole recording. With the responder's static key it reads who began, and
when; with both static keys and the pre-shared key no more than that. Only an ephemeral key, which
is gone after the handshake, opens the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from meshvpn import AuthenticationError, PresharedKey, PrivateKey
from meshvpn.noise import DataMessage, Initiation, Initiator, Responder, Response, parse_message
from tests.noise import whitepaper
from tests.noise.primitives import dh, open_
from tests.tunnel.pair import ping
from tests.tunnel.wire import Capture, without_offload
from tests.wireguard.ends import ours, sides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshvpn.pytest_plugin import TwoHosts

STATES_UNTIL = {"nothing": 4, "initiation": 8, "response's e": 9, "response's ee": 10, "all": 13}


class Recording(NamedTuple):
    """What a wire-tap has, and all keys that there were."""

    initiation: Initiation
    response: Response
    data: list[DataMessage]
    keys: Mapping[str, PrivateKey]
    psk: PresharedKey
    plaintext: bytes

    def read(self, *names: str, guess: bytes | None = None) -> whitepaper.Read:
        """Reads with some of the keys; the pre-shared key is always among them."""
        known = {name: self.keys[name] for name in names}
        responder = self.keys["Sr"].public_key
        psk = bytes(self.psk)
        return whitepaper.read(
            self.initiation, self.response, responder, known=known, psk=psk, guess=guess
        )

    def opens(self, found: whitepaper.Read) -> bool:
        """Whether what was found opens any of the data."""
        return any(
            open_(key, message.counter, message.encrypted_packet) is not None
            for key in found.keys or ()
            for message in self.data
        )


@pytest.fixture(scope="module")
def recording() -> Recording:
    keys = {name: PrivateKey.generate() for name in ("Si", "Ei", "Sr", "Er")}
    psk = PresharedKey.generate()
    initiator = Initiator(
        keys["Si"], keys["Sr"].public_key, preshared_key=psk, ephemeral=keys["Ei"]
    )
    initiation = initiator.initiate()
    responder = Responder(keys["Sr"], initiation)
    response, theirs = responder.respond(preshared_key=psk, ephemeral=keys["Er"])
    ours = initiator.finish(response)
    plaintext = b"what nobody must know, ever now."
    data = [ours.seal(plaintext), theirs.seal(plaintext)]
    return Recording(initiation, response, data, keys, psk, plaintext)


@pytest.mark.parametrize(
    ("stolen", "reach"),
    [
        ("", "nothing"),
        ("Si", "nothing"),
        ("Sr", "response's e"),
        ("Si Sr", "response's e"),
        ("Sr Ei", "response's ee"),
        ("Sr Er", "all"),
        ("Si Ei", "all"),
        ("Si Sr Ei", "all"),
        ("Si Sr Er", "all"),
    ],
)
def test_how_far_stolen_keys_reach(recording: Recording, stolen: str, reach: str) -> None:
    found = recording.read(*stolen.split())
    assert len(found.states) == STATES_UNTIL[reach]
    knows_who = reach != "nothing"
    static = bytes(recording.keys["Si"].public_key) if knows_who else None
    assert found.static == static
    assert (found.timestamp is not None) == knows_who
    assert (found.keys is not None) == (reach == "all") == recording.opens(found)


def test_nothing_that_the_static_keys_give_stands_in_for_the_ephemeral_ones(
    recording: Recording,
) -> None:
    """The agreement that is missing is none that both static keys have with anything recorded."""
    keys = recording.keys
    public = [bytes(key.public_key) for key in keys.values()]
    guesses = [dh(bytes(keys[name]), other) for name in ("Si", "Sr") for other in public]
    guesses += [bytes(32), bytes(recording.psk), *public]
    for guess in guesses:
        assert not recording.opens(recording.read("Si", "Sr", guess=guess))
    missing = dh(bytes(keys["Ei"]), bytes(keys["Er"].public_key))
    found = recording.read("Si", "Sr", guess=missing)
    assert recording.opens(found), (
        "with it, everything opens: the guesses were put in the right place"
    )


def test_who_steals_the_responders_keys_cannot_go_on_with_a_recorded_handshake(
    recording: Recording,
) -> None:
    thief = Responder(recording.keys["Sr"], recording.initiation)
    assert thief.peer == recording.keys["Si"].public_key
    _, transport = thief.respond(sender=recording.response.sender, preshared_key=recording.psk)
    to_responder, to_initiator = recording.data
    with pytest.raises(AuthenticationError, match="not authentic"):
        transport.open(to_responder)
    with pytest.raises(AuthenticationError, match="receiver"):
        transport.open(to_initiator)


def test_who_steals_the_initiators_keys_cannot_go_on_with_a_recorded_handshake(
    recording: Recording,
) -> None:
    thief = Initiator(
        recording.keys["Si"], recording.keys["Sr"].public_key, preshared_key=recording.psk
    )
    thief.initiate(sender=recording.initiation.sender)
    with pytest.raises(AuthenticationError, match="not authentic"):
        thief.finish(recording.response)


@pytest.mark.root
@pytest.mark.needs("ping")
def test_devices_on_a_wire_keep_it_so(two_hosts: TwoHosts) -> None:
    """The same of traffic between two devices of ours, recorded from the first byte to the last."""
    near, far = sides(two_hosts.a, two_hosts.b)
    psk = PresharedKey.generate()
    for host in (near.host, far.host):
        without_offload(host)
    with Capture(far.host, "eth0") as wire:
        for _ in range(2):
            with (
                ours(far, near, psk=psk),
                ours(near, far, endpoint=far.endpoint(), psk=psk),
            ):
                assert ping(near, far, 4)
        messages = [parse_message(datagram) for datagram in wire.datagrams()]
    handshakes = list(
        zip(
            [message for message in messages if isinstance(message, Initiation)],
            [message for message in messages if isinstance(message, Response)],
            strict=True,
        )
    )
    assert len(handshakes) == 2
    known = {"Si": near.key, "Sr": far.key}
    data = [message for message in messages if isinstance(message, DataMessage)]
    assert len(data) >= 4
    for initiation, response in handshakes:
        assert (response.receiver, initiation.mac2) == (initiation.sender, bytes(16))
        found = whitepaper.read(
            initiation, response, far.key.public_key, known=known, psk=bytes(psk)
        )
        assert found.static == bytes(near.key.public_key)
        assert found.timestamp is not None
        assert found.keys is None
        assert len(found.states) == STATES_UNTIL["response's e"]
        thief = Responder(far.key, initiation)
        _, transport = thief.respond(sender=response.sender, preshared_key=psk)
        for message in data:
            with pytest.raises(AuthenticationError):
                transport.open(message)
    ephemerals = {message.unencrypted_ephemeral for pair in handshakes for message in pair}
    assert len(ephemerals) == 4
    sealed = [(message.counter, message.encrypted_packet) for message in data]
    assert len(set(sealed)) == len(sealed)
