"""Links between hosts: virtual Ethernet cables, their MTU, rate and loss, and bridges to plug into.

What is done to a link lasts until it is undone, and undoes itself at the end of a ``with``:

    link.set_loss(0.1)                  # from now on
    with link.set_mtu(1280):            # only in the body
        ...
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from meshvpn._values import LARGEST_MTU, bounded, shown
from meshvpn.errors import ConfigError, LabError
from meshvpn.lab import kernel
from meshvpn.lab.addresses import (
    IPV6_MINIMUM_MTU,
    Addressed,
    Addresses,
    InterfaceAddress,
    first_address,
    parse_addresses,
)
from meshvpn.lab.fault import Fault
from meshvpn.lab.programs import run_program

if TYPE_CHECKING:
    from meshvpn.lab.host import Host
    from meshvpn.lab.router import Router

__all__ = ["Bridge", "Interface", "Link", "check_loss", "check_rate"]

# tbf: 10 ms of traffic in one go, but never less than two of the 64 KiB super-packets of a veth;
# and what waits longer than 50 ms is dropped, as in a home router of moderate size.
_BURST_SECONDS = 0.01
_SMALLEST_BURST_BYTES = 2 * 65536
_QUEUE = "50ms"

# A byte a second, and what a bucket of 32 bits can hold of the two times above.
_LOWEST_RATE = 8
_HIGHEST_RATE = 500_000_000_000

# ETH_MIN_MTU of Linux, the smallest that a virtual Ethernet device takes.
_SMALLEST_MTU = 68


class Interface(Addressed):
    """One end of a link, or a bridge: a network device of a host.

    Attributes:
        host: whose device it is.
        name: what it is called there, such as ``eth0``.
        addresses: with prefix length, in the order given.
        mtu: in bytes.
        peer: the other end of its cable; a bridge has none.
    """

    def __init__(self, host: Host, name: str, addresses: Addresses, mtu: int) -> None:
        host.check_device_name(name)
        self.host = host
        self.name = name
        self.addresses = parse_addresses(addresses)
        self.mtu = bounded("mtu", mtu, _SMALLEST_MTU, LARGEST_MTU)
        self.peer: Interface | None = None

    @property
    def usable_addresses(self) -> list[InterfaceAddress]:
        """The addresses without those of IPv6 where the MTU is too small for it."""
        return [at for at in self.addresses if at.version == 4 or self.mtu >= IPV6_MINIMUM_MTU]

    def commands(self) -> list[str]:
        """The ``ip`` commands that give the device its addresses and bring it up."""
        adding = [
            f"address replace {at} dev {self.name}{_nodad(at)}" for at in self.usable_addresses
        ]
        return [*adding, f"link set {self.name} up"]

    def settle(self) -> None:
        """Waits until the device carries traffic, which takes the kernel a moment after ``up``."""
        with self.host.enter():
            kernel.settle_device(self.name)

    def _own_addresses(self) -> list[InterfaceAddress]:
        return self.addresses

    def _title(self) -> str:
        return f"{self.name} of host {self.host.name!r}"

    def __str__(self) -> str:
        return " ".join([self.name, *map(str, self.addresses)])

    def __repr__(self) -> str:
        return f"<Interface {self} of {self.host.name}>"


class Link:
    """A cable between two hosts. Made by :meth:`Lab.link` and :meth:`Bridge.attach`.

    Attributes:
        a: the end at the first host.
        b: the end at the second host, or in the bridge.
    """

    def __init__(self, a: Interface, b: Interface) -> None:
        self.a = a
        self.b = b
        self._loss = 0.0
        self._rate: float | None = None
        ends = f"link add {a.name} mtu {a.mtu} type veth peer name {b.name} mtu {b.mtu}"
        try:
            a.host.ip(f"{ends} netns {b.host.netns}", *a.commands())
            b.host.ip(*b.commands())
            self._settle()
        except BaseException:  # such as an address that the kernel refuses
            a.host.ip(f"link del {a.name}", tolerate_failure=True)
            raise
        a.peer, b.peer = b, a
        for end in self._ends:
            end.host.interfaces[end.name] = end

    @classmethod
    def between(
        cls,
        a: Host,
        b: Host,
        a_addresses: Addresses,
        b_addresses: Addresses,
        *,
        mtu: int,
        devices: tuple[str | None, str | None],
    ) -> Link:
        """Joins two hosts; devices without a name get the next free ``ethN``.

        Raises:
            ConfigError: a name, an address or the MTU cannot be used; nothing was changed.
        """
        near = Interface(a, devices[0] or a.free_device_name(), a_addresses, mtu)
        taken = near.name if b is a else None
        name = devices[1] or b.free_device_name(besides=taken)
        if name == taken:
            raise ConfigError(f"both ends of a link cannot be {name!r} of host {a.name!r}")
        return cls(near, Interface(b, name, b_addresses, mtu))

    @property
    def mtu(self) -> int:
        """The largest IP packet that passes, in bytes."""
        return min(self.a.mtu, self.b.mtu)

    def set_mtu(self, mtu: int) -> Fault:
        """Changes the largest IP packet that passes, on both ends.

        IPv6 cannot live on a link below 1280: its addresses and routes go, and come back later.

        Raises:
            ConfigError: the kernel knows no such MTU.
        """
        bounded("mtu", mtu, _SMALLEST_MTU, LARGEST_MTU)
        before = self.mtu
        for end in self._ends:
            end.host.ip(f"link set {end.name} mtu {mtu}")
            end.mtu = mtu
        if before < IPV6_MINIMUM_MTU <= mtu:
            self._restore()
        return Fault(f"MTU {mtu} on {self}", lambda: self.set_mtu(before))

    def set_loss(self, share: float) -> Fault:
        """Loses IP packets at random, in each direction.

        Args:
            share: from 0 (none) to 1 (all). A super-packet of TSO or GSO is lost as a whole.

        Raises:
            ConfigError: it is no share.
        """
        check_loss(share)
        for end in self._ends:
            end.host.nft(_loss_rules(end.name, share))
        before, self._loss = self._loss, share
        return Fault(f"{share:.1%} loss on {self}", lambda: self.set_loss(before))

    def set_rate(self, bits_per_second: float | None) -> Fault:
        """Limits each direction to a rate; ``None`` takes the limit away.

        Raises:
            ConfigError: there is no such rate.
            LabError: the kernel has no token bucket filter.
        """
        check_rate(bits_per_second)
        for end in self._ends:
            _limit(end, bits_per_second)
        before, self._rate = self._rate, bits_per_second
        return Fault(f"{bits_per_second} bit/s on {self}", lambda: self.set_rate(before))

    def down(self) -> Fault:
        """Takes both ends down, as when the cable is pulled; :meth:`up` or ``undo`` reverses it."""
        for end in self._ends:
            end.host.ip(f"link set {end.name} down")
        return Fault(f"{self} down", self.up)

    def up(self) -> None:
        """Brings both ends up again, with the addresses and routes that the kernel had dropped."""
        for end in self._ends:
            end.host.ip(f"link set {end.name} up")
        self._settle()
        self._restore()

    def remove(self) -> None:
        """Takes the cable away with both devices: a host can then be linked elsewhere."""
        self.a.host.ip(f"link del {self.a.name}")
        for end in self._ends:
            end.host.forget(end)

    def _settle(self) -> None:
        for end in self._ends:
            end.settle()

    @property
    def _ends(self) -> tuple[Interface, Interface]:
        return self.a, self.b

    def _restore(self) -> None:
        for end in self._ends:
            end.host.restore()

    def __str__(self) -> str:
        return f"{self.a.host.name}:{self.a.name} - {self.b.host.name}:{self.b.name}"

    def __repr__(self) -> str:
        return f"<Link {self}>"


class Bridge:
    """An Ethernet switch inside a router, which is also the gateway of whoever is attached.

    Made by :meth:`Router.bridge` and :meth:`Lab.bridge`.

    Attributes:
        router: the namespace it lies in.
        interface: the router's own device on it.
    """

    def __init__(self, router: Router, name: str, addresses: Addresses) -> None:
        self.router = router
        self.interface = Interface(router, name, addresses, mtu=1500)
        self._taken = {at.ip for at in self.interface.addresses}
        self._ports = 0
        # Snooping needs a querier, and without one forgets who takes part in neighbour discovery.
        adding = f"link add {name} type bridge mcast_snooping 0"
        try:
            router.ip(adding, *self.interface.commands())
        except BaseException:
            router.ip(f"link del {name}", tolerate_failure=True)
            raise
        router.interfaces[name] = self.interface

    def attach(
        self,
        host: Host,
        addresses: Addresses = (),
        *,
        device: str | None = None,
        mtu: int = 1500,
        gateway: bool = True,
    ) -> Link:
        """Plugs a host in.

        Args:
            host: who.
            addresses: its addresses there; by default the next free one of each network.
            device: what the device is called in the host; by default the next free ``ethN``.
            mtu: of this link, in bytes. A switch drops what is too big for a port and says nothing;
                for a narrow path between routers, which do, see :meth:`Lab.narrow_path`.
            gateway: whether the host's default routes go to the bridge's router.

        Returns:
            The link: ``a`` is the host's end.

        Raises:
            ConfigError: a name, an address or the MTU cannot be used, or the bridge is no gateway
                for an address outside its network; nothing was changed.
            LabError: its network is used up.
        """
        versions = sorted({at.version for at in self.interface.addresses})
        given = addresses or [self.free_address(version) for version in versions]
        inside = Interface(host, device or host.free_device_name(), given, mtu)
        gateways = self._gateways_of(inside) if gateway else []
        name = f"{self.interface.name}p{self._ports + 1}"
        link = Link(inside, Interface(self.router, name, (), mtu))
        try:
            self.router.ip(f"link set {name} master {self.interface.name}")
            self.interface.settle()
            for at in gateways:
                host.add_route("default", via=at)
        except BaseException:
            link.remove()
            raise
        self._ports += 1
        self._taken.update(at.ip for at in inside.addresses)
        return link

    def free_address(self, version: int = 4) -> str:
        """Takes the next free address, with prefix length; nobody else will be given it.

        Raises:
            ConfigError: the bridge has no address of that IP version, and so no network.
            LabError: the network is used up.
        """
        return self.free_addresses(1, version)[0]

    def free_addresses(self, count: int, version: int = 4) -> list[str]:
        """As :meth:`free_address`, several or none."""
        own = first_address(self.interface.addresses, version)
        if own is None:
            raise ConfigError(f"{self.interface.name} of {self.router.name!r} has no IPv{version}")
        free = (at for at in own.network.hosts() if at not in self._taken)
        found = list(itertools.islice(free, count))
        if len(found) < count:
            raise LabError(f"{own.network} has {len(found)} free addresses, not {count}")
        self._taken.update(found)
        return [f"{at}/{own.network.prefixlen}" for at in found]

    def _gateways_of(self, inside: Interface) -> list[str]:
        """Where the default routes of somebody attached go: one address for each IP version."""
        gateways = []
        for own in self.interface.addresses:
            same = [at for at in inside.usable_addresses if at.version == own.version]
            if same and not any(own.ip in at.network for at in same):
                raise ConfigError(
                    f"{same[0]} is outside {own.network}, so {own.ip} cannot be its gateway",
                    hint="give an address of that network, or gateway=False",
                )
            if same:
                gateways.append(str(own.ip))
        return gateways

    def __repr__(self) -> str:
        return f"<Bridge {self.interface} of {self.router.name}>"


def check_loss(share: float) -> None:
    """Raises :class:`ConfigError` for what is no share of packets."""
    if not 0 <= share <= 1:
        raise ConfigError(f"loss must be between 0 and 1, not {shown(share)}")


def check_rate(bits_per_second: float | None) -> None:
    """Raises :class:`ConfigError` for a rate that no token bucket can have."""
    if bits_per_second is None or _LOWEST_RATE <= bits_per_second <= _HIGHEST_RATE:
        return
    raise ConfigError(
        f"rate must be between {_LOWEST_RATE} and {_HIGHEST_RATE} bits per second, "
        f"not {shown(bits_per_second)}",
        hint="None is no limit",
    )


def _nodad(address: InterfaceAddress) -> str:
    return " nodad" if address.version == 6 else ""


def _loss_rules(device: str, share: float) -> str:
    """Drops at the receiving end, before routing, where every packet of a link passes."""
    table = f"table netdev loss_{device}"
    fresh = f"{table}\ndelete {table}\n"
    if share == 0:
        return fresh
    chance = f"numgen random mod 1000000 < {round(share * 1_000_000)}" if share < 1 else ""
    hook = f'type filter hook ingress device "{device}" priority 0;'
    return f"""{fresh}{table} {{
        chain in {{ {hook} meta protocol {{ ip, ip6 }} {chance} drop; }}
    }}"""


def _limit(end: Interface, rate: float | None) -> None:
    with end.host.enter():
        qdisc = ["tc", "qdisc"]
        if rate is None:
            run_program([*qdisc, "del", "dev", end.name, "root"], tolerate_failure=True)
            return
        burst = max(_SMALLEST_BURST_BYTES, round(rate / 8 * _BURST_SECONDS))
        bucket = ["tbf", "rate", f"{round(rate)}bit", "burst", f"{burst}b", "latency", _QUEUE]
        try:
            run_program([*qdisc, "replace", "dev", end.name, "root", *bucket])
        except LabError as refusal:
            raise LabError(
                refusal.message,
                hint="rate limits need the kernel module sch_tbf (CONFIG_NET_SCH_TBF)",
            ) from refusal
