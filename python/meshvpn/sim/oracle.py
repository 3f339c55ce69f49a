"""Whether two nodes can reach each other directly, by what stands between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from meshvpn import _meshvpn
from meshvpn.lab.nat import Nat, check_nat

__all__ = ["Outlook", "outlook"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What can be expected of a pair of nodes."""

    kind: Literal["direct", "guessed", "relayed"]
    """Always direct, direct if ports are guessed, or never."""
    odds: float
    """The probability of a direct path, within the budget that nodes have for guessing."""
    text: str
    """The same in words."""

    def __str__(self) -> str:
        return self.text


def outlook(
    a: Nat,
    b: Nat,
    *,
    same_lan: bool = False,
    both_ipv6: bool = False,
    same_carrier: bool = False,
    hairpin: bool = True,
) -> Outlook:
    """What can be expected of two nodes behind NATs of these kinds.

    Args:
        a: what stands before the one.
        b: what stands before the other; the order does not matter.
        same_lan: they are in one local network.
        both_ipv6: both have IPv6 behind firewalls that let answers in.
        same_carrier: they share a carrier's NAT.
        hairpin: and that lets its subscribers reach each other.

    >>> outlook(Nat.SYMMETRIC_RANDOM, Nat.ADDRESS_RESTRICTED).kind
    'direct'
    >>> outlook(Nat.SYMMETRIC_RANDOM, Nat.UDP_BLOCKED).text
    'relayed: UDP is blocked'
    """
    check_nat(a)
    check_nat(b)
    carrier = hairpin if same_carrier else None
    kind, odds, text = _meshvpn.sim_outlook(a.value, b.value, same_lan, both_ipv6, carrier)
    return Outlook(cast('Literal["direct", "guessed", "relayed"]', kind), odds, text)
