"""The handshake is the published one: a vector of others, and the whitepaper's formulas."""

from __future__ import annotations

import pytest

from meshvpn import PresharedKey, PrivateKey, PublicKey
from meshvpn.noise import CONSTRUCTION, PROLOGUE, IKpsk2, Initiator, Responder, Timestamp
from tests.noise import primitives, whitepaper

# The cacophony library's vector for this construction, which snow publishes too.
CACOPHONY_PROLOGUE = bytes.fromhex("4a6f686e2047616c74")
PSK = PresharedKey(
    bytes.fromhex("54686973206973206d7920417573747269616e20706572737065637469766521")
)
STATICS = [
    PrivateKey(bytes.fromhex(digits))
    for digits in (
        "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
        "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
    )
]
EPHEMERALS = [
    PrivateKey(bytes.fromhex(digits))
    for digits in (
        "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
    )
]
RESPONDER = PublicKey(
    bytes.fromhex("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62")
)
HASH = "f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5"
HANDSHAKE = {
    b"Ludwig von Mises": "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
    "001e21de9f98ddd8e2ad57527207feb56253c9c94a9e496782ecfcb2a75fbcaf1b52948cc48daefe660c62119ab50009"
    "80c84831215f2441eba616548e832985464cf17e51ee93109008399a21f7e13f",
    b"Murray Rothbard": "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
    "cb765f2caef0751b8f007572dab0322217755c0632f365717edbf34d33e87a",
}
DATA = [
    ("462e20412e20486179656b", "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7"),
    ("4361726c204d656e676572", "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef"),
    (
        "4a65616e2d426170746973746520536179",
        "6ab1467c0448cc78394494abaaf23afce0e234315d6e2624dcbfa8a21c1c4d073d",
    ),
    (
        "457567656e2042f6686d20766f6e2042617765726b",
        "dfc346c0d2296ae6cf1acf6f12b8456a1dba228cf8d8b774aacf1c47fc53aa80ebc7a4c292",
    ),
]


def test_the_cacophony_vector() -> None:
    assert STATICS[1].public_key == RESPONDER
    sides = [
        IKpsk2.initiator(
            STATICS[0],
            RESPONDER,
            prologue=CACOPHONY_PROLOGUE,
            preshared_key=PSK,
            ephemeral=EPHEMERALS[0],
        ),
        IKpsk2.responder(
            STATICS[1], prologue=CACOPHONY_PROLOGUE, preshared_key=PSK, ephemeral=EPHEMERALS[1]
        ),
    ]
    for number, (payload, expected) in enumerate(HANDSHAKE.items()):
        message = sides[number].write(payload)
        assert message.hex() == expected
        assert sides[1 - number].read(message) == payload
    assert [side.hash.hex() for side in sides] == [HASH, HASH]
    assert [side.peer for side in sides] == [RESPONDER, STATICS[0].public_key]
    assert sides[0].reveal_secrets() == sides[1].reveal_secrets()
    ends = [side.split() for side in sides]
    for number, (text, expected) in enumerate(DATA):
        sealed = ends[number % 2].seal(bytes.fromhex(text), pad=False)
        assert sealed.encrypted_packet.hex() == expected
        assert sealed.counter == number // 2
        assert ends[1 - number % 2].open(sealed).hex() == text


@pytest.mark.parametrize("psk", [None, PSK], ids=["no_psk", "psk"])
def test_every_state_is_the_whitepapers(psk: PresharedKey | None) -> None:
    """From either side's private keys, a second implementation finds all that ours reveals."""
    statics = (PrivateKey.generate(), PrivateKey.generate())
    ephemerals = (PrivateKey.generate(), PrivateKey.generate())
    moment = Timestamp.from_unix_ns(1_800_000_000_123_456_789)
    initiator = Initiator(
        statics[0], statics[1].public_key, preshared_key=psk, ephemeral=ephemerals[0]
    )
    initiation = initiator.initiate(timestamp=moment)
    responder = Responder(statics[1], initiation)
    response, theirs = responder.respond(preshared_key=psk, ephemeral=ephemerals[1])
    ours = initiator.finish(response)
    assert initiation.unencrypted_ephemeral == ephemerals[0].public_key
    assert response.unencrypted_ephemeral == ephemerals[1].public_key
    for number, (static, ephemeral) in enumerate([("Si", "Ei"), ("Sr", "Er")]):
        known = {static: statics[number], ephemeral: ephemerals[number]}
        secret = bytes(32) if psk is None else bytes(psk)
        found = whitepaper.read(
            initiation, response, statics[1].public_key, known=known, psk=secret
        )
        assert found.static == bytes(statics[0].public_key)
        assert found.timestamp == moment
        for side in (initiator, responder):
            states = side.reveal_secrets()
            assert [(state.hash, state.chaining_key) for state in states] == found.states
        assert ours.reveal_secrets() == found.keys
        assert theirs.reveal_secrets() == tuple(reversed(found.keys or ()))
    packet = bytes(range(64))
    message = ours.seal(packet)
    send = ours.reveal_secrets().send
    assert primitives.open_(send, message.counter, message.encrypted_packet) == packet
    assert message.encrypted_packet == primitives.seal(send, 0, packet)


def test_tokens_are_named_in_their_order() -> None:
    alice, bob = PrivateKey.generate(), PrivateKey.generate()
    initiator = Initiator(alice, bob.public_key)
    before = initiator.reveal_secrets()
    assert [state.token for state in before] == ["name", "prologue", "<- s"]
    response, _ = Responder(bob, initiator.initiate()).respond()
    initiator.finish(response)
    states = initiator.reveal_secrets()
    assert states[:3] == before
    tokens = {
        message: " ".join(state.token for state in states if state.message == message)
        for message in ("before", "initiation", "response")
    }
    assert tokens == {
        "before": "name prologue <- s",
        "initiation": "e es s ss payload",
        "response": "e ee se psk payload",
    }
    assert states[0].hash == states[0].chaining_key == primitives.hash_(CONSTRUCTION.encode())
    assert states[1].hash == primitives.hash_(states[0].hash, PROLOGUE)
    assert states[2].hash == primitives.hash_(states[1].hash, bytes(bob.public_key))


def test_mac1_is_the_whitepapers() -> None:
    alice, bob = PrivateKey.generate(), PrivateKey.generate()
    initiation = Initiator(alice, bob.public_key).initiate()
    response, _ = Responder(bob, initiation).respond()
    assert initiation.mac1 == whitepaper.mac1_of(initiation, bytes(bob.public_key))
    assert response.mac1 == whitepaper.mac1_of(response, bytes(alice.public_key))
