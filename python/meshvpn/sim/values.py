"""What a simulation tells, as values to print, compare and keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshvpn import _meshvpn
from meshvpn.lab.nat import Filtering, Mapping

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Datagram", "Difference", "NatReport", "first_difference"]


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram that has come to a socket."""

    time: float
    """When, in seconds since the beginning."""
    source: str
    """Where from: address and port, as the receiver sees them."""
    destination: str
    """To which of the receiver's addresses."""
    data: bytes


@dataclass(frozen=True, slots=True)
class NatReport:
    """What was found out about a NAT (RFC 5780). ``None`` stands everywhere for: not found out."""

    mapped: str | None
    """Where the server saw the socket; ``None`` when UDP does not get through."""
    addresses: tuple[str, ...]
    """All outer addresses that were seen."""
    is_translated: bool | None
    """Whether there is a NAT at all."""
    mapping: Mapping | None
    filtering: Filtering | None
    hairpin: bool | None
    preserves_port: bool | None
    allocation: str | None
    """How ports are chosen where they depend on the destination: preserving, sequential, random."""
    step: int | None
    """Of a sequential allocation."""
    range: tuple[int, int, int] | None
    """Of a random one: the lowest and the highest port seen, and about how many there are."""
    round_trips: tuple[tuple[str, float], ...]
    """The servers that answered, each with the seconds that it took."""
    sentence: str
    """What all this means for direct connections."""

    @classmethod
    def _of(cls, report: _meshvpn.NatReport) -> Self:
        return cls(
            mapped=report.mapped,
            addresses=tuple(report.addresses),
            is_translated=report.is_translated,
            mapping=Mapping(report.mapping) if report.mapping else None,
            filtering=Filtering(report.filtering) if report.filtering else None,
            hairpin=report.hairpin,
            preserves_port=report.preserves_port,
            allocation=report.allocation,
            step=report.step,
            range=report.range,
            round_trips=tuple(report.round_trips),
            sentence=report.sentence,
        )

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two logs part."""

    line: int
    """The number of the line, from 1."""
    first: str | None
    """What the first log has there; ``None`` at its end."""
    second: str | None
    """What the second has."""

    def __str__(self) -> str:
        end = "(the end)"
        return f"line {self.line}:\n- {self.first or end}\n+ {self.second or end}"


def first_difference(first: str, second: str) -> Difference | None:
    r"""Where the logs of two runs part, ``None`` when they are the same.

    >>> print(first_difference("a\nb", "a\nc"))
    line 2:
    - b
    + c
    """
    found = _meshvpn.sim_first_difference(first, second)
    return Difference(*found) if found else None
