"""Colours for lines that come by the thousand.

Tables and panels are rich's work; a packet's line is three escape sequences and needs no library.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from meshvpn.packet import Packet

__all__ = ["has_color", "packet_line", "packet_style", "paint"]

# ECMA-48, SGR. The names are rich's too.
_CODES: Final = {
    "": "",
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
    "bold red": "1;31",
    "bold magenta": "1;35",
}

_PROTOCOLS: Final = {"ICMP": "cyan", "ICMPv6": "cyan", "TCP": "green", "UDP": "yellow"}


def has_color(stream: TextIO) -> bool:
    """Whether people will see colours there: a terminal, and nobody said no (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO) -> str:
    """The text in a style, where ``stream`` shows colours."""
    return _painted(text, style) if has_color(stream) else text


def packet_style(packet: Packet) -> str:
    """The style for what a packet is: by protocol, and louder what is unusual."""
    if packet.is_malformed:
        return "bold red"
    if packet.pieces is not None:
        return "bold magenta"
    if packet.fragment_kind is not None:
        return "magenta"
    return _PROTOCOLS.get(packet.protocol_name or "", "")


def packet_line(packet: Packet) -> str:
    """The packet's line in colours: between quiet ends, what it is."""
    ends, separator, rest = str(packet).partition(" | ")
    what, _, length = rest.rpartition(" | ")
    return (
        f"{ends}{_painted(separator, 'dim')}{_painted(what, packet_style(packet))}"
        f"{_painted(separator + length, 'dim')}"
    )


def _painted(text: str, style: str) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if style else text
