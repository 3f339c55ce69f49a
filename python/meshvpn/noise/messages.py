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

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self, TypeAlias, final

from meshvpn import _meshvpn
from meshvpn.errors import ConfigError
from meshvpn.keys import PublicKey
from meshvpn.noise import _display

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshvpn.noise.cookie import Cookie

__all__ = [
    "Bytes",
    "CookieReply",
    "DataMessage",
    "Initiation",
    "Message",
    "MessageField",
    "Response",
    "parse_message",
]

Bytes: TypeAlias = bytes | bytearray | memoryview
"""Bytes as a socket gives them."""


class MessageField(NamedTuple):
    """One field of a message.

    Attributes:
        name: the whitepaper's name, which is also the message's attribute.
        start: its first byte in the message.
        stop: the byte behind its last.
        value: what it holds.
        text: the same as people write it: ``"0x1a2b3c4d"``.
        meaning: what it is for.
    """

    name: str
    start: int
    stop: int
    value: int | bytes | PublicKey
    text: str
    meaning: str


class Message(bytes):
    """What the four messages have in common. Immutable, comparable, hashable, picklable.

    Args:
        data: a whole datagram.

    Raises:
        ConfigError: it is no such message; the error names the field that is wrong.
    """

    __slots__ = ()

    _kind: ClassVar[int]
    _spans: ClassVar[Mapping[str, slice]]

    def __init_subclass__(cls, *, kind: int | None = None) -> None:
        super().__init_subclass__()
        if kind is not None:
            fields = _meshvpn.noise_message_fields(kind)
            cls._kind = kind
            cls._spans = {name: slice(start, stop) for name, start, stop in fields}

    def __new__(cls, data: Bytes) -> Self:
        """Refuses what is not such a message."""
        # A number would make as many zeros.
        message = super().__new__(cls, memoryview(data))
        _meshvpn.check_noise_message(cls._kind, message)
        return message

    @property
    def type(self) -> int:
        """Which of the four messages it is."""
        return self._number("type")

    @property
    def reserved(self) -> bytes:
        """Always zero."""
        return self._bytes("reserved")

    def fields(self) -> tuple[MessageField, ...]:
        """Its fields in their order, which cover every byte."""
        return tuple(self._field(name, span) for name, span in self._spans.items())

    def show(self) -> str:
        """Every field with its place. A Python prompt shows it as it is printed."""
        return _display.tree(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._line()}, {len(self)} bytes>"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        return _display.html(self)

    def _line(self) -> str:
        raise NotImplementedError

    def _field(self, name: str, span: slice) -> MessageField:
        start, stop, _ = span.indices(len(self))
        value: int | bytes | PublicKey = getattr(self, name)
        text = value.hex() if isinstance(value, bytes) else str(value)
        if name in {"sender", "receiver"} and isinstance(value, int):
            text = _index(value)
        meaning = getattr(type(self), name).__doc__ or ""
        return MessageField(name, start, stop, value, text, meaning.partition("\n")[0])

    def _bytes(self, name: str) -> bytes:
        return self[self._spans[name]]

    def _number(self, name: str) -> int:
        return int.from_bytes(self._bytes(name), "little")


class _Stamped(Message):
    """A message of the handshake itself, which ends with two MACs (section 5.4.4)."""

    __slots__ = ()

    @property
    def sender(self) -> int:
        """The sender's number for the handshake and its session: answers name it as receiver."""
        return self._number("sender")

    @property
    def mac1(self) -> bytes:
        """Shows that the sender knows the receiver's public key: without it there is no answer."""
        return self._bytes("mac1")

    @property
    def mac2(self) -> bytes:
        """Shows that the sender receives at its address; zero unless it was given a cookie."""
        return self._bytes("mac2")

    def has_valid_mac1(self, to: PublicKey) -> bool:
        """Whether the sender knew this public key of the receiver."""
        return _meshvpn.noise_has_valid_mac1(self, bytes(to))

    def has_valid_mac2(self, cookie: Cookie) -> bool:
        """Whether the sender had this cookie of the receiver."""
        return _meshvpn.noise_has_valid_mac2(self, bytes(cookie))

    def with_macs(self, to: PublicKey, cookie: Cookie | None = None) -> Self:
        """The same message with both MACs written anew.

        Neither authenticates: whoever knows the receiver's public key can write them.

        Args:
            to: the receiver's public key.
            cookie: the receiver's cookie for the sender's address; without it, mac2 is zero.
        """
        given = None if cookie is None else bytes(cookie)
        return type(self)(_meshvpn.noise_stamp(self, bytes(to), given))


@final
class Initiation(_Stamped, kind=1):
    """The first message: who I am, and when.

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
        return f"from {_index(self.sender)}"


@final
class Response(_Stamped, kind=2):
    """The second message: I have read yours, and now both of us have the keys.

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
        return f"from {_index(self.sender)} to {_index(self.receiver)}"


@final
class CookieReply(Message, kind=3):
    """Instead of an answer: I am busy, show me that you are where you say.

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
        return f"to {_index(self.receiver)}"


@final
class DataMessage(Message, kind=4):
    """A packet, sealed. :class:`Transport` makes and opens it.

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
        return f"{self.counter} to {_index(self.receiver)}"


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


def _index(number: int) -> str:
    return f"{number:#010x}"
