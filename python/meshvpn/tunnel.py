"""Point-to-point tunnels: learning projects 2 and 3 as tools.

A tunnel is a TUN device and a UDP socket, and what goes in at one end comes out at the other.
Two framings are here, and WireGuard:

* :meth:`Tunnel.plain`: a datagram is an IP packet. Everyone on the way can read and forge it.
  For learning, for measuring, and inside networks that are secured otherwise.
* :meth:`Tunnel.preshared`: sealed with ChaCha20-Poly1305, under keys that both sides derive from
  one they share, new for every start. A changed, replayed or foreign packet is dropped and counted.
* :meth:`Tunnel.wireguard`: a WireGuard device with any number of peers, each known by its key.

What :meth:`Tunnel.preshared` does **not** give is forward secrecy (whoever learns the key opens
all that was ever recorded) and identity (everyone who has the key is the same peer).
:meth:`Tunnel.wireguard` gives both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from meshvpn import _logging, _meshvpn
from meshvpn._running import Running
from meshvpn._values import (
    LARGEST_MARK,
    LARGEST_MTU,
    bounded,
    device_name,
    endpoint_text,
    prefixed_texts,
    utf8,
)
from meshvpn.keys import PresharedKey

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from meshvpn._running import Handle
    from meshvpn._values import Endpoint, Interface, Network
    from meshvpn.keys import PrivateKey
    from meshvpn.wireguard import Peer, WireGuard, WireGuardConfig

__all__ = ["Tunnel"]


@final
class Tunnel(Running):
    """A running tunnel. Made by :meth:`plain` or :meth:`preshared`; ends with :meth:`close`.

    Works as a context manager, also as an asynchronous one::

        with meshvpn.Tunnel.plain(
            "mesh0", local="172.31.0.1:7000", remote="172.31.0.2:7000", address="10.9.0.1/24"
        ) as tunnel:
            tunnel.wait_ready(timeout=5)
            print(tunnel.stats())

    These two take (for :meth:`wireguard` see there):

    Args:
        name: the device's name, up to 15 characters.
        local: the local UDP endpoint; its address must be one of this host's, or ``0.0.0.0``
            or ``::``.
        remote: the peer's UDP endpoint, of the same IP version.
        address: the device's addresses with prefix lengths, one or several; without a prefix
            length it stands alone, as with ``ip address add`` (/32, /128).
        route: networks to route through the device, one or several.
        mtu: the device's MTU in bytes; by default it follows from the path, and changes with it.
        netns: the network namespace to live in, a name as ``ip netns`` lists it or a path. Device
            and socket are both there.
        mark: a firewall mark for everything that the tunnel sends, for policy routing.

    Raises:
        ConfigError: a value cannot be used; the message names it.
        PermissionDeniedError: the process lacks ``CAP_NET_ADMIN``.
        DeviceError: the device cannot be created.
        NetworkError: address, route or socket cannot be set up.
    """

    __slots__ = ("_handle",)
    _KIND = "tunnel"
    _handle: _meshvpn.Tunnel

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise TypeError("use Tunnel.plain(...), .preshared(...) or .wireguard(...)")

    @classmethod
    def plain(
        cls,
        name: str,
        *,
        local: Endpoint,
        remote: Endpoint,
        address: Interface | Iterable[Interface] = (),
        route: Network | Iterable[Network] = (),
        mtu: int | None = None,
        netns: str | None = None,
        mark: int | None = None,
    ) -> Tunnel:
        """Start a tunnel without encryption: a datagram is an IP packet."""
        return cls._start(
            name,
            local=local,
            remote=remote,
            key=None,
            address=address,
            route=route,
            mtu=mtu,
            netns=netns,
            mark=mark,
            aead=None,
        )

    @classmethod
    def preshared(
        cls,
        name: str,
        *,
        local: Endpoint,
        remote: Endpoint,
        key: PresharedKey | str | os.PathLike[str],
        address: Interface | Iterable[Interface] = (),
        route: Network | Iterable[Network] = (),
        mtu: int | None = None,
        netns: str | None = None,
        mark: int | None = None,
        aead: str | None = None,
    ) -> Tunnel:
        """Start a tunnel sealed with ChaCha20-Poly1305 under keys derived from ``key``.

        Args:
            key: the shared key, or the path of the file that holds it.
            aead: the AEAD implementation, ``"aws-lc"``, ``"ipsec-mb"`` or ``"portable"``; by
                default the fastest one on this machine.
        """
        secret = key if isinstance(key, PresharedKey) else PresharedKey.from_file(key)
        return cls._start(
            name,
            local=local,
            remote=remote,
            key=bytes(secret),
            address=address,
            route=route,
            mtu=mtu,
            netns=netns,
            mark=mark,
            aead=aead,
        )

    @staticmethod
    def wireguard(
        config: WireGuardConfig | str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        private_key: PrivateKey | str | os.PathLike[str] | None = None,
        listen_port: int | None = None,
        peers: Iterable[Peer] | None = None,
        address: Interface | Iterable[Interface] | None = None,
        route: Network | Iterable[Network] | None = None,
        mtu: int | None = None,
        netns: str | None = None,
        mark: int | None = None,
        aead: str | None = None,
        uapi: bool | None = None,
    ) -> WireGuard:
        """Start a WireGuard device, from a ``wg-quick`` file or from values.

        A file's commands (``PostUp`` and the like) are never run from here, and name servers are
        left as they are: a warning in the log tells what was left out. Nor does it take default
        routes or other routing tables; ``wg-quick`` does, over ``meshvpn-wg``.

        Args:
            config: the path of a file, or what was read from one; the other values, but for
                ``name``, ``route``, ``netns``, ``aead`` and ``uapi``, are then in it.
            name: the device's name; by default that of the file, as ``wg0`` for ``wg0.conf``.
            private_key: the device's identity, or the path of the file that holds it.
            listen_port: its UDP port; by default the system chooses.
            peers: see :class:`meshvpn.wireguard.Peer`.
            address: the device's addresses with prefix lengths.
            route: networks to route through the device; by default all peers' allowed IPs.
            mtu: in bytes; 1420 by default, which fits paths of 1500 bytes.
            netns: the network namespace to live in; names of endpoints are looked up outside it.
            mark: a firewall mark for everything that it sends.
            aead: as for :meth:`preshared`.
            uapi: whether ``wg`` may ask and change the device, over a socket of its name in
                ``/var/run/wireguard``. By default it may unless ``netns`` is given: namespaces
                share that directory, and in each there may be a ``wg0``.
        """
        from meshvpn.wireguard.device import WireGuard  # noqa: PLC0415 (not every tunnel has peers)
        from meshvpn.wireguard.start import device_config  # noqa: PLC0415, as above

        chosen, config = device_config(
            config,
            name,
            private_key=private_key,
            listen_port=listen_port,
            peers=peers,
            address=address,
            mtu=mtu,
            mark=mark,
        )
        has_uapi = netns is None if uapi is None else uapi
        return WireGuard._start(
            chosen, config, route=route, netns=netns, aead=aead, has_uapi=has_uapi
        )

    @classmethod
    def _start(
        cls,
        name: str,
        *,
        local: Endpoint,
        remote: Endpoint,
        key: bytes | None,
        address: Interface | Iterable[Interface],
        route: Network | Iterable[Network],
        mtu: int | None,
        netns: str | None,
        mark: int | None,
        aead: str | None,
    ) -> Tunnel:
        _logging.start()
        tunnel = cls.__new__(cls)
        tunnel._name = name
        tunnel._netns = netns
        tunnel._handle = _meshvpn.Tunnel(
            device_name(name),
            local=endpoint_text("local", local),
            remote=endpoint_text("remote", remote),
            key=key,
            addresses=prefixed_texts("address", address),
            routes=prefixed_texts("route", route),
            mtu=None if mtu is None else bounded("mtu", mtu, 0, LARGEST_MTU),
            netns=None if netns is None else utf8("netns", netns),
            mark=None if mark is None else bounded("mark", mark, 0, LARGEST_MARK),
            aead=aead,
        )
        return tunnel

    @property
    def _engine(self) -> Handle:
        return self._handle

    @property
    def path_mtu(self) -> int:
        """Longest outer IP packet that the path takes, in bytes, as far as is known now."""
        return self.stats().path_mtu

    def __repr__(self) -> str:
        stats = self.stats()
        place = f" in {self._netns}" if self._netns else ""
        return f"<Tunnel {self._name}{place}: {stats.phase}, AEAD {stats.aead}, MTU {stats.mtu}>"

    def _repr_html_(self) -> str:
        return f"<b>Tunnel {self._name}</b>{self.stats()._repr_html_()}"
