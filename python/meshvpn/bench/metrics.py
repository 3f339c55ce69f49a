"""What is measured: every figure of the benchmark by name, with its unit and which way is better.

A sample is one figure of one contender in one round. Reports, tables, claims and plots all speak of
the metrics below, so a new workload needs its metrics here and a place in a table, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "BOTH_WAYS",
    "BOTH_WAYS_CPU",
    "CALM",
    "COOKIES",
    "FLOODED",
    "FLOOD_SENDER",
    "HANDSHAKES",
    "HANDSHAKES_CPU",
    "METRICS",
    "PING_IDLE",
    "PING_LOADED",
    "REVERSE",
    "REVERSE_CPU",
    "RSS",
    "TCP_EIGHT",
    "TCP_EIGHT_CPU",
    "TCP_ONE",
    "TCP_ONE_CPU",
    "UDP_FLOOD",
    "UDP_FLOOD_CPU",
    "UDP_FULL_LOSSLESS",
    "UDP_SMALL_LOSSLESS",
    "Metric",
]


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of figure.

    Attributes:
        key: name in the JSON file.
        title: column heading.
        unit: unit of every sample, and of the column.
        digits: digits after the point worth showing.
        more_is_better: direction of progress.
    """

    key: str
    title: str
    unit: str
    digits: int = 2
    more_is_better: bool = True


def _throughput(key: str, title: str) -> Metric:
    return Metric(key, title, "Gbit/s")


def _cpu(key: str, title: str) -> Metric:
    return Metric(key, title, "CPU-s/GB", more_is_better=False)


TCP_ONE: Final = _throughput("tcp_gbit_per_s", "TCP ×1")
TCP_EIGHT: Final = _throughput("tcp8_gbit_per_s", "TCP ×8")
REVERSE: Final = _throughput("reverse_gbit_per_s", "reverse")
BOTH_WAYS: Final = _throughput("both_gbit_per_s", "both ways")
UDP_FLOOD: Final = _throughput("udp_flood_gbit_per_s", "1200 B flood")
UDP_FULL_LOSSLESS: Final = _throughput("udp_1200_lossless_gbit_per_s", "1200 B, loss < 0.1 %")
UDP_SMALL_LOSSLESS: Final = Metric(
    "udp_64_lossless_kpps", "64 B, loss < 0.1 %", "1000 packets/s", digits=1
)

TCP_ONE_CPU: Final = _cpu("tcp_cpu_s_per_gb", "CPU, TCP ×1")
TCP_EIGHT_CPU: Final = _cpu("tcp8_cpu_s_per_gb", "CPU, TCP ×8")
REVERSE_CPU: Final = _cpu("reverse_cpu_s_per_gb", "CPU, reverse")
BOTH_WAYS_CPU: Final = _cpu("both_cpu_s_per_gb", "CPU, both ways")
UDP_FLOOD_CPU: Final = _cpu("udp_flood_cpu_s_per_gb", "CPU, flood")

HANDSHAKES: Final = Metric("handshakes_per_s", "handshakes", "per s", digits=0)
HANDSHAKES_CPU: Final = Metric("handshakes_per_cpu_s", "handshakes", "per CPU-s", digits=0)
CALM: Final = _throughput("calm_tcp_gbit_per_s", "TCP ×1, calm")
FLOODED: Final = _throughput("flooded_tcp_gbit_per_s", "TCP ×1, flooded")
COOKIES: Final = Metric("flood_cookies_per_s", "cookies", "per s", digits=0)
FLOOD_SENDER: Final = Metric(
    "flood_sender_cpu_percent", "the flood's sender", "% of a CPU", digits=1, more_is_better=False
)

PING_IDLE: Final = Metric("ping_idle_ms", "ping idle", "ms", digits=3, more_is_better=False)
PING_LOADED: Final = Metric("ping_loaded_ms", "ping loaded", "ms", more_is_better=False)
RSS: Final = Metric("rss_mb", "RSS", "MB", digits=0, more_is_better=False)

METRICS: Final[dict[str, Metric]] = {
    metric.key: metric
    for metric in (
        *(TCP_ONE, TCP_EIGHT, REVERSE, BOTH_WAYS),
        *(UDP_FLOOD, UDP_FULL_LOSSLESS, UDP_SMALL_LOSSLESS),
        *(TCP_ONE_CPU, TCP_EIGHT_CPU, REVERSE_CPU, BOTH_WAYS_CPU, UDP_FLOOD_CPU),
        *(HANDSHAKES, HANDSHAKES_CPU, CALM, FLOODED, COOKIES, FLOOD_SENDER),
        *(PING_IDLE, PING_LOADED, RSS),
    )
}
"""Every metric by its key."""
