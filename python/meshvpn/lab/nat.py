"""The kinds of NAT that a home, a company or a carrier puts in front of a host.

A NAT is told by two behaviours (RFC 4787). *Mapping*: for which destinations does one inner socket
keep one outer port? *Filtering*: who may send to that outer port? Each comes in three strengths:

======================  =====================================  ===================================
behaviour               mapping                                filtering
======================  =====================================  ===================================
endpoint-independent    one outer port for all destinations    everybody may answer
address-dependent       a new port for each other address      addresses we sent to may answer
address-and-port-dep.   a new port for each other address      only the very endpoints we sent to
                        and each other port                    may answer
======================  =====================================  ===================================

The rules that make a Linux router behave so are in :mod:`meshvpn.lab.rulesets`.
"""

from __future__ import annotations

import enum
from typing import Self

from meshvpn.errors import ConfigError

__all__ = ["Filtering", "Mapping", "Nat", "check_nat"]


class Mapping(enum.Enum):
    """For which destinations one inner socket keeps one outer port (RFC 4787, section 4.1)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    NONE = "none"  # no datagram passes at all


class Filtering(enum.Enum):
    """Who may send to a mapped port (RFC 4787, section 5)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    NONE = "none"  # no datagram passes at all


_EIM, _ADM, _APDM = (
    Mapping.ENDPOINT_INDEPENDENT,
    Mapping.ADDRESS_DEPENDENT,
    Mapping.ADDRESS_AND_PORT_DEPENDENT,
)
_EIF, _ADF, _APDF = (
    Filtering.ENDPOINT_INDEPENDENT,
    Filtering.ADDRESS_DEPENDENT,
    Filtering.ADDRESS_AND_PORT_DEPENDENT,
)


class Nat(enum.Enum):
    """What stands between a home and the public network; the value is its name for people.

    Attributes:
        mapping: for which destinations one inner socket keeps one outer port.
        filtering: who may send to that port.
        preserves_port: the outer port is the inner one wherever it is free.
        hairpins: two hosts behind it reach each other at their outer addresses.
    """

    mapping: Mapping
    filtering: Filtering
    preserves_port: bool
    hairpins: bool

    OPEN = "open", _EIM, _EIF, True, True
    """No translation and no firewall: every host has a public address."""

    FULL_CONE = "full-cone", _EIM, _EIF
    """One random outer port per inner socket; whoever learns it may use it."""

    ADDRESS_RESTRICTED = "address-restricted", _EIM, _ADF
    """As full cone, but only addresses that the inner socket has sent to may answer."""

    PORT_RESTRICTED = "port-restricted", _EIM, _APDF, True
    """Plain Linux masquerading, the commonest home router: keeps the port number where it can."""

    PORT_RESTRICTED_REMAPPED = "port-restricted-remapped", _EIM, _APDF
    """As port-restricted, with a random outer port: nothing can pass by port preservation."""

    ADDRESS_DEPENDENT = "address-dependent", _ADM, _APDF
    """A new outer port for each other address, the same for all ports of one address."""

    SYMMETRIC_SEQUENTIAL = "symmetric-sequential", _APDM, _APDF
    """A new outer port for each other endpoint, counted upwards for the whole router."""

    SYMMETRIC_RANDOM = "symmetric-random", _APDM, _APDF
    """A new random outer port for each other endpoint, out of the whole range."""

    PORT_BLOCK = "port-block", _APDM, _APDF
    """A symmetric carrier NAT whose subscriber gets a block of 1024 ports (RFC 7422 style)."""

    HAIRPIN = "hairpin", _EIM, _EIF, False, True
    """Full cone whose inside hosts also reach each other at their outer addresses."""

    HOSTILE_CONE = "hostile-cone", _EIM, _APDF, True
    """Port-restricted, but the router itself takes early datagrams of a peer (and answers "port
    unreachable"): that entry occupies the peer's tuple, and the home's next datagram to that peer
    leaves from *another* port. Cured by a first datagram that dies behind the own NAT."""

    CGNAT = "cgnat", _EIM, _APDF
    """Two NATs in a row: a port-restricted home behind a carrier's endpoint-independent NAT, which
    has a block of ports for each subscriber and hairpins between them."""

    UDP_BLOCKED = "udp-blocked", Mapping.NONE, Filtering.NONE
    """A company firewall: only TCP to port 443 gets out; other TCP is reset, UDP disappears."""

    def __new__(
        cls,
        label: str,
        mapping: Mapping,
        filtering: Filtering,
        preserves_port: bool = False,
        hairpins: bool = False,
    ) -> Self:
        """Splits the table's row: the label is the value, the rest become attributes."""
        member = object.__new__(cls)
        member._value_ = label
        member.mapping = mapping
        member.filtering = filtering
        member.preserves_port = preserves_port
        member.hairpins = hairpins
        return member


def check_nat(nat: Nat) -> None:
    """Raises :class:`ConfigError` for what is no :class:`Nat`, such as the name of one."""
    if not isinstance(nat, Nat):
        raise ConfigError(
            f"nat: {nat!r} is none", hint="give a member, such as Nat.PORT_RESTRICTED"
        )
