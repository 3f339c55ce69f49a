"""The statistics of interleaved rounds: medians, paired ratios, and how sure one may be.

On a shared machine absolute figures drift by a third within the hour, and all contenders drift
together. So nothing here compares two averages. A *paired* ratio is formed inside each round, where
both figures met the same weather, and only those ratios are summed up:

    round          1      2      3      4      5
    preshared    5.4    4.1    5.3    5.0    3.9   Gbit/s   ← drifts by 30 %
    openvpn     0.86   0.66   0.83   0.80   0.62   Gbit/s   ← so does this
    ratio       6.28   6.21   6.39   6.25   6.29            ← this hardly moves

Ratios multiply, so they are averaged as logarithms: the estimate is the geometric mean, the
interval is Student's on the logarithms. With five rounds a bootstrap would be too narrow (it can
only reuse five values), and a sign interval cannot reach 95 %; Student's can, and the logarithm of
a ratio of two throughputs is symmetric enough for it.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from meshvpn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["CONFIDENCE", "Interval", "Spread", "geometric_interval", "paired_ratio"]

CONFIDENCE = 0.95
"""Share of repeated benchmarks whose interval would hold the true ratio."""

_STUDENT_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""97.5 % point of Student's t for 1 … 30 degrees of freedom.

Source: NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2.
"""

_NORMAL_975 = 1.959964
"""The same point of the normal distribution, the limit for many degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest of one figure over the rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Sum up at least one value; :class:`ConfigError` for none."""
        ordered = sorted(values)
        if not ordered:
            raise ConfigError("a spread needs at least one value, got none")
        return cls(statistics.median(ordered), ordered[0], ordered[-1], len(ordered))


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the range that holds the true value with :data:`CONFIDENCE`.

    One round gives an estimate and nothing about its certainty: then ``low`` is 0 and ``high``
    infinite.
    """

    estimate: float
    low: float
    high: float
    rounds: int

    def lies_within(self, at_least: float, at_most: float) -> bool:
        """Whether the whole interval is inside the bounds (both included)."""
        return at_least <= self.low and self.high <= at_most

    def lies_outside(self, at_least: float, at_most: float) -> bool:
        """Whether no part of the interval is inside the bounds."""
        return self.high < at_least or at_most < self.low


def geometric_interval(values: Iterable[float]) -> Interval:
    """Geometric mean of positive values with its interval.

    Raises :class:`ConfigError` for no values, or for one that is not positive and finite.
    """
    numbers = list(values)
    if not numbers:
        raise ConfigError("an interval needs at least one value, got none")
    for number in numbers:
        if not (number > 0 and math.isfinite(number)):
            raise ConfigError(f"a geometric mean needs positive, finite values, got {number!r}")
    logarithms = [math.log(number) for number in numbers]
    centre = statistics.fmean(logarithms)
    if len(logarithms) == 1:
        return Interval(math.exp(centre), 0.0, math.inf, 1)
    error = statistics.stdev(logarithms) / math.sqrt(len(logarithms))
    reach = _student(len(logarithms) - 1) * error
    return Interval(
        math.exp(centre), math.exp(centre - reach), math.exp(centre + reach), len(logarithms)
    )


def paired_ratio(
    numerator: Mapping[int, float], denominator: Mapping[int, float]
) -> Interval | None:
    """Ratio of two figures, formed within each round that has both.

    Both arguments map the round's number to the figure. Rounds that miss one of the two (a daemon
    died, say) or whose figure is 0 are left out; ``None`` when no round remains.
    """
    ratios = [
        numerator[number] / denominator[number]
        for number in sorted(numerator.keys() & denominator.keys())
        if numerator[number] > 0 and denominator[number] > 0
    ]
    return geometric_interval(ratios) if ratios else None


def _student(degrees: int) -> float:
    """97.5 % point of Student's t; beyond the table by the first terms of its expansion in 1/n."""
    if degrees <= len(_STUDENT_975):
        return _STUDENT_975[degrees - 1]
    z = _NORMAL_975
    return z + (z**3 + z) / (4 * degrees)
