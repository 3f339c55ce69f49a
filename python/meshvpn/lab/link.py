"""Links between hosts: virtual Ethernet cables, their MTU, rate and loss, and bridges to plug into.

What is done to a link lasts until it is undone, and undoes itself at the end of a ``with``:

    link.set_loss(0.1)                  # from now on
    with link.set_mtu(1280):            # only in the body
        ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshvpn.errors import ConfigError, LabError
from meshvpn.lab import kernel
from meshvpn.lab.addresses import IPV6_MINIMUM_MTU, Addresses, InterfaceAddress, parse_addresses
from meshvpn.lab.fault import Fault
from meshvpn.lab.programs import run_program

if TYPE_CHECKING:
    from meshvpn.lab.host import Host
    from meshvpn.lab.router import Router

__all__ = ["Bridge", "Interface", "Link"]

# tbf: 10 ms of traffic in one go, but never less than two of the 64 KiB super-packets of a veth;
# and what waits longer than 50 ms is dropped, as in a home router of moderate size.
_BURST_SECONDS = 0.01
_SMALLEST_BURST_BYTES = 2 * 65536
_QUEUE = "50ms"


class Interface:
    """One end of a link, or a bridge: a network device of a host.

    Attributes:
        host: whose device it is.
        name: what it is called there, such as ``eth0``.
        addresses: with prefix length, in the order given.
        mtu: in bytes.
    """

    def __init__(self, host: Host, name: str | None, addresses: Addresses, mtu: int) -> None:
        self.host = host
        self.name = name or _free_name(host)
        self.addresses = parse_addresses(addresses)
        self.mtu = mtu
        if self.name in host.interfaces:
            raise ConfigError(f"host {host.name!r} already has a device {self.name!r}")
        host.interfaces[self.name] = self

    @property
    def ipv4(self) -> str:
        """The first IPv4 address, without prefix length.

        Raises:
            LabError: it has none.
        """
        return self._first(4)

    @property
    def ipv6(self) -> str:
        """The first IPv6 address, without prefix length.

        Raises:
            LabError: it has none.
        """
        return self._first(6)

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

    def _first(self, version: int) -> str:
        for address in self.addresses:
            if address.version == version:
                return str(address.ip)
        raise LabError(f"{self.name} of host {self.host.name!r} has no IPv{version} address")

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
        a.host.ip(f"{ends} netns {b.host.netns}", *a.commands())
        b.host.ip(*b.commands())
        self._settle()

    @property
    def mtu(self) -> int:
        """The largest IP packet that passes, in bytes."""
        return min(self.a.mtu, self.b.mtu)

    def set_mtu(self, mtu: int) -> Fault:
        """Changes the largest IP packet that passes, on both ends.

        IPv6 cannot live on a link below 1280: its addresses and routes go, and come back later.
        """
        before = self.mtu
        for end in self._ends:
            end.mtu = mtu
            end.host.ip(f"link set {end.name} mtu {mtu}")
        if before < IPV6_MINIMUM_MTU <= mtu:
            self._restore()
        return Fault(f"MTU {mtu} on {self}", lambda: self.set_mtu(before))

    def set_loss(self, share: float) -> Fault:
        """Loses IP packets at random, in each direction.

        Args:
            share: from 0 (none) to 1 (all). A super-packet of TSO or GSO is lost as a whole.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"loss must be between 0 and 1, not {share}")
        before, self._loss = self._loss, share
        for end in self._ends:
            end.host.nft(_loss_rules(end.name, share))
        return Fault(f"{share:.1%} loss on {self}", lambda: self.set_loss(before))

    def set_rate(self, bits_per_second: float | None) -> Fault:
        """Limits each direction to a rate; ``None`` takes the limit away.

        Raises:
            LabError: the kernel has no token bucket filter.
        """
        before, self._rate = self._rate, bits_per_second
        for end in self._ends:
            _limit(end, bits_per_second)
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
        router.ip(f"link add {name} type bridge mcast_snooping 0", *self.interface.commands())

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
        """
        versions = sorted({at.version for at in self.interface.addresses})
        given = addresses or [self.free_address(version) for version in versions]
        inside = Interface(host, device, given, mtu)
        self._taken.update(at.ip for at in inside.addresses)
        self._ports += 1
        port = Interface(self.router, f"{self.interface.name}p{self._ports}", (), mtu)
        link = Link(inside, port)
        self.router.ip(f"link set {port.name} master {self.interface.name}")
        self.interface.settle()
        for own in self.interface.addresses if gateway else ():
            if any(own.version == at.version for at in inside.usable_addresses):
                host.add_route("default", via=str(own.ip))
        return link

    def free_address(self, version: int = 4) -> str:
        """Takes the next free address, with prefix length; nobody else will be given it.

        Raises:
            ConfigError: the bridge has no address of that IP version, and so no network.
            LabError: the network is used up.
        """
        own = next((at for at in self.interface.addresses if at.version == version), None)
        if own is None:
            raise ConfigError(f"{self.interface.name} of {self.router.name!r} has no IPv{version}")
        free = next((at for at in own.network.hosts() if at not in self._taken), None)
        if free is None:
            raise LabError(f"no address of {own.network} is left")
        self._taken.add(free)
        return f"{free}/{own.network.prefixlen}"

    def __repr__(self) -> str:
        return f"<Bridge {self.interface} of {self.router.name}>"


def _free_name(host: Host) -> str:
    return next(name for n in range(1000) if (name := f"eth{n}") not in host.interfaces)


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
        run_program([*qdisc, "del", "dev", end.name, "root"], tolerate_failure=True)
        if rate is None:
            return
        burst = max(_SMALLEST_BURST_BYTES, round(rate / 8 * _BURST_SECONDS))
        bucket = ["tbf", "rate", f"{round(rate)}bit", "burst", f"{burst}b", "latency", _QUEUE]
        try:
            run_program([*qdisc, "add", "dev", end.name, "root", *bucket])
        except LabError as refusal:
            raise LabError(
                refusal.message,
                hint="rate limits need the kernel module sch_tbf (CONFIG_NET_SCH_TBF)",
            ) from refusal
