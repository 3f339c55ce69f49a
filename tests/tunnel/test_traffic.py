"""Ping, ssh, iperf3 and UDP go through, over and inside both IP versions; nothing is dropped."""

from __future__ import annotations

import hashlib
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.tunnel.pair import (
    FRAMINGS,
    VERSIONS,
    End,
    Framing,
    Pair,
    Version,
    open_pair,
    ping,
    transfer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping")]


@pytest.fixture(params=VERSIONS, ids=["over_v4", "over_v6"])
def outer(request: pytest.FixtureRequest) -> Version:
    version: Version = request.param
    return version


@pytest.fixture(params=FRAMINGS)
def framing(request: pytest.FixtureRequest) -> Framing:
    name: Framing = request.param
    return name


@pytest.fixture
def pair(two_hosts: TwoHosts, framing: Framing, outer: Version) -> Iterator[Pair]:
    """A tunnel in an undisturbed network: whatever is dropped is a mistake."""
    with open_pair(two_hosts.a, two_hosts.b, framing, outer=outer) as opened:
        yield opened
        assert [end.dropped for end in opened.ends] == [{}, {}]


def test_pings_of_every_size_are_answered(pair: Pair) -> None:
    largest = pair.a.tunnel.mtu
    for version in VERSIONS:
        headers = 28 if version == 4 else 48
        for size in (0, 56, largest - headers, 1400, 4000, 60000):
            assert ping(pair.a, pair.b, version, size), f"IPv{version}, {size} bytes"
            assert ping(pair.b, pair.a, version, size), f"IPv{version}, {size} bytes"


def test_a_peer_that_starts_second_is_heard_at_once(two_hosts: TwoHosts, framing: Framing) -> None:
    with open_pair(two_hosts.a, two_hosts.b, framing) as pair:
        events = [pair.b.tunnel.next_event(0) for _ in range(4)]
        at = {event.kind: event.at for event in events if event is not None}
        assert (at["up"] - at["path_mtu"]).total_seconds() < 0.1
        assert [end.dropped for end in pair.ends] == [{}, {}]


def test_tcp_arrives_intact_both_ways(pair: Pair) -> None:
    for version in VERSIONS:
        transfer(pair.a, pair.b, version, size=8 << 20)
        transfer(pair.b, pair.a, version, size=8 << 20)


def test_udp_of_every_length_arrives_intact(pair: Pair) -> None:
    largest = pair.a.tunnel.mtu
    lengths = [0, 1, 15, 16, 17, 1200, largest - 49, largest - 48, largest - 28, largest, 9000]
    for version in VERSIONS:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        with (
            pair.b.host.socket(family, bind=(pair.b.inside(version), 5000)) as server,
            pair.a.host.socket(family) as client,
        ):
            server.settimeout(2)
            for length in lengths:
                content = hashlib.shake_128(bytes([version])).digest(length)
                client.sendto(content, (pair.b.inside(version), 5000))
                assert server.recv(65536) == content, f"IPv{version}, {length} bytes"


@pytest.mark.needs("iperf3")
def test_iperf3_runs_both_ways(pair: Pair) -> None:
    for version in VERSIONS:
        ends = iperf3(pair.a, pair.b, version, ["--bidir"])["end"]
        for direction in ("sum_received", "sum_received_bidir_reverse"):
            assert ends[direction]["bytes"] > 1_000_000, ends
    ends = iperf3(pair.a, pair.b, 4, ["--udp", "--bitrate", "50M"])["end"]
    assert ends["sum"]["lost_percent"] < 1, ends
    assert ends["sum"]["packets"] > 1000, ends


def iperf3(client: End, server: End, version: Version, options: list[str]) -> dict[str, Any]:
    listening = server.host.popen(["iperf3", "--server", "--one-off", "--port", "5201"])
    server.host.wait_listening(5201)
    command = ["iperf3", "--client", server.inside(version), "--time", "1", "--json", *options]
    report: dict[str, Any] = json.loads(client.host.run(command).stdout)
    listening.wait(5)
    return report


@pytest.mark.needs("ssh", "sshd", "ssh-keygen")
def test_ssh_runs_a_command_and_carries_a_file(pair: Pair, tmp_path: Path) -> None:
    content = hashlib.shake_128(b"file").digest(5_000_000)
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "file").write_bytes(content)
    ssh = start_sshd(pair.b, tmp_path)
    for version in VERSIONS:
        login = f"{ssh} root@{pair.b.inside(version)}"
        command = f"{login} 'echo hello from $SSH_CONNECTION'"
        greeting = pair.a.host.run(["sh", "-c", command]).stdout
        assert greeting.startswith("hello from")
        assert pair.a.inside(version) in greeting
    for carried in (f"{login} cat {tmp_path}/file | sha256sum", f"{login} sha256sum < file"):
        done = pair.a.host.run(["sh", "-c", f"cd {tmp_path} && {carried}"])
        assert done.stdout.split()[0] == digest


def start_sshd(server: End, directory: Path) -> str:
    """Starts a server with keys of its own; returns the command that logs in without questions."""
    for name in ("host", "user"):
        generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        server.host.run(generate)
    config = {
        "Port": 22,
        "HostKey": directory / "host",
        "AuthorizedKeysFile": directory / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "prohibit-password",
    }
    (directory / "config").write_text("".join(f"{name} {to}\n" for name, to in config.items()))
    # The unprivileged half of sshd is locked up in a directory that Debian makes at boot.
    server.host.run(["mkdir", "-p", "/run/sshd"])
    server.host.popen(["sshd", "-D", "-e", "-f", str(directory / "config")])
    server.host.wait_listening(22)
    known = f"-o UserKnownHostsFile={directory}/known -o StrictHostKeyChecking=no"
    return f"ssh -q -o BatchMode=yes {known} -i {directory}/user"
