"""The demonstration as plain lines, for a pipe, a log or continuous integration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from meshvpn.demo.datagram import glimpse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshvpn.demo.audience import Sample
    from meshvpn.packet import Packet

__all__ = ["Lines"]

_PACKETS_PER_SCENE: Final = 4
"""Of each kind: enough to see what passes."""

_CIPHERTEXT_SHOWN: Final = 16


class Lines:
    """An audience that writes down what it is told."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._inside = self._outside = 0

    def announce(self, titles: Sequence[str]) -> None:
        """Say what is to come."""
        self._print(f"meshvpn demo: {len(titles)} steps")

    def begin(self, title: str) -> None:
        """Name the scene, and have an eye on its packets."""
        self._inside = self._outside = _PACKETS_PER_SCENE
        self._print(f"▸ {title}")

    def finish(self, title: str, result: str) -> None:
        """Tick it off."""
        self._print(f"✓ {title}: {result}")

    def fail(self, title: str, reason: str) -> None:
        """Cross it out."""
        self._print(f"✗ {title}: {reason}")

    def see_inside(self, packet: Packet) -> None:
        """Write the packet's line."""
        if self._inside > 0:
            self._inside -= 1
            self._print(f"    inside  {packet}")

    def see_outside(self, packet: Packet) -> None:
        """Write the packet's line, what it is, and how its ciphertext begins."""
        if self._outside > 0:
            self._outside -= 1
            kind, noise = glimpse(packet.payload)
            begin = noise[:_CIPHERTEXT_SHOWN].hex(" ")
            self._print(f"    cable   {packet} | {kind} … {begin} …")

    def measure(self, sample: Sample) -> None:
        """Figures that change five times a second are for a screen."""

    def _print(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
