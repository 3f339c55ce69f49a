"""Round-trip times through a tunnel, by ping(8)."""

from __future__ import annotations

import re
import statistics
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from meshvpn.bench.processes import Daemon, Program
from meshvpn.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.bench.contenders import Link

__all__ = ["PING", "LoadedPing", "idle_ping_ms", "parse_ping"]

PING: Final = Program(("ping",), "iputils-ping", ("-V",))

_TIME: Final = re.compile(r"\btime=([\d.]+) ms")

_IDLE_COUNT: Final = 20
_IDLE_INTERVAL_S: Final = 0.01
_LOADED_INTERVAL_S: Final = 0.1
"""Ten a second: enough for a median within seconds, and no load of its own."""


def parse_ping(printed: str) -> list[float]:
    """Round-trip times in milliseconds, one for each reply that ping printed."""
    return [float(time) for time in _TIME.findall(printed)]


def idle_ping_ms(link: Link) -> float:
    """Median of a short run through an idle tunnel, in milliseconds."""
    ping = _command(link, _IDLE_INTERVAL_S, "-c", str(_IDLE_COUNT))
    return _median(link.near.host.run(ping, check=False).stdout)


class LoadedPing:
    """Pings while something else loads the tunnel; ask for the median afterwards."""

    def __init__(self) -> None:
        self._printed = ""

    @contextmanager
    def during(self, link: Link) -> Iterator[None]:
        """Ping for as long as the block runs."""
        with TemporaryDirectory(prefix="meshvpn-ping-") as folder:
            command = _command(link, _LOADED_INTERVAL_S)
            ping = Daemon(link.near.host, command, Path(folder) / "ping.log")
            with ping:
                yield
            self._printed = ping.log_text()

    def median_ms(self) -> float:
        """Median in milliseconds; :class:`LabError` when no ping was answered."""
        return _median(self._printed)


def _command(link: Link, interval_s: float, *options: str) -> tuple[str, ...]:
    return (*PING.find(), "-n", "-i", f"{interval_s:g}", *options, link.target)


def _median(printed: str) -> float:
    times = parse_ping(printed)
    if not times:
        raise LabError(f"no ping was answered:\n{printed.strip()}")
    return statistics.median(times)
