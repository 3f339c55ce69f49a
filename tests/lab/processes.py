"""Watching processes end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def runs(process: int) -> bool:
    """Whether a process runs; one that has ended does not, though nobody asked for its status."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def becomes_true(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Waits until a condition holds; false if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
