"""``meshvpn demo`` really works, says so only then, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshvpn.lab import list_labs
from meshvpn.lab.programs import find_program
from tests.cli.command import MESHVPN, PATIENCE_SECONDS, meshvpn
from tests.lab.processes import becomes_true, runs

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("ping", "ssh", "sshd", "ssh-keygen", "iperf3", "ip")

pytestmark = [pytest.mark.root, pytest.mark.needs(*PROGRAMS)]

STEPS = (
    "Two hosts and a cable",
    "WireGuard between them",
    "ping through it",
    "ssh through it",
    "iperf3 through it",
    "A wire-tap on the cable",
    "Everything gone",
)


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*MESHVPN, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lines_until(process: subprocess.Popen[str], words: str) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if words in line:
            return
    raise AssertionError(f"{words!r} was never printed")


def processes_in_namespaces_of(process: int) -> list[str]:
    links = {
        f"net:[{Path('/run/netns', name).stat().st_ino}]"
        for record in list_labs()
        if record.process == process
        for name in record.namespaces
    }
    return [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and namespace(entry) in links
    ]


def namespace(process: Path) -> str | None:
    try:
        return str((process / "ns/net").readlink())
    except OSError:
        return None


def test_every_step_works_and_says_what_came_out() -> None:
    done = meshvpn("demo")
    assert (done.returncode, done.stderr) == (0, "")
    results = dict(re.findall(r"^✓ ([^:]+): (.+)$", done.stdout, re.MULTILINE))
    assert tuple(results) == STEPS
    assert re.search(r"ChaCha20-Poly1305 by (aws-lc|ipsec-mb|portable), MTU 1420", done.stdout)
    assert re.fullmatch(r"IPv4 [\d.]+ ms, IPv6 [\d.]+ ms, nothing lost", results[STEPS[2]])
    assert re.match(r"logged in from 10\.9\.0\.1 as \w+ on Linux", results[STEPS[3]])
    assert float(results[STEPS[4]].split()[0]) > 0
    assert re.match(
        r"a sentence arrived 20 times; (2\d|[3-9]\d|\d{3,}) packets captured", results[STEPS[5]]
    )
    # The packets, inside and outside.
    assert "[mesh0] 10.9.0.1 -> 10.9.0.2 | ICMP Echo Request | 64 bytes" in done.stdout
    assert re.search(r"172\.31\.0\.1:51820 -> 172\.31\.0\.2:51820 \| UDP .*\| data …", done.stdout)
    assert "| handshake initiation …" in done.stdout
    assert "| handshake response …" in done.stdout
    assert "malformed" not in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(number: signal.Signals) -> None:
    process = start()
    list(lines_until(process, "▸ iperf3"))
    assert becomes_true(lambda: len(processes_in_namespaces_of(process.pid)) >= 2)
    inside = processes_in_namespaces_of(process.pid)
    process.send_signal(number)
    _, remark = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert remark == "interrupted; everything that was built is gone\n"
    assert process.pid not in {record.process for record in list_labs()}
    assert [entry for entry in inside if runs(int(entry))] == []


def test_a_step_that_fails_fails_the_demo(tmp_path: Path) -> None:
    # Everything but iperf3.
    for program in {*PROGRAMS, "sh", "sed", "cat"} - {"iperf3"}:
        (tmp_path / program).symlink_to(find_program(program))
    done = meshvpn("demo", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "✓ ssh through it" in done.stdout
    assert "✗ iperf3 through it: the program 'iperf3' is not installed" in done.stdout
    assert done.stderr.splitlines() == [
        "error: the program 'iperf3' is not installed",
        "hint: apt install iperf3 (or the package of that name on this system)",
    ]
    assert not any(record.process == os.getpid() for record in list_labs())


@pytest.mark.needs("script")
def test_on_a_terminal_it_draws_a_picture() -> None:
    command = f"stty cols 110 rows 34; {' '.join(MESHVPN)} demo"
    done = subprocess.run(
        [find_program("script"), "--quiet", "--return", "--command", command, os.devnull],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout.decode())
    assert done.returncode == 0
    for drawn in ("host a", "host b", "●──●──●", "inside the tunnel", "all that a spy gets"):
        assert drawn in shown
    # What stays on the screen.
    assert all(f"✓ {step}" in shown.rpartition("meshvpn demo")[2] for step in STEPS)
    assert "Everything worked" in shown
