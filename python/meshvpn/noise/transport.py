"""What comes after the handshake: data messages, sealed and opened by hand (section 5.4.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, final

from meshvpn.noise.messages import DataMessage

if TYPE_CHECKING:
    from meshvpn._meshvpn import NoiseTransport
    from meshvpn.noise._message import Bytes

__all__ = ["SessionKeys", "Transport"]


class SessionKeys(NamedTuple):
    """The keys of a session, revealed: keep them out of logs (section 5.4.5).

    Attributes:
        send: 32 bytes, for what this side sends.
        receive: 32 bytes, for what the peer sends.
    """

    send: bytes
    receive: bytes


@final
class Transport:
    """One side of a session. Made by the end of a handshake; ``repr`` shows no key.

    >>> from meshvpn import PrivateKey
    >>> from meshvpn.noise import Initiator, Responder
    >>> alice, bob = PrivateKey.generate(), PrivateKey.generate()
    >>> initiator = Initiator(alice, bob.public_key)
    >>> response, bobs = Responder(bob, initiator.initiate(sender=7)).respond(sender=9)
    >>> alices = initiator.finish(response)
    >>> alices
    <Transport 0x00000007 to 0x00000009, 0 sent, keys secret>
    >>> keepalive = alices.seal(b"")
    >>> keepalive
    <DataMessage 0 to 0x00000009, 32 bytes>
    >>> bobs.open(keepalive)
    b''
    >>> bobs.open(keepalive)
    Traceback (most recent call last):
    meshvpn.errors.ReplayError: data message: counter: 0 was received before, or is too old to tell
    >>> alices.reveal_secrets().send == bobs.reveal_secrets().receive
    True

    A responder should not send before it has opened a message: until then the initiator may not
    have the response, and so no keys.
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: NoiseTransport) -> None:
        self._handle = handle

    @property
    def local_index(self) -> int:
        """By this number the peer's messages name the session."""
        return self._handle.local_index

    @property
    def remote_index(self) -> int:
        """By this number this side's messages do."""
        return self._handle.remote_index

    @property
    def sent(self) -> int:
        """How many messages were sealed: the counter of the next one."""
        return self._handle.sent

    def seal(self, packet: Bytes, *, pad: bool = True) -> DataMessage:
        """The next data message.

        Args:
            packet: an IP packet; nothing is a keepalive.
            pad: fill it up with zeros to a multiple of 16 bytes, so that its length tells less.

        Raises:
            OutOfTurnError: the session has numbered all messages that it may, almost 2⁶⁴.
        """
        return DataMessage(self._handle.seal(bytes(memoryview(packet)), is_padded=pad))

    def open(self, message: Bytes) -> bytes:
        """The packet in a data message.

        Returns:
            The IP packet without its padding; anything else, as it was padded.

        Raises:
            ConfigError: the bytes are no data message.
            AuthenticationError: it is for another session, or its tag is wrong. Nothing is changed:
                the right message with this counter is still taken.
            ReplayError: one with this counter was opened before, or it is too old to tell: 8,128
                messages or more behind the newest.
        """
        return self._handle.open(DataMessage(message))

    def reveal_secrets(self) -> SessionKeys:
        """The session's keys, which open all its messages."""
        return SessionKeys(*self._handle.reveal_secrets())

    def __repr__(self) -> str:
        indices = f"{self.local_index:#010x} to {self.remote_index:#010x}"
        return f"<Transport {indices}, {self.sent} sent, keys secret>"
