"""The demonstration on a terminal: a picture that moves.

    ╭ host a ─────────╮                                     ╭─ host b ────────╮
    │ mesh0 10.9.0.1  │ ━━━━━━━━━━━━ WireGuard ━━━━━━━━━━━━ │ mesh0 10.9.0.2  │   the picture
    │ eth0 172.31.0.1 │ ──●────────●────────●────────●───── │ eth0 172.31.0.2 │
    ╰─────────────────╯  ▁▂▅▇████  9.14 Gbit/s              ╰─────────────────╯
    ╭ steps ──────────╮ ╭ inside the tunnel ────────────────────────────────╮
    │ ✓ ping          │ │ 10.9.0.1 -> 10.9.0.2 | ICMP Echo Request | 64 …   │      what a host sees
    │   IPv4 0.31 ms  │ ╰───────────────────────────────────────────────────╯
    │ ⠹ ssh           │ ╭ on the cable ─────────────────────────────────────╮
    │ · iperf3        │ │ a -> b | data, 128 bytes  8f 3a 91 0c …           │      what a spy sees
    ╰─────────────────╯ ╰───────────────────────────────────────────────────╯

The player's thread tells what happens; rich's thread asks for a picture ten times a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.layout import Layout
from rich.panel import Panel
from rich.text import Text

from meshvpn.cli.paint import packet_style
from meshvpn.demo.checklist import Checklist
from meshvpn.demo.datagram import glimpse
from meshvpn.demo.picture import Picture
from meshvpn.demo.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshvpn.demo.audience import Sample
    from meshvpn.packet import Packet

__all__ = ["Screen"]

_CHECKLIST_WIDTH: Final = 30
_CIPHERTEXT_SHOWN: Final = 48
"""Bytes: as many as a wide terminal has room for; a narrow one cuts them off."""


class Screen:
    """An audience with a screen. :meth:`render` is the picture of this moment."""

    def __init__(self) -> None:
        self._checklist = Checklist()
        self._picture = Picture()
        self._inside = Tail()
        self._outside = Tail()

    # --- what it is told ---

    def announce(self, titles: Sequence[str]) -> None:
        """List the scenes."""
        self._checklist.set_titles(titles)

    def begin(self, title: str) -> None:
        """Let the scene's line spin."""
        self._checklist.mark(title, "running")

    def finish(self, title: str, result: str) -> None:
        """Tick it off."""
        self._checklist.mark(title, "done", result)

    def fail(self, title: str, reason: str) -> None:
        """Cross it out."""
        self._checklist.mark(title, "failed", reason)

    def see_inside(self, packet: Packet) -> None:
        """Append the packet's line."""
        self._inside.append(Text(packet.summary(), style=packet_style(packet)))

    def see_outside(self, packet: Packet) -> None:
        """Append what can be read of the datagram, and what cannot."""
        way = "a -> b" if packet.direction == "outbound" else "b -> a"
        kind, noise = glimpse(packet.payload)
        line = Text(f"{way} | {kind}, {len(packet.payload)} bytes  ")
        line.append(noise[:_CIPHERTEXT_SHOWN].hex(" "), style="red")
        self._outside.append(line)

    def measure(self, sample: Sample) -> None:
        """Move the figures."""
        self._picture.measure(sample)

    # --- what it shows ---

    def render(self) -> Layout:
        """Everything, as large as the terminal."""
        layout, below, right = Layout(), Layout(), Layout(ratio=2)
        right.split_column(
            Panel(self._inside, title="inside the tunnel: mesh0 of host a", border_style="green"),
            Panel(self._outside, title="on the cable: all that a spy gets", border_style="red"),
        )
        below.split_row(Layout(self.summary(), minimum_size=_CHECKLIST_WIDTH), right)
        layout.split_column(Layout(self._picture, size=self._picture.height), below)
        return layout

    def summary(self) -> Panel:
        """The scenes with their results: also what stays when the screen is gone."""
        return Panel(self._checklist, title="meshvpn demo", border_style="cyan")
