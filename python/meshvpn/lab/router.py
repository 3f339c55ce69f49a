"""A router of the lab: a host that forwards, translates, and can be made to misbehave."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from meshvpn._values import LARGEST_PORT, bounded
from meshvpn.errors import ConfigError
from meshvpn.lab import kernel, rulesets
from meshvpn.lab.addresses import Addresses, InterfaceAddress, first_address, parse_addresses
from meshvpn.lab.fault import Fault
from meshvpn.lab.host import Host
from meshvpn.lab.link import Bridge, Interface
from meshvpn.lab.nat import Nat, check_nat
from meshvpn.lab.rulesets import NatSettings

__all__ = ["Router"]

# Redirects would teach hosts ways around the router under test.
_ROUTER_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/ipv6/conf/all/forwarding": "1",
}

# With these at 1 (the module's default) packets *inside* a bridge pass the router's rules as well,
# which breaks hairpins. The switches exist only where the module br_netfilter is loaded.
_BRIDGE_SWITCHES = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")

# Linux's own values: an unanswered datagram, and a stream (both ways for more than two seconds).
_UDP_TIMEOUT = "net/netfilter/nf_conntrack_udp_timeout"
_UDP_STREAM_TIMEOUT = "net/netfilter/nf_conntrack_udp_timeout_stream"

# The kernel keeps these two in an int of ticks, of which it has up to a thousand a second.
_LONGEST_TIMEOUT_S = (2**31 - 1) // 1000

_BLOCK_UDP = """
table inet block_udp {
  chain forward { type filter hook forward priority filter - 10; meta l4proto udp drop; }
}
"""

# Before connection tracking sees a packet.
_BLOCK_ALL = """
table inet block_all {
  chain everything { type filter hook prerouting priority raw; policy drop; }
}
"""

# The errors of RFC 792 and RFC 4443. Echo still passes, and so does IPv6 neighbour discovery.
_BLOCK_ICMP = """
table inet block_icmp {
  chain errors {
    icmp type { destination-unreachable, time-exceeded, parameter-problem } drop
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } drop
  }
  chain output { type filter hook output priority filter - 10; jump errors; }
  chain forward { type filter hook forward priority filter - 10; jump errors; }
}
"""


class Router(Host):
    """A host that forwards between its links. Made by :meth:`Lab.router`."""

    def __init__(self, name: str, netns: str) -> None:
        super().__init__(name, netns)
        self._settings: NatSettings | None = None
        self.sysctl(_ROUTER_SYSCTLS)
        with self.enter():
            switches = [switch for switch in _BRIDGE_SWITCHES if Path("/proc/sys", switch).exists()]
        self.sysctl(dict.fromkeys(switches, "0"))

    def bridge(self, name: str, addresses: Addresses = ()) -> Bridge:
        """Builds a switch into the router, whose gateway it is at ``addresses``."""
        return Bridge(self, name, addresses)

    def nat(
        self,
        nat: Nat,
        *,
        wan: str = "wan0",
        lan: str = "lan0",
        ports: range | None = None,
        step: int = 1,
        timeout: int = 300,
        tcp_like_udp: bool = False,
    ) -> None:
        """Makes the router a NAT; a second call replaces the first and forgets every mapping.

        Args:
            nat: which kind. ``Nat.CGNAT`` means the carrier's half of it.
            wan: device towards the public network; its first IPv4 address is the outer one.
            lan: device towards the inside.
            ports: outer ports to choose from, of the kinds with random ports (all above 1023 by
                default); of the carrier: the first subscriber's block, the next ones follow.
            step: by how much ``Nat.SYMMETRIC_SEQUENTIAL`` counts; negative counts downwards.
            timeout: seconds after which an unused endpoint-independent mapping is forgotten.
            tcp_like_udp: map TCP by the same rules; otherwise TCP is plainly masqueraded.

        Raises:
            ConfigError: there is no such device, it has no IPv4 address, or a number cannot be
                used; the router stays what it was.
        """
        check_nat(nat)
        if step == 0:
            raise ConfigError("a sequential NAT must count: step is 0")
        bounded("step", step, -rulesets.LARGEST_STEP, rulesets.LARGEST_STEP)
        bounded("timeout", timeout, 1, _LONGEST_TIMEOUT_S)
        if ports is not None:
            _check_ports(ports)
        settings = NatSettings(
            nat,
            wan,
            lan,
            address=str(self._ipv4(wan).ip),
            inside=str(self._ipv4(lan).network),
            ports=ports,
            step=step,
            timeout=timeout,
            tcp_like_udp=tcp_like_udp,
        )
        self._start_anew(settings)
        self._settings = settings

    def reboot(self) -> None:
        """Forgets every mapping and connection, as when the NAT lost power for a moment."""
        self._start_anew(self._settings)

    def _start_anew(self, settings: NatSettings | None) -> None:
        """Loads rules that remember nothing, and forgets every connection."""
        # A packet of an old connection would teach the new rules its mapping before it goes.
        with self._block("all", _BLOCK_ALL):
            if settings is not None:
                self.nft(rulesets.render(settings))
            with self.enter():
                kernel.flush_conntrack()

    def set_udp_timeout(self, seconds: int, *, stream: int | None = None) -> None:
        """Sets how long the NAT remembers a silent UDP flow, and forgets every flow of now.

        Args:
            seconds: for a flow that is not a stream (and for every endpoint-independent mapping,
                if ``stream`` is not longer).
            stream: for a flow that has gone both ways for over two seconds; by default the same.

        Raises:
            ConfigError: one of them is outside what the kernel can count.
        """
        bounded("seconds", seconds, 1, _LONGEST_TIMEOUT_S)
        if stream is not None:
            bounded("stream", stream, 1, _LONGEST_TIMEOUT_S)
        longest = max(seconds, stream or seconds)
        self.sysctl({_UDP_TIMEOUT: str(seconds), _UDP_STREAM_TIMEOUT: str(stream or seconds)})
        if self._settings is not None:
            self._settings = dataclasses.replace(self._settings, timeout=longest)
        self.reboot()

    def renumber(self, address: str, *, device: str = "wan0") -> None:
        """Changes the outer IPv4 address, as when a provider gives another one.

        The network outside learns no new routes by it: without NAT, what is inside is cut off.

        Raises:
            ConfigError: it is not one IPv4 address with its prefix length, or the device has none.
        """
        interface = self._interface(device)
        (new,) = parse_addresses([address])
        if new.version != 4:
            raise ConfigError(f"not an IPv4 address: {address!r}")
        old = self._ipv4(device)
        interface.addresses[interface.addresses.index(old)] = new
        self.ip(f"address del {old} dev {device}")
        self.restore()
        if self._settings is not None and self._settings.wan == device:
            self._settings = dataclasses.replace(self._settings, address=str(new.ip))
        self.reboot()

    def block_udp(self) -> Fault:
        """Forwards no UDP any more, in neither direction and for both IP versions."""
        return self._block("udp", _BLOCK_UDP)

    def block_icmp(self) -> Fault:
        """Says nothing about packets that cannot go on: a path MTU must be found by probing.

        ICMP errors, "packet too big" with them, are neither made nor forwarded; echo passes.
        """
        return self._block("icmp", _BLOCK_ICMP)

    def _block(self, what: str, rules: str) -> Fault:
        # Made before it is removed, so that it does not matter whether it was there.
        gone = f"table inet block_{what}\ndelete table inet block_{what}\n"
        self.nft(f"{gone}{rules}")
        return Fault(f"{what} blocked on {self.name}", lambda: self.nft(gone))

    def _interface(self, device: str) -> Interface:
        if device not in self.interfaces:
            known = ", ".join(self.interfaces) or "none"
            raise ConfigError(f"router {self.name!r} has no device {device!r} (it has: {known})")
        return self.interfaces[device]

    def _ipv4(self, device: str) -> InterfaceAddress:
        address = first_address(self._interface(device).addresses, 4)
        if address is None:
            raise ConfigError(f"{device} of router {self.name!r} has no IPv4 address")
        return address


def _check_ports(ports: range) -> None:
    if not ports or ports.step != 1 or ports[0] < 1 or ports[-1] > LARGEST_PORT:
        raise ConfigError(f"ports: {ports} is not a range of ports", hint="as in range(2048, 3072)")
