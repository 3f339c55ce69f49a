"""The lab: what builds namespaces, joins them, and takes all of it away again."""

from __future__ import annotations

import atexit
import functools
import ipaddress
import itertools
import logging
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from meshvpn._closing import Closing
from meshvpn._values import bounded
from meshvpn.errors import ConfigError, LabError
from meshvpn.lab.addresses import parse_addresses, parse_network
from meshvpn.lab.host import Host
from meshvpn.lab.link import Bridge, Link, check_loss, check_rate
from meshvpn.lab.nat import Nat, check_nat
from meshvpn.lab.ownership import namespace_prefix, reap, remove_namespaces, start_janitor
from meshvpn.lab.programs import run_program
from meshvpn.lab.rootless import enter_user_namespace
from meshvpn.lab.router import Router
from meshvpn.lab.sites import Home, NarrowPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.lab.addresses import Addresses

__all__ = ["Lab"]

_log = logging.getLogger(__name__)
_numbers = itertools.count(1)
_HostT = TypeVar("_HostT", bound=Host)

# Part of a file name, and short enough to read in `ip netns list`.
_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

# RFC 5737 and RFC 3849, reserved for documentation.
_PUBLIC_IPV4 = "203.0.113.0/24"
_PUBLIC_IPV6_GATEWAY = "2001:db8::fe/64"

# Most homes of the world have this very network, so those of the lab have it too.
_HOME_LAN = "192.168.1.1/24"

# RFC 6598, shared address space between a carrier and its subscribers.
_CARRIER_LAN = "100.64.0.1/10"

# A /24 without the router's address and the two that are nobody's.
_MOST_HOSTS_AT_HOME = 253

_NARROWEST_PUBLIC = 29


class Lab(Closing):
    """A network of its own inside this machine, for a test or an experiment.

    It needs root; without, the process becomes root of a user namespace (see
    :func:`enter_user_namespace`). Use it in a ``with``, or call :meth:`close`.

    Attributes:
        hosts: every host and router by name, in the order in which they came.

    Args:
        public: the IPv4 network of :attr:`public`. Programs that refuse reserved addresses (a port
            mapping daemon on its outer side) want a routable one, which nobody outside will see.

    Raises:
        ConfigError: ``public`` is no IPv4 network, or has no room.
        PermissionDeniedError: neither root nor user namespaces can be had.
        MissingProgramError: ``ip`` is not installed.
        LabError: a user namespace is needed and the process has several threads.
    """

    def __init__(self, *, public: str = _PUBLIC_IPV4) -> None:
        self.hosts: dict[str, Host] = {}
        self._public_network = _parse_public(public)
        self._owner = os.getpid()
        self._closed = False
        self._home_numbers = itertools.count(1)
        enter_user_namespace()
        for leftover in reap():
            _log.warning("removed the lab that process %d left behind", leftover.process)
        start_janitor()
        self._prefix = namespace_prefix(next(_numbers))
        self._namespaces: list[str] = []
        atexit.register(self.close)

    # --- machines ---

    def host(self, name: str) -> Host:
        """Adds a host, called ``name`` within the lab (small letters, digits and hyphens).

        Raises:
            ConfigError: the name cannot be used or is taken.
        """
        return self._add(name, Host)

    def router(self, name: str) -> Router:
        """Adds a host that forwards between its links; see :meth:`Router.nat`."""
        return self._add(name, Router)

    # --- cables ---

    def link(
        self,
        a: Host,
        b: Host,
        a_addresses: Addresses = (),
        b_addresses: Addresses = (),
        *,
        mtu: int = 1500,
        rate: float | None = None,
        loss: float = 0.0,
        devices: tuple[str | None, str | None] = (None, None),
    ) -> Link:
        """Joins two hosts by a cable that is up at once.

        Args:
            a: first host.
            b: second host.
            a_addresses: addresses with prefix length at ``a``, IPv4 and IPv6.
            b_addresses: the same at ``b``.
            mtu: largest IP packet in bytes; under 1280 the IPv6 addresses stay away.
            rate: bits per second in each direction.
            loss: share of lost packets in each direction, from 0 to 1.
            devices: what the devices are called; by default the next free ``ethN``.

        Raises:
            ConfigError: a value cannot be used; nothing was changed.
            LabError: the kernel refused something; nothing is left of the link.
        """
        check_rate(rate)
        check_loss(loss)
        link = Link.between(a, b, a_addresses, b_addresses, mtu=mtu, devices=devices)
        try:
            if rate is not None:
                link.set_rate(rate)
            if loss:
                link.set_loss(loss)
        except BaseException:
            link.remove()
            raise
        return link

    def bridge(self, name: str, addresses: Addresses = ()) -> Bridge:
        """Adds an Ethernet switch; with ``addresses`` it is a router for whoever is attached."""
        with self._all_or_nothing():
            return self.router(name).bridge("br0", addresses)

    # --- ready-made networks ---

    @functools.cached_property
    def public(self) -> Bridge:
        """The public network: where servers are attached, and homes by their routers.

        By default 203.0.113.0/24 and 2001:db8::/64; made when first asked for.
        """
        gateway = f"{self._public_network[-2]}/{self._public_network.prefixlen}"
        return self.bridge("public", [gateway, _PUBLIC_IPV6_GATEWAY])

    def server(self, name: str, *, addresses: int = 1) -> Host:
        """Adds a host to the public network, with as many IPv4 addresses as asked for.

        A STUN server that tells what a NAT does needs two.

        Raises:
            ConfigError: the name cannot be used or is taken, or no address is asked for.
            LabError: the public network has not as many free ones.
        """
        bounded("addresses", addresses, 1, self._public_network.num_addresses)
        public = self.public
        with self._all_or_nothing():
            host = self.host(name)
            public.attach(host, [*public.free_addresses(addresses, 4), public.free_address(6)])
        return host

    def home(
        self,
        name: str,
        *,
        nat: Nat = Nat.PORT_RESTRICTED,
        hosts: int = 1,
        upstream: Home | Bridge | None = None,
        lan: str | None = None,
        ipv6: bool = False,
    ) -> Home:
        """Adds hosts behind a router that is attached to the public network.

        A NAT with particular settings is given to the home afterwards:
        ``home.router.nat(Nat.SYMMETRIC_SEQUENTIAL, step=2)``.

        Args:
            name: of the home and its first host; the router is ``<name>-router``.
            nat: what the router does. ``Nat.CGNAT`` puts a carrier of its own behind the home;
                homes that share one are given ``upstream=carrier`` instead.
            hosts: how many.
            upstream: a carrier (or any home's router) or a bridge that it is attached to; by
                default :attr:`public`.
            lan: the router's address inside; by default 192.168.1.1/24 in every home, and of
                ``Nat.OPEN`` a network of 198.18.0.0/15 that the public network routes.
            ipv6: also give it an IPv6 network, with a firewall as the NAT's but no translation.

        Raises:
            ConfigError: a value cannot be used, the name is taken, IPv6 is asked for where
                ``upstream`` has none, or there is an ``upstream`` besides the carrier of
                ``Nat.CGNAT``. Nothing is left of the home then.
        """
        check_nat(nat)
        bounded("hosts", hosts, 1, _MOST_HOSTS_AT_HOME)
        if nat is Nat.CGNAT and upstream is not None:
            raise ConfigError("Nat.CGNAT brings its own carrier: it takes no upstream")
        if upstream is None:
            upstream = self.public
        with self._all_or_nothing():
            if nat is Nat.CGNAT:
                upstream = self.carrier(f"{name}-carrier")
            return self._furnished_home(name, nat, hosts, upstream, lan, ipv6=ipv6)

    def carrier(self, name: str, *, nat: Nat = Nat.CGNAT) -> Home:
        """Adds a carrier: a NAT with 100.64.0.0/10 inside, to which homes are attached."""
        check_nat(nat)
        public = self.public
        with self._all_or_nothing():
            carrier = self._site(name, name, nat, outside=public, inside=[_CARRIER_LAN])
            carrier.router.nat(nat)
        return carrier

    def narrow_path(self, mtu: int = 1280, *, outer_mtu: int = 1500) -> NarrowPath:
        """Two hosts whose path is narrower in the middle than either of them can see.

        Args:
            mtu: of the middle, in bytes; under 1280 it carries no IPv6.
            outer_mtu: of the two other links.

        Raises:
            ConfigError: the kernel knows no such MTU, or there are hosts ``a``, ``b``, ``left`` or
                ``right`` already.
        """
        with self._all_or_nothing():
            return self._narrow_path(mtu, outer_mtu)

    # --- the end ---

    def close(self) -> None:
        """Ends every program of the lab and removes every namespace; later calls do nothing."""
        # A forked child has a copy of this object, but the lab is its parent's.
        if self._closed or os.getpid() != self._owner:
            return
        self._closed = True
        atexit.unregister(self.close)
        for host in self.hosts.values():
            host.stop_processes()
        remove_namespaces(self._namespaces)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self.hosts)} hosts"
        return f"<Lab {self._prefix.rstrip('-')}: {state}>"

    def __str__(self) -> str:
        """A line for each host, with its devices and addresses."""
        return "\n".join([repr(self), *(f"  {host!r}" for host in self.hosts.values())])

    def _narrow_path(self, mtu: int, outer_mtu: int) -> NarrowPath:
        a, left, right, b = (
            self.host("a"),
            self.router("left"),
            self.router("right"),
            self.host("b"),
        )
        self.link(a, left, *_both_ends(1, first=2, second=1), mtu=outer_mtu)
        middle = self.link(left, right, *_both_ends(2, first=1, second=2), mtu=outer_mtu)
        self.link(right, b, *_both_ends(3, first=1, second=2), mtu=outer_mtu)
        for host, network, gateway in ((a, 1, 1), (left, 2, 2), (right, 2, 1), (b, 3, 1)):
            host.add_route("default", via=f"10.{network}.0.{gateway}")
            host.add_route("default", via=f"fd00:{network}::{gateway}")
        middle.set_mtu(mtu)
        return NarrowPath(a, b, left, right, middle)

    def _furnished_home(
        self,
        name: str,
        nat: Nat,
        hosts: int,
        upstream: Home | Bridge,
        lan: str | None,
        *,
        ipv6: bool,
    ) -> Home:
        carrier = upstream if isinstance(upstream, Home) else None
        outside = upstream.lan if isinstance(upstream, Home) else upstream
        number = next(self._home_numbers)
        inside = [lan or (f"198.18.{number}.1/24" if nat is Nat.OPEN else _HOME_LAN)]
        if ipv6:
            inside.append(f"2001:db8:0:{number:x}::1/64")
        home = self._site(
            name, f"{name}-router", nat, outside=outside, inside=inside, carrier=carrier
        )
        home.router.nat(Nat.PORT_RESTRICTED if nat is Nat.CGNAT else nat)
        for _ in range(hosts):
            home.add_host()
        # Last, since a route at the outside would not go with the home if that failed.
        for at in home.lan.interface.addresses:
            if at.version == 6 or nat is Nat.OPEN:
                gateway = home.wan.a.ipv6 if at.version == 6 else home.wan.a.ipv4
                outside.router.add_route(str(at.network), via=gateway)
        return home

    def _site(
        self,
        name: str,
        router_name: str,
        nat: Nat,
        *,
        outside: Bridge,
        inside: list[str],
        carrier: Home | None = None,
    ) -> Home:
        """A home with nobody in it, whose router does not translate yet."""
        versions = sorted({at.version for at in parse_addresses(inside)})
        router = self.router(router_name)
        wan = outside.attach(
            router, [outside.free_address(version) for version in versions], device="wan0"
        )
        return Home(name, nat, router, router.bridge("lan0", inside), wan, carrier, self._add_to)

    def _add_to(self, bridge: Bridge, name: str) -> Host:
        with self._all_or_nothing():
            host = self.host(name)
            bridge.attach(host)
        return host

    def _add(self, name: str, kind: type[_HostT]) -> _HostT:
        if self._closed:
            raise LabError("the lab is closed")
        if not _HOST_NAME.fullmatch(name):
            raise ConfigError(
                f"not a host name: {name!r}", hint="use up to 32 small letters, digits and hyphens"
            )
        if name in self.hosts:
            raise ConfigError(f"the lab already has a host {name!r}")
        netns = f"{self._prefix}{name}"
        self._namespaces.append(netns)
        run_program(["ip", "netns", "add", netns])
        try:
            host = kind(name, netns)
        except BaseException:
            remove_namespaces([netns])
            raise
        self.hosts[name] = host
        return host

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Takes the hosts that the body has added away again, with their links, if it fails."""
        before = set(self.hosts)
        try:
            yield
        except BaseException:
            self._remove([host for name, host in self.hosts.items() if name not in before])
            raise

    def _remove(self, hosts: list[Host]) -> None:
        for host in hosts:
            host.stop_processes()
            for device in host.interfaces.values():
                if device.peer is not None and device.peer.host not in hosts:
                    device.peer.host.forget(device.peer)
            del self.hosts[host.name]
        remove_namespaces(host.netns for host in hosts)


def _parse_public(text: str) -> ipaddress.IPv4Network:
    network = parse_network("public", text, version=4)
    if not isinstance(network, ipaddress.IPv4Network) or network.prefixlen > _NARROWEST_PUBLIC:
        raise ConfigError(f"public: {text!r} has no room for a gateway and others")
    return network


def _both_ends(network: int, *, first: int, second: int) -> tuple[list[str], list[str]]:
    ends = [[f"10.{network}.0.{at}/24", f"fd00:{network}::{at}/64"] for at in (first, second)]
    return ends[0], ends[1]
