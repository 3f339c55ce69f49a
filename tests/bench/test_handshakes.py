"""Every WireGuard answers handshakes and is flooded with them, and both are counted.

Structure is asserted here, never speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshvpn.bench import handshakes, metrics
from meshvpn.bench.contenders import all_contenders
from meshvpn.bench.contenders.ours import BareWire
from meshvpn.bench.contenders.wireguard import WireGuard
from meshvpn.bench.rounds import Benchmark, Plan
from meshvpn.bench.topology import wire
from meshvpn.bench.workload import Pace
from meshvpn.bench.workloads import WORKLOADS
from meshvpn.errors import MissingProgramError
from tests.bench.test_rounds import Diary

if TYPE_CHECKING:
    from pathlib import Path

WIREGUARDS = [one for one in all_contenders() if isinstance(one, WireGuard)]
OURS = next(one for one in WIREGUARDS if one.family == "wireguard")
BRIEFLY = Pace(seconds=1)

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("iperf3", "ping", "wg", "wireguard-go", "boringtun-cli", "gotatun"),
]


@pytest.mark.parametrize("device", WIREGUARDS, ids=lambda device: device.name)
def test_a_thousand_peers_are_answered(device: WireGuard, tmp_path: Path) -> None:
    try:
        device.check_available()
    except MissingProgramError as missing:
        pytest.skip(str(missing))
    with wire() as place, device.running(place, tmp_path) as link:
        figures = handshakes.answering(link, BRIEFLY)
    # From a machine that does little else, to what no multiplication on the curve allows.
    assert 100 < figures[metrics.HANDSHAKES_CPU] < 50_000
    assert 0 < figures[metrics.HANDSHAKES] < 50_000


def test_a_stream_goes_on_in_a_flood_that_is_answered_by_cookies(tmp_path: Path) -> None:
    with wire() as place, OURS.running(place, tmp_path) as link:
        figures = handshakes.flooded(link, BRIEFLY)
    assert figures[metrics.CALM] > 0
    assert figures[metrics.FLOODED] > 0
    assert 100 < figures[metrics.COOKIES] <= 1.1 * handshakes.FLOOD_PER_SECOND


def test_who_is_no_wireguard_is_left_out() -> None:
    diary = Diary()
    benchmark = Benchmark(Plan((BareWire(),), (WORKLOADS["handshakes"],), rounds=1), diary)
    benchmark.run()
    assert diary.steps == [(1, "none", "0 figures")]
    assert diary.planned == benchmark.seconds == 0


def test_daemons_that_are_left_other_than_they_were_are_not_used_again() -> None:
    names = ["ping", "handshakes", "tcp", "flood"]
    plan = Plan((OURS,), tuple(WORKLOADS[name] for name in names), rounds=1, pace=BRIEFLY)
    diary = Diary()
    Benchmark(plan, diary).run()
    steps = [what for _, _, what in diary.steps]
    assert steps[:-1] == [
        *("start", WORKLOADS["ping"].title, WORKLOADS["tcp"].title),
        *("start", WORKLOADS["handshakes"].title),
        *("start", WORKLOADS["flood"].title),
    ]
