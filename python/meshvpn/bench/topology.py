"""The place of a benchmark: two hosts of the lab and one cable, MTU 1500; and others who call.

    host a                                                       host b
    ┌──────────────────────────────┐                  ┌──────────────────────────────┐
    │ iperf3 -c        ping        │                  │ iperf3 -s                    │
    │ tunnel 198.19.0.1            │                  │ tunnel 198.19.0.2            │
    │ daemon                       │       veth       │ daemon                       │
    │ wire   198.18.0.1 ───────────┼──────────────────┼─────────── 198.18.0.2   wire │
    └──────────────────────────────┘                  └──────────────────────────────┘
                                                        veth │ 198.18.1.0/24
                                                      host crowd: any address of 198.18.64.0/18

No delay, no rate limit and no pinning to cores: both daemons and both iperf3 processes share what
the machine has, so throughput is one over the CPU time a byte costs. 198.18.0.0/15 is set apart for
benchmarks (RFC 2544, by RFC 6890).
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshvpn.lab import Host, Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PREFIX_LENGTH", "WIRE_MTU", "Crowd", "End", "Wire", "wire"]

PREFIX_LENGTH: Final = 24
"""Of the wire's and of the tunnel's subnet."""

WIRE_MTU: Final = 1500
"""Bytes of the largest packet on the wire: Ethernet's, and so nearly every path's."""


_CALLERS: Final = "198.18.64.0/18"
"""Addresses for more callers than any test has."""


@dataclass(frozen=True, slots=True)
class End:
    """One of the two hosts.

    Attributes:
        host: the lab's host.
        letter: "a" or "b", for names of files.
        device: name for the tunnel device. It differs between runs, because a WireGuard daemon
            puts a socket of that name into the file system, which hosts of the lab share.
        outer: its address on the wire.
        inner: its address in the tunnel.
    """

    host: Host
    letter: str
    device: str
    outer: str
    inner: str

    def mtu(self) -> int | None:
        """MTU of the tunnel device in bytes, or ``None`` where there is no such device."""
        shown = self.host.run(("ip", "-json", "link", "show", self.device), check=False)
        return int(json.loads(shown.stdout)[0]["mtu"]) if shown.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class Crowd:
    """A third host, from where any number of others call ``b``.

    Attributes:
        host: the lab's host.
        first: the first of their addresses; the others follow it.
        target: address at which they reach ``b``.
    """

    host: Host
    first: str
    target: str


@dataclass(frozen=True, slots=True)
class Wire:
    """The two hosts; traffic goes from ``a`` to ``b`` unless a workload says otherwise."""

    a: End
    b: End
    crowd: Crowd

    @property
    def ends(self) -> tuple[End, End]:
        """Both hosts."""
        return self.a, self.b

    def other(self, end: End) -> End:
        """The host at the other end of the cable."""
        return self.b if end == self.a else self.a


@contextmanager
def wire() -> Iterator[Wire]:
    """Build the place, and remove it however the block ends.

    Raises:
        PermissionDeniedError: neither root nor user namespaces can be had.
    """
    token = secrets.token_hex(3)
    with Lab() as lab:
        a, b = (
            End(
                host=lab.host(letter),
                letter=letter,
                device=f"mb{token}{letter}",
                outer=f"198.18.0.{number}",
                inner=f"198.19.0.{number}",
            )
            for number, letter in enumerate("ab", start=1)
        )
        subnets = (f"{end.outer}/{PREFIX_LENGTH}" for end in (a, b))
        lab.link(a.host, b.host, *subnets, mtu=WIRE_MTU, devices=("wire", "wire"))
        yield Wire(a, b, _crowd(lab, b.host))


def _crowd(lab: Lab, target: Host) -> Crowd:
    host = lab.host("crowd")
    link = lab.link(target, host, "198.18.1.1/24", "198.18.1.2/24", devices=("crowd", "wire"))
    host.ip(f"route add local {_CALLERS} dev lo")
    target.add_route(_CALLERS, via=link.b.ipv4)
    return Crowd(host, first=_CALLERS.partition("/")[0], target=link.a.ipv4)
