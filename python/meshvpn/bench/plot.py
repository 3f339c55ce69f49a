"""A report as a picture: one small chart a figure, one bar a contender, one dot a round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshvpn.bench import metrics
from meshvpn.bench.contenders import OURS
from meshvpn.errors import ConfigError, MissingProgramError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from meshvpn.bench.metrics import Metric
    from meshvpn.bench.report import Report

__all__ = ["FORMATS", "check_format", "save_plot"]

FORMATS: Final = (".svg", ".png", ".pdf")
"""Suffixes that choose the format of a plot."""

_CHARTS: Final = (
    *(metrics.TCP_ONE, metrics.TCP_EIGHT, metrics.TCP_ONE_CPU),
    *(metrics.UDP_FLOOD, metrics.UDP_FULL_LOSSLESS, metrics.UDP_SMALL_LOSSLESS),
    *(metrics.PING_IDLE, metrics.PING_LOADED, metrics.RSS),
)
_COLUMNS: Final = 3

_OURS_COLOUR: Final = "#0072b2"
_RIVAL_COLOUR: Final = "#999999"
_WIRE_COLOUR: Final = "#dddddd"
"""Blue and greys of Okabe and Ito's palette: told apart in print and by colour-blind readers."""


def check_format(path: Path) -> None:
    """Raise :class:`ConfigError` for a suffix that is none of :data:`FORMATS`."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"cannot draw {path}: its suffix is none of {', '.join(FORMATS)}")


def save_plot(report: Report, path: Path) -> None:
    """Draw what was measured into ``path``; its suffix chooses SVG, PNG or PDF.

    Raises :class:`MissingProgramError` without matplotlib, :class:`ConfigError` for another suffix
    or a report without figures.
    """
    check_format(path)
    charts = [metric for metric in _CHARTS if report.measured(metric)]
    if not charts:
        raise ConfigError("the report holds no figure to draw")
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 (an optional extra, slow to import)
    except ImportError as error:
        raise MissingProgramError(
            "drawing a plot needs matplotlib", hint="pip install 'meshvpn-engine[bench]'"
        ) from error
    rows = -(-len(charts) // _COLUMNS)
    columns = min(len(charts), _COLUMNS)
    height = 0.9 + 0.32 * len(report.entrants)
    figure = Figure(figsize=(5.2 * columns, height * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for metric, axis in zip(charts, axes, strict=False):
        _draw(axis, report, metric)
    for axis in list(axes)[len(charts) :]:
        axis.set_axis_off()
    here = report.environment
    figure.suptitle(f"{here.cpu}, {here.cores} cores, Linux {here.kernel}", fontsize=9)
    figure.savefig(path)


def _draw(axis: Axes, report: Report, metric: Metric) -> None:
    """One chart: bars at the median, a dot for each round."""
    drawn = [entrant for entrant in report.entrants if report.values(entrant.name, metric)]
    for row, entrant in enumerate(drawn):
        values = list(report.values(entrant.name, metric).values())
        spread = report.spread(entrant.name, metric)
        assert spread is not None
        axis.barh(row, spread.median, color=_colour(entrant.family), height=0.7)
        axis.plot(values, [row] * len(values), "o", color="black", markersize=2.5, alpha=0.6)
    axis.set_yticks(range(len(drawn)), [entrant.name for entrant in drawn], fontsize=8)
    axis.invert_yaxis()
    better = "more is better" if metric.more_is_better else "less is better"
    axis.set_title(f"{metric.title}, {metric.unit} ({better})", fontsize=9, loc="left")
    axis.spines[["top", "right"]].set_visible(False)


def _colour(family: str) -> str:
    if family == "none":
        return _WIRE_COLOUR
    return _OURS_COLOUR if family in OURS else _RIVAL_COLOUR
