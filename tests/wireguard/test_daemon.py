"""``meshvpn wg`` takes the place of ``wireguard-go``: how it starts, stays and ends."""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import Running, devices
from tests.tunnel.pair import ping, wait_until
from tests.tunnel.tshark import read
from tests.wireguard.daemon import (
    COMMAND,
    environment,
    has_device,
    processes,
    wait_until_gone,
)
from tests.wireguard.ends import SOCKETS, ours, running, settings, sides, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.lab import Host, Lab
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping", "wg")]


@pytest.fixture
def device() -> Iterator[str]:
    name = f"wt{secrets.token_hex(3)}"
    yield name
    for process in processes(name):
        os.kill(process, signal.SIGKILL)
    (SOCKETS / f"{name}.sock").unlink(missing_ok=True)


@pytest.fixture
def host(lab: Lab) -> Host:
    return lab.host("a")


def start(host: Host, *arguments: str, **variables: str) -> tuple[int, str]:
    done = host.run([*COMMAND, *arguments], check=False, env=environment(**variables))
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_it_is_ready_when_it_returns(host: Host, device: str) -> None:
    assert start(host, device) == (0, "")
    assert has_device(host, device)
    assert "UP" not in host.run(["ip", "-brief", "link", "show", device]).stdout
    assert host.run(["ip", "-brief", "address", "show", device]).stdout.split()[2:] == []
    assert host.run(["wg", "show", device, "dump"]).stdout.split("\t")[:2] == ["(none)"] * 2
    assert len(processes(device)) == 1


def test_in_the_background_it_holds_on_to_nothing(host: Host, device: str) -> None:
    shell = host.run(["sh", "-c", 'exec 9</etc/passwd; "$@"', "sh", *COMMAND, device])
    assert shell.returncode == 0
    (daemon,) = processes(device)
    place = Path(f"/proc/{daemon}")
    held = {int(file.name): str(file.readlink()) for file in (place / "fd").iterdir()}
    assert [held[number] for number in (0, 1, 2)] == ["/dev/null"] * 3
    assert "/etc/passwd" not in held.values()
    assert str((place / "cwd").readlink()) == "/"
    assert os.getsid(daemon) == daemon


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(host: Host, device: str, number: signal.Signals) -> None:
    assert start(host, device) == (0, "")
    os.kill(processes(device)[0], number)
    wait_until_gone(device)
    assert not has_device(host, device)
    assert not (SOCKETS / f"{device}.sock").exists()


def test_it_ends_with_its_socket(host: Host, device: str) -> None:
    assert start(host, device) == (0, "")
    (SOCKETS / f"{device}.sock").unlink()
    wait_until_gone(device)
    assert not has_device(host, device)


def test_it_ends_with_its_network_device(host: Host, device: str) -> None:
    assert start(host, device) == (0, "")
    host.ip(f"link delete {device}")
    wait_until_gone(device)
    assert not (SOCKETS / f"{device}.sock").exists()


def test_a_second_one_is_refused_and_harms_nobody(host: Host, device: str) -> None:
    assert start(host, device) == (0, "")
    status, complaint = start(host, device)
    assert status == 1
    assert f'"{device}"' in complaint
    assert "choose another name" in complaint
    assert len(processes(device)) == 1
    assert host.run(["wg", "show", device]).stdout


def test_what_a_killed_one_left_is_no_hindrance(host: Host, device: str) -> None:
    assert start(host, device) == (0, "")
    os.kill(processes(device)[0], signal.SIGKILL)
    wait_until_gone(device)
    assert (SOCKETS / f"{device}.sock").exists()
    assert start(host, device) == (0, "")


def test_in_the_foreground_it_stays_and_logs(host: Host, device: str) -> None:
    command = Running(host, "wg", "--foreground", device)
    wait_for_file(SOCKETS / f"{device}.sock")
    assert command.process.poll() is None
    assert command.end(signal.SIGTERM) == 0
    assert command.remarks == []


def test_log_level_makes_it_talk(host: Host, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "verbose")
    command = Running(host, "wg", "-f", device)
    command.wait_for_remark("device started")
    assert command.end(signal.SIGINT) == 0


def test_an_unknown_log_level_is_named(host: Host, device: str) -> None:
    status, complaint = start(host, device, LOG_LEVEL="loud")
    assert status == 2
    assert "LOG_LEVEL: 'loud' is none of silent, error, verbose" in complaint


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the name of the device to create is missing"),
        (["wg0", "wg1"], "'wg1' makes no sense here"),
        (["--colour", "wg0"], "'--colour' makes no sense here"),
        (["wg0", "--capture"], "the file of the capture is missing"),
        (["wg0", "--capture-secrets"], "the file of the capture is missing"),
    ],
)
def test_a_command_line_without_sense_is_status_2(
    host: Host, arguments: list[str], complaint: str
) -> None:
    status, said = start(host, *arguments)
    assert status == 2
    assert complaint in said
    assert "hint: see meshvpn wg --help" in said


def test_a_name_that_no_device_can_have(host: Host) -> None:
    status, complaint = start(host, "a-very-long-device-name")
    assert status == 1
    assert "'a-very-long-device-name'" in complaint or '"a-very-long-device-name"' in complaint


def test_a_device_moved_elsewhere_keeps_its_udp_socket(lab: Lab, two_hosts: TwoHosts) -> None:
    """Host ``cell`` has no network but the device; the datagrams are still those of host ``a``."""
    near, far = sides(two_hosts.a, two_hosts.b)
    cell = lab.host("cell")
    with ours(far, near), running(near, *COMMAND, "-f", near.device):
        near.host.ip(f"link set {near.device} netns {cell.netns}")
        config = settings(near, far, endpoint=far.endpoint())
        near.wg("setconf", near.device, "/dev/stdin", input_text=config)
        add = [f"address add {address} dev {near.device}" for address in near.addresses]
        cell.ip(*add, f"link set {near.device} up")
        inside = type(near)(cell, near.ipv4, near.ipv6, near.number, near.key, near.device)
        for version in (4, 6):
            assert ping(inside, far, version)
            assert ping(far, inside, version)
        assert devices(cell) == {"lo", near.device}


def test_nothing_is_sent_while_the_device_is_down(two_hosts: TwoHosts) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    with running(far, *COMMAND, "-f", far.device, config=settings(far, near)):
        near.host.run([*COMMAND, near.device], env=environment())
        try:
            config = settings(near, far, endpoint=far.endpoint()) + "PersistentKeepalive = 1\n"
            near.wg("setconf", near.device, "/dev/stdin", input_text=config)
            time.sleep(1.5)
            assert near.dump()[1][6] == "0", "bytes sent"
            near.host.ip(f"address add {near.ipv4}/24 dev {near.device}")
            near.host.ip(f"link set {near.device} up")
            wait_until(lambda: near.dump()[1][4] != "0")
            assert ping(far, near, 4), "its keepalive has told where it is"
            near.host.ip(f"link set {near.device} down")
            wait_until(lambda: not ping(far, near, 4, seconds=1))
            sent = near.dump()[1][6]
            time.sleep(2)
            assert near.dump()[1][6] == sent
            near.host.ip(f"link set {near.device} up mtu 1300")
            # What comes before the new session is lost with the old one.
            wait_until(lambda: ping(far, near, 4, 1200, seconds=1) is not None)
        finally:
            (SOCKETS / f"{near.device}.sock").unlink()
            wait_until_gone(near.device)


@pytest.mark.needs("tshark")
def test_what_it_sends_and_receives_can_be_captured_with_keys(
    two_hosts: TwoHosts, tmp_path: Path
) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    path = tmp_path / "x.pcapng"
    config = settings(near, far, endpoint=far.endpoint())
    options = (f"--capture={path}", "--capture-secrets")
    with ours(far, near), running(near, *COMMAND, "-f", *options, near.device, config=config):
        assert ping(near, far, 4)
    assert [packet.echo for packet in read(path) if packet.echo] == ["request 1", "reply 1"]


def test_a_capture_that_is_not_possible_is_an_error(
    host: Host, device: str, tmp_path: Path
) -> None:
    status, complaint = start(host, "--capture", str(tmp_path / "nowhere" / "x.pcapng"), device)
    assert status == 1
    assert complaint.startswith("error: cannot write ")
    assert not has_device(host, device)


def test_a_capture_in_the_background_is_where_it_was_meant_to_be(
    host: Host, device: str, tmp_path: Path
) -> None:
    words = ["env", "-C", str(tmp_path), *COMMAND, "--capture", "x.pcapng", device]
    host.run(words, env=environment())
    assert (tmp_path / "x.pcapng").stat().st_size > 0
    os.kill(processes(device)[0], signal.SIGTERM)
    wait_until_gone(device)
