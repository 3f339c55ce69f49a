"""What the project promises, held against a run: claims as data, verdicts with their intervals.

A verdict is only as firm as the rounds allow. "holds" and "missed" mean that the whole 95 %
interval is on one side of the bound; "unsure" that the bound lies inside it (or that one round says
nothing about its own certainty). Nothing here fails a test: speed is shown, not asserted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from meshvpn.bench.metrics import (
    CALM,
    FLOODED,
    TCP_EIGHT,
    TCP_ONE,
    TCP_ONE_CPU,
    UDP_FLOOD,
    Metric,
)
from meshvpn.bench.paired import Interval, geometric_interval, paired_ratio

if TYPE_CHECKING:
    from meshvpn.bench.report import Report

__all__ = ["CLAIMS", "Claim", "Finding", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A bound on one figure, or on the ratio of two figures taken in the same round.

    Attributes:
        text: what is claimed, for people.
        contender: whose figure it is.
        metric: which figure.
        against: (contender, metric) to divide by, or ``None`` for the figure itself.
        at_least: lower bound.
        at_most: upper bound.
    """

    text: str
    contender: str
    metric: Metric
    against: tuple[str, Metric] | None = None
    at_least: float = 0.0
    at_most: float = math.inf

    @property
    def needed(self) -> str:
        """The bound with its unit."""
        unit = "×" if self.against else f" {self.metric.unit}"
        return f"≥ {self.at_least:g}{unit}" if self.at_least else f"≤ {self.at_most:g}{unit}"


class Verdict(StrEnum):
    """How a claim fares in one run."""

    HOLDS = "holds"
    UNSURE = "unsure"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim, what was got, and what follows."""

    claim: Claim
    got: Interval | None

    @property
    def verdict(self) -> Verdict:
        """See the top of this module."""
        if self.got is None:
            return Verdict.NOT_MEASURED
        if self.got.lies_within(self.claim.at_least, self.claim.at_most):
            return Verdict.HOLDS
        if self.got.lies_outside(self.claim.at_least, self.claim.at_most):
            return Verdict.MISSED
        return Verdict.UNSURE


def judge(report: Report) -> tuple[Finding, ...]:
    """Hold against a run every claim whose contenders took part in it."""
    present = {entrant.name for entrant in report.entrants}
    return tuple(
        Finding(claim, _got(claim, report))
        for claim in CLAIMS
        if {claim.contender, *(claim.against or ())[:1]} <= present
    )


def _got(claim: Claim, report: Report) -> Interval | None:
    values = report.values(claim.contender, claim.metric)
    if claim.against is not None:
        return paired_ratio(values, report.values(*claim.against))
    positive = [value for value in values.values() if value > 0]
    return geometric_interval(positive) if positive else None


_PRESHARED: Final = ("preshared-aws-lc", "preshared-ipsec-mb")
_WIREGUARD: Final = ("wireguard-aws-lc", "wireguard-ipsec-mb")
_TUNNELS: Final = ("plain", *_PRESHARED, *_WIREGUARD)

_AS_FAST: Final = 0.97
"""A ratio of two that are equally fast, less what noise makes of it."""

CLAIMS: Final = (
    *(
        Claim(
            f"{name}: one TCP stream against OpenVPN's",
            *(name, TCP_ONE, ("openvpn", TCP_ONE)),
            at_least=6,
        )
        for name in (*_PRESHARED, *_WIREGUARD)
    ),
    *(
        Claim(f"{name}: one TCP stream", name, TCP_ONE_CPU, at_most=bound)
        for name, bound in zip(_TUNNELS, (0.8, 2.2, 1.8, 2.3, 1.9), strict=True)
    ),
    *(
        Claim(
            f"{name}: one TCP stream against {preshared}'s",
            *(name, TCP_ONE, (preshared, TCP_ONE)),
            at_least=_AS_FAST,
        )
        for name, preshared in zip(_WIREGUARD, _PRESHARED, strict=True)
    ),
    *(
        Claim(
            f"{name}: one TCP stream against {rival}'s",
            *(name, TCP_ONE, (rival, TCP_ONE)),
            at_least=bound,
        )
        for name in _WIREGUARD
        for rival, bound in (("gotatun", 5), ("boringtun", 8))
    ),
    *(
        Claim(
            f"{name}: eight streams against one",
            *(name, TCP_EIGHT, (name, TCP_ONE)),
            at_least=0.9,
        )
        for name in _TUNNELS
    ),
    *(
        Claim(
            f"{name}: UDP flood against wireguard-go's",
            *(name, UDP_FLOOD, ("wireguard-go", UDP_FLOOD)),
            at_least=3,
        )
        for name in _WIREGUARD
    ),
    *(
        Claim(
            f"{name}: UDP flood against the bare wire's",
            *(name, UDP_FLOOD, ("none", UDP_FLOOD)),
            at_least=0.3,
        )
        for name in _TUNNELS
    ),
    *(
        Claim(
            f"{name}: one TCP stream in a flood of handshakes against in calm",
            *(name, FLOODED, (name, CALM)),
            at_least=0.9,
        )
        for name in _WIREGUARD
    ),
)
"""The claims of this version, in the order of the report."""
