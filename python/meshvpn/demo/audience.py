"""What a view is told while the demonstration is played."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshvpn.packet import Packet
    from meshvpn.stats import TunnelStats

__all__ = ["Audience", "Sample"]


class Sample(NamedTuple):
    """The tunnel at one moment.

    Attributes:
        gbit_per_s: what went through it since the last sample, both ways together.
        a: state and counters of the end at host a.
        b: the same at host b.
    """

    gbit_per_s: float
    a: TunnelStats
    b: TunnelStats


class Audience(Protocol):
    """A view. Packets and samples come from threads of their own, the rest from the player's."""

    def announce(self, titles: Sequence[str]) -> None:
        """The scenes that are to come."""

    def begin(self, title: str) -> None:
        """A scene begins."""

    def finish(self, title: str, result: str) -> None:
        """It has worked; ``result`` is what came out, in a line."""

    def fail(self, title: str, reason: str) -> None:
        """It has not, and nothing will come after it."""

    def see_inside(self, packet: Packet) -> None:
        """A packet on host a's tunnel device."""

    def see_outside(self, packet: Packet) -> None:
        """The IP packet of a datagram on the cable."""

    def measure(self, sample: Sample) -> None:
        """The tunnel's figures, a few times a second."""
