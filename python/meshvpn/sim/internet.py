"""The simulated internet and what is in it: hosts, homes, carriers, sockets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshvpn import _meshvpn
from meshvpn._values import LARGEST_MTU, LARGEST_PORT, bounded, timeout_seconds, utf8
from meshvpn.errors import ConfigError
from meshvpn.lab.nat import Nat, check_nat
from meshvpn.sim.values import Datagram, NatReport

if TYPE_CHECKING:
    import os

__all__ = ["Carrier", "Conditions", "Home", "Host", "Internet", "NatMapping", "Socket"]

_LARGEST_SEED = 2**64 - 1
_LARGEST_QUEUE = 2**40
_LARGEST_RATE = 2**50
_LARGEST_HOPS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a link does to packets, in each direction. The default is a perfect one."""

    latency: float = 0.0
    """Seconds from one end to the other."""
    jitter: float = 0.0
    """Up to so many seconds more, evenly spread."""
    loss: float = 0.0
    """Probability of being lost."""
    reordering: float = 0.0
    """Probability of being overtaken by others."""
    repetition: float = 0.0
    """Probability of arriving twice."""
    rate: int | None = None
    """Bits a second; ``None`` is without limit."""
    queue: int = 256 * 1024
    """Bytes that wait for their turn at most."""
    mtu: int = 1500
    """Longest IP packet, in bytes."""

    def __post_init__(self) -> None:
        for name in ("latency", "jitter"):
            timeout_seconds(getattr(self, name), name)
        for name in ("loss", "reordering", "repetition"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}: {value} is no probability", hint="give 0 to 1")
        if self.rate is not None:
            bounded("rate", self.rate, 1, _LARGEST_RATE)
        bounded("queue", self.queue, 0, _LARGEST_QUEUE)
        bounded("mtu", self.mtu, 1, LARGEST_MTU)

    def _engine(self) -> _meshvpn.SimConditions:
        return _meshvpn.SimConditions(
            latency=self.latency,
            jitter=self.jitter,
            loss=self.loss,
            reordering=self.reordering,
            repetition=self.repetition,
            rate=self.rate,
            queue=self.queue,
            mtu=self.mtu,
        )


PERFECT = Conditions()
LINE = Conditions(latency=0.01)


class Internet:
    """An internet, empty at first, of which everything follows from the seed.

    Args:
        seed: any number from 0 to 2⁶⁴ − 1.
    """

    def __init__(self, seed: int = 0) -> None:
        self._net = _meshvpn.SimInternet(bounded("seed", seed, 0, _LARGEST_SEED))
        self._names: set[str] = set()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._net.now()

    @property
    def log(self) -> str:
        """What has happened so far, a line for each event."""
        return self._net.log()

    @property
    def digest(self) -> str:
        """BLAKE2s-256 of the log, in hex: two runs with the same one went the same way."""
        return self._net.digest()

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        self._net.run(timeout_seconds(seconds, "seconds"))

    def host(self, name: str, *, addresses: int = 1, conditions: Conditions = LINE) -> Host:
        """A host with public addresses, so many of IPv4 and as many of IPv6.

        Raises:
            ConfigError: the name is taken, or a number cannot be used.
        """
        count = bounded("addresses", addresses, 1, 16)
        name = self._take(name)
        return Host(self._net, name, self._net.public_host(name, count, conditions._engine()))

    def home(
        self,
        name: str,
        *,
        nat: Nat = Nat.PORT_RESTRICTED,
        ipv6: bool = False,
        carrier: Carrier | None = None,
        conditions: Conditions = LINE,
    ) -> Home:
        """A home behind a NAT, with a first host of the same name.

        Args:
            name: of the home.
            nat: what stands between it and the rest.
            ipv6: its hosts have IPv6 as well, behind a firewall that lets answers in.
            carrier: whose subscriber it is; its NAT comes on top of the home's own.
            conditions: of the home's line.

        Raises:
            ConfigError: the name is taken, or the home cannot be so.
        """
        check_nat(nat)
        if carrier is not None and ipv6:
            raise ConfigError(
                "ipv6: carriers here have IPv4 alone", hint="leave ipv6 or carrier out"
            )
        name = self._take(name)
        ours = carrier._carrier if carrier else None
        made = self._net.home(name, nat.value, conditions._engine(), ipv6, ours)
        return Home(self, name, nat, *made)

    def carrier(
        self,
        name: str,
        *,
        nat: Nat = Nat.CGNAT,
        hairpin: bool = True,
        conditions: Conditions = PERFECT,
    ) -> Carrier:
        """A carrier, whose subscribers share an address.

        Args:
            name: of the carrier.
            nat: what its NAT does; :attr:`Nat.CGNAT` maps independently of the endpoint and gives
                each subscriber a block of ports.
            hairpin: its subscribers reach each other.
            conditions: of its line.

        Raises:
            ConfigError: the name is taken.
        """
        check_nat(nat)
        name = self._take(name)
        made = self._net.carrier(name, nat.value, hairpin, conditions._engine())
        return Carrier(name, made)

    def stun_server(self, name: str = "stun", *, conditions: Conditions = LINE) -> str:
        """Starts a STUN server with two addresses and two ports; returns the first of them.

        Raises:
            ConfigError: the name is taken.
        """
        host = self.host(name, addresses=2, conditions=conditions)
        return self._net.start_stun(host._host)

    def discover(self, host: Host, *servers: str) -> NatReport:
        """Finds out what the NAT before a host does; takes some seconds of virtual time.

        Raises:
            ConfigError: no servers, or something else than an address and port.
        """
        if not servers:
            raise ConfigError("servers: there are none", hint="give stun_server()'s result")
        report = self._net.discover(host._host, [utf8("server", server) for server in servers])
        assert report is not None, "a discovery ends by itself"
        return NatReport._of(report)

    def capture(self, *places: Host | Home) -> None:
        """Watches hosts, or both sides of homes' routers, from now on."""
        for place in places:
            if isinstance(place, Host):
                self._net.capture_host(place._host)
            else:
                self._net.capture_routers(place._home)

    def pcapng(self) -> bytes:
        """What was captured, as a file for Wireshark."""
        return self._net.pcapng()

    def write_pcapng(self, file: str | os.PathLike[str]) -> None:
        """Writes what was captured into a file.

        Raises:
            OSError: it cannot be written.
        """
        Path(file).write_bytes(self.pcapng())

    def __repr__(self) -> str:
        return f"<Internet at {self.now:.3f} s, digest {self.digest[:8]}>"

    def _take(self, name: str) -> str:
        name = utf8("name", name)
        if name in self._names or not name.isprintable() or not name:
            reason = "is taken" if name in self._names else "cannot be shown"
            raise ConfigError(f"name: {name!r} {reason}", hint="choose another one")
        self._names.add(name)
        return name


class Host:
    """A host. Made by :meth:`Internet.host`, :meth:`Internet.home` and :meth:`Home.add_host`."""

    def __init__(self, net: _meshvpn.SimInternet, name: str, host: _meshvpn.SimHost) -> None:
        self._net = net
        self._host = host
        self.name = name

    @property
    def addresses(self) -> list[str]:
        """Its addresses at the moment."""
        return self._net.addresses(self._host)

    def socket(self, port: int = 0) -> Socket:
        """Opens a UDP socket; port 0 is any.

        Raises:
            ConfigError: the port is in use on this host.
        """
        number = bounded("port", port, 0, LARGEST_PORT)
        return Socket(self._net, self._net.open(self._host, number))

    def set_conditions(self, conditions: Conditions) -> None:
        """Changes what its link does to packets."""
        self._net.set_host_conditions(self._host, conditions._engine())

    def disconnect(self) -> None:
        """Takes its link down."""
        self._net.set_link(self._host, False)

    def reconnect(self) -> None:
        """Takes its link up again."""
        self._net.set_link(self._host, True)

    def move(self, home: Home | None) -> None:
        """Moves to a home's network, or with ``None`` to the public one; its sockets stay open."""
        self._net.move_host(self._host, home._home if home else None)

    def __repr__(self) -> str:
        return f"<Host {self.name}: {', '.join(self.addresses)}>"


@dataclass(frozen=True, slots=True)
class NatMapping:
    """A mapping of a NAT."""

    inner: str
    """The socket inside: address and port."""
    outer: str
    """What it is outside."""
    remotes: tuple[str, ...]
    """Whom it has exchanged packets with lately."""


class Home:
    """A network behind a router. Made by :meth:`Internet.home`.

    Attributes:
        name: of the home and its first host.
        nat: what stands between it and the rest.
        host: the first host.
    """

    def __init__(
        self,
        internet: Internet,
        name: str,
        nat: Nat,
        home: _meshvpn.SimHome,
        host: _meshvpn.SimHost,
    ) -> None:
        self._internet = internet
        self._net = internet._net
        self._home = home
        self.name = name
        self.nat = nat
        self.host = Host(self._net, name, host)

    def add_host(self, name: str) -> Host:
        """Brings one more host home.

        Raises:
            ConfigError: the name is taken.
        """
        name = self._internet._take(name)
        return Host(self._net, name, self._net.add_host(self._home, name))

    def mappings(self) -> list[NatMapping]:
        """What the home's own router has in its table, oldest first."""
        return [
            NatMapping(inner, outer, tuple(remotes))
            for inner, outer, remotes in self._net.mappings(self._home)
        ]

    def reboot(self) -> None:
        """Its router loses all mappings, as when the power was off."""
        self._net.reboot(self._home)

    def change_address(self) -> None:
        """Its provider gives the router another address.

        Raises:
            ConfigError: it has no address of its own: no router, or a carrier's.
        """
        if not self._net.change_address(self._home):
            raise ConfigError(f"{self.name} has no address of its own", hint="choose another home")

    def set_conditions(self, conditions: Conditions) -> None:
        """Changes what its line does to packets."""
        self._net.set_home_conditions(self._home, conditions._engine())

    def __repr__(self) -> str:
        return f"<Home {self.name}: {self.nat.value}>"


class Carrier:
    """A carrier. Made by :meth:`Internet.carrier`; its subscribers by :meth:`Internet.home`."""

    def __init__(self, name: str, carrier: _meshvpn.SimCarrier) -> None:
        self._carrier = carrier
        self.name = name

    def __repr__(self) -> str:
        return f"<Carrier {self.name}>"


class Socket:
    """A UDP socket of a simulated host. Made by :meth:`Host.socket`."""

    def __init__(self, net: _meshvpn.SimInternet, socket: _meshvpn.SimSocket) -> None:
        self._net = net
        self._socket = socket

    @property
    def address(self) -> str:
        """Its local address and port; of IPv4 if the host has one.

        Raises:
            ConfigError: the host has no address at the moment, or the socket is closed.
        """
        address = self._net.local_address(self._socket)
        if address is None:
            raise ConfigError("the socket has no address", hint="it is closed, or its link is down")
        return address

    def send(self, data: bytes, address: str, *, hops: int | None = None) -> None:
        """Sends a datagram; it travels when the internet runs.

        Args:
            data: the payload.
            address: where to: ``"198.18.0.1:3478"`` or ``"[2001:db8::1]:3478"``.
            hops: how many hops it may take (TTL); by default as many as it needs.

        Raises:
            ConfigError: what is no address.
        """
        limit = None if hops is None else bounded("hops", hops, 1, _LARGEST_HOPS)
        self._net.send(self._socket, data, utf8("address", address), limit)

    def receive(self) -> list[Datagram]:
        """What has come since the last call."""
        return [Datagram(*received) for received in self._net.receive(self._socket)]

    def close(self) -> None:
        """Closes it. Calling it again does nothing."""
        self._net.close(self._socket)

    def __repr__(self) -> str:
        return f"<Socket {self._net.local_address(self._socket) or 'without address'}>"
