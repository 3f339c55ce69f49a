"""The picture of the two hosts, the tunnel between them, and what moves in it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from rich.align import Align
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from meshvpn.demo.stage import DEVICE, PORT, UNDERLAY

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from meshvpn.demo.audience import Sample
    from meshvpn.stats import TunnelStats

__all__ = ["Picture"]

_HOST_WIDTH: Final = 26
_DOT_EVERY: Final = 9
"""Columns between two dots on the cable."""

_DOT_SPEED: Final = 24
"""Columns a second: quick, and still to be followed at ten pictures a second."""

_BARS: Final = "▁▂▃▄▅▆▇█"
_LOUD_GBIT_PER_S: Final = 0.001
"""From here on there is a stream; below it, single packets."""


class Picture:
    """A renderable that draws the last sample.

    Attributes:
        height: the lines that it takes.
    """

    height: Final = 8

    def __init__(self) -> None:
        self._sample: Sample | None = None
        self._rates: deque[float] = deque(maxlen=_HOST_WIDTH * 4)

    def measure(self, sample: Sample) -> None:
        """Take new figures."""
        self._rates.append(sample.gbit_per_s)
        self._sample = sample

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Host a, the cable, host b."""
        sample = self._sample
        middle = options.max_width - 2 * _HOST_WIDTH - 2
        grid = Table.grid(padding=(0, 0))
        for width in (_HOST_WIDTH, middle + 2, _HOST_WIDTH):
            grid.add_column(width=width)
        grid.add_row(
            _host("host a", 1, sample and sample.a),
            Align.center(self._cable(max(middle, 1)), vertical="middle", height=self.height),
            _host("host b", 2, sample and sample.b),
        )
        yield grid

    def _cable(self, width: int) -> RenderableType:
        label = " no tunnel yet " if self._sample is None else " WireGuard "
        style = "dim" if self._sample is None else "bold green"
        rate = self._sample.gbit_per_s if self._sample else 0.0
        peak = max(self._rates, default=0.0)
        return Text("\n").join(
            (
                Text(label.center(width, "━")[:width], style=style),
                self._wire(width, moving=rate > 0, dense=rate > _LOUD_GBIT_PER_S),
                Text(f"UDP port {PORT}".center(width)[:width], style="dim"),
                Text(self._sparkline(width), style="cyan"),
                Text(_rate_text(rate).center(width)[:width]),
                Text(f"peak {_rate_text(peak)}".center(width)[:width], style="dim"),
            )
        )

    def _wire(self, width: int, *, moving: bool, dense: bool) -> Text:
        if not moving:
            return Text("─" * width, style="dim")
        step = 3 if dense else _DOT_EVERY
        shift = int(time.monotonic() * _DOT_SPEED)
        cells = ("●" if (column - shift) % step == 0 else "─" for column in range(width))
        return Text("".join(cells), style="yellow")

    def _sparkline(self, width: int) -> str:
        rates = list(self._rates.copy())[-width:]
        peak = max((*rates, _LOUD_GBIT_PER_S))
        levels = (round(rate / peak * (len(_BARS) - 1)) for rate in rates)
        return "".join(_BARS[level] for level in levels).rjust(width)


def _host(title: str, number: int, stats: TunnelStats | None) -> Panel:
    lines = Text()
    style = "dim" if stats is None else "green"
    lines.append(f"{DEVICE} 10.9.0.{number}\n", style=style)
    lines.append(f"{UNDERLAY}  172.31.0.{number}\n\n")
    if stats is not None:
        lines.append(f"↑ {_amount(stats.sent_packets, stats.sent_bytes)}\n")
        lines.append(f"↓ {_amount(stats.received_packets, stats.received_bytes)}\n")
        lines.append(f"dropped {stats.dropped:,}", style="dim")
    return Panel(lines, title=title, height=Picture.height, border_style="cyan")


def _amount(packets: int, size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{packets:,} · {size / scale:.1f} {unit}"
    return f"{packets:,} · {size} B"


def _rate_text(gbit_per_s: float) -> str:
    for unit, scale in (("Gbit/s", 1.0), ("Mbit/s", 1e-3)):
        if gbit_per_s >= scale:
            return f"{gbit_per_s / scale:.2f} {unit}"
    return f"{gbit_per_s / 1e-6:.1f} kbit/s"
