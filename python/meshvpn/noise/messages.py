"""The four messages of WireGuard as bytes that know their fields.

::

    initiation, 148 bytes (section 5.4.2)
    | 1 | 0 0 0 | sender | unencrypted ephemeral | encrypted static | encrypted timestamp | macs |

    response, 92 bytes (section 5.4.3)
    | 2 | 0 0 0 | sender | receiver | unencrypted ephemeral | encrypted nothing | mac1 | mac2 |

    cookie reply, 64 bytes (section 5.4.7)
    | 3 | 0 0 0 | receiver | nonce | encrypted cookie |

    data message, 32 bytes and more (section 5.4.6)
    | 4 | 0 0 0 | receiver | counter | encrypted packet |

A message is made by parsing bytes, and has the right type and length then; whether it is authentic,
only a handshake or session can say. It *is* bytes: to be sent, compared, hashed, pickled.
"""

from __future__ import annotations

from typing import final

from meshvpn.errors import ConfigError
from meshvpn.keys import PublicKey
from meshvpn.noise._message import Bytes, Message, StampedMessage, index_text

__all__ = ["CookieReply", "DataMessage", "Initiation", "Response", "parse_message"]


@final
class Initiation(StampedMessage, kind=1):
    """The first message: who I am, and when (section 5.4.2).

    >>> from meshvpn import PrivateKey
    >>> from meshvpn.noise import Initiation, Initiator
    >>> alice, bob = PrivateKey.generate(), PrivateKey.generate()
    >>> initiation = Initiator(alice, bob.public_key).initiate(sender=7)
    >>> initiation
    <Initiation from 0x00000007, 148 bytes>
    >>> [field.name for field in initiation.fields()][3:6]
    ['unencrypted_ephemeral', 'encrypted_static', 'encrypted_timestamp']
    >>> initiation.has_valid_mac1(bob.public_key), initiation.has_valid_mac1(alice.public_key)
    (True, False)
    >>> Initiation(initiation[:100])
    Traceback (most recent call last):
    meshvpn.errors.ConfigError: initiation: length: 100 bytes instead of 148

    Args:
        data: a whole datagram.

    Raises:
        ConfigError: it is no initiation; the error names the field that is wrong.
    """

    __slots__ = ()

    @property
    def unencrypted_ephemeral(self) -> PublicKey:
        """The initiator's ephemeral public key, made for this handshake alone."""
        return PublicKey(self._bytes("unencrypted_ephemeral"))

    @property
    def encrypted_static(self) -> bytes:
        """The initiator's static public key, sealed so that only the responder can read it."""
        return self._bytes("encrypted_static")

    @property
    def encrypted_timestamp(self) -> bytes:
        """When it was made, sealed: the responder takes no older one from this initiator again."""
        return self._bytes("encrypted_timestamp")

    def _line(self) -> str:
        return f"from {index_text(self.sender)}"


@final
class Response(StampedMessage, kind=2):
    """The second message: I have read yours, and now we both have the keys (section 5.4.3).

    Args:
        data: a whole datagram.

    Raises:
        ConfigError: it is no response; the error names the field that is wrong.
    """

    __slots__ = ()

    @property
    def receiver(self) -> int:
        """The initiation that it answers, by the initiator's number."""
        return self._number("receiver")

    @property
    def unencrypted_ephemeral(self) -> PublicKey:
        """The responder's ephemeral public key, made for this handshake alone."""
        return PublicKey(self._bytes("unencrypted_ephemeral"))

    @property
    def encrypted_nothing(self) -> bytes:
        """Nothing, sealed: its tag shows that the responder has the same keys."""
        return self._bytes("encrypted_nothing")

    def _line(self) -> str:
        return f"from {index_text(self.sender)} to {index_text(self.receiver)}"


@final
class CookieReply(Message, kind=3):
    """Instead of an answer: I am busy, show me that you are where you say (section 5.4.7).

    :meth:`Cookie.from_reply` opens it.

    Args:
        data: a whole datagram.

    Raises:
        ConfigError: it is no cookie reply; the error names the field that is wrong.
    """

    __slots__ = ()

    @property
    def receiver(self) -> int:
        """The message that it answers, by its sender's number."""
        return self._number("receiver")

    @property
    def nonce(self) -> bytes:
        """The random nonce of XChaCha20-Poly1305."""
        return self._bytes("nonce")

    @property
    def encrypted_cookie(self) -> bytes:
        """The cookie, sealed for who sent the message that it answers: its mac1 is bound in."""
        return self._bytes("encrypted_cookie")

    def _line(self) -> str:
        return f"to {index_text(self.receiver)}"


@final
class DataMessage(Message, kind=4):
    """A packet, sealed (section 5.4.6). :class:`Transport` makes and opens it.

    Args:
        data: a whole datagram.

    Raises:
        ConfigError: it is no data message; the error names the field that is wrong.
    """

    __slots__ = ()

    @property
    def receiver(self) -> int:
        """The session that it is for, by the receiver's number."""
        return self._number("receiver")

    @property
    def counter(self) -> int:
        """Its number in the session: the nonce, and what shows a replay."""
        return self._number("counter")

    @property
    def encrypted_packet(self) -> bytes:
        """The packet, padded to a multiple of 16 bytes and sealed; a tag alone is a keepalive."""
        return self._bytes("encrypted_packet")

    def _line(self) -> str:
        return f"{self.counter} to {index_text(self.receiver)}"


_KINDS: dict[int, type[Initiation | Response | CookieReply | DataMessage]] = {
    1: Initiation,
    2: Response,
    3: CookieReply,
    4: DataMessage,
}


def parse_message(data: Bytes) -> Initiation | Response | CookieReply | DataMessage:
    """Whichever message a datagram is.

    ::

        match parse_message(sock.recv(2048)):
            case Response() as response: ...
            case CookieReply() as reply: ...

    Raises:
        ConfigError: it is none; the error names the field that is wrong.
    """
    view = memoryview(data)
    if not view:
        raise ConfigError("message: no bytes", hint="give a whole datagram")
    kind = _KINDS.get(view[0])
    if kind is None:
        raise ConfigError(
            f"message: type: {view[0]} is none of WireGuard's", hint="messages are of type 1 to 4"
        )
    return kind(view)
