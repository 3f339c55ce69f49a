"""What a tunnel did and how it stands, as values to print, compare and keep."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshvpn import _meshvpn

__all__ = ["Phase", "TunnelEvent", "TunnelStats"]

Phase = Literal["connecting", "up", "closed"]
"""Where a tunnel is in its life; "connecting" also when the peer stopped to answer."""

EventKind = Literal["up", "down", "session", "path_mtu", "closed"]
"""What can happen to a tunnel."""


@dataclass(frozen=True, slots=True)
class TunnelStats:
    """A tunnel's state and counters at one moment.

    Packets and bytes are those inside the tunnel, with inner IP headers, without the framing.
    """

    phase: Phase
    aead: str
    """The AEAD implementation in use: "aws-lc", "ipsec-mb", "portable", or "none"."""
    mtu: int
    """The device's MTU, in bytes."""
    path_mtu: int
    """Longest outer IP packet that the path takes, in bytes; 0 for a WireGuard device, which has a
    path to each peer."""
    sessions: int
    """Sessions agreed on so far: one for each start of the peer, with WireGuard one for each
    handshake."""
    sent_packets: int
    sent_bytes: int
    received_packets: int
    received_bytes: int
    drops: Mapping[str, int] = field(hash=False)
    """How many packets were dropped for each reason; reasons that never occurred have 0."""
    failure: str | None = None
    """Why the tunnel is closed, when nobody asked for it."""

    @classmethod
    def _of(cls, snapshot: _meshvpn.TunnelSnapshot) -> TunnelStats:
        values = {name.name: getattr(snapshot, name.name) for name in fields(cls)}
        values["drops"] = MappingProxyType(dict(values["drops"]))
        return cls(**values)

    @property
    def dropped(self) -> int:
        """Packets dropped, for whatever reason."""
        return sum(self.drops.values())

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        values = {name.name: getattr(self, name.name) for name in fields(self)}
        return values | {"drops": dict(self.drops)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _stats_from_dict, (self.to_dict(),)

    def _repr_html_(self) -> str:
        shown = self.to_dict()
        shown["drops"] = ", ".join(f"{k} {v}" for k, v in self.drops.items() if v) or "none"
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:right'>{html.escape(_readable(value))}</td></tr>"
            for name, value in shown.items()
        )
        return f"<table>{rows}</table>"


@dataclass(frozen=True, slots=True)
class TunnelEvent:
    """Something that happened to a tunnel.

    ``kind`` is "up" (the peer answers), "down" (it does not any more), "session" (new keys: the
    peer started anew), "path_mtu" (with ``path_mtu`` and ``mtu`` set, in bytes) or "closed" (with
    ``failure`` set when nobody asked for it).
    """

    at: datetime
    kind: EventKind
    path_mtu: int | None = None
    mtu: int | None = None
    failure: str | None = None

    @classmethod
    def _of(cls, event: _meshvpn.TunnelEvent) -> TunnelEvent:
        return cls(
            at=datetime.fromtimestamp(event.at, tz=UTC),
            kind=cast("EventKind", event.kind),
            path_mtu=event.path_mtu,
            mtu=event.mtu,
            failure=event.failure,
        )


def _stats_from_dict(values: dict[str, Any]) -> TunnelStats:
    return TunnelStats(**values | {"drops": MappingProxyType(values["drops"])})


def _readable(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
