"""A report survives its file, and its tables and claims say what it holds."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from meshvpn.bench import metrics
from meshvpn.bench.claims import CLAIMS, Verdict, judge
from meshvpn.bench.environment import Environment
from meshvpn.bench.plot import save_plot
from meshvpn.bench.report import Entrant, Failure, Missing, Report, Sample, Settings
from meshvpn.bench.tables import render
from meshvpn.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from meshvpn.bench.metrics import Metric

MACHINE = Environment(
    cpu="A CPU",
    cores=2,
    memory_gb=8.0,
    kernel="6.18",
    congestion="cubic",
    python="3.11",
    iperf3="3.12",
    started="2026-08-01T00:00:00+00:00",
)


def a_report(*figures: tuple[str, Metric, list[float]]) -> Report:
    """A report of the given figures, one value a round."""
    samples = [
        Sample(number, contender, metric, value)
        for contender, metric, values in figures
        for number, value in enumerate(values, start=1)
    ]
    names = dict.fromkeys(contender for contender, _, _ in figures)
    return Report(
        environment=MACHINE,
        settings=Settings(rounds=5, seconds=6, workloads=("tcp",)),
        entrants=tuple(Entrant(name, name.partition("-")[0], "1.2.3", 1420) for name in names),
        missing=(Missing("nebula", "not installed\n  hint: apt-get install nebula"),),
        samples=tuple(samples),
        failures=(Failure(2, "openvpn", "tcp8", "iperf3: it broke\nand more"),),
    )


FAST = a_report(
    ("none", metrics.TCP_ONE, [17.0, 17.5, 16.9, 17.2, 17.1]),
    ("preshared-aws-lc", metrics.TCP_ONE, [5.4, 5.1, 5.5, 5.45, 5.2]),
    ("preshared-aws-lc", metrics.TCP_ONE_CPU, [2.0, 2.6, 2.1, 2.3, 2.2]),
    ("preshared-aws-lc", metrics.TCP_EIGHT, [4.0, 3.8, 4.1, 4.0, 3.9]),
    ("openvpn", metrics.TCP_ONE, [0.80, 0.76, 0.81, 0.80, 0.77]),
)


def printed(report: Report) -> str:
    console = Console(width=140, file=io.StringIO())
    with console.capture() as capture:
        console.print(render(report))
    return capture.get()


def test_a_report_survives_its_file() -> None:
    assert Report.from_json(FAST.to_json()) == FAST


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99}', '{"schema": 1}'])
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Report.from_json(text)


def test_values_are_those_of_one_contender_and_metric() -> None:
    assert FAST.values("openvpn", metrics.TCP_ONE) == {1: 0.80, 2: 0.76, 3: 0.81, 4: 0.80, 5: 0.77}
    assert FAST.values("openvpn", metrics.RSS) == {}
    assert FAST.spread("openvpn", metrics.RSS) is None


def test_tables_show_medians_with_extremes() -> None:
    lines = printed(FAST).splitlines()
    row = next(line for line in lines if "openvpn" in line and "0.76" in line)
    assert "0.80 (0.76–0.81)" in row
    assert any("no tunnel" in line and "17.10 (16.90–17.50)" in line for line in lines)


def test_tables_name_who_is_missing_and_what_failed() -> None:
    text = printed(FAST)
    assert "without nebula: not installed: apt-get install nebula" in text
    assert "round 2, openvpn, tcp8: iperf3: it broke" in text


def test_tables_hold_others_against_ours() -> None:
    text = printed(FAST)
    assert "preshared-aws-lc ÷ each other" in text
    assert "6.76×" in text


def test_a_report_without_figures_can_be_shown() -> None:
    assert "A CPU" in printed(a_report())


def test_claims_hold_miss_or_stay_open() -> None:
    verdicts = {finding.claim.text: finding.verdict for finding in judge(FAST)}
    assert verdicts == {
        "preshared-aws-lc: one TCP stream against OpenVPN's": Verdict.HOLDS,
        "preshared-aws-lc: one TCP stream": Verdict.UNSURE,
        "preshared-aws-lc: eight streams against one": Verdict.MISSED,
        "preshared-aws-lc: UDP flood against the bare wire's": Verdict.NOT_MEASURED,
    }


def test_one_round_decides_no_claim() -> None:
    once = a_report(
        ("preshared-aws-lc", metrics.TCP_ONE, [60.0]), ("openvpn", metrics.TCP_ONE, [1.0])
    )
    finding = next(one for one in judge(once) if one.claim.against == ("openvpn", metrics.TCP_ONE))
    assert finding.verdict is Verdict.UNSURE


def test_every_claim_has_exactly_one_bound() -> None:
    for claim in CLAIMS:
        assert (claim.at_least > 0) != (claim.at_most < float("inf")), claim


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_plot_is_drawn(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / f"plot{suffix}"
    save_plot(FAST, picture)
    assert picture.read_bytes()[:5] in (b"<?xml", b"\x89PNG\r")


def test_a_plot_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="suffix"):
        save_plot(FAST, tmp_path / "plot.txt")
