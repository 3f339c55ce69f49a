"""The benchmark really runs: every tunnel comes up and carries, and nothing stays behind.

Structure is asserted here, never speed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from meshvpn.bench.contenders import all_contenders
from meshvpn.bench.contenders.contender import DaemonPair
from meshvpn.bench.iperf import TcpOutcome, run_iperf
from meshvpn.bench.report import Report
from meshvpn.bench.topology import wire
from meshvpn.errors import MissingProgramError
from meshvpn.lab import list_labs
from tests.cli.command import MESHVPN, meshvpn

BENCH = [*MESHVPN, "bench"]

TUNNELS = [contender for contender in all_contenders() if isinstance(contender, DaemonPair)]

needs_the_rivals = pytest.mark.needs(
    *("openvpn", "openssl", "nebula", "nebula-cert", "iperf3", "ping"),
    *("wg", "wireguard-go", "boringtun-cli", "gotatun"),
)


@pytest.mark.root
@needs_the_rivals
@pytest.mark.parametrize("tunnel", TUNNELS, ids=lambda tunnel: tunnel.name)
def test_a_tunnel_carries_tcp_and_is_counted(tunnel: DaemonPair, tmp_path: Path) -> None:
    try:
        tunnel.check_available()
    except MissingProgramError as missing:
        pytest.skip(str(missing))
    with wire() as place, tunnel.running(place, tmp_path) as link:
        processes = [daemon.pid for daemon in link.daemons]
        before = link.cpu_seconds()
        outcome = TcpOutcome.parse(run_iperf(link, 1))
        spent = link.cpu_seconds() - before
        assert outcome.received_bytes > 1_000_000
        # Both ends together cannot spend more than all cores give in the second and its margins.
        assert 0 < spent < 3 * (os.cpu_count() or 1)
        assert (link.peak_rss_mb() or 0) > 1
        assert link.mtu is not None
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.root
@needs_the_rivals
def test_a_quick_run_measures_everything_asked_for(tmp_path: Path) -> None:
    figures, picture = tmp_path / "figures.json", tmp_path / "plot.svg"
    run = subprocess.run(
        [
            *(*BENCH, "--quick", "--only", "none", "--only", "wireguard-go"),
            *("--workload", "ping", "--workload", "tcp", "--workload", "udp-flood"),
            *("--json", "--output", str(figures), "--plot", str(picture)),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    report = Report.load(figures)
    assert report.failures == ()
    assert [entrant.name for entrant in report.entrants] == ["none", "wireguard-go"]
    measured = {(sample.contender, sample.metric.key) for sample in report.samples}
    throughput = {"tcp_gbit_per_s", "udp_flood_gbit_per_s", "ping_idle_ms", "ping_loaded_ms"}
    costs = {"tcp_cpu_s_per_gb", "udp_flood_cpu_s_per_gb", "rss_mb"}
    assert measured == {
        *(("none", key) for key in throughput),
        *(("wireguard-go", key) for key in throughput | costs),
    }
    assert all(sample.value > 0 for sample in report.samples)
    assert run.stdout == figures.read_text() + "\n"
    shown = meshvpn("bench", "--show", figures).stdout
    assert "no tunnel" in shown
    assert "wireguard-go" in shown
    assert meshvpn("bench", "--show", figures, "--json").stdout == run.stdout
    assert picture.read_bytes().startswith(b"<?xml")
    assert json.loads(figures.read_text())["environment"]["cores"] >= 1


@pytest.mark.root
@needs_the_rivals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [*BENCH, "--only", "wireguard-go", "--workload", "tcp", "--seconds", "30", "--no-save"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    try:
        children = _wait_for_traffic(run)
        sockets = _sockets()
        run.send_signal(number)
        assert run.wait(15) == 130
    finally:
        run.kill()
        run.communicate()
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert run.pid not in {record.process for record in list_labs()}
    assert len(sockets - _sockets()) >= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        ["--only", "telnet"],
        ["--workload", "poetry"],
        ["--plot", "plot.txt"],
        ["--baseline", "telnet"],
        ["--peer", "openvpn"],
        ["--show", __file__],
    ],
)
def test_a_wrong_option_is_refused_before_anything_runs(wrong: list[str], tmp_path: Path) -> None:
    run = subprocess.run(
        [*BENCH, *wrong], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def _wait_for_traffic(run: subprocess.Popen[bytes]) -> set[int]:
    """Children of the benchmark, once both iperf3 run."""
    children: dict[int, str] = {}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert run.poll() is None, run.communicate()
        listed = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        children = {int(child): _name(int(child)) for child in listed}
        if list(children.values()).count("iperf3") == 2:
            return {child for child, name in children.items() if name != "sh"}
        time.sleep(0.1)
    raise AssertionError(f"no traffic within 30 s, children {children}")


def _sockets() -> set[Path]:
    return set(Path("/var/run/wireguard").glob("*.sock"))


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""
