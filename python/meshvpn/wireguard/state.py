"""What a running device and its peers are at one moment: values to print, compare and keep.

No secrets are in them.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from meshvpn.keys import PublicKey

if TYPE_CHECKING:
    from meshvpn import _meshvpn
    from meshvpn.wireguard.peer import AllowedIp

__all__ = ["Endpoint", "PeerState", "WireGuardState"]


class Endpoint(NamedTuple):
    """An IP address (with its zone, if it is local to a link) and a UDP port."""

    address: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        is_v4 = isinstance(self.address, IPv4Address)
        return f"{self.address}:{self.port}" if is_v4 else f"[{self.address}]:{self.port}"


@dataclass(frozen=True, slots=True)
class PeerState:
    """What a peer is at one moment."""

    public_key: PublicKey
    has_preshared_key: bool
    """Whether handshakes with it have a pre-shared key mixed in."""
    endpoint: Endpoint | None
    """Where it was last heard from, or is to be looked for."""
    allowed_ips: tuple[AllowedIp, ...]
    last_handshake: datetime | None
    """When the last handshake succeeded, in UTC."""
    sent_bytes: int
    """Bytes of UDP payload, handshakes included."""
    received_bytes: int
    """The same, of authentic messages alone."""
    persistent_keepalive: timedelta | None
    has_session: bool
    """Whether there are keys now that packets can be sent with."""

    @classmethod
    def _of(cls, peer: _meshvpn.WireGuardPeer) -> PeerState:
        seconds, at = peer.persistent_keepalive, peer.last_handshake
        return cls(
            public_key=PublicKey(peer.public_key),
            has_preshared_key=peer.has_preshared_key,
            endpoint=None if peer.endpoint is None else _endpoint(peer.endpoint),
            allowed_ips=tuple(ip_network(text) for text in peer.allowed_ips),
            last_handshake=None if at is None else datetime.fromtimestamp(at, tz=UTC),
            sent_bytes=peer.sent_bytes,
            received_bytes=peer.received_bytes,
            persistent_keepalive=None if seconds is None else timedelta(seconds=seconds),
            has_session=peer.has_session,
        )


@dataclass(frozen=True, slots=True)
class WireGuardState:
    """What a device is at one moment."""

    public_key: PublicKey | None
    """What its peers know it by; ``None`` before it has a private key."""
    listen_port: int
    mark: int | None
    mtu: int
    """In bytes."""
    peers: tuple[PeerState, ...]

    @classmethod
    def _of(cls, state: _meshvpn.WireGuardState) -> WireGuardState:
        key = state.public_key
        return cls(
            public_key=None if key is None else PublicKey(key),
            listen_port=state.listen_port,
            mark=state.mark or None,
            mtu=state.mtu,
            peers=tuple(PeerState._of(peer) for peer in state.peers),
        )

    def _repr_html_(self) -> str:
        head = f"<p>public key {self.public_key}, UDP port {self.listen_port}, MTU {self.mtu}</p>"
        titles = ("peer", "endpoint", "allowed IPs", "last handshake", "received", "sent")
        rows = "".join(_row("td", _cells(peer)) for peer in self.peers)
        return f"{head}<table>{_row('th', titles)}{rows}</table>"


_MOST_SHOWN = 8
"""Allowed IPs of a peer in a table; of more, their number is told."""


def _cells(peer: PeerState) -> tuple[str, ...]:
    shown = ", ".join(str(network) for network in peer.allowed_ips[:_MOST_SHOWN])
    hidden = len(peer.allowed_ips) - _MOST_SHOWN
    at = peer.last_handshake
    return (
        str(peer.public_key),
        str(peer.endpoint or ""),
        f"{shown} and {hidden:,} more" if hidden > 0 else shown,
        "never" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC",
        f"{peer.received_bytes:,}",
        f"{peer.sent_bytes:,}",
    )


def _row(kind: str, cells: tuple[str, ...]) -> str:
    inside = "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells)
    return f"<tr>{inside}</tr>"


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    return Endpoint(ip_address(host.strip("[]")), int(port))
