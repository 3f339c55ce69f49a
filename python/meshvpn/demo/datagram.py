"""What a spy can make of a datagram on the cable: its kind, and bytes that look like noise."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["Glimpse", "glimpse"]

_KINDS: Final = {
    1: ("handshake initiation", 8),
    2: ("handshake response", 12),
    3: ("cookie reply", 8),
    4: ("data", 16),
}
"""Of WireGuard's messages, by their first byte: the name, and how many bytes come before a key, a
nonce or ciphertext (whitepaper, section 5.4)."""


class Glimpse(NamedTuple):
    """All there is to see.

    Attributes:
        kind: which of WireGuard's messages it is.
        noise: what follows type and numbers.
    """

    kind: str
    noise: bytes


def glimpse(payload: bytes) -> Glimpse:
    """Look at the payload of a UDP datagram."""
    kind, clear = _KINDS.get(payload[0] if payload else 0, ("unknown", 0))
    return Glimpse(kind, payload[clear:])
