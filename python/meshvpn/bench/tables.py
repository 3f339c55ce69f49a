"""A report as tables for a terminal: figures, each contender against one of ours, the claims."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from meshvpn.bench import metrics
from meshvpn.bench.aead import OPERATIONS
from meshvpn.bench.claims import Finding, Verdict, judge
from meshvpn.bench.contenders import OURS
from meshvpn.bench.handshakes import FLOOD_PER_SECOND
from meshvpn.bench.paired import Interval, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshvpn.bench.aead import AeadFigure
    from meshvpn.bench.metrics import Metric
    from meshvpn.bench.report import Entrant, Report

__all__ = ["aead_table", "claims_table", "comparison_table", "figures_table", "render"]

_TCP_COLUMNS: Final = (
    *(metrics.TCP_ONE, metrics.TCP_ONE_CPU, metrics.TCP_EIGHT),
    *(metrics.PING_IDLE, metrics.PING_LOADED, metrics.RSS),
)
_DIRECTION_COLUMNS: Final = (
    *(metrics.REVERSE, metrics.REVERSE_CPU, metrics.BOTH_WAYS, metrics.BOTH_WAYS_CPU),
)
_UDP_COLUMNS: Final = (
    *(metrics.UDP_FLOOD, metrics.UDP_FLOOD_CPU),
    *(metrics.UDP_FULL_LOSSLESS, metrics.UDP_SMALL_LOSSLESS),
)
_HANDSHAKE_COLUMNS: Final = (
    *(metrics.HANDSHAKES_CPU, metrics.HANDSHAKES),
    *(metrics.CALM, metrics.FLOODED, metrics.COOKIES, metrics.FLOOD_SENDER),
)
_COMPARED: Final = (
    *(metrics.TCP_ONE, metrics.TCP_ONE_CPU, metrics.TCP_EIGHT, metrics.REVERSE),
    *(metrics.BOTH_WAYS, metrics.UDP_FLOOD, metrics.HANDSHAKES_CPU),
)
_RANGED: Final = frozenset({"Gbit/s", "1000 packets/s", "per CPU-s"})
"""Units whose cells show smallest and largest beside the median."""

_VERDICT_STYLE: Final = {
    Verdict.HOLDS: "bold green",
    Verdict.UNSURE: "yellow",
    Verdict.MISSED: "bold red",
    Verdict.NOT_MEASURED: "dim",
}


def render(report: Report, *, baseline: str | None = None) -> RenderableType:
    """Everything that a report says; ``baseline`` is the contender that others are held against."""
    parts: list[RenderableType] = [_heading(report)]
    for title, columns in (
        ("TCP, ping and memory", _TCP_COLUMNS),
        ("TCP in other directions", _DIRECTION_COLUMNS),
        ("UDP, received", _UDP_COLUMNS),
        (f"Handshakes, and a flood of {FLOOD_PER_SECOND:,} a second", _HANDSHAKE_COLUMNS),
    ):
        if any(report.measured(metric) for metric in columns):
            parts.append(figures_table(title, report, columns))
    baseline = baseline or _best_of_ours(report)
    if baseline is not None:
        parts.append(comparison_table(report, baseline))
    findings = judge(report)
    if findings:
        parts.append(claims_table(findings))
    parts += list(_remarks(report))
    return Group(*parts)


def figures_table(title: str, report: Report, columns: Sequence[Metric]) -> Table:
    """One row a contender, one column a metric that anybody has a figure of."""
    shown = [metric for metric in columns if report.measured(metric)]
    table = _new_table(title)
    table.add_column("contender", no_wrap=True)
    for metric in shown:
        table.add_column(f"{metric.title}\n{metric.unit}", justify="right")
    for entrant in report.entrants:
        cells = (_cell(report, entrant.name, metric) for metric in shown)
        table.add_row(_name(entrant), *cells, style=_row_style(entrant))
    return table


def comparison_table(report: Report, baseline: str) -> Table:
    """How many times a rival's figure the baseline's is, by paired rounds, with its interval."""
    columns = [metric for metric in _COMPARED if report.measured(metric)]
    table = _new_table(f"{baseline} ÷ each other, paired rounds, 95 % interval")
    table.add_column("against", no_wrap=True)
    for metric in columns:
        table.add_column(metric.title, justify="right")
    for entrant in report.entrants:
        ratios = [
            paired_ratio(report.values(baseline, metric), report.values(entrant.name, metric))
            for metric in columns
        ]
        if entrant.name != baseline and any(ratios):
            table.add_row(_name(entrant), *(_interval(ratio, "×") for ratio in ratios))
    return table


def claims_table(findings: Sequence[Finding]) -> Table:
    """A line for each claim: what was needed, what was got, and whether it holds."""
    table = _new_table("Claims")
    table.add_column("claim")
    table.add_column("needed", justify="right")
    table.add_column("got (95 % interval)", justify="right")
    table.add_column("verdict")
    for finding in findings:
        table.add_row(
            finding.claim.text,
            finding.claim.needed,
            _interval(finding.got, "×" if finding.claim.against else ""),
            Text(finding.verdict, style=_VERDICT_STYLE[finding.verdict]),
        )
    return table


def aead_table(figures: Sequence[AeadFigure]) -> Table:
    """Nanoseconds a packet of each AEAD backend."""
    table = _new_table("ChaCha20-Poly1305 on one thread, median (min–max)")
    for heading in ("backend", "operation", "bytes", "ns/packet", "Gbit/s"):
        table.add_column(
            heading, justify="left" if heading in ("backend", "operation") else "right"
        )
    for figure in sorted(figures, key=lambda one: (one.length, OPERATIONS.index(one.operation))):
        spread = figure.nanoseconds
        table.add_row(
            figure.backend,
            figure.operation,
            str(figure.length),
            f"{spread.median:.0f} ({spread.low:.0f}–{spread.high:.0f})",
            f"{figure.gbit_per_s:.2f}",
        )
    return table


def _cell(report: Report, contender: str, metric: Metric) -> str:
    spread = report.spread(contender, metric)
    if spread is None:
        return "–"
    digits = metric.digits
    middle = f"{spread.median:.{digits}f}"
    if metric.unit not in _RANGED or spread.rounds == 1:
        return middle
    return f"{middle} ({spread.low:.{digits}f}–{spread.high:.{digits}f})"


def _interval(interval: Interval | None, unit: str) -> str:
    if interval is None:
        return "–"
    estimate = f"{interval.estimate:.2f}{unit}"
    if math.isinf(interval.high):
        return f"{estimate} (one round)"
    return f"{estimate} ({interval.low:.2f}–{interval.high:.2f})"


def _heading(report: Report) -> Text:
    here = report.environment
    cores = f"{here.cores} core" if here.cores == 1 else f"{here.cores} cores"
    congestion = report.settings.congestion or here.congestion
    machine = f"{here.cpu}, {cores}, Linux {here.kernel}, TCP {congestion}, iperf3 {here.iperf3}"
    versions = " · ".join(
        f"{entrant.name} {entrant.version} (MTU {entrant.mtu or 'unknown'})"
        for entrant in report.entrants
        if entrant.version
    )
    reading = f"{here.started}, rounds: {report.settings.rounds}, shown: median (min–max)"
    return Text(f"{machine}\n{versions}\n{reading}\n", style="dim")


def _remarks(report: Report) -> Iterator[Text]:
    """What is absent, and what failed."""
    for missing in report.missing:
        reason = missing.reason.replace("\n  hint: ", ": ")
        yield Text(f"without {missing.name}: {reason}", style="yellow")
    for failure in report.failures:
        where = f"round {failure.round}, {failure.contender}, {failure.workload}"
        yield Text(f"{where}: {failure.reason.splitlines()[0]}", style="red")


def _best_of_ours(report: Report) -> str | None:
    """The encrypted tunnel of ours with the highest TCP figure, else what we have."""
    with_figures = {sample.contender for sample in report.samples}
    ours = [
        entrant
        for entrant in report.entrants
        if entrant.family in OURS and entrant.name in with_figures
    ]
    encrypted = [entrant for entrant in ours if entrant.family != "plain"] or ours

    def throughput(entrant: Entrant) -> float:
        spread = report.spread(entrant.name, metrics.TCP_ONE)
        return spread.median if spread else 0.0

    return max(encrypted, key=throughput).name if encrypted else None


def _new_table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
    )


def _name(entrant: Entrant) -> str:
    return "no tunnel" if entrant.family == "none" else entrant.name


def _row_style(entrant: Entrant) -> str:
    if entrant.family == "none":
        return "dim"
    return "cyan" if entrant.family in OURS else ""
