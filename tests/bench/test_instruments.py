"""What iperf3 and ping print is read as it was meant.

The documents are what iperf3 3.12 wrote, cut down.
"""

from __future__ import annotations

from typing import Any

import pytest

from meshvpn.bench.iperf import TcpOutcome, UdpOutcome
from meshvpn.bench.ping import parse_ping
from meshvpn.bench.workloads import highest_lossless
from meshvpn.errors import LabError

ONE_WAY: dict[str, Any] = {
    "end": {
        "sum_sent": {"seconds": 1.0, "bytes": 710017024, "bits_per_second": 5680136192.0},
        "sum_received": {
            "seconds": 1.001689,
            "bytes": 710017024,
            "bits_per_second": 5670558618.493364,
        },
    }
}

BOTH_WAYS: dict[str, Any] = {
    "end": {
        "sum_sent": {"seconds": 1.000033, "bytes": 793247744, "bits_per_second": 6345772541.5},
        "sum_received": {"seconds": 1.000837, "bytes": 788398080, "bits_per_second": 6301909941.3},
        "sum_sent_bidir_reverse": {
            "seconds": 1.000033,
            "bytes": 644612096,
            "bits_per_second": 5156726596.0,
        },
        "sum_received_bidir_reverse": {
            "seconds": 1.000837,
            "bytes": 640745096,
            "bits_per_second": 5121673926.9,
        },
    }
}

FLOOD: dict[str, Any] = {
    "end": {
        "sum": {"seconds": 1.000177, "bytes": 190848000, "lost_packets": 90963, "packets": 159040},
        "sum_sent": {"seconds": 1.000121, "bytes": 190848000, "bits_per_second": 1526599281.5},
        "sum_received": {
            "seconds": 1.000177,
            "bytes": 81692400,
            "bits_per_second": 653423544.0,
            "lost_packets": 90963,
            "packets": 159040,
        },
    }
}


def test_one_way_tcp_is_what_arrived() -> None:
    outcome = TcpOutcome.parse(ONE_WAY)
    assert outcome.received_bytes == 710017024
    assert outcome.gbit_per_s == pytest.approx(5.6705586)


def test_both_directions_are_added() -> None:
    outcome = TcpOutcome.parse(BOTH_WAYS)
    assert outcome.received_bytes == 788398080 + 640745096
    assert outcome.gbit_per_s == pytest.approx(11.4235839)


def test_a_flood_counts_what_arrived_and_not_what_was_sent() -> None:
    outcome = UdpOutcome.parse(FLOOD)
    assert outcome.received_packets == 159040 - 90963
    assert outcome.gbit_per_s == pytest.approx(81692400 * 8 / 1.000177 / 1e9)
    assert outcome.kpps == pytest.approx(68.065, abs=0.001)
    assert outcome.loss == pytest.approx(0.57195)
    assert outcome.sent_bits_per_s == pytest.approx(1526599281.5)


@pytest.mark.parametrize("parse", [TcpOutcome.parse, UdpOutcome.parse])
def test_a_failed_test_is_no_figure(parse: Any) -> None:
    with pytest.raises(LabError, match="unable to connect"):
        parse({"end": {}, "error": "unable to connect to server: Connection refused"})
    with pytest.raises(LabError, match="sum_received"):
        parse({"end": {}})


def test_a_tcp_test_that_carried_nothing_is_no_figure() -> None:
    empty = {"end": {"sum_received": {"bytes": 0, "seconds": 1.0, "bits_per_second": 0.0}}}
    with pytest.raises(LabError, match="no byte"):
        TcpOutcome.parse(empty)


def test_round_trip_times_are_those_of_replies() -> None:
    printed = """\
PING 198.19.0.2 (198.19.0.2) 56(84) bytes of data.
64 bytes from 198.19.0.2: icmp_seq=1 ttl=64 time=0.317 ms
no answer yet for icmp_seq=2
64 bytes from 198.19.0.2: icmp_seq=3 ttl=64 time=12 ms

--- 198.19.0.2 ping statistics ---
3 packets transmitted, 2 received, 33.3333% packet loss, time 2001ms
rtt min/avg/max/mdev = 0.317/6.158/12.000/5.841 ms
"""
    assert parse_ping(printed) == [0.317, 12.0]


class ModelLink:
    """Loses what exceeds its capacity, and a tenth of everything in the trials named."""

    def __init__(self, capacity: float, hiccups: frozenset[int] = frozenset()) -> None:
        self.capacity = capacity
        self.hiccups = hiccups
        self.trials = 0

    def __call__(self, rate: float) -> UdpOutcome:
        self.trials += 1
        offered = rate or 10 * self.capacity
        carried = min(offered, self.capacity) * (0.9 if self.trials in self.hiccups else 1.0)
        packets = round(carried / 9600)
        return UdpOutcome(packets * 1200, packets, 1.0, 1 - carried / offered, offered)


@pytest.mark.parametrize("capacity", [2e8, 1e9, 7e9])
def test_the_search_finds_the_capacity(capacity: float) -> None:
    best = highest_lossless(ModelLink(capacity), steps=6)
    assert best is not None
    # Half a step below the truth at worst, never above.
    assert capacity * 0.93 <= best.gbit_per_s * 1e9 <= capacity * 1.001


def test_a_single_hiccup_does_not_mislead_the_search() -> None:
    calm = highest_lossless(ModelLink(1e9), steps=6)
    disturbed = highest_lossless(ModelLink(1e9, hiccups=frozenset({3, 8})), steps=6)
    assert calm is not None
    assert disturbed is not None
    assert disturbed.gbit_per_s == pytest.approx(calm.gbit_per_s, rel=0.01)


def test_a_link_that_carries_the_flood_needs_no_search() -> None:
    def trial(rate: float) -> UdpOutcome:
        assert rate == 0
        return UdpOutcome(1200, 1, 1.0, 0.0, 9600)

    assert highest_lossless(trial, steps=6) is not None


def test_a_link_that_always_loses_has_no_rate() -> None:
    def trial(_rate: float) -> UdpOutcome:
        return UdpOutcome(1200, 1, 1.0, 0.5, 1e9)

    assert highest_lossless(trial, steps=3) is None
