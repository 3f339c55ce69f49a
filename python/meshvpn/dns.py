"""Names in a mesh: the resolver that each node has inside, by itself.

>>> import meshvpn
>>> names = {"laptop": "100.64.0.1", "server": ["100.64.0.2", "fd7a::2"]}
>>> with meshvpn.dns.Resolver(names, domain="mesh.internal", listen="127.0.0.1:0") as resolver:
...     resolver.stats()
ResolverStats(answered=0, forwarded=0, refused=0, failed=0)

It answers for ``laptop`` and ``laptop.mesh.internal`` (A, AAAA) and for their addresses (PTR), and
passes everything else on. The system asks it only when it is told so: :class:`SystemDns`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Literal, TypeAlias, final

from meshvpn import _logging, _meshvpn
from meshvpn._closing import AsyncClosing
from meshvpn._values import LARGEST_MARK, bounded, endpoint_text, prefixed_texts, utf8

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from meshvpn._values import Endpoint, Network

__all__ = ["Address", "Names", "Resolver", "ResolverStats", "SystemDns", "restore"]

_LOGGER = logging.getLogger("meshvpn.dns")

Address: TypeAlias = str | IPv4Address | IPv6Address
"""``"100.64.0.1"`` or an :mod:`ipaddress` address."""

Names: TypeAlias = "Mapping[str, Address | Iterable[Address]]"
"""Names, each one DNS label, with their addresses."""


@dataclass(frozen=True, slots=True)
class ResolverStats:
    """What became of messages since the start.

    Attributes:
        answered: answered here.
        forwarded: passed on.
        refused: no questions, or of somebody who may not ask.
        failed: passed on, or to be, without an answer in the end.
    """

    answered: int
    forwarded: int
    refused: int
    failed: int


@final
class Resolver(AsyncClosing):
    """A running resolver.

    Only its own host may ask it: who comes from one of the addresses that it answers at, or from
    loopback.

    Args:
        names: whom it knows. A name that cannot be a DNS label is left out.
        domain: what long names end with; there are none without it.
        listen: where it answers, over UDP and TCP: addresses of this host, each with a port (53 is
            what others ask at; 0 takes any).
        upstreams: who answers the rest, in this order; by default whom the system asks.
        resolv_conf: the file that says whom the system asks, if it is not the usual one.
        clients: networks from which others may ask, too.
        mark: firewall mark for what it sends to ``upstreams``.
        netns: the network namespace to live in.

    Raises:
        ConfigError: a value cannot be used.
        NetworkError: an address cannot be had.
    """

    __slots__ = ("_handle",)

    def __init__(
        self,
        names: Names,
        *,
        domain: str = "",
        listen: Endpoint | list[Endpoint] = "127.0.0.1:53",
        upstreams: Endpoint | list[Endpoint] | None = None,
        resolv_conf: str | os.PathLike[str] | None = None,
        clients: Network | Iterable[Network] = (),
        mark: int | None = None,
        netns: str | None = None,
    ) -> None:
        _logging.start()
        self._handle = _meshvpn.Resolver(
            utf8("domain", domain),
            _names(names),
            listen=_endpoints("listen", listen),
            upstreams=None if upstreams is None else _endpoints("upstreams", upstreams),
            resolv_conf=resolv_conf,
            clients=prefixed_texts("clients", clients),
            mark=None if mark is None else bounded("mark", mark, 0, LARGEST_MARK),
            netns=None if netns is None else utf8("netns", netns),
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it answers: ``"127.0.0.1:53"``."""
        return tuple(self._handle.addresses())

    def set_names(self, names: Names, *, domain: str = "") -> None:
        """Know these from now on, and no others."""
        self._handle.set_names(utf8("domain", domain), _names(names))

    def set_upstreams(self, upstreams: Endpoint | list[Endpoint]) -> None:
        """Pass questions on to these from now on."""
        self._handle.set_upstreams(_endpoints("upstreams", upstreams))

    def stats(self) -> ResolverStats:
        """What became of messages so far."""
        return ResolverStats(*self._handle.stats())

    def close(self) -> None:
        """End it. Closing it again does nothing."""
        self._handle.close()

    def __repr__(self) -> str:
        return f"<Resolver at {', '.join(self.addresses)}>"


@final
class SystemDns(AsyncClosing):
    """A system that asks a resolver of ours, until :meth:`close`.

    By systemd-resolved (which then asks it for the mesh's names alone) or by ``/etc/resolv.conf``,
    beside which what was there before is kept. If the process dies, systemd-resolved forgets with
    the interface; the file is put right by the next start, or by :func:`restore`. A file that
    somebody else has changed meanwhile is left as it is.

    With ``netns``, the file is ``/etc/netns/NAME/resolv.conf``, which ``ip netns exec NAME`` shows
    to the programs that it starts from then on.

    Args:
        resolvers: where the resolver answers, on port 53.
        domain: the mesh's domain, with which short names are tried first.
        method: the way; ``"auto"`` takes systemd-resolved where the system asks that.
        resolv_conf: the file, if it is not the usual one.
        networks: the mesh's networks, for names of addresses by systemd-resolved.
        interface: the mesh's interface, which systemd-resolved needs to know.
        netns: the network namespace whose system it is.

    Raises:
        ConfigError: a value cannot be used.
        NetworkError: the file is another process's of ours, or was edited, or cannot be written.
        PermissionDeniedError: it may not be written.
    """

    __slots__ = ("_handle",)

    def __init__(
        self,
        resolvers: Address | Iterable[Address],
        *,
        domain: str = "",
        method: Literal["auto", "resolved", "resolv.conf"] = "auto",
        resolv_conf: str | os.PathLike[str] | None = None,
        networks: Network | Iterable[Network] = (),
        interface: str | None = None,
        netns: str | None = None,
    ) -> None:
        _logging.start()
        self._handle = _meshvpn.SystemDns(
            _addresses(resolvers),
            utf8("domain", domain),
            method=method,
            resolv_conf=resolv_conf,
            networks=prefixed_texts("networks", networks),
            interface=None if interface is None else utf8("interface", interface),
            netns=None if netns is None else utf8("netns", netns),
        )

    def restore(self) -> str | None:
        """Take it back; doing it again does nothing.

        Returns:
            What a person should know, when the file is somebody else's by now.
        """
        return self._handle.restore()

    def close(self) -> None:
        """As :meth:`restore`; what there is to know is logged."""
        if notice := self.restore():
            _LOGGER.warning("%s", notice)


def restore(
    *, resolv_conf: str | os.PathLike[str] | None = None, netns: str | None = None
) -> str | None:
    """Take back what a crash has left in the system's file, if it has left anything.

    Returns:
        What a person should know, when the file is somebody else's by now.

    Raises:
        NetworkError: the process that changed the file still runs.
    """
    return _meshvpn.restore_system_dns(
        resolv_conf=resolv_conf, netns=None if netns is None else utf8("netns", netns)
    )


def _names(names: Names) -> list[tuple[str, list[str]]]:
    return [(utf8("name", name), _addresses(addresses)) for name, addresses in names.items()]


def _addresses(values: Address | Iterable[Address]) -> list[str]:
    if isinstance(values, str | IPv4Address | IPv6Address):
        values = [values]
    return [utf8("address", str(value)) for value in values]


def _endpoints(field: str, values: Endpoint | list[Endpoint]) -> list[str]:
    listed = values if isinstance(values, list) else [values]
    return [endpoint_text(field, value) for value in listed]
