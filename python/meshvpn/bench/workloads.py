"""What each contender has to carry: the workloads, each from a working tunnel to figures.

    ping        20 pings, 10 ms apart, through the idle tunnel
    tcp         one TCP stream, with ten pings a second beside it
    tcp8        eight TCP streams
    reverse     one TCP stream from the far host to the near one
    both        one TCP stream each way at once
    udp-flood   1,200-byte datagrams as fast as iperf3 can, one system call each
    udp-loss    the highest rate with less than 0.1 % loss, at 1,200 and at 64 bytes
    handshakes  many peers that shake hands with the far host at once (WireGuard only)
    flood       one TCP stream, in calm and in a flood of handshakes (WireGuard only)

CPU-seconds per GB are those of both daemons, over 10⁹ bytes of payload received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshvpn.bench import handshakes, metrics
from meshvpn.bench.iperf import TcpOutcome, UdpOutcome, run_iperf
from meshvpn.bench.ping import LoadedPing, idle_ping_ms
from meshvpn.bench.workload import Figures, Pace, Workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.bench.contenders import Link
    from meshvpn.bench.metrics import Metric

__all__ = ["WORKLOADS", "Figures", "Pace", "Workload", "highest_lossless"]

ACCEPTED_LOSS: Final = 0.001
"""Below this share of lost datagrams a rate counts as carried."""

FULL_DATAGRAM: Final = 1200
"""Bytes of payload that fit every tunnel's MTU and a QUIC packet (RFC 9000, section 14)."""

SMALL_DATAGRAM: Final = 64
"""Bytes of payload where only the cost of a packet counts."""

_SEARCH_SPAN: Final = 64
"""The search looks between the flood's rate and this fraction of it."""

_PACING_US: Final = "100"
"""iperf3 sends what is due every 100 µs; its default of 1 ms makes bursts that overflow buffers."""


def _ping(link: Link, _pace: Pace) -> Figures:
    return {metrics.PING_IDLE: idle_ping_ms(link)}


def _tcp_one(link: Link, pace: Pace) -> Figures:
    ping = LoadedPing()
    with ping.during(link):
        figures = _tcp(link, pace, metrics.TCP_ONE, metrics.TCP_ONE_CPU)
    return figures | {metrics.PING_LOADED: ping.median_ms()}


def _tcp(link: Link, pace: Pace, throughput: Metric, cpu: Metric, *options: str) -> Figures:
    """One TCP test with the CPU time that it cost the daemons."""
    congestion = ("-C", pace.congestion) if pace.congestion else ()
    before = link.cpu_seconds()
    outcome = TcpOutcome.parse(run_iperf(link, pace.seconds, *congestion, *options))
    figures = {throughput: outcome.gbit_per_s}
    return figures | _cost(link, before, outcome.received_bytes, cpu)


def _udp_flood(link: Link, pace: Pace) -> Figures:
    before = link.cpu_seconds()
    outcome = _udp(link, pace.seconds, FULL_DATAGRAM, 0)
    figures = {metrics.UDP_FLOOD: outcome.gbit_per_s}
    return figures | _cost(link, before, outcome.received_bytes, metrics.UDP_FLOOD_CPU)


def _udp_loss(link: Link, pace: Pace) -> Figures:
    full = highest_lossless(lambda rate: _trial(link, pace, FULL_DATAGRAM, rate), pace.search_steps)
    small = highest_lossless(
        lambda rate: _trial(link, pace, SMALL_DATAGRAM, rate), pace.search_steps
    )
    figures: Figures = {}
    if full is not None:
        figures[metrics.UDP_FULL_LOSSLESS] = full.gbit_per_s
    if small is not None:
        figures[metrics.UDP_SMALL_LOSSLESS] = small.kpps
    return figures


def highest_lossless(trial: Callable[[float], UdpOutcome], steps: int) -> UdpOutcome | None:
    """The fastest trial that lost less than :data:`ACCEPTED_LOSS`, or ``None`` if all lost more.

    ``trial`` sends at a rate in bit/s, 0 meaning as fast as it can. The first one finds that limit;
    if it loses, the search halves the logarithm of the span below it ``steps`` times. A rate that
    loses gets a second chance: one hiccup of the machine overflows a buffer at any rate, and the
    search would never come back up.
    """
    flood = trial(0)
    if flood.loss < ACCEPTED_LOSS:
        return flood
    best: UdpOutcome | None = None
    high = flood.sent_bits_per_s
    low = high / _SEARCH_SPAN
    for _ in range(steps):
        middle = (low * high) ** 0.5
        outcome = trial(middle)
        if outcome.loss >= ACCEPTED_LOSS:
            outcome = trial(middle)
        if outcome.loss < ACCEPTED_LOSS:
            low = middle
            if best is None or outcome.received_bytes > best.received_bytes:
                best = outcome
        else:
            high = middle
    return best


def _trial(link: Link, pace: Pace, length: int, rate: float) -> UdpOutcome:
    return _udp(link, pace.search_seconds, length, rate, "--pacing-timer", _PACING_US)


def _udp(link: Link, seconds: int, length: int, rate: float, *options: str) -> UdpOutcome:
    """One UDP test at a rate in bit/s of payload, 0 for no limit."""
    return UdpOutcome.parse(
        run_iperf(link, seconds, "-u", "-b", f"{rate:.0f}", "-l", str(length), *options)
    )


def _cost(link: Link, cpu_before: float, received_bytes: int, metric: Metric) -> Figures:
    """CPU-seconds per GB, for contenders that have daemons."""
    if not link.daemons or not received_bytes:
        return {}
    return {metric: (link.cpu_seconds() - cpu_before) / (received_bytes / 1e9)}


def _test_length(pace: Pace) -> float:
    return pace.seconds


def _search_length(pace: Pace) -> float:
    trials = 1 + 1.5 * pace.search_steps  # every other rate loses and is tried twice
    return 2 * pace.search_seconds * trials


WORKLOADS: Final[dict[str, Workload]] = {
    workload.key: workload
    for workload in (
        Workload("ping", "ping, idle", (metrics.PING_IDLE,), lambda _pace: 0.3, _ping),
        Workload(
            "tcp",
            "TCP ×1",
            (metrics.TCP_ONE, metrics.TCP_ONE_CPU, metrics.PING_LOADED),
            _test_length,
            _tcp_one,
        ),
        Workload(
            "tcp8",
            "TCP ×8",
            (metrics.TCP_EIGHT, metrics.TCP_EIGHT_CPU),
            _test_length,
            lambda link, pace: _tcp(
                link, pace, metrics.TCP_EIGHT, metrics.TCP_EIGHT_CPU, "-P", "8"
            ),
        ),
        Workload(
            "reverse",
            "TCP reverse",
            (metrics.REVERSE, metrics.REVERSE_CPU),
            _test_length,
            lambda link, pace: _tcp(link, pace, metrics.REVERSE, metrics.REVERSE_CPU, "-R"),
        ),
        Workload(
            "both",
            "TCP both ways",
            (metrics.BOTH_WAYS, metrics.BOTH_WAYS_CPU),
            _test_length,
            lambda link, pace: _tcp(
                link, pace, metrics.BOTH_WAYS, metrics.BOTH_WAYS_CPU, "--bidir"
            ),
        ),
        Workload(
            "udp-flood",
            "UDP flood",
            (metrics.UDP_FLOOD, metrics.UDP_FLOOD_CPU),
            _test_length,
            _udp_flood,
        ),
        Workload(
            "udp-loss",
            "UDP below 0.1 % loss",
            (metrics.UDP_FULL_LOSSLESS, metrics.UDP_SMALL_LOSSLESS),
            _search_length,
            _udp_loss,
        ),
        Workload(
            "handshakes",
            "handshakes",
            (metrics.HANDSHAKES, metrics.HANDSHAKES_CPU),
            handshakes.answering_length,
            handshakes.answering,
            needs_wireguard=True,
            is_apart=True,
        ),
        Workload(
            "flood",
            "flood of handshakes",
            (metrics.CALM, metrics.FLOODED, metrics.COOKIES, metrics.FLOOD_SENDER),
            handshakes.flooded_length,
            handshakes.flooded,
            needs_wireguard=True,
            is_apart=True,
        ),
    )
}
"""Every workload by its key, in the order of a report."""
