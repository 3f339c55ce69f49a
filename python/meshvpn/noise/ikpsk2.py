"""The Noise pattern beneath WireGuard's handshake, with any prologue and payloads.

::

    <- s                          the initiator knows the responder's static key beforehand
    ...
    -> e, es, s, ss, payload      96 bytes and the payload
    <- e, ee, se, psk, payload    48 bytes and the payload

WireGuard fixes the prologue, sends a timestamp and nothing as payloads, and puts a frame around
each message: that is :class:`Initiator` and :class:`Responder`. Published vectors have others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self, final

from meshvpn import _meshvpn
from meshvpn._values import bounded
from meshvpn.keys import PublicKey
from meshvpn.noise._keys import preshared_bytes, private_bytes, public_key
from meshvpn.noise.states import States
from meshvpn.noise.transport import Transport

if TYPE_CHECKING:
    from meshvpn.keys import PresharedKey, PrivateKey
    from meshvpn.noise._keys import Peer
    from meshvpn.noise._message import Bytes

__all__ = ["CONSTRUCTION", "PROLOGUE", "IKpsk2"]

CONSTRUCTION: Final = _meshvpn.NOISE_CONSTRUCTION
"""``Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s``."""

PROLOGUE: Final = _meshvpn.NOISE_PROLOGUE
"""WireGuard's prologue, which the whitepaper calls the identifier."""

_LARGEST_INDEX: Final = 0xFFFF_FFFF


@final
class IKpsk2:
    """One side of ``Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s``.

    >>> from meshvpn import PrivateKey
    >>> alice, bob = PrivateKey.generate(), PrivateKey.generate()
    >>> initiator = IKpsk2.initiator(alice, bob.public_key, prologue=b"hello/1")
    >>> responder = IKpsk2.responder(bob, prologue=b"hello/1")
    >>> responder.read(initiator.write(b"How do you do?"))
    b'How do you do?'
    >>> initiator.read(responder.write(b"How do you do."))
    b'How do you do.'
    >>> initiator.hash == responder.hash
    True
    >>> responder.split().open(initiator.split().seal(b"Fine, thank you!"))
    b'Fine, thank you!'
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: _meshvpn.NoiseIkPsk2) -> None:
        self._handle = handle

    @classmethod
    def initiator(
        cls,
        private_key: PrivateKey,
        peer: Peer,
        *,
        prologue: bytes = PROLOGUE,
        preshared_key: PresharedKey | None = None,
        ephemeral: PrivateKey | None = None,
    ) -> Self:
        """The side that begins.

        Args:
            private_key: who begins.
            peer: who is to answer; a public key or its base64.
            prologue: what both must agree on; by default WireGuard's.
            preshared_key: what both know besides; by default 32 zeros, as in WireGuard.
            ephemeral: the key for this handshake alone; by default a new one. To be given only for
                a vector.
        """
        known = public_key("peer", peer)
        return cls._start(private_key, known, prologue, preshared_key, ephemeral)

    @classmethod
    def responder(
        cls,
        private_key: PrivateKey,
        *,
        prologue: bytes = PROLOGUE,
        preshared_key: PresharedKey | None = None,
        ephemeral: PrivateKey | None = None,
    ) -> Self:
        """The side that answers. It takes what :meth:`initiator` takes, but for the peer."""
        return cls._start(private_key, None, prologue, preshared_key, ephemeral)

    @classmethod
    def _start(
        cls,
        private_key: PrivateKey,
        peer: PublicKey | None,
        prologue: bytes,
        preshared_key: PresharedKey | None,
        ephemeral: PrivateKey | None,
    ) -> Self:
        handle = _meshvpn.NoiseIkPsk2(
            private_bytes("private_key", private_key),
            None if peer is None else bytes(peer),
            prologue=prologue,
            preshared_key=preshared_bytes(preshared_key),
            ephemeral=private_bytes("ephemeral", ephemeral),
        )
        return cls(handle)

    @property
    def peer(self) -> PublicKey | None:
        """The other side; a responder learns it from the first message, ``None`` before."""
        peer = self._handle.peer
        return None if peer is None else PublicKey(peer)

    @property
    def hash(self) -> bytes:
        """The hash of everything so far; at the end it names the session."""
        return self._handle.hash

    def write(self, payload: Bytes = b"") -> bytes:
        """The next message, when it is this side's turn.

        Raises:
            ConfigError: the message would have more than 65,535 bytes.
            AuthenticationError: the peer's public key is one that nobody can prove to have.
            OutOfTurnError: it is not this side's turn.
        """
        return self._handle.write(bytes(memoryview(payload)))

    def read(self, message: Bytes) -> bytes:
        """The payload of the next message. After an error, the next one may be the right one.

        Raises:
            AuthenticationError: it was made with another prologue or key, or changed.
            OutOfTurnError: it is not the other side's turn.
        """
        return self._handle.read(bytes(memoryview(message)))

    def split(self, *, local_index: int = 0, remote_index: int = 0) -> Transport:
        """What comes after the last message, in WireGuard's frames; once.

        Args:
            local_index: by this number the peer's data messages name the session.
            remote_index: by this number this side's do.

        Raises:
            ConfigError: an index is no number of 32 bits.
            OutOfTurnError: the handshake is not at its end, or was split already.
        """
        local = bounded("local_index", local_index, 0, _LARGEST_INDEX)
        remote = bounded("remote_index", remote_index, 0, _LARGEST_INDEX)
        return Transport(self._handle.split(local, remote))

    def reveal_secrets(self) -> States:
        """Hash and chaining key after each token so far. Whoever has the last has the session."""
        return States.revealed(self._handle.reveal_secrets())

    def __repr__(self) -> str:
        return f"<IKpsk2 {self.hash.hex()[:16]}…, secret>"
