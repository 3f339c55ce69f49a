"""The machine that a run was made on. A figure without it means nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

__all__ = ["Environment"]


@dataclass(frozen=True, slots=True)
class Environment:
    """Machine, kernel and time of a run; ``congestion`` is the kernel's TCP default."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    congestion: str
    python: str
    iperf3: str
    started: str

    @classmethod
    def here(cls, *, iperf3: str) -> Self:
        """Describe this machine now; ``iperf3`` is that program's version."""
        return cls(
            cpu=_cpu_model(),
            cores=len(os.sched_getaffinity(0)),
            memory_gb=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
            kernel=platform.release(),
            congestion=_first_line(Path("/proc/sys/net/ipv4/tcp_congestion_control")),
            python=platform.python_version(),
            iperf3=iperf3,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _cpu_model() -> str:
    """Marketing name from /proc/cpuinfo ("model name" on x86), else the architecture."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"
