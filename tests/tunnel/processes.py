"""What this process holds: threads of tunnels, descriptors, memory."""

from __future__ import annotations

import contextlib
from pathlib import Path


def own_threads(name: str = "mesh") -> list[str]:
    """The names of this process's threads that belong to tunnels."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        # It may end while we look.
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text().strip())
    return [thread for thread in names if thread.startswith(name) and thread != "meshvpn-log"]


def own_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
