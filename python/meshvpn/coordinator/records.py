"""What a coordinator answers: values, frozen, without a connection to it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Literal, Self

from meshvpn.keys import PublicKey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

__all__ = ["AuthKey", "MeshInfo", "NodeInfo"]


@dataclass(frozen=True, slots=True)
class MeshInfo:
    """The mesh as a whole."""

    domain: str
    """What names of nodes end with."""
    public_key: PublicKey
    """The coordinator's, which nodes must know."""
    map_key: str
    """What its maps are signed with (Ed25519, base64)."""
    version: int
    """The number of the last change."""
    networks: tuple[IPv4Network | IPv6Network, ...]
    """Where nodes get their addresses from."""
    allow_all: bool
    """Whether nodes may send each other anything."""
    nodes: int
    online: int

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From what the REST API gives."""
        return cls(
            **_known(cls, value)
            | {
                "public_key": PublicKey.from_base64(value["public_key"]),
                "networks": tuple(ip_network(network) for network in value["networks"]),
            }
        )


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node of the mesh, or one that waits for approval."""

    id: int
    name: str
    status: Literal["online", "offline", "pending", "expired"]
    addresses: tuple[IPv4Address | IPv6Address, ...]
    key: PublicKey
    """Its WireGuard key."""
    tags: tuple[str, ...]
    hostname: str
    os: str
    software: str
    candidates: tuple[str, ...]
    """Where it may be reached: ``192.0.2.7:41641 (host)``."""
    home_relay: int | None
    advertised_routes: tuple[IPv4Network | IPv6Network, ...]
    approved_routes: tuple[IPv4Network | IPv6Network, ...]
    active_routes: tuple[IPv4Network | IPv6Network, ...]
    """Those that go through it now: of several routers of a network, one at a time."""
    ephemeral: bool
    static: bool
    """A WireGuard peer of another make."""
    created: datetime
    last_seen: datetime
    """When it last came or went."""
    key_expiry: datetime | None
    auth_key: str | None
    """The name of the key that admitted it."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From what the REST API gives."""
        expiry = value["key_expiry"]
        networks = {
            name: tuple(ip_network(route) for route in value[name])
            for name in ("advertised_routes", "approved_routes", "active_routes")
        }
        return cls(
            **_known(cls, value)
            | _known(cls, value["host"])
            | networks
            | {
                "addresses": tuple(ip_address(address) for address in value["addresses"]),
                "key": PublicKey.from_base64(value["key"]),
                "tags": tuple(value["tags"]),
                "candidates": tuple(
                    f"{candidate['address']} ({candidate['kind']})"
                    for candidate in value["candidates"]
                ),
                "created": _time(value["created"]),
                "last_seen": _time(value["last_seen"]),
                "key_expiry": None if expiry is None else _time(expiry),
            }
        )


@dataclass(frozen=True, slots=True)
class AuthKey:
    """What a machine joins the mesh with, or, without its :attr:`secret`, what is known of it."""

    id: str
    """Its name in lists and logs."""
    status: Literal["valid", "used", "expired"]
    description: str
    reusable: bool
    ephemeral: bool
    needs_approval: bool
    tags: tuple[str, ...]
    uses: int
    """How many machines it has admitted."""
    created: datetime
    expiry: datetime | None
    secret: str | None = field(default=None, repr=False)
    """The key itself, when it has just been made: the coordinator keeps only a hash."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From what the REST API gives."""
        expiry = value["expiry"]
        return cls(
            **_known(cls, value)
            | {
                "tags": tuple(value["tags"]),
                "created": _time(value["created"]),
                "expiry": None if expiry is None else _time(expiry),
                "secret": value.get("key"),
            }
        )


def _known(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a later version may have added."""
    names = {field.name for field in fields(kind)}
    return {name: entry for name, entry in value.items() if name in names}


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
