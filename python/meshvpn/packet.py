"""Packets for people: what a TUN device carries, read and named.

>>> ping = Packet(bytes.fromhex("4500001c000100004001 66de 0a000001 0a000002 0800f7fd00010001"))
>>> print(ping)
10.0.0.1 -> 10.0.0.2 | ICMP Echo Request | 8 bytes
>>> ping.source, ping.icmp_sequence
(IPv4Address('10.0.0.1'), 1)

Any bytes make a :class:`Packet`. What is wrong with them is in :attr:`Packet.defects`, in words,
and in the line; an exception is never raised for it.
"""

from __future__ import annotations

import logging
import sys
import time
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple, Self, TypeAlias, cast, final

from meshvpn import _display, _meshvpn
from meshvpn._values import bounded, timeout_seconds, utf8

__all__ = ["Field", "FieldValue", "Layer", "Packet", "Reassembler"]

_logger = logging.getLogger(__name__)

_LAST_TIME_NS: Final = (1 << 64) - 1
"""What pcapng's 64 bits can count to: the year 2554."""

FieldValue: TypeAlias = int | bool | str | bytes | IPv4Address | IPv6Address
"""What a header field can hold."""


class Field(NamedTuple):
    """One field of a header.

    Attributes:
        key: its stable name, Wireshark's where there is one: ``"tcp.srcport"``.
        label: its name for people: ``"Source port"``.
        value: what it says. Lengths are in bytes.
        text: the same as people write it: ``"0x1234"``.
        meaning: what that means: ``"Port Unreachable"``; ``None`` where nothing is to be said.
    """

    key: str
    label: str
    value: FieldValue
    text: str
    meaning: str | None


class Layer(NamedTuple):
    """One header of a packet, or the data behind the last one.

    Attributes:
        key: its short name: ``"tcp"``.
        name: its name for people: ``"Transmission Control Protocol"``.
        start: its first byte in the packet.
        stop: the byte behind its last.
        fields: its fields in their order. Keys may repeat.
    """

    key: str
    name: str
    start: int
    stop: int
    fields: tuple[Field, ...]


@final
class Packet(_meshvpn.Packet):
    """One IP packet with what can be read from it. Immutable, hashable, picklable.

    Attributes that a packet does not have are ``None``: a UDP packet's ``tcp_flags``, the addresses
    of one whose header is cut off.

    Args:
        data: the packet from its IP header on, as a TUN device carries it.
        device: where it was seen; the line begins with it.
        time_ns: when it was seen, in nanoseconds since 1970 UTC, as :func:`time.time_ns` counts.
        direction: ``"inbound"`` to this host, or ``"outbound"`` from it.
        pieces: how many fragments it was put together from.

    Raises:
        ConfigError: ``direction`` is another word, or a number is outside what can be kept.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: bytes,
        *,
        device: str | None = None,
        time_ns: int | None = None,
        direction: str | None = None,
        pieces: int | None = None,
    ) -> Self:
        """Refuses what the engine's types cannot hold."""
        packet = super().__new__(
            cls,
            data,
            device=None if device is None else utf8("device", device),
            time_ns=None if time_ns is None else bounded("time_ns", time_ns, 0, _LAST_TIME_NS),
            direction=direction,
            pieces=None if pieces is None else bounded("pieces", pieces, 0, sys.maxsize),
        )
        return cast("Self", packet)

    @property
    def is_malformed(self) -> bool:
        """Something is wrong with it; :attr:`defects` says what."""
        return bool(self.defects)

    def layers(self) -> list[Layer]:
        """Its headers in their order, and the data behind them."""
        return [
            Layer(key, name, start, stop, tuple(Field(*field) for field in fields))
            for key, name, start, stop, fields in self.layer_tuples()
        ]

    def fields(self) -> dict[str, FieldValue | list[FieldValue]]:
        """All fields by key; where a key repeats, the list of its values."""
        fields: dict[str, FieldValue | list[FieldValue]] = {}
        for layer in self.layers():
            for field in layer.fields:
                known = fields.get(field.key)
                if known is None:
                    fields[field.key] = field.value
                elif isinstance(known, list):
                    known.append(field.value)
                else:
                    fields[field.key] = [known, field.value]
        return fields

    def to_dict(self) -> dict[str, Any]:
        """The packet as JSON can carry it: addresses and bytes are text.

        Keys: ``device``, ``time_ns``, ``direction``, ``summary``, ``length``, ``pieces``,
        ``defects``, ``data`` (hexadecimal) and ``fields`` (as :meth:`fields`).
        """
        return {
            "device": self.device,
            "time_ns": self.time_ns,
            "direction": self.direction,
            "summary": self.summary(),
            "length": self.length,
            "pieces": self.pieces,
            "defects": self.defects,
            "data": self.data.hex(),
            "fields": {key: _plain(value) for key, value in self.fields().items()},
        }

    def echo_reply(self) -> Packet | None:
        """The answer to a ping, to be sent where it came from.

        Returns:
            ``None`` when the packet is no echo request from one host to one host, sound and whole.
        """
        data = self.echo_reply_data()
        if data is None:
            return None
        back = {"inbound": "outbound", "outbound": "inbound"}
        direction = back[self.direction] if self.direction else None
        return Packet(data, device=self.device, direction=direction)

    def show(self) -> str:
        """Every header and field as a tree. A Python prompt shows it as it is printed."""
        return _display.tree(self)

    def __str__(self) -> str:
        """``[mesh0] 10.0.0.1 -> 10.0.0.2 | ICMP Echo Request | 64 bytes``."""
        line = self.summary()
        return line if self.device is None else f"[{self.device}] {line}"

    def __repr__(self) -> str:
        return f"<Packet {self}>"

    def _repr_html_(self) -> str:
        return _display.html(self)

    def __bytes__(self) -> bytes:
        return self.data

    def __len__(self) -> int:
        return len(self.data)

    def __getnewargs_ex__(self) -> tuple[tuple[bytes], dict[str, Any]]:
        seen = {"device": self.device, "time_ns": self.time_ns, "direction": self.direction}
        return (self.data,), {**seen, "pieces": self.pieces}

    def __getstate__(self) -> None:
        """All of it is in the arguments."""


def _plain(value: FieldValue | list[FieldValue]) -> Any:
    match value:
        case list():
            return [_plain(item) for item in value]
        case bytes():
            return value.hex()
        case IPv4Address() | IPv6Address():
            return str(value)
    return value


@final
class Reassembler:
    """Puts fragments together, in bounded memory.

    Datagrams whose fragments overlap are dropped (RFC 5722), incomplete ones after 30 seconds
    (IPv4) or 60 (IPv6).

    Args:
        datagrams: how many incomplete ones to keep; the oldest make room.
        size: how many bytes to keep of all of them.

    Raises:
        ConfigError: one of them is negative, or more than memory can have.
    """

    __slots__ = ("_handle",)

    def __init__(self, *, datagrams: int = 256, size: int = 4 << 20) -> None:
        self._handle = _meshvpn.Reassembler(
            datagrams=bounded("datagrams", datagrams, 0, sys.maxsize),
            bytes=bounded("size", size, 0, sys.maxsize),
        )

    def feed(self, packet: Packet, *, now: float | None = None) -> Packet | None:
        """Take a packet, and return the whole one when it was the last missing fragment.

        Why a fragment was dropped is logged.

        Args:
            packet: any packet; one that is no fragment changes nothing.
            now: seconds on a steady clock, by default :func:`time.monotonic`'s.

        Returns:
            The whole packet, with device, time and direction of its last fragment, or ``None``.
        """
        now = time.monotonic() if now is None else timeout_seconds(now, "now")
        whole, reason = self._handle.feed(packet.data, now)
        if reason is not None:
            _logger.debug("%s: %s", packet, reason)
        if whole is None:
            return None
        data, pieces = whole
        return Packet(
            data,
            device=packet.device,
            time_ns=packet.time_ns,
            direction=packet.direction,
            pieces=pieces,
        )
