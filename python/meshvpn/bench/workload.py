"""What a workload is: something to carry over a tunnel that works, and how long that may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from meshvpn.bench.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.bench.contenders import Link

__all__ = ["Figures", "Pace", "Workload"]

Figures: TypeAlias = dict[Metric, float]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long measurements take, in whole seconds as iperf3 has them.

    Attributes:
        seconds: one iperf3 test.
        search_seconds: one trial of the search for the highest rate.
        search_steps: trials after the first; six leave an uncertainty of 64^(1/64), 7 %.
        congestion: TCP congestion control for the streams, ``None`` for the system's.
    """

    seconds: int = 6
    search_seconds: int = 1
    search_steps: int = 6
    congestion: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to carry.

    Attributes:
        key: name for ``--workload``.
        title: what the progress bar says.
        metrics: what it measures.
        duration: seconds it takes at a pace, for the estimate of the time left.
        measure: do it.
        needs_wireguard: only contenders that are WireGuard can do it.
        is_apart: it has daemons of its own, because it leaves them other than they were.
    """

    key: str
    title: str
    metrics: tuple[Metric, ...]
    duration: Callable[[Pace], float]
    measure: Callable[[Link, Pace], Figures]
    needs_wireguard: bool = False
    is_apart: bool = False
