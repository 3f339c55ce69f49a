"""The statistics say what they should of figures whose truth is known."""

from __future__ import annotations

import math
import random

import pytest

from meshvpn.bench.paired import CONFIDENCE, Interval, Spread, geometric_interval, paired_ratio
from meshvpn.errors import ConfigError


def test_spread_is_median_and_extremes() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0, 4)


def test_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Spread.of([])


def test_common_drift_cancels_in_paired_rounds() -> None:
    drift = {1: 1.0, 2: 0.7, 3: 1.3, 4: 0.9, 5: 0.6}
    ours = {number: 6.0 * factor for number, factor in drift.items()}
    theirs = {number: 1.0 * factor for number, factor in drift.items()}
    ratio = paired_ratio(ours, theirs)
    assert ratio is not None
    assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx((6.0, 6.0, 6.0))


def test_only_rounds_that_both_have_are_paired() -> None:
    ratio = paired_ratio({1: 2.0, 2: 8.0, 3: 4.0}, {2: 2.0, 3: 1.0, 4: 9.0})
    assert ratio is not None
    assert ratio.rounds == 2
    assert ratio.estimate == pytest.approx(4.0)


def test_a_round_that_carried_nothing_is_left_out() -> None:
    ratio = paired_ratio({1: 2.0, 2: 3.0}, {1: 0.0, 2: 1.5})
    assert ratio is not None
    assert ratio.rounds == 1
    assert ratio.estimate == pytest.approx(2.0)


def test_no_common_round_gives_no_ratio() -> None:
    assert paired_ratio({1: 1.0}, {2: 1.0}) is None


def test_one_round_says_nothing_about_its_certainty() -> None:
    interval = geometric_interval([5.0])
    assert interval.estimate == pytest.approx(5.0)
    assert (interval.low, interval.high) == (0.0, math.inf)


def test_interval_is_students_on_logarithms() -> None:
    # Logarithms -1, 0, 1: standard error 1/√3; t with 2 degrees of freedom is 4.303.
    interval = geometric_interval([math.exp(-1), 1.0, math.e])
    reach = 4.303 / math.sqrt(3)
    assert interval.estimate == pytest.approx(1.0)
    assert interval.low == pytest.approx(math.exp(-reach))
    assert interval.high == pytest.approx(math.exp(reach))


@pytest.mark.parametrize("rounds", [2, 5, 40])
def test_the_interval_holds_the_truth_as_often_as_promised(rounds: int) -> None:
    noise = random.Random(rounds)
    truth, runs = 6.0, 4000
    held = 0
    for _ in range(runs):
        ratios = [truth * math.exp(noise.gauss(0.0, 0.1)) for _ in range(rounds)]
        interval = geometric_interval(ratios)
        held += interval.low <= truth <= interval.high
    # Four standard errors of a share of 95 % among 4,000.
    assert held / runs == pytest.approx(CONFIDENCE, abs=0.014)


@pytest.mark.parametrize("bad", [[0.0], [-1.0, 2.0], [math.nan], [math.inf], []])
def test_figures_without_a_logarithm_are_refused(bad: list[float]) -> None:
    with pytest.raises(ConfigError):
        geometric_interval(bad)


def test_an_interval_is_inside_outside_or_neither() -> None:
    interval = Interval(6.2, 5.9, 6.5, 5)
    assert interval.lies_within(5.9, 7.0)
    assert interval.lies_outside(6.6, 9.0)
    assert not interval.lies_within(6.0, 9.0)
    assert not interval.lies_outside(6.0, 9.0)
