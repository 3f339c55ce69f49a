"""Two sides by hand: what a handshake gives, and what it refuses."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

import meshvpn
from meshvpn import (
    AuthenticationError,
    ConfigError,
    OutOfTurnError,
    PresharedKey,
    PrivateKey,
    PublicKey,
    ReplayError,
)
from meshvpn.noise import IKpsk2, Initiation, Initiator, Responder, Response, Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.noise import Transport

ALICE, BOB, MALLORY = (PrivateKey.generate() for _ in range(3))


def shake(psk: PresharedKey | None = None) -> tuple[Transport, Transport]:
    """Alice's end of a session with Bob, and Bob's."""
    initiator = Initiator(ALICE, BOB.public_key, preshared_key=psk)
    response, bobs = Responder(BOB, initiator.initiate()).respond(preshared_key=psk)
    return initiator.finish(response), bobs


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]


@pytest.mark.parametrize("psk", [None, PresharedKey.generate()], ids=["no_psk", "psk"])
def test_both_sides_end_with_each_others_keys(psk: PresharedKey | None) -> None:
    initiator = Initiator(ALICE, BOB.public_key, preshared_key=psk)
    initiation = initiator.initiate(sender=5)
    responder = Responder(BOB, initiation)
    assert responder.peer == ALICE.public_key
    response, bobs = responder.respond(sender=6, preshared_key=psk)
    alices = initiator.finish(response)
    assert (initiation.sender, response.sender, response.receiver) == (5, 6, 5)
    assert (alices.local_index, alices.remote_index) == (5, 6)
    assert (bobs.local_index, bobs.remote_index) == (6, 5)
    assert alices.reveal_secrets() == tuple(reversed(bobs.reveal_secrets()))
    assert initiator.reveal_secrets() == responder.reveal_secrets()
    assert bobs.open(alices.seal(b"16 bytes of data")) == b"16 bytes of data"
    assert alices.open(bobs.seal(b"16 bytes as well")) == b"16 bytes as well"


def test_every_handshake_has_keys_of_its_own() -> None:
    seen = {key for _ in range(20) for key in shake()[0].reveal_secrets()}
    assert len(seen) == 40


def test_a_fixed_ephemeral_key_and_time_give_the_same_message() -> None:
    """So tests and vectors can repeat one; by default no two are the same."""
    fixed = PrivateKey.generate()
    moment = Timestamp.now()

    def initiation(ephemeral: PrivateKey | None) -> Initiation:
        initiator = Initiator(ALICE, BOB.public_key, ephemeral=ephemeral)
        return initiator.initiate(sender=1, timestamp=moment)

    assert initiation(fixed) == initiation(fixed)
    assert initiation(None) != initiation(None)


class TestInitiation:
    def test_is_read_by_nobody_else(self) -> None:
        initiation = Initiator(ALICE, BOB.public_key).initiate()
        with pytest.raises(AuthenticationError, match="mac1 was made for another public key"):
            Responder(MALLORY, initiation)
        # mac1 needs no secret; what is sealed does.
        forged = initiation.with_macs(MALLORY.public_key)
        with pytest.raises(AuthenticationError, match=r"initiation: .* not authentic") as caught:
            Responder(MALLORY, forged)
        assert "another public key" in str(caught.value.hint)

    def test_no_byte_of_it_can_be_changed(self) -> None:
        initiation = Initiator(ALICE, BOB.public_key).initiate()
        for at in range(4, 132):
            with pytest.raises(AuthenticationError, match="mac1"):
                Responder(BOB, flipped(initiation, at))
        for at in range(8, 116):
            forged = Initiation(flipped(initiation, at)).with_macs(BOB.public_key)
            with pytest.raises(AuthenticationError, match="not authentic"):
                Responder(BOB, forged)
        Responder(BOB, initiation)

    def test_a_replayed_one_is_refused_by_its_timestamp(self) -> None:
        initiation = Initiator(ALICE, BOB.public_key).initiate()
        last = Responder(BOB, initiation).timestamp
        with pytest.raises(ReplayError, match=r"timestamp: .* is not later") as caught:
            Responder(BOB, initiation, after=last)
        assert isinstance(caught.value, ValueError)
        newer = Initiator(ALICE, BOB.public_key).initiate(timestamp=Timestamp.now(after=last))
        assert Responder(BOB, newer, after=last).timestamp > last

    def test_is_made_once(self) -> None:
        initiator = Initiator(ALICE, BOB.public_key)
        initiation = initiator.initiate()
        with pytest.raises(OutOfTurnError) as caught:
            initiator.initiate()
        assert caught.value.hint
        response, _ = Responder(BOB, initiation).respond()
        initiator.finish(response)

    def test_needs_a_peer_whose_key_means_something(self) -> None:
        worthless = PublicKey(bytes(32))
        with pytest.raises(AuthenticationError, match="peer") as caught:
            Initiator(ALICE, worthless).initiate()
        assert "zero" in str(caught.value.hint)

    @pytest.mark.parametrize("sender", [-1, 1 << 32])
    def test_has_a_sender_of_32_bits(self, sender: int) -> None:
        with pytest.raises(ConfigError, match="sender"):
            Initiator(ALICE, BOB.public_key).initiate(sender=sender)


class TestResponse:
    def test_no_byte_of_it_can_be_changed_and_the_right_one_is_still_taken(self) -> None:
        initiator = Initiator(ALICE, BOB.public_key)
        response, bobs = Responder(BOB, initiator.initiate()).respond()
        for at in range(4, 76):
            with pytest.raises(AuthenticationError, match=r"receiver|mac1"):
                initiator.finish(flipped(response, at))
        for at in range(12, 60):
            forged = Response(flipped(response, at)).with_macs(ALICE.public_key)
            with pytest.raises(AuthenticationError, match=r"response: .* not authentic"):
                initiator.finish(forged)
        alices = initiator.finish(response)
        assert alices.reveal_secrets().send == bobs.reveal_secrets().receive
        with pytest.raises(OutOfTurnError):
            initiator.finish(response)

    def test_to_another_initiation_is_refused(self) -> None:
        first, second = (Initiator(ALICE, BOB.public_key) for _ in range(2))
        first.initiate(sender=1)
        response, _ = Responder(BOB, second.initiate(sender=2)).respond()
        with pytest.raises(
            AuthenticationError, match=r"receiver: 0x00000002 instead of 0x00000001"
        ):
            first.finish(response)

    def test_to_another_initiation_of_the_same_number_is_refused(self) -> None:
        first, second = (Initiator(ALICE, BOB.public_key) for _ in range(2))
        first.initiate(sender=1)
        response, _ = Responder(BOB, second.initiate(sender=1)).respond()
        with pytest.raises(AuthenticationError, match="not authentic"):
            first.finish(response)

    @pytest.mark.parametrize("knower", ["initiator", "responder", "both"])
    def test_shows_that_pre_shared_keys_differ(self, knower: str) -> None:
        mine = PresharedKey.generate() if knower != "responder" else None
        theirs = PresharedKey.generate() if knower != "initiator" else None
        initiator = Initiator(ALICE, BOB.public_key, preshared_key=mine)
        response, _ = Responder(BOB, initiator.initiate()).respond(preshared_key=theirs)
        with pytest.raises(AuthenticationError, match="not authentic") as caught:
            initiator.finish(response)
        assert "pre-shared key" in str(caught.value.hint)

    def test_of_who_has_not_the_private_key_is_refused(self) -> None:
        """Mallory cannot read Alice's initiation to Bob, nor answer for him."""
        initiator = Initiator(ALICE, BOB.public_key)
        initiator.initiate(sender=1)
        decoy = Initiator(ALICE, MALLORY.public_key).initiate(sender=1)
        response, _ = Responder(MALLORY, decoy).respond()
        with pytest.raises(AuthenticationError, match="not authentic"):
            initiator.finish(response)

    def test_is_made_once(self) -> None:
        responder = Responder(BOB, Initiator(ALICE, BOB.public_key).initiate())
        responder.respond()
        with pytest.raises(OutOfTurnError):
            responder.respond()

    def test_before_the_initiation_is_out_of_turn(self) -> None:
        response, _ = Responder(BOB, Initiator(ALICE, BOB.public_key).initiate()).respond()
        with pytest.raises(OutOfTurnError):
            Initiator(ALICE, BOB.public_key).finish(response)

    def test_of_another_type_is_named(self) -> None:
        initiator = Initiator(ALICE, BOB.public_key)
        initiation = initiator.initiate()
        with pytest.raises(ConfigError, match=r"type: 1 \(initiation\) instead of 2 \(response\)"):
            initiator.finish(initiation)


def test_who_takes_another_for_the_initiator_finds_out() -> None:
    """Mallory, with her own key, is not Alice: the responder knows it from the first message on."""
    assert Responder(BOB, Initiator(MALLORY, BOB.public_key).initiate()).peer != ALICE.public_key


def test_a_wrong_response_leaves_no_trace_in_the_states() -> None:
    initiator = Initiator(ALICE, BOB.public_key)
    responder = Responder(BOB, initiator.initiate())
    response, _ = responder.respond()
    forged = Response(flipped(response, 50)).with_macs(ALICE.public_key)
    with pytest.raises(AuthenticationError):
        initiator.finish(forged)
    initiator.finish(response)
    assert initiator.reveal_secrets() == responder.reveal_secrets()


def test_nothing_shows_a_secret_that_was_not_asked_for() -> None:
    initiator = Initiator(ALICE, BOB.public_key)
    initiation = initiator.initiate()
    responder = Responder(BOB, initiation)
    response, bobs = responder.respond()
    alices = initiator.finish(response)
    pattern = IKpsk2.initiator(ALICE, BOB.public_key)
    secrets = [*alices.reveal_secrets(), bytes(ALICE), bytes(BOB)]
    secrets += [state.chaining_key for state in initiator.reveal_secrets()[4:]]
    for thing in (initiator, responder, bobs, alices, pattern):
        assert "secret" in repr(thing)
        for secret in secrets:
            assert secret.hex()[:12] not in repr(thing)
            assert repr(secret)[2:12] not in repr(thing)
        with pytest.raises(TypeError):
            pickle.dumps(thing)


class TestIKpsk2:
    def test_messages_come_in_their_order_and_keys_once(self) -> None:
        initiator = IKpsk2.initiator(ALICE, BOB.public_key)
        responder = IKpsk2.responder(BOB)
        assert responder.peer is None
        for early in (responder.write, lambda: initiator.read(bytes(96)), initiator.split):
            with pytest.raises(OutOfTurnError):
                early()
        responder.read(initiator.write())
        assert responder.peer == ALICE.public_key
        initiator.read(responder.write())
        initiator.split()
        with pytest.raises(OutOfTurnError, match="split"):
            initiator.split()

    def test_another_prologue_is_noticed(self) -> None:
        message = IKpsk2.initiator(ALICE, BOB.public_key, prologue=b"a").write()
        responder = IKpsk2.responder(BOB, prologue=b"b")
        with pytest.raises(AuthenticationError, match=r"message: .* not authentic"):
            responder.read(message)

    def test_a_message_has_an_end(self) -> None:
        initiator = IKpsk2.initiator(ALICE, BOB.public_key)
        with pytest.raises(ConfigError, match=r"payload: .* at most 65535"):
            initiator.write(bytes(65535 - 95))
        assert len(initiator.write(bytes(65535 - 96))) == 65535

    def test_with_wireguards_prologue_it_is_wireguards(self) -> None:
        initiator = IKpsk2.initiator(ALICE, BOB.public_key)
        moment = Timestamp.now()
        noise = initiator.write(moment)
        frame = b"\x01\x00\x00\x00" + (7).to_bytes(4, "little") + noise + bytes(32)
        responder = Responder(BOB, Initiation(frame).with_macs(BOB.public_key))
        assert (responder.peer, responder.timestamp) == (ALICE.public_key, moment)


def test_errors_are_in_the_packages_family() -> None:
    for kind in (AuthenticationError, OutOfTurnError, ReplayError):
        assert issubclass(kind, meshvpn.MeshError)


def test_a_key_of_another_kind_is_named() -> None:
    """All keys are 32 bytes: bob where bob.public_key belongs would only fail much later."""
    peer = BOB.public_key
    assert Initiator(ALICE, str(peer)).peer == peer
    initiation = Initiator(ALICE, peer).initiate()
    mistakes: list[tuple[Callable[[], object], str]] = [
        (lambda: Initiator(ALICE, BOB), "peer: a PrivateKey .* give its public_key"),  # type: ignore[arg-type] # it must fail
        (lambda: Initiator(peer, peer), "private_key: a PublicKey instead of a PrivateKey"),  # type: ignore[arg-type] # it must fail
        (lambda: Initiator(ALICE, bytes(32)), "peer: a bytes instead of a PublicKey"),  # type: ignore[arg-type] # it must fail
        (lambda: Initiator(ALICE, peer, preshared_key=BOB), "preshared_key: a PrivateKey"),  # type: ignore[arg-type] # it must fail
        (lambda: Initiator(ALICE, peer, ephemeral=peer), "ephemeral: a PublicKey"),  # type: ignore[arg-type] # it must fail
        (lambda: Responder(peer, initiation), "private_key: a PublicKey"),  # type: ignore[arg-type] # it must fail
        (lambda: IKpsk2.responder(peer), "private_key: a PublicKey"),  # type: ignore[arg-type] # it must fail
        (lambda: initiation.has_valid_mac1(BOB), "to: a PrivateKey"),  # type: ignore[arg-type] # it must fail
    ]
    for wrong, problem in mistakes:
        with pytest.raises(TypeError, match=problem):
            wrong()
    with pytest.raises(ConfigError, match="public key: not base64"):
        Initiator(ALICE, "bob")
