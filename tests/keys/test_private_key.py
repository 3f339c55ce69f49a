"""A private key is never shown; its public key is that of RFC 7748 and of wg."""

from __future__ import annotations

import copy
import pickle
import subprocess
from typing import TYPE_CHECKING

import pytest

import meshvpn
from meshvpn import PrivateKey, PublicKey

if TYPE_CHECKING:
    from pathlib import Path

# RFC 7748, section 6.1.
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")


def test_the_public_key_is_that_of_rfc_7748() -> None:
    key = PrivateKey(ALICE)
    assert bytes(key.public_key) == ALICE_PUBLIC
    assert key.public_key == PublicKey(ALICE_PUBLIC)


@pytest.mark.needs("wg")
def test_the_public_key_is_that_of_wg() -> None:
    for _ in range(10):
        key = PrivateKey.generate()
        theirs = subprocess.check_output(["wg", "pubkey"], input=key.to_base64(), text=True)
        assert str(key.public_key) == theirs.strip()


@pytest.mark.needs("wg")
def test_a_key_of_wg_stays_as_it_is() -> None:
    theirs = subprocess.check_output(["wg", "genkey"], text=True).strip()
    assert PrivateKey.from_base64(theirs).to_base64() == theirs


def test_bits_that_x25519_ignores_make_no_other_key() -> None:
    changed = bytes([ALICE[0] ^ 7]) + ALICE[1:31] + bytes([ALICE[31] ^ 0x80])
    assert PrivateKey(changed) == PrivateKey(ALICE)
    assert hash(PrivateKey(changed)) == hash(PrivateKey(ALICE))


def test_nothing_shows_a_private_key(tmp_path: Path) -> None:
    key = PrivateKey.generate()
    secret = key.to_base64()
    assert secret not in repr(key) + str(key) + f"{key}"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    assert copy.deepcopy(key) is key
    with pytest.raises(meshvpn.ConfigError, match="a key was given") as caught:
        PrivateKey.from_file(secret)
    assert secret not in str(caught.value)
    path = tmp_path / "private.key"
    key.to_file(path)
    assert PrivateKey.from_file(path) == key


def test_kinds_of_secrets_are_not_each_other() -> None:
    private = PrivateKey.generate()
    assert private != meshvpn.PresharedKey(bytes(private))
    assert private != bytes(private)


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(32), bytes(33)])
def test_wrong_lengths_and_zeros_are_refused(data: bytes) -> None:
    with pytest.raises(meshvpn.ConfigError, match="private key"):
        PrivateKey(data)


def test_a_public_key_is_shown_compared_and_pickled() -> None:
    key = PrivateKey.generate().public_key
    assert str(key) == key.to_base64()
    assert eval(repr(key)) == key
    assert pickle.loads(pickle.dumps(key)) == key
    assert len({key, PublicKey(bytes(key))}) == 1
    assert PublicKey(bytes(32)) < PublicKey(bytes(31) + b"\x01")
    assert key != key.to_base64()


@pytest.mark.parametrize("text", ["", "x", "A" * 44, "A" * 43, "A" * 42 + "B=", "A" * 43 + "=\n="])
def test_what_is_not_exactly_a_key_is_refused(text: str) -> None:
    with pytest.raises(meshvpn.ConfigError, match="public key") as caught:
        PublicKey.from_base64(text)
    assert caught.value.hint
