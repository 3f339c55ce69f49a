"""The handshake a second time, from the whitepaper's formulas: what can be read with which keys.

With a side's two private keys everything can, so it judges the engine; with others it shows how far
an eavesdropper gets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.noise.primitives import dh, hash_, kdf, mac, open_

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshvpn import PrivateKey, PublicKey

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"


@dataclass
class Read:
    """What was found out; the rest stays hidden."""

    static: bytes | None = None
    timestamp: bytes | None = None
    states: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Hash and chaining key after each token."""
    keys: tuple[bytes, bytes] | None = None
    """For what the initiator sends and for what the responder sends."""


class _HiddenError(Exception):
    """An agreement of which neither private key is known."""


def read(
    initiation: bytes,
    response: bytes,
    responder: PublicKey,
    *,
    known: Mapping[str, PrivateKey],
    psk: bytes = bytes(32),
    guess: bytes | None = None,
) -> Read:
    """Reads a recorded handshake with the private keys that are ``known``, by ``Si Ei Sr Er``.

    ``guess`` takes the place of the first agreement that cannot be computed.
    """
    found = Read()
    reader = _Reader(found, known, guess)
    try:
        reader.read_initiation(initiation, bytes(responder))
        reader.read_response(response, psk)
    except _HiddenError:
        pass
    return found


def mac1_of(message: bytes, receiver: bytes) -> bytes:
    """Section 5.4.4."""
    return mac(hash_(b"mac1----", receiver), message[:-32])


class _Reader:
    def __init__(self, found: Read, known: Mapping[str, PrivateKey], guess: bytes | None) -> None:
        self.found = found
        self.private = {name: bytes(key) for name, key in known.items()}
        self.public: dict[str, bytes] = {}
        self.guess = guess
        self.c = self.h = hash_(CONSTRUCTION)
        self.note()

    def read_initiation(self, message: bytes, responder: bytes) -> None:
        """Section 5.4.2."""
        self.mix_hash(IDENTIFIER)
        self.note()
        self.public["Sr"] = responder
        self.mix_hash(responder)
        self.note()
        self.take_ephemeral("Ei", message[8:40])
        self.c, k = kdf(2, self.c, self.agreement("Ei", "Sr"))
        self.note()
        self.found.static = self.public["Si"] = self.open(k, message[40:88])
        self.note()
        self.c, k = kdf(2, self.c, self.agreement("Si", "Sr"))
        self.note()
        self.found.timestamp = self.open(k, message[88:116])
        self.note()

    def read_response(self, message: bytes, psk: bytes) -> None:
        """Sections 5.4.3 and 5.4.5."""
        self.take_ephemeral("Er", message[12:44])
        (self.c,) = kdf(1, self.c, self.agreement("Ei", "Er"))
        self.note()
        (self.c,) = kdf(1, self.c, self.agreement("Si", "Er"))
        self.note()
        self.c, t, k = kdf(3, self.c, psk)
        self.mix_hash(t)
        self.note()
        if self.guess is None:
            assert self.open(k, message[44:60]) == b""
            self.note()
        initiators, responders = kdf(2, self.c, b"")
        self.found.keys = initiators, responders

    def take_ephemeral(self, name: str, public: bytes) -> None:
        self.public[name] = public
        (self.c,) = kdf(1, self.c, public)
        self.mix_hash(public)
        self.note()

    def agreement(self, one: str, other: str) -> bytes:
        for mine, theirs in ((one, other), (other, one)):
            if mine in self.private:
                return dh(self.private[mine], self.public[theirs])
        if self.guess is None:
            raise _HiddenError
        return self.guess

    def open(self, key: bytes, sealed: bytes) -> bytes:
        plaintext = open_(key, 0, sealed, self.h)
        assert plaintext is not None
        self.mix_hash(sealed)
        return plaintext

    def mix_hash(self, data: bytes) -> None:
        self.h = hash_(self.h, data)

    def note(self) -> None:
        self.found.states.append((self.h, self.c))
