"""The nftables rules behind each :class:`~meshvpn.lab.Nat`, as text that can be read and tried.

Measured on Linux 6.18 with nft 1.0.6. ``$wan`` and ``$lan`` are device names, ``$address`` the
router's outer address, ``$proto`` udp or tcp, ``$timeout`` the life of a mapping in seconds.
A ruleset is put together from three layers:

**Firewall.** ``drop new`` on *input* matters as much as on *forward*: a router that takes a stray
datagram itself makes a confirmed conntrack entry of it, and the home's later datagram to that peer
clashes with the entry and gets another outer port (:attr:`Nat.HOSTILE_CONE` is exactly that).

**Mapping**, one table per protocol. Linux has no endpoint-independent mapping with random ports, so
two maps remember it: ``eim`` (inner endpoint → outer endpoint) and ``rev`` (outer port → inner
endpoint). The chain ``learn`` runs after source NAT, when ``ct reply proto-dst`` is the port that
the kernel really chose, and refreshes the entries with every outbound packet (RFC 4787, REQ-6).

**Rest.** What is not mapped by then (ICMP, and TCP unless asked) is plainly masqueraded.

Two traps of nft 1.0.6: a ``}`` on the same line wants a ``;`` before it, and ``numgen … offset``
straight into a port is byte-swapped, hence the explicit map of the sequential NAT.
"""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass
from string import Template

from meshvpn.lab.nat import Nat

__all__ = ["DEFAULT_BLOCK", "LARGEST_STEP", "NatSettings", "render"]

# RFC 7422 gives each subscriber a fixed block; 1024 ports is what carriers commonly sell.
DEFAULT_BLOCK = range(2048, 3072)

# The sequential NAT's counter: no test wraps around it, and it still loads within 20 ms.
_SEQUENCE_FIRST_PORT = 20000
_SEQUENCE_LENGTH = 4096

LARGEST_STEP = (65535 - _SEQUENCE_FIRST_PORT) // (_SEQUENCE_LENGTH - 1)
"""By how much the sequential NAT can count at most before its ports run out."""


@dataclass(frozen=True, slots=True)
class NatSettings:
    """Everything that a ruleset depends on.

    Attributes:
        nat: the kind.
        wan: device towards the public network.
        lan: device (usually a bridge) towards the inside.
        address: outer IPv4 address.
        inside: inner IPv4 network, whose hosts are a carrier's subscribers.
        ports: outer ports to choose from; ``None`` means all above 1023.
        step: by how much the sequential NAT counts; negative counts downwards.
        timeout: seconds after which an unused mapping is forgotten.
        tcp_like_udp: TCP is mapped and filtered by the same rules as UDP.
    """

    nat: Nat
    wan: str
    lan: str
    address: str
    inside: str
    ports: range | None = None
    step: int = 1
    timeout: int = 300
    tcp_like_udp: bool = False


def render(settings: NatSettings) -> str:
    """The whole ruleset of a router; it replaces an earlier one in one transaction."""
    nat = settings.nat
    protocols = ("udp", "tcp") if settings.tcp_like_udp else ("udp",)
    mappings = [(_MAPPINGS[nat], protocol) for protocol in protocols if nat in _MAPPINGS]
    rest = [] if nat is Nat.OPEN else [(_REST, "")]
    layers = [(_REPLACE, ""), (_FIREWALLS.get(nat, _CLOSED), ""), *mappings, *rest]
    return "".join(Template(text).substitute(_words(settings, proto)) for text, proto in layers)


_REPLACE = """
table inet firewall; delete table inet firewall
table ip nat_udp; delete table ip nat_udp
table ip nat_tcp; delete table ip nat_tcp
table ip nat; delete table ip nat
"""

_REST = """
table ip nat {
  chain post { type nat hook postrouting priority srcnat + 5; oifname "$wan" masquerade; }
}
"""

# --- firewalls ------------------------------------------------------------------------------------

_INPUT = """
  chain input {
    type filter hook input priority filter;
    meta l4proto icmpv6 accept
    iifname "$wan" ct state new drop
  }
"""

_CLOSED = f"""
table inet firewall {{ {_INPUT}
  chain forward {{
    type filter hook forward priority filter;
    meta l4proto icmpv6 accept
    iifname "$wan" ct state new drop
  }}
}}
"""

# What finds a mapped port has been translated by `rev` before it gets here.
_MAPPED_PORTS_OPEN = f"""
table inet firewall {{ {_INPUT}
  chain forward {{
    type filter hook forward priority filter;
    meta l4proto icmpv6 accept
    iifname "$wan" ct state new ct status dnat accept
    iifname "$wan" ct state new drop
  }}
}}
"""

_ROUTER_TAKES_STRAYS = """
table inet firewall {
  chain forward {
    type filter hook forward priority filter;
    meta l4proto icmpv6 accept
    iifname "$wan" ct state new drop
  }
}
"""

_ONLY_HTTPS_OUT = f"""
table inet firewall {{ {_INPUT}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    meta l4proto icmpv6 accept
    oifname "$wan" tcp dport 443 accept
    meta l4proto tcp reject with tcp reset
  }}
}}
"""

_NO_FIREWALL = "table inet firewall { }\n"

_FIREWALLS = {
    Nat.OPEN: _NO_FIREWALL,
    Nat.FULL_CONE: _MAPPED_PORTS_OPEN,
    Nat.HAIRPIN: _MAPPED_PORTS_OPEN,
    Nat.CGNAT: _MAPPED_PORTS_OPEN,
    Nat.ADDRESS_RESTRICTED: _MAPPED_PORTS_OPEN,
    Nat.HOSTILE_CONE: _ROUTER_TAKES_STRAYS,
    Nat.UDP_BLOCKED: _ONLY_HTTPS_OUT,
}

# --- endpoint-independent mapping -----------------------------------------------------------------

# `learn` also refreshes by the answers to a peer that came in through `rev`: they are outbound too.
_REMEMBER = """
  map eim {
    type ipv4_addr . inet_service : ipv4_addr . inet_service
    flags dynamic,timeout; timeout ${timeout}s; size 65536
  }
  map rev {
    type inet_service : ipv4_addr . inet_service
    flags dynamic,timeout; timeout ${timeout}s; size 65536
  }
  chain learn {
    type filter hook postrouting priority srcnat + 10;
    ct status snat meta l4proto $proto ct direction original \
update @eim { ct original ip saddr . ct original proto-src timeout ${timeout}s \
: ct reply ip daddr . ct reply proto-dst } \
update @rev { ct reply proto-dst timeout ${timeout}s \
: ct original ip saddr . ct original proto-src }
    ct status dnat meta l4proto $proto ct direction reply \
update @eim { ct reply ip saddr . ct reply proto-src timeout ${timeout}s \
: ct original ip daddr . ct original proto-dst } \
update @rev { ct original proto-dst timeout ${timeout}s \
: ct reply ip saddr . ct reply proto-src }
  }
"""

_TRANSLATE_OUT = """
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "$wan" meta l4proto $proto snat ip to ip saddr . $proto sport map @eim
    oifname "$wan" meta l4proto $proto snat ip to $address$ports fully-random
  }
"""

_TRANSLATE_IN = """
  chain in {
    type nat hook prerouting priority dstnat;
    iifname "$wan" meta l4proto $proto dnat ip to $proto dport map @rev
  }
"""

_REMAPPED = f"table ip nat_$proto {{ {_REMEMBER} {_TRANSLATE_OUT} }}\n"

_FULL_CONE = f"table ip nat_$proto {{ {_REMEMBER} {_TRANSLATE_OUT} {_TRANSLATE_IN} }}\n"

_ADDRESS_RESTRICTED = f"""
table ip nat_$proto {{ {_REMEMBER} {_TRANSLATE_OUT} {_TRANSLATE_IN}
  set seen {{
    type ipv4_addr . inet_service . ipv4_addr
    flags dynamic,timeout; timeout ${{timeout}}s; size 65536
  }}
  chain see {{
    type filter hook postrouting priority srcnat + 11;
    ct status snat meta l4proto $proto ct direction original \
update @seen {{ ct original ip saddr . ct original proto-src . ip daddr timeout ${{timeout}}s }}
  }}
  chain unseen {{
    type filter hook forward priority filter - 1;
    iifname "$wan" meta l4proto $proto ct state new ip daddr . $proto dport . ip saddr != @seen drop
  }}
}}
"""

# A packet from inside to an outer address is turned round, and leaves with an outer source.
_HAIRPIN = f"""
table ip nat_$proto {{ {_REMEMBER}
  chain in {{
    type nat hook prerouting priority dstnat;
    iifname "$wan" meta l4proto $proto dnat ip to $proto dport map @rev
    iifname "$lan" ip daddr $address meta l4proto $proto dnat ip to $proto dport map @rev
  }}
  chain out {{
    type nat hook postrouting priority srcnat;
    oifname "$wan" meta l4proto $proto jump translate
    iifname "$lan" oifname "$lan" ct status dnat meta l4proto $proto jump translate
  }}
  chain translate {{
    snat ip to ip saddr . $proto sport map @eim
    $blocks
    meta l4proto $proto snat ip to $address$ports fully-random
  }}
}}
"""

# --- other mappings -------------------------------------------------------------------------------

_LINUX = """
table ip nat_$proto {
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "$wan" meta l4proto $proto masquerade $to_ports
  }
}
"""

_RANDOM = """
table ip nat_$proto {
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "$wan" meta l4proto $proto masquerade $to_ports random,fully-random
  }
}
"""

_SEQUENTIAL = """
table ip nat_$proto {
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "$wan" meta l4proto $proto snat ip to $address : $next_port
  }
}
"""

# The hash is byte-swapped on its way into the port; it only has to stay the same.
_BY_ADDRESS = """
table ip nat_$proto {
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "$wan" meta l4proto $proto snat ip to $address : \
jhash ip saddr . $proto sport . ip daddr mod 40000 seed 0xdeadbeef offset 20000
  }
}
"""

_MAPPINGS = {
    Nat.FULL_CONE: _FULL_CONE,
    Nat.ADDRESS_RESTRICTED: _ADDRESS_RESTRICTED,
    Nat.PORT_RESTRICTED: _LINUX,
    Nat.PORT_RESTRICTED_REMAPPED: _REMAPPED,
    Nat.ADDRESS_DEPENDENT: _BY_ADDRESS,
    Nat.SYMMETRIC_SEQUENTIAL: _SEQUENTIAL,
    Nat.SYMMETRIC_RANDOM: _RANDOM,
    Nat.PORT_BLOCK: _RANDOM,
    Nat.HAIRPIN: _HAIRPIN,
    Nat.HOSTILE_CONE: _LINUX,
    Nat.CGNAT: _HAIRPIN,
}

# --- the words in the templates -------------------------------------------------------------------


def _words(settings: NatSettings, protocol: str) -> dict[str, str | int]:
    ports = settings.ports or (DEFAULT_BLOCK if settings.nat is Nat.PORT_BLOCK else None)
    span = f":{ports[0]}-{ports[-1]}" if ports else ""
    return {
        "wan": settings.wan,
        "lan": settings.lan,
        "address": settings.address,
        "proto": protocol,
        "timeout": settings.timeout,
        "ports": span,
        "to_ports": f"to {span}" if span else "",
        "blocks": _blocks(settings) if settings.nat is Nat.CGNAT else "",
        "next_port": _next_port(settings.step),
    }


def _blocks(settings: NatSettings) -> str:
    """A rule for each of a carrier's subscribers, as long as ports last: its own block of them.

    The network's first address is the carrier's, so the first subscriber has the second.
    """
    first = settings.ports or DEFAULT_BLOCK
    blocks = range(first[0], 65537 - len(first), len(first))
    subscribers = itertools.islice(ipaddress.ip_network(settings.inside).hosts(), 1, None)
    return "\n    ".join(
        f"ip saddr {subscriber} meta l4proto {{ tcp, udp }} "
        f"snat ip to {settings.address}:{start}-{start + len(first) - 1} fully-random"
        for start, subscriber in zip(blocks, subscribers, strict=False)
    )


def _next_port(step: int) -> str:
    ports = range(
        _SEQUENCE_FIRST_PORT, _SEQUENCE_FIRST_PORT + abs(step) * _SEQUENCE_LENGTH, abs(step)
    )
    ordered = ports if step > 0 else reversed(ports)
    choices = ", ".join(f"{turn} : {port}" for turn, port in enumerate(ordered))
    return f"numgen inc mod {_SEQUENCE_LENGTH} map {{ {choices} }}"
