"""``meshvpn tunnel``: two processes, one tunnel, and every way to end it."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Literal

import pytest

from meshvpn import PresharedKey
from tests.cli.command import Running, devices
from tests.tunnel.tshark import read

if TYPE_CHECKING:
    from pathlib import Path

    from meshvpn.lab import Host, Lab
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = pytest.mark.root

FRAMINGS = ("plain", "preshared")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "mesh.key"
    PresharedKey.generate().to_file(file)
    return file


def start(
    kind: str, host: Host, number: Literal[1, 2], key_file: Path, *options: str | Path
) -> Running:
    if kind == "preshared":
        options = ("--key-file", key_file, *options)
    command = Running(
        host,
        *("tunnel", kind, "mesh0"),
        *("--local", f"172.31.0.{number}:7000", "--remote", f"172.31.0.{3 - number}:7000"),
        *("--address", f"10.9.0.{number}/24", "--address", f"fd09::{number}/64"),
        *options,
    )
    command.wait_for_remark("tunnel started")
    return command


@pytest.mark.needs("ping")
@pytest.mark.parametrize("kind", FRAMINGS)
def test_ping_goes_through_and_is_counted(kind: str, two_hosts: TwoHosts, key_file: Path) -> None:
    a = start(kind, two_hosts.a, 1, key_file, "--route", "10.77.0.0/16", "--json")
    b = start(kind, two_hosts.b, 2, key_file, "--stats")
    a.wait_for_remark("the peer answers")
    b.wait_for_remark("the peer answers")
    for target in ("10.9.0.2", "fd09::2"):
        two_hosts.a.run(["ping", "-c", "3", "-i", "0.1", "-W", "2", target])
    assert "10.77.0.0/16 dev mesh0" in two_hosts.a.ip("route show")

    assert (a.end(signal.SIGINT), b.end(signal.SIGTERM)) == (0, 0)
    (figures,) = a.objects()
    assert figures["sent_packets"] >= 6
    assert figures["received_packets"] >= 6
    assert figures["failure"] is None
    assert re.search(r"^received  (\d+) packets", "\n".join(b.lines), re.MULTILINE)
    assert devices(two_hosts.a) == devices(two_hosts.b) == {"lo", "eth0"}


@pytest.mark.parametrize("kind", FRAMINGS)
def test_the_first_line_says_what_runs(kind: str, two_hosts: TwoHosts, key_file: Path) -> None:
    command = start(kind, two_hosts.a, 1, key_file)
    first = command.remarks[0]
    aead = "none" if kind == "plain" else "(aws-lc|ipsec-mb|portable)"
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO +tunnel started ", first)
    assert re.search(rf"device=mesh0 .* mtu=14\d\d .* aead={aead}$", first)
    assert command.end(signal.SIGINT) == 0
    assert command.lines == []


@pytest.mark.parametrize("backend", ["aws-lc", "portable"])
def test_a_backend_can_be_chosen(backend: str, two_hosts: TwoHosts, key_file: Path) -> None:
    command = start("preshared", two_hosts.a, 1, key_file, "--aead", backend, "--json")
    assert command.remarks[0].endswith(f"aead={backend}")
    assert command.end(signal.SIGTERM) == 0
    assert json.loads(command.lines[0])["aead"] == backend


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(
    number: signal.Signals, two_hosts: TwoHosts, key_file: Path
) -> None:
    command = start("preshared", two_hosts.a, 1, key_file)
    assert "mesh0" in devices(two_hosts.a)
    assert command.end(number) == 0
    assert "mesh0" not in devices(two_hosts.a)
    assert "tunnel closed" in command.remarks[-1]
    assert not any("Traceback" in line for line in command.remarks)


def test_a_deleted_device_is_an_error(two_hosts: TwoHosts, key_file: Path) -> None:
    command = start("plain", two_hosts.a, 1, key_file, "--json")
    two_hosts.a.ip("link delete mesh0")
    assert command.end() == 1
    assert command.remarks[-1] == "error: mesh0: the device was deleted"
    assert json.loads(command.lines[0])["failure"] == "the device was deleted"


def test_a_namespace_can_be_named(lab: Lab, two_hosts: TwoHosts, key_file: Path) -> None:
    elsewhere = lab.host("elsewhere")
    command = start("plain", elsewhere, 1, key_file, "--netns", two_hosts.a.netns)
    assert "mesh0" in devices(two_hosts.a)
    assert "mesh0" not in devices(elsewhere)
    assert command.end(signal.SIGINT) == 0


def test_a_key_file_that_others_can_read_is_refused(two_hosts: TwoHosts, key_file: Path) -> None:
    key_file.chmod(0o644)
    command = Running(
        two_hosts.a,
        *("tunnel", "preshared", "mesh0", "--key-file", key_file),
        *("--local", "172.31.0.1:7000", "--remote", "172.31.0.2:7000"),
    )
    assert command.end() == 1
    assert command.remarks[0].startswith(f"error: key file {key_file}: others can read")
    assert command.remarks[1] == f"hint: chmod 600 {key_file}"
    assert "mesh0" not in devices(two_hosts.a)


@pytest.mark.needs("tshark")
def test_what_goes_over_the_network_can_be_captured(
    two_hosts: TwoHosts, key_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.pcapng"
    a = start("preshared", two_hosts.a, 1, key_file, "--capture", path)
    b = start("preshared", two_hosts.b, 2, key_file)
    a.wait_for_remark("the peer answers")
    assert (a.end(signal.SIGINT), b.end(signal.SIGINT)) == (0, 0)
    assert {packet.is_outbound for packet in read(path)} == {True, False}


def test_a_capture_that_is_not_complete_is_an_error(
    two_hosts: TwoHosts, key_file: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    command = start("plain", two_hosts.a, 1, key_file, "--capture", pipe, "--json")
    os.close(reader)
    command.wait_for_remark("ended before it was told to")
    assert command.end(signal.SIGINT) == 1
    assert f"error: the capture {pipe} is not complete: Broken pipe" in command.remarks[-2]
    assert json.loads(command.lines[0])["failure"] is None


def test_a_capture_that_is_not_possible_is_an_error(two_hosts: TwoHosts, key_file: Path) -> None:
    command = start("plain", two_hosts.a, 1, key_file, "--capture", "/dev/full")
    assert command.end() == 1
    assert "error: cannot write /dev/full: No space left" in command.remarks[-2]
    assert devices(two_hosts.a) == {"lo", "eth0"}
