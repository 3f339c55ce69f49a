"""What a process holds: threads of tunnels, descriptors, memory."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple


class Held(NamedTuple):
    """What a process holds at a moment."""

    kilobytes: int
    descriptors: int
    threads: int


def held_by(process: int) -> Held:
    """Resident memory, open descriptors, and threads of tunnels."""
    place = Path(f"/proc/{process}")
    resident = (place / "status").read_text().split("VmRSS:")[1].split()[0]
    descriptors = sum(1 for _ in (place / "fd").iterdir())
    return Held(int(resident), descriptors, len(tunnel_threads(process)))


def tunnel_threads(process: int) -> list[str]:
    """The names of a process's threads that belong to tunnels."""
    names = []
    for task in Path(f"/proc/{process}/task").iterdir():
        # It may end while we look.
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text().strip())
    return [name for name in names if name.startswith("mesh") and name != "meshvpn-log"]


def own_threads() -> list[str]:
    return tunnel_threads(os.getpid())


def own_descriptors() -> int:
    return held_by(os.getpid()).descriptors


def resident_kilobytes() -> int:
    return held_by(os.getpid()).kilobytes
