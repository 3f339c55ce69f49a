"""What a device begins with, from a ``wg-quick`` file or from values."""

from __future__ import annotations

import logging
import stat
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from meshvpn import _meshvpn
from meshvpn._values import LARGEST_MARK, LARGEST_MTU, LARGEST_PORT, bounded, prefixed_texts
from meshvpn.errors import ConfigError, PermissionDeniedError
from meshvpn.keys import PresharedKey, PrivateKey, PublicKey
from meshvpn.wireguard.peer import Peer

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from meshvpn._values import Interface
    from meshvpn.wireguard.peer import AllowedIp

__all__ = ["Hook", "WireGuardConfig"]

_LOGGER = logging.getLogger("meshvpn.wireguard")

_LONGEST_FILE: Final = 64 << 20
"""Bytes: a million allowed IPs have a quarter of it."""


class Hook(NamedTuple):
    """A command of a file, which is never run from here: ``("PostUp", "ip rule add …")``."""

    field: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WireGuardConfig:
    """What a device begins with.

    >>> config = WireGuardConfig.from_text('''
    ... [Interface]
    ... Address = 10.0.0.1/24
    ... PostUp = echo never run from here
    ...
    ... [Peer]
    ... PublicKey = 9tTzvUyBy2ahmMXL5WjIg1wMz1EaHT9T1ZqVUJWMcR0=
    ... AllowedIPs = 10.0.0.2/32, 10.1.0.0/16
    ... ''')
    >>> config.hooks
    (Hook(field='PostUp', command='echo never run from here'),)
    >>> config.routes()
    (IPv4Network('10.1.0.0/16'),)
    """

    private_key: PrivateKey | None = None
    """The device's identity; without one it cannot speak."""
    listen_port: int | None = None
    """Its UDP port; ``None`` or 0 lets the system choose."""
    mark: int | None = None
    """A firewall mark for what it sends, for policy routing."""
    address: tuple[IPv4Interface | IPv6Interface, ...] = ()
    """The device's own addresses."""
    dns: tuple[str, ...] = ()
    """Name servers and search domains, which are left to the user."""
    mtu: int | None = None
    """The device's MTU in bytes; 1420 if not given."""
    table: str = "auto"
    """Where routes to the allowed IPs go: "auto", "off", or a routing table."""
    hooks: tuple[Hook, ...] = ()
    """The file's commands, which are never run from here."""
    saves_config: bool = False
    """``wg-quick`` would write the device's state back into the file; nobody does so here."""
    peers: tuple[Peer, ...] = ()

    # Written out, since it takes more forms of values than it keeps.
    def __init__(
        self,
        *,
        private_key: PrivateKey | str | os.PathLike[str] | None = None,
        listen_port: int | None = None,
        mark: int | None = None,
        address: Interface | Iterable[Interface] = (),
        dns: Iterable[str] = (),
        mtu: int | None = None,
        table: str = "auto",
        hooks: Iterable[Hook] = (),
        saves_config: bool = False,
        peers: Iterable[Peer] = (),
    ) -> None:
        if private_key is not None and not isinstance(private_key, PrivateKey):
            private_key = PrivateKey.from_file(private_key)
        peers = (peers,) if isinstance(peers, Peer) else tuple(peers)
        own = None if private_key is None else private_key.public_key
        for peer in peers:
            peer.check_is_not(own)
        keep = object.__setattr__
        keep(self, "private_key", private_key)
        keep(self, "listen_port", _number("listen_port", listen_port, LARGEST_PORT))
        keep(self, "mark", _number("mark", mark, LARGEST_MARK))
        keep(self, "address", _addresses(address))
        keep(self, "dns", tuple(dns))
        keep(self, "mtu", _number("mtu", mtu, LARGEST_MTU))
        keep(self, "table", table)
        keep(self, "hooks", tuple(hooks))
        keep(self, "saves_config", saves_config)
        keep(self, "peers", peers)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> WireGuardConfig:
        """Read a file as ``wg-quick`` and ``wg setconf`` take it. Its commands are not run.

        Raises:
            ConfigError: the file is missing, or a line cannot be used: the message names both.
            PermissionDeniedError: it may not be read.
        """
        path = Path(path)
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LONGEST_FILE:
                raise ConfigError(f"{path}: is no regular file of at most {_LONGEST_FILE:,} bytes")
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ConfigError(
                f"{path}: no such file", hint="wg-quick keeps its files in /etc/wireguard"
            ) from None
        except PermissionError:
            raise PermissionDeniedError(f"{path}: may not be read") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: is not UTF-8") from None
        try:
            config = cls.from_text(text)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error.message}", hint=error.hint) from None
        if config.private_key is not None and status.st_mode & 0o077:
            _LOGGER.warning("%s: others can read its private key: chmod 600 %s", path, path)
        return config

    @classmethod
    def from_text(cls, text: str) -> WireGuardConfig:
        """The same from the text of such a file."""
        read = _meshvpn.parse_wg_quick(text)
        key = read.private_key
        return cls(
            private_key=None if key is None else PrivateKey(key),
            listen_port=read.listen_port,
            mark=read.mark,
            address=read.addresses,
            dns=read.dns,
            mtu=read.mtu,
            table=read.table,
            hooks=[Hook(*hook) for hook in read.hooks],
            saves_config=read.saves_config,
            peers=[_peer(peer) for peer in read.peers],
        )

    def routes(self) -> tuple[AllowedIp, ...]:
        """The networks that ``wg-quick`` would route into the device.

        These are all peers' allowed IPs but those that its own addresses lead to already.

        Raises:
            ConfigError: that takes another routing table, which is not supported.
        """
        if self.table == "off":
            return ()
        if self.table != "auto":
            raise ConfigError(
                f"Table: routes in a table of their own ({self.table!r}) are not made from here",
                hint="set it to off (or give route=()), and route with: ip route add … table …",
            )
        own = [address.network for address in self.address]
        networks = {network for peer in self.peers for network in peer.allowed_ips}
        routes = []
        for network in sorted(networks, key=lambda one: (one.version, one)):
            if network.prefixlen == 0:
                raise ConfigError(
                    f"AllowedIPs: {network} takes a default route, and with it rules that keep the "
                    "device's own datagrams out of it; they are not made from here",
                    hint="give route=[…] (such as 0.0.0.0/1 and 128.0.0.0/1, and routes to the "
                    "endpoints outside), or use: WG_QUICK_USERSPACE_IMPLEMENTATION=meshvpn-wg "
                    "wg-quick up …",
                )
            if not any(_leads_to(address, network) for address in own):
                routes.append(network)
        return tuple(routes)

    def lines(self) -> Iterator[str]:
        """Keys, port, mark and peers in the words of UAPI, secrets included."""
        if self.private_key is not None:
            yield f"private_key={bytes(self.private_key).hex()}"
        if self.listen_port is not None:
            yield f"listen_port={self.listen_port}"
        if self.mark is not None:
            yield f"fwmark={self.mark}"
        for peer in self.peers:
            yield from peer.lines()


def _leads_to(own: AllowedIp, network: AllowedIp) -> bool:
    if isinstance(own, IPv4Network):
        return isinstance(network, IPv4Network) and network.subnet_of(own)
    return isinstance(network, IPv6Network) and network.subnet_of(own)


def _addresses(
    values: Interface | Iterable[Interface],
) -> tuple[IPv4Interface | IPv6Interface, ...]:
    addresses = []
    for text in prefixed_texts("address", values):
        try:
            addresses.append(ip_interface(text))
        except ValueError:
            raise ConfigError(
                f"address: {text!r} is not an IP address with a prefix length",
                hint="write 10.0.0.1/24 or fd00::1/64",
            ) from None
    return tuple(addresses)


def _number(field: str, value: int | None, largest: int) -> int | None:
    return None if value is None else bounded(field, value, 0, largest)


def _peer(read: _meshvpn.WgQuickPeer) -> Peer:
    secret = read.preshared_key
    return Peer(
        public_key=PublicKey(read.public_key),
        preshared_key=None if secret is None or not any(secret) else PresharedKey(secret),
        endpoint=read.endpoint,
        allowed_ips=read.allowed_ips,
        persistent_keepalive=read.persistent_keepalive or None,
    )
