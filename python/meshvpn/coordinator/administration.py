"""What administrators ask, whichever way they reach the coordinator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from meshvpn.coordinator.records import AuthKey, MeshInfo, NodeInfo
from meshvpn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshvpn._values import Endpoint, Network
    from meshvpn.keys import PublicKey

__all__ = ["Administration"]


class Administration(ABC):
    """The mesh, its nodes and its auth keys.

    A node is called by its name or its number, or by a :class:`NodeInfo` of it.

    Raises:
        ConfigError: there is no such node or key, or a value cannot be taken; the message says
            which, and why.
        CoordinatorError: the coordinator does not answer.
    """

    __slots__ = ()

    def mesh(self) -> MeshInfo:
        """The mesh as a whole."""
        return MeshInfo.from_json(self._get("mesh"))

    def nodes(self) -> list[NodeInfo]:
        """All nodes, those that wait for approval included, by number."""
        return [NodeInfo.from_json(node) for node in self._get("nodes")]

    def node(self, node: NodeInfo | str | int) -> NodeInfo:
        """One node, as it is now."""
        return NodeInfo.from_json(self._get("nodes", _called(node)))

    def approve(self, node: NodeInfo | str | int) -> NodeInfo:
        """Let a node in that waits for it."""
        return NodeInfo.from_json(self._change("approve", _called(node), {}))

    def rename(self, node: NodeInfo | str | int, name: str) -> NodeInfo:
        """Give a node another name: one DNS label."""
        return NodeInfo.from_json(self._change("rename", _called(node), {"name": name}))

    def tag(self, node: NodeInfo | str | int, tags: Iterable[str]) -> NodeInfo:
        """Give a node these tags, and no others."""
        return NodeInfo.from_json(self._change("tag", _called(node), {"tags": list(tags)}))

    def approve_routes(
        self, node: NodeInfo | str | int, routes: Iterable[Network] | None = None
    ) -> NodeInfo:
        """Let a node route these networks, and no others; all that it advertises by default."""
        wanted = self.node(node).advertised_routes if routes is None else routes
        texts = [str(route) for route in wanted]
        return NodeInfo.from_json(self._change("routes", _called(node), {"routes": texts}))

    def expire(
        self, node: NodeInfo | str | int, at: datetime | timedelta | None = timedelta()
    ) -> NodeInfo:
        """Make a node's key expire: now, at a time, or ``None`` for never."""
        seconds = None if at is None else _seconds(at)
        return NodeInfo.from_json(self._change("expire", _called(node), {"at": seconds}))

    def remove(self, node: NodeInfo | str | int) -> None:
        """Remove a node."""
        self._change("remove", _called(node), {})

    def add_peer(
        self,
        name: str,
        key: PublicKey | str,
        *,
        endpoint: Endpoint | None = None,
        routes: Iterable[Network] = (),
    ) -> NodeInfo:
        """Add a WireGuard peer of another make, which speaks no protocol of ours."""
        from meshvpn._values import endpoint_text  # noqa: PLC0415 (only here)

        request = {
            "name": name,
            "key": str(key),
            "endpoint": None if endpoint is None else endpoint_text("endpoint", endpoint),
            "routes": [str(route) for route in routes],
        }
        return NodeInfo.from_json(self._create("peers", request))

    def auth_keys(self) -> list[AuthKey]:
        """All auth keys, without their secrets."""
        return [AuthKey.from_json(key) for key in self._get("keys")]

    def new_auth_key(
        self,
        *,
        reusable: bool = False,
        ephemeral: bool = False,
        needs_approval: bool = False,
        tags: Iterable[str] = (),
        expires_in: timedelta | None = None,
        description: str = "",
    ) -> AuthKey:
        """Make an auth key; its :attr:`~AuthKey.secret` is shown this once.

        Args:
            reusable: whether it admits more than one machine.
            ephemeral: whether its nodes vanish when they have been gone for a while.
            needs_approval: whether its nodes must be approved.
            tags: what its nodes are tagged with.
            expires_in: how long it is good for; ``None``: until it is revoked.
            description: what it is for.
        """
        seconds = None if expires_in is None else int(expires_in.total_seconds())
        if seconds is not None and seconds < 1:
            raise ConfigError(f"expires_in: {expires_in} is less than a second")
        request = {
            "reusable": reusable,
            "ephemeral": ephemeral,
            "needs_approval": needs_approval,
            "tags": list(tags),
            "expires_in": seconds,
            "description": description,
        }
        return AuthKey.from_json(self._create("keys", request))

    def create_auth_key(
        self,
        *,
        reusable: bool = False,
        ephemeral: bool = False,
        needs_approval: bool = False,
        tags: Iterable[str] = (),
        expires_in: timedelta | None = None,
        description: str = "",
    ) -> str:
        """As :meth:`new_auth_key`, and return the key's text alone: what a node is given."""
        key = self.new_auth_key(
            reusable=reusable,
            ephemeral=ephemeral,
            needs_approval=needs_approval,
            tags=tags,
            expires_in=expires_in,
            description=description,
        )
        return key.secret or ""

    def revoke_auth_key(self, key: AuthKey | str) -> None:
        """Make an auth key worthless; nodes that it admitted stay."""
        self._revoke(key.id if isinstance(key, AuthKey) else key)

    @abstractmethod
    def _get(self, kind: str, name: str | None = None) -> Any: ...

    @abstractmethod
    def _change(self, what: str, node: str, request: Mapping[str, Any]) -> Any: ...

    @abstractmethod
    def _create(self, kind: str, request: Mapping[str, Any]) -> Any: ...

    @abstractmethod
    def _revoke(self, key: str) -> None: ...


def _called(node: NodeInfo | str | int) -> str:
    return str(node.id) if isinstance(node, NodeInfo) else str(node)


def _seconds(at: datetime | timedelta) -> int:
    moment = datetime.now(UTC) + at if isinstance(at, timedelta) else at
    if moment.tzinfo is None:
        raise ConfigError(
            f"at: {moment} has no time zone", hint="write datetime(..., tzinfo=UTC), or a timedelta"
        )
    return max(0, int(moment.timestamp()))
