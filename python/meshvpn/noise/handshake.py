"""Both sides of WireGuard's handshake, a message a call (sections 5.4.2 to 5.4.5).

::

    initiator                                       responder
        ── e, es, s, ss, {timestamp} ── mac1 ──►    knows who, and forgets it if it is old
        ◄── e, ee, se, psk, {} ──────── mac1 ───    has session keys
    has session keys
        ── first data message ─────────────────►    may use them from now on
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, final

from meshvpn import _meshvpn
from meshvpn._values import bounded
from meshvpn.errors import AuthenticationError, ReplayError
from meshvpn.keys import PublicKey
from meshvpn.noise._keys import preshared_bytes, private_bytes, public_key
from meshvpn.noise.messages import Initiation, Response
from meshvpn.noise.states import States
from meshvpn.noise.timestamp import Timestamp
from meshvpn.noise.transport import Transport

if TYPE_CHECKING:
    from meshvpn.keys import PresharedKey, PrivateKey
    from meshvpn.noise._keys import Peer
    from meshvpn.noise._message import Bytes
    from meshvpn.noise.cookie import Cookie

__all__ = ["Initiator", "Responder"]

_LARGEST_INDEX: Final = 0xFFFF_FFFF


@final
class Initiator:
    """The side that begins: one handshake, with one peer.

    After a wrong response, the right one is still taken:

    >>> from meshvpn import PrivateKey
    >>> alice, bob, mallory = (PrivateKey.generate() for _ in range(3))
    >>> initiator = Initiator(alice, bob.public_key)
    >>> initiation = initiator.initiate()
    >>> Responder(mallory, initiation)
    Traceback (most recent call last):
    meshvpn.errors.AuthenticationError: initiation: mac1 was made for another public key
    >>> response, _ = Responder(bob, initiation).respond()
    >>> changed = bytearray(response)
    >>> changed[20] ^= 1
    >>> initiator.finish(changed)
    Traceback (most recent call last):
    meshvpn.errors.AuthenticationError: response: mac1 was made for another public key
    >>> initiator.finish(response)
    <Transport 0x... to 0x..., 0 sent, keys secret>

    Args:
        private_key: who begins.
        peer: who is to answer; a public key or its base64.
        preshared_key: what both know besides.
        ephemeral: the key for this handshake alone; by default a new one. To be given only for a
            vector: one that is used twice, or known to others, gives forward secrecy away.
    """

    __slots__ = ("_handle", "_own", "_peer", "_sender")

    def __init__(
        self,
        private_key: PrivateKey,
        peer: Peer,
        *,
        preshared_key: PresharedKey | None = None,
        ephemeral: PrivateKey | None = None,
    ) -> None:
        self._peer = public_key("peer", peer)
        self._sender: int | None = None
        self._handle = _meshvpn.NoiseInitiator(
            private_bytes("private_key", private_key),
            bytes(self._peer),
            preshared_key=preshared_bytes(preshared_key),
            ephemeral=private_bytes("ephemeral", ephemeral),
        )
        self._own = private_key.public_key

    @property
    def peer(self) -> PublicKey:
        """Who is to answer."""
        return self._peer

    def initiate(
        self,
        *,
        sender: int | None = None,
        timestamp: Timestamp | None = None,
        cookie: Cookie | None = None,
    ) -> Initiation:
        """The first message.

        Args:
            sender: this side's number for the handshake and its session; by default a random one.
            timestamp: by default now. A peer refuses what is not later than the last that it took.
            cookie: the peer's, for this side's address, when it asked for one.

        Raises:
            ConfigError: ``sender`` is no number of 32 bits.
            AuthenticationError: the peer's public key is one that nobody can prove to have.
            OutOfTurnError: it was made already: each handshake has one.
        """
        index = _index(sender)
        moment = Timestamp.now() if timestamp is None else timestamp
        message = Initiation(self._handle.initiate(index, bytes(moment)))
        self._sender = index
        return message.with_macs(self._peer, cookie)

    def finish(self, response: Bytes) -> Transport:
        """Take the answer. After an error, the next one may be the right one.

        Raises:
            ConfigError: the bytes are no response.
            AuthenticationError: it is for another handshake, or not the peer's. A pre-shared key
                that differs shows here.
            OutOfTurnError: there is no initiation yet, or it was answered already.
        """
        response = Response(response)
        if self._sender is not None and response.receiver != self._sender:
            raise AuthenticationError(
                f"response: receiver: {response.receiver:#010x} instead of {self._sender:#010x}",
                hint="it answers another initiation",
            )
        _check_mac1(response, self._own, "response")
        return Transport(self._handle.finish(response, self._sender or 0))

    def reveal_secrets(self) -> States:
        """Hash and chaining key after each token so far. Whoever has the last has the session."""
        return States.revealed(self._handle.reveal_secrets())

    def __repr__(self) -> str:
        return f"<Initiator with {self._peer}, secret>"


@final
class Responder:
    """The side that answers: it has read an initiation, and may now decide.

    It knows no peers, and answers whom its caller likes: see :attr:`peer`.

    >>> from meshvpn import PrivateKey
    >>> alice, bob = PrivateKey.generate(), PrivateKey.generate()
    >>> responder = Responder(bob, Initiator(alice, bob.public_key).initiate())
    >>> responder.peer == alice.public_key
    True
    >>> responder.timestamp <= Timestamp.now()
    True

    Args:
        private_key: who answers.
        initiation: what it got.
        after: the last timestamp that it took from this peer, where it remembers one: whoever
            records an initiation and sends it again must get no answer.

    Raises:
        ConfigError: the bytes are no initiation.
        AuthenticationError: it is for somebody else, or was changed on the way.
        ReplayError: its timestamp is not later than ``after``.
    """

    __slots__ = ("_handle", "_peer", "_timestamp")

    def __init__(
        self, private_key: PrivateKey, initiation: Bytes, *, after: Timestamp | None = None
    ) -> None:
        initiation, own = Initiation(initiation), private_bytes("private_key", private_key)
        _check_mac1(initiation, private_key.public_key, "initiation")
        self._handle = _meshvpn.NoiseResponder(own, initiation)
        self._peer = PublicKey(self._handle.peer)
        self._timestamp = Timestamp(self._handle.timestamp)
        if after is not None and self._timestamp <= after:
            raise ReplayError(
                f"initiation: timestamp: {self._timestamp} is not later than {after}",
                hint="it was sent again, or the initiator's clock was set back",
            )

    @property
    def peer(self) -> PublicKey:
        """Who began: the static key that sealed the initiation."""
        return self._peer

    @property
    def timestamp(self) -> Timestamp:
        """When the initiation was made, by the peer's clock."""
        return self._timestamp

    def respond(
        self,
        *,
        sender: int | None = None,
        preshared_key: PresharedKey | None = None,
        ephemeral: PrivateKey | None = None,
        cookie: Cookie | None = None,
    ) -> tuple[Response, Transport]:
        """The second message, and this side's end of the session.

        Args:
            sender: this side's number for the session; by default a random one.
            preshared_key: what both know besides; this side needs it only now.
            ephemeral: the key for this handshake alone; by default a new one. To be given only for
                a vector.
            cookie: the peer's, for this side's address, when it asked for one.

        Raises:
            ConfigError: ``sender`` is no number of 32 bits.
            AuthenticationError: a public key of the peer's is one that nobody can prove to have.
            OutOfTurnError: it was made already: each initiation has one.
        """
        message, handle = self._handle.respond(
            _index(sender),
            preshared_key=preshared_bytes(preshared_key),
            ephemeral=private_bytes("ephemeral", ephemeral),
        )
        return Response(message).with_macs(self._peer, cookie), Transport(handle)

    def reveal_secrets(self) -> States:
        """Hash and chaining key after each token so far. Whoever has the last has the session."""
        return States.revealed(self._handle.reveal_secrets())

    def __repr__(self) -> str:
        return f"<Responder to {self._peer} at {self._timestamp}, secret>"


def _check_mac1(message: Initiation | Response, own: PublicKey, name: str) -> None:
    if not message.has_valid_mac1(own):
        raise AuthenticationError(
            f"{name}: mac1 was made for another public key, or the message was changed",
            hint="with_macs() writes it anew, to see what comes of the rest",
        )


def _index(given: int | None) -> int:
    if given is None:
        return int.from_bytes(os.urandom(4), "little")
    return bounded("sender", given, 0, _LARGEST_INDEX)
