"""Ready-made pieces of an internet: homes behind NATs, carriers, and paths that are too narrow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshvpn.lab.fault import Fault
from meshvpn.lab.nat import Nat

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.lab.host import Host
    from meshvpn.lab.link import Bridge, Link
    from meshvpn.lab.router import Router

__all__ = ["Home", "NarrowPath"]


@dataclass(frozen=True, eq=False)
class Home:
    """Hosts behind a router. Made by :meth:`Lab.home` and :meth:`Lab.carrier`.

    Attributes:
        name: of the home and of its first host.
        nat: what its hosts see between them and the public network.
        router: the home's own router; its devices are ``wan0`` and ``lan0``.
        lan: the network inside.
        wan: the cable to the outside; ``a`` is the router's end.
        carrier: whose NAT comes next, if there is one.
        hosts: all hosts at home, in the order in which they came.
    """

    name: str
    nat: Nat
    router: Router
    lan: Bridge
    wan: Link
    carrier: Home | None
    _add_to: Callable[[Bridge, str], Host]
    hosts: list[Host] = field(default_factory=list)

    @property
    def host(self) -> Host:
        """The first host, which bears the home's name."""
        return self.hosts[0]

    @property
    def public_address(self) -> str:
        """The address from which its datagrams reach the public network.

        Of a home without NAT: that of its first host.
        """
        if self.carrier is not None:
            return self.carrier.public_address
        return self.host.ipv4 if self.nat is Nat.OPEN else self.wan.a.ipv4

    def add_host(self, name: str | None = None) -> Host:
        """Brings one more host home, by default called ``<home>-2`` and so on.

        Raises:
            ConfigError: the name cannot be used or is taken.
            LabError: the home's network is used up.
        """
        number = len(self.hosts) + 1
        own = self.name if number == 1 else f"{self.name}-{number}"
        host = self._add_to(self.lan, name or own)
        self.hosts.append(host)
        return host


@dataclass(frozen=True, eq=False)
class NarrowPath:
    """Two hosts, two routers, and a link between the routers that is narrower than the rest.

    ::

        a ──1500── left ──narrow── right ──1500── b

    Attributes:
        a: the first host, 10.1.0.2 and fd00:1::2.
        b: the second host, 10.3.0.2 and fd00:3::2.
        left: the router beside ``a``.
        right: the router beside ``b``.
        middle: the narrow link.
    """

    a: Host
    b: Host
    left: Router
    right: Router
    middle: Link

    @property
    def mtu(self) -> int:
        """Of the narrow link, in bytes."""
        return self.middle.mtu

    def set_mtu(self, mtu: int) -> Fault:
        """Makes the middle narrower or wider while traffic flows."""
        return self.middle.set_mtu(mtu)

    def block_icmp(self) -> Fault:
        """Makes the path a black hole for what is too big: no router says so any more."""
        left, right = self.left.block_icmp(), self.right.block_icmp()

        def undo() -> None:
            left.undo()
            right.undo()

        return Fault("icmp blocked on the path", undo)
