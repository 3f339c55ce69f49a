"""Data messages by hand."""

from __future__ import annotations

import pytest

from meshvpn import AuthenticationError, ConfigError, Packet, ReplayError
from meshvpn.noise import DataMessage, Transport
from tests.noise.echo import echo_request
from tests.noise.test_handshake import flipped, shake

WINDOW = 8128


@pytest.fixture
def ends() -> tuple[Transport, Transport]:
    return shake()


def test_counters_count_and_receivers_are_the_peers(ends: tuple[Transport, Transport]) -> None:
    alice, bob = ends
    messages = [alice.seal(bytes(16)) for _ in range(3)]
    assert [message.counter for message in messages] == [0, 1, 2]
    assert {message.receiver for message in messages} == {bob.local_index}
    assert (alice.sent, bob.sent) == (3, 0)
    assert len({message.encrypted_packet for message in messages}) == 3


def test_any_order_once(ends: tuple[Transport, Transport]) -> None:
    alice, bob = ends
    messages = [alice.seal(bytes([number]) * 16) for number in range(10)]
    for message in reversed(messages):
        assert bob.open(message) == bytes([message.counter]) * 16
    for message in messages:
        with pytest.raises(ReplayError, match=f"counter: {message.counter} was received"):
            bob.open(message)


def test_the_replay_window_has_an_end(ends: tuple[Transport, Transport]) -> None:
    alice, bob = ends
    messages = [alice.seal(b"") for _ in range(WINDOW + 2)]
    bob.open(messages[-1])
    bob.open(messages[2])
    for message in messages[:2]:
        with pytest.raises(ReplayError, match="too old to tell"):
            bob.open(message)


def test_changed_bytes_are_noticed_and_spoil_nothing(ends: tuple[Transport, Transport]) -> None:
    alice, bob = ends
    message = alice.seal(b"sixteen bytes...")
    for at in range(4, len(message)):
        with pytest.raises(AuthenticationError, match=r"receiver|not authentic"):
            bob.open(flipped(message, at))
    with pytest.raises(ConfigError, match="type"):
        bob.open(flipped(message, 0))
    assert bob.open(message) == b"sixteen bytes..."


def test_a_message_is_for_one_session_and_direction(ends: tuple[Transport, Transport]) -> None:
    alice, bob = ends
    message = alice.seal(b"")
    _, other = shake()
    with pytest.raises(AuthenticationError, match=r"receiver: 0x\w{8} instead of 0x\w{8}"):
        other.open(message)
    with pytest.raises(AuthenticationError):
        alice.open(message)
    index = other.local_index.to_bytes(4, "little")
    with pytest.raises(AuthenticationError, match="not authentic"):
        other.open(DataMessage(message[:4] + index + message[8:]))
    assert bob.open(message) == b""


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 1419, 65000])
def test_packets_are_padded_and_come_back(ends: tuple[Transport, Transport], length: int) -> None:
    alice, bob = ends
    data = b"\xaa" * length  # no IP version
    padded = -(-length // 16) * 16
    message = alice.seal(data)
    assert len(message) == 32 + padded
    assert bob.open(message) == data + bytes(padded - length)
    bare = alice.seal(data, pad=False)
    assert len(bare) == 32 + length
    assert bob.open(bare) == data


def test_an_ip_packet_comes_back_without_padding(ends: tuple[Transport, Transport]) -> None:
    alice, bob = ends
    ping = echo_request("10.8.0.1", "10.8.0.2", sequence=1, data=b"meshvpn")
    assert len(ping) % 16
    assert bob.open(alice.seal(ping)) == ping
    reply = Packet(ping).echo_reply()
    assert reply is not None
    assert alice.open(bob.seal(bytes(reply))) == bytes(reply)
    cut_off = ping[:19]
    assert bob.open(alice.seal(cut_off)) == cut_off + bytes(13), "no header, so no length"


def test_other_types_are_refused(ends: tuple[Transport, Transport]) -> None:
    alice, bob = ends
    for nonsense in (16, "text", None):
        with pytest.raises(TypeError):
            alice.seal(nonsense)  # type: ignore[arg-type] # it must fail
    with pytest.raises(ConfigError, match="length: 5 bytes instead of at least 32"):
        bob.open(b"\x04\x00\x00\x00!")
    assert alice.sent == 0
