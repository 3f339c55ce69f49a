"""What WireGuard's messages have in common: bytes that know their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self, TypeAlias

from meshvpn import _meshvpn
from meshvpn.noise import _display
from meshvpn.noise._keys import public_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshvpn.keys import PublicKey
    from meshvpn.noise._keys import Peer
    from meshvpn.noise.cookie import Cookie

__all__ = ["Bytes", "Message", "MessageField", "StampedMessage", "index_text"]

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
        if not hasattr(cls, "_kind"):
            raise TypeError(f"{cls.__name__}: give the datagram to one of the four messages' types")
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
            text = index_text(value)
        meaning = getattr(type(self), name).__doc__ or ""
        return MessageField(name, start, stop, value, text, meaning.partition("\n")[0])

    def _bytes(self, name: str) -> bytes:
        return self[self._spans[name]]

    def _number(self, name: str) -> int:
        return int.from_bytes(self._bytes(name), "little")


class StampedMessage(Message):
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

    def has_valid_mac1(self, to: Peer) -> bool:
        """Whether the sender knew this public key of the receiver."""
        return _meshvpn.noise_has_valid_mac1(self, bytes(public_key("to", to)))

    def has_valid_mac2(self, cookie: Cookie) -> bool:
        """Whether the sender had this cookie of the receiver."""
        return _meshvpn.noise_has_valid_mac2(self, bytes(cookie))

    def with_macs(self, to: Peer, cookie: Cookie | None = None) -> Self:
        """The same message with both MACs written anew.

        Neither authenticates: whoever knows the receiver's public key can write them.

        Args:
            to: the receiver; a public key or its base64.
            cookie: the receiver's cookie for the sender's address; without it, mac2 is zero.
        """
        given = None if cookie is None else bytes(cookie)
        return type(self)(_meshvpn.noise_stamp(self, bytes(public_key("to", to)), given))


def index_text(number: int) -> str:
    """A sender or receiver as people see it."""
    return f"{number:#010x}"
