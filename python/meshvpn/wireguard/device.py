"""A running WireGuard device."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

from meshvpn import _logging, _meshvpn
from meshvpn._running import Running
from meshvpn._values import device_name, prefixed_texts, utf8
from meshvpn.keys import PublicKey
from meshvpn.wireguard.peer import Peer
from meshvpn.wireguard.state import PeerState, WireGuardState

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import timedelta

    from meshvpn._running import Handle
    from meshvpn._values import Endpoint, Network
    from meshvpn.keys import PresharedKey
    from meshvpn.wireguard.config import WireGuardConfig

__all__ = ["WireGuard"]

_LOGGER = logging.getLogger("meshvpn.wireguard")


@final
class WireGuard(Running):
    """A running WireGuard device. Made by :meth:`meshvpn.Tunnel.wireguard`.

    Works as a context manager, also as an asynchronous one; ends with :meth:`close`, or when its
    network device or its socket for ``wg`` is removed.

    A handshake begins with the first packet for a peer that has an endpoint, or at once where a
    persistent keepalive is set; :meth:`wait_ready` waits until one has succeeded.
    """

    __slots__ = ("_handle",)
    _KIND = "device"
    _handle: _meshvpn.WireGuard

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise TypeError("use Tunnel.wireguard(...)")

    @classmethod
    def _start(
        cls,
        name: str,
        config: WireGuardConfig,
        *,
        route: Network | Iterable[Network] | None,
        netns: str | None,
        aead: str | None,
        has_uapi: bool,
    ) -> WireGuard:
        routes: Iterable[Network] | Network = config.routes() if route is None else route
        _logging.start()
        _tell_what_is_left_undone(name, config)
        device = cls.__new__(cls)
        device._name = name
        device._netns = netns
        device._handle = _meshvpn.WireGuard(
            device_name(name),
            change=_text(config.lines()),
            addresses=prefixed_texts("address", config.address),
            routes=prefixed_texts("route", routes),
            mtu=config.mtu,
            is_up=True,
            has_uapi=has_uapi,
            netns=None if netns is None else utf8("netns", netns),
            aead=aead,
        )
        return device

    @property
    def _engine(self) -> Handle:
        return self._handle

    def state(self) -> WireGuardState:
        """Its keys, port and peers now.

        Raises:
            TunnelClosedError: it is closed.
        """
        return WireGuardState._of(self._handle.state())

    @property
    def peers(self) -> tuple[PeerState, ...]:
        """Its peers now."""
        return self.state().peers

    def set_peer(
        self,
        public_key: PublicKey | str,
        *,
        preshared_key: PresharedKey | str | os.PathLike[str] | None = None,
        endpoint: Endpoint | None = None,
        allowed_ips: Network | Iterable[Network] = (),
        persistent_keepalive: timedelta | int | None = None,
    ) -> None:
        """Add a peer, or change the one that has this key: it is then as said here.

        An endpoint left out stays as it is. No routes are added or removed.

        Raises:
            ConfigError: a value cannot be used; nothing was changed.
            NetworkError: the endpoint's name cannot be looked up.
            TunnelClosedError: the device is closed.
        """
        peer = Peer(
            public_key=public_key,
            preshared_key=preshared_key,
            endpoint=endpoint,
            allowed_ips=allowed_ips,
            persistent_keepalive=persistent_keepalive,
        )
        peer.check_is_not(self.state().public_key)
        lines = list(peer.lines())
        if peer.preshared_key is None:
            lines.insert(1, f"preshared_key={bytes(32).hex()}")  # zeros take it away
        self._handle.change(_text(lines))

    def remove_peer(self, public_key: PublicKey | str) -> None:
        """Forget a peer, its session and its allowed IPs; one that is not there is no error.

        Raises:
            ConfigError: that is no key.
            TunnelClosedError: the device is closed.
        """
        key = public_key if isinstance(public_key, PublicKey) else PublicKey.from_base64(public_key)
        self._handle.change(_text([f"public_key={bytes(key).hex()}", "remove=true"]))

    def __repr__(self) -> str:
        stats = self.stats()
        place = f" in {self._netns}" if self._netns else ""
        return f"<WireGuard {self._name}{place}: {stats.phase}, AEAD {stats.aead}, MTU {stats.mtu}>"

    def _repr_html_(self) -> str:
        stats = self.stats()
        state = "" if stats.phase == "closed" else self.state()._repr_html_()
        return f"<b>WireGuard {self._name}</b>{state}{stats._repr_html_()}"


def _tell_what_is_left_undone(name: str, config: WireGuardConfig) -> None:
    if config.hooks:
        commands = "; ".join(f"{hook.field} = {hook.command}" for hook in config.hooks)
        _LOGGER.warning("%s: commands of the file are not run: %s", name, commands)
    if config.dns:
        servers = ", ".join(config.dns)
        _LOGGER.warning("%s: name servers are left as they are, without DNS = %s", name, servers)
    if config.saves_config:
        _LOGGER.warning("%s: SaveConfig is ignored: the file stays as it is", name)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
