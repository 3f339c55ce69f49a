"""``meshvpn bench``: hold the tunnels against others and print what came out.

Tables, or with ``--json`` the figures, go to standard output, the progress bar and remarks to
standard error. Every figure is kept in a JSON file too, from which ``--show`` prints them again.
"""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from meshvpn.bench.aead import backends, measure, step_count
from meshvpn.bench.contenders import choose
from meshvpn.bench.metrics import PING_IDLE, TCP_EIGHT, TCP_ONE, UDP_FLOOD
from meshvpn.bench.plot import check_format, save_plot
from meshvpn.bench.report import Failure, Missing, Report
from meshvpn.bench.rounds import Benchmark, Plan
from meshvpn.bench.tables import aead_table, render
from meshvpn.bench.workloads import WORKLOADS, Figures, Pace, Workload
from meshvpn.cli.interrupt import INTERRUPTED
from meshvpn.cli.options import whole_number
from meshvpn.errors import ConfigError, MeshError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from meshvpn.bench.aead import AeadFigure

__all__ = ["app", "bench"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

_QUICK = Pace(seconds=1, search_steps=2)
_AEAD_SECONDS = 0.2
"""One AEAD measurement: some hundred thousand packets, and a whole table within half a minute."""

_PAPER_WIDTH = 120
"""Columns of the tables in a file or a pipe, which have no width of their own."""

_MOST_ROUNDS = 1000
_LONGEST_TEST_S = 3600
"""An hour, which is far beyond what makes a figure steadier; iperf3 itself would take a day."""


@app.command()
def bench(
    *,
    rounds: Annotated[
        int,
        typer.Option(parser=whole_number(1, _MOST_ROUNDS), metavar="N", help="Interleaved rounds."),
    ] = 5,
    seconds: Annotated[
        int,
        typer.Option(
            parser=whole_number(1, _LONGEST_TEST_S),
            metavar="S",
            help=f"Length of one iperf3 test, up to {_LONGEST_TEST_S}.",
        ),
    ] = 6,
    only: Annotated[
        list[str] | None, typer.Option(help="Run this contender or family only; may repeat.")
    ] = None,
    workload: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(WORKLOADS)}; may repeat.")
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="Run another build of a program in place of NAME's, or, as NAME@LABEL=PATH, "
            "beside it; may repeat.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One round of one-second tests.")] = False,
    congestion: Annotated[
        str | None, typer.Option(help="TCP congestion control; the system's if not given.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Contender that the others are held against.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every figure as JSON instead of tables.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every figure there, as JSON.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw a picture: .svg, .png or .pdf.")
    ] = None,
    save: Annotated[
        bool, typer.Option(help="Without --output and --plot, write both into bench-results/.")
    ] = True,
    show: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Print what an earlier run wrote; run nothing."),
    ] = None,
    aead: Annotated[bool, typer.Option("--aead", help="Compare the AEAD backends only.")] = False,
) -> None:
    """Hold our tunnels against those of other programs, in interleaved rounds."""
    _check_together(show=show, aead=aead, output=output, plot=plot)
    remarks = Console(stderr=True)
    data = Console()
    if not data.is_terminal:
        data = Console(width=_PAPER_WIDTH)
    if plot is not None:
        check_format(plot)
    if show is not None:
        report = Report.load(show)
        _check_baseline(baseline, (entrant.name for entrant in report.entrants))
        _print(report, data, as_json=as_json, baseline=baseline)
        if plot is not None:
            save_plot(report, plot)
    elif aead:
        figures = _compare_aead(1 if quick else rounds, remarks)
        if as_json:
            typer.echo(json.dumps([figure.to_dict() for figure in figures], indent=2))
        else:
            data.print(aead_table(figures))
    else:
        pace = _QUICK if quick else Pace(seconds=seconds)
        plan = Plan(
            contenders=choose(only or (), peer or ()),
            workloads=tuple(_workload(key) for key in workload or WORKLOADS),
            rounds=1 if quick else rounds,
            pace=Pace(pace.seconds, pace.search_seconds, pace.search_steps, congestion),
        )
        _check_baseline(baseline, (contender.name for contender in plan.contenders))
        if save and output is None and plot is None:
            output, plot = _default_files()
        report, was_interrupted = _run(plan, remarks)
        if report.samples:
            _print(report, data, as_json=as_json, baseline=baseline)
            _save(report, remarks, output=output, plot=plot)
        if was_interrupted:
            remarks.print("interrupted: this is what had been measured by then")
            raise typer.Exit(INTERRUPTED)
        if not report.samples:
            raise ConfigError("no contender gave a figure", hint="the failures above say why")


def _run(plan: Plan, remarks: Console) -> tuple[Report, bool]:
    """What was measured, all of it or up to Ctrl-C, and whether that came."""
    progress = _progress(remarks)
    narrator = _Narrator(progress, plan.rounds)
    benchmark = Benchmark(plan, narrator)
    with progress, _one_interrupt():
        narrator.begin(benchmark.seconds)
        try:
            benchmark.run()
        except KeyboardInterrupt:
            return benchmark.report(), True
    return benchmark.report(), False


def _print(report: Report, data: Console, *, as_json: bool, baseline: str | None) -> None:
    if as_json:
        typer.echo(report.to_json())
    else:
        data.print(render(report, baseline=baseline))


def _save(report: Report, remarks: Console, *, output: Path | None, plot: Path | None) -> None:
    for path in (output, plot):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    if output is not None:
        output.write_text(report.to_json(), encoding="utf-8")
        remarks.print(f"figures: {output}", markup=False)
    if plot is not None:
        try:
            save_plot(report, plot)
        except MeshError as error:  # the figures are safe: a missing picture is a remark
            remarks.print(f"no plot: {error}", markup=False)
        else:
            remarks.print(f"plot: {plot}", markup=False)


def _compare_aead(rounds: int, remarks: Console) -> list[AeadFigure]:
    usable = []
    for backend in backends():
        if backend.available:
            usable.append(backend.name)
        else:
            remarks.print(f"without {backend.name}: {backend.why}", markup=False)
    steps = step_count(usable, rounds=rounds)
    remarks.print(f"this takes {_about(steps * _AEAD_SECONDS)}", highlight=False)
    with _progress(remarks) as progress:
        task = progress.add_task("", total=steps)

        def begin(step: int, what: str) -> None:
            progress.update(task, description=what, completed=step)

        return measure(usable, rounds=rounds, seconds=_AEAD_SECONDS, progress=begin)


class _Narrator:
    """Shows the run as a bar with what runs now, and a line for each turn that is over."""

    def __init__(self, progress: Progress, rounds: int) -> None:
        self._progress = progress
        self._rounds = rounds
        self._task = progress.add_task("starting", total=None)

    def begin(self, seconds: float) -> None:
        """Say how long it will take: the bar knows only when the first steps are over."""
        self._progress.update(self._task, total=seconds)
        self._print(f"this takes {_about(seconds)}", "")

    def absent(self, missing: Missing) -> None:
        self._print(f"without {missing.name}: {missing.reason}", "yellow")

    def doing(self, round_number: int, contender: str, what: str) -> None:
        where = f"round {round_number}/{self._rounds} · {contender} · {what}"
        self._progress.update(self._task, description=where)

    def advanced(self, seconds: float) -> None:
        self._progress.advance(self._task, seconds)

    def finished(self, round_number: int, contender: str, figures: Figures) -> None:
        if not figures:
            return
        news = "  ".join(
            f"{metric.title} {figures[metric]:.{metric.digits}f} {metric.unit}"
            for metric in (TCP_ONE, TCP_EIGHT, UDP_FLOOD, PING_IDLE)
            if metric in figures
        )
        self._print(f"round {round_number}  {contender:<20} {news}", "")

    def failed(self, failure: Failure) -> None:
        self._print(f"{failure.contender}, {failure.workload}: {failure.reason}", "red")

    def _print(self, text: str, style: str) -> None:
        self._progress.console.print(
            text, style=style, markup=False, highlight=False, soft_wrap=True
        )


def _about(seconds: float) -> str:
    if seconds < 100:
        return f"about {max(seconds, 1):.0f} seconds"
    return f"about {seconds / 60:.0f} minutes"


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into KeyboardInterrupt; no other disturbs the tidying."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _workload(key: str) -> Workload:
    if key not in WORKLOADS:
        raise ConfigError(f"there is no workload {key!r}", hint=f"known are {', '.join(WORKLOADS)}")
    return WORKLOADS[key]


def _check_together(
    *, show: Path | None, aead: bool, output: Path | None, plot: Path | None
) -> None:
    """Refuse what would be left undone without a word."""
    if show is not None and aead:
        raise typer.BadParameter("--show prints an earlier run: leave --aead out")
    if output is not None and (show is not None or aead):
        raise typer.BadParameter("--output writes the figures of a whole run: use --json > FILE")
    if plot is not None and aead:
        raise typer.BadParameter("--plot draws a whole run: leave it out")


def _check_baseline(baseline: str | None, names: Iterable[str]) -> None:
    """Before the run, not after it."""
    known = tuple(names)
    if baseline is not None and baseline not in known:
        hint = f"taking part are {', '.join(known)}"
        raise ConfigError(f"--baseline: there is no contender {baseline!r}", hint=hint)


def _default_files() -> tuple[Path, Path]:
    """Names that tell runs apart and sort by time."""
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    folder = Path("bench-results")
    return folder / f"{started}.json", folder / f"{started}.svg"
