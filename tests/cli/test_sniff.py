"""``meshvpn sniff``: what it prints, records and answers, and every way to end it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from meshvpn.lab.programs import find_program
from tests.cli.command import MESHVPN, PATIENCE_SECONDS, Running, devices

if TYPE_CHECKING:
    from pathlib import Path

    from meshvpn.lab import Host, Lab

pytestmark = [pytest.mark.root, pytest.mark.needs("ping")]


@pytest.fixture
def host(lab: Lab) -> Host:
    """A host whose kernel sends nothing by itself."""
    host = lab.host("a")
    host.sysctl({"net/ipv6/conf/default/router_solicitations": "0"})
    return host


def sniff(host: Host, *options: str | Path) -> Running:
    addresses = ("--address", "10.0.0.1/24", "--address", "fd00::1/64", "--route", "10.9.0.0/16")
    command = Running(host, "sniff", "mesh0", *addresses, *options)
    command.wait_for_remark("Ctrl-C ends")
    return command


def send(host: Host, data: bytes = b"hello", address: str = "10.9.0.2") -> None:
    with host.socket() as sender:
        sender.bind(("10.0.0.1", 5000))
        sender.sendto(data, (address, 9))


HELLO = "[mesh0] 10.0.0.1:5000 -> 10.9.0.2:9 | UDP len=5 | 13 bytes"


# --- what it prints ---


def test_a_line_a_packet(host: Host) -> None:
    command = sniff(host)
    host.run(["ping", "-c", "1", "-W", "0.1", "10.9.0.2"], check=False)
    host.run(["ping", "-c", "1", "-W", "0.1", "fd00::2"], check=False)
    send(host)
    command.wait_for(lambda it: len(it.lines) == 3)
    assert command.lines == [
        "[mesh0] 10.0.0.1 -> 10.9.0.2 | ICMP Echo Request | 64 bytes",
        "[mesh0] fd00::1 -> fd00::2 | ICMPv6 Echo Request | 64 bytes",
        HELLO,
    ]
    assert command.end(signal.SIGINT) == 0
    start, end = command.remarks
    assert start == "mesh0: 10.0.0.1/24, fd00::1/64; MTU 1500; routes 10.9.0.0/16; Ctrl-C ends"
    assert re.fullmatch(r"mesh0: 3 packets in \d+\.\d s; 1 ICMP, 1 ICMPv6, 1 UDP", end)


def test_fragments_and_the_whole_they_make(host: Host) -> None:
    command = sniff(host, "--count", "3")
    host.run(["ping", "-c", "1", "-W", "0.1", "-s", "4000", "10.9.0.2"], check=False)
    assert command.end() == 0
    first, middle, last, whole = command.lines
    assert re.search(r"IPv4 fragment first id=0x[0-9a-f]{4} offset=0 of ICMP Echo Request", first)
    assert "IPv4 fragment middle" in middle
    assert "offset=2960 of ICMP | 1048 bytes" in last
    assert whole.endswith("| ICMP Echo Request, reassembled from 3 fragments | 4008 bytes")
    assert command.remarks[-1].endswith("; 3 ICMP; 3 fragments, 1 reassembled")


def test_a_malformed_packet_is_named(host: Host) -> None:
    command = sniff(host)
    with host.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
        for data in (b"E\x00\x00T", b"\xff" * 20, bytes.fromhex("6000000000400640")):
            raw.sendto(data, ("mesh0", 0x0800))
    send(host)
    command.wait_for(lambda it: len(it.lines) == 4)
    short, strange, six, sound = command.lines
    assert short == "[mesh0] ? -> ? | malformed: IPv4 header truncated (4 of 20 bytes) | 4 bytes"
    assert "malformed: not an IP packet (version 15)" in strange
    assert "malformed: IPv6 header truncated (8 of 40 bytes)" in six
    assert sound == HELLO
    assert command.end(signal.SIGTERM) == 0
    assert command.remarks[-1].endswith("3 not IP, 1 UDP; 3 malformed")


def test_hex_shows_the_bytes(host: Host) -> None:
    command = sniff(host, "--hex", "--count", "1")
    send(host)
    assert command.end() == 0
    assert command.lines[0] == HELLO
    assert command.lines[1].startswith("00000000  45 00 00 21 ")
    assert command.lines[2].endswith("hell|")
    assert command.lines[3].startswith("00000020  6f ")


def test_json_has_every_field(host: Host) -> None:
    command = sniff(host, "--json", "--count", "1")
    send(host)
    assert command.end() == 0
    (packet,) = command.objects()
    assert packet["device"] == "mesh0"
    assert packet["direction"] == "outbound"
    assert bytes.fromhex(packet["data"]).endswith(b"hello")
    assert packet["fields"]["ip.dst"] == "10.9.0.2"
    assert packet["fields"]["udp.dstport"] == 9


def test_colours_are_for_terminals(host: Host) -> None:
    assert "\x1b[" in shown_on_a_terminal(host)
    assert "\x1b[" not in shown_on_a_terminal(host, NO_COLOR="1")


def shown_on_a_terminal(host: Host, **environment: str) -> str:
    ours, theirs = pty.openpty()
    process = host.popen(
        [*MESHVPN, "sniff", "mesh0", "--address", "10.0.0.1/24", "--count", "1"],
        stdout=theirs,
        env=os.environ | {"TERM": "xterm"} | environment,
    )
    os.close(theirs)
    assert process.stderr is not None
    process.stderr.readline()
    send(host, address="10.0.0.2")
    shown = os.read(ours, 1000).decode()
    assert process.wait(PATIENCE_SECONDS) == 0
    os.close(ours)
    return shown


# --- what it records and answers ---


@pytest.mark.needs("tshark")
def test_a_capture_file_is_what_was_seen(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "mesh0.pcapng"
    command = sniff(host, "--pcap", file, "--count", "4", "--json")
    send(host)
    host.run(["ping", "-c", "1", "-W", "0.1", "-s", "3000", "10.9.0.2"], check=False)
    assert command.end() == 0
    read = subprocess.check_output(
        [find_program("tshark"), "-r", file, "-T", "json", "-x"], text=True
    )
    recorded = [packet["_source"]["layers"]["frame_raw"][0] for packet in json.loads(read)]
    # The reassembled whole is a line of ours; it was never on the device.
    assert recorded == [it["data"] for it in command.objects() if it["pieces"] is None]
    assert len(recorded) == 4


def test_ping_is_answered_whatever_its_address_and_size(host: Host) -> None:
    command = sniff(host, "--answer-ping")
    for target in ("10.0.0.77", "10.9.33.44", "fd00::99"):
        for size in ("0", "56", "4000", "20000"):
            host.run(["ping", "-c", "2", "-i", "0.1", "-W", "2", "-s", size, target])
    assert command.end(signal.SIGINT) == 0
    replies = [line for line in command.lines if "Echo Reply" in line]
    assert len(replies) == 24
    assert "[mesh0] 10.0.0.77 -> 10.0.0.1 | ICMP Echo Reply | 64 bytes" in replies


def test_count_means_what_came_in_and_all_of_it_is_answered(host: Host) -> None:
    command = sniff(host, "--answer-ping", "--count", "2")
    host.run(["ping", "-c", "2", "-i", "0.1", "-W", "2", "10.9.0.2"])
    assert command.end() == 0
    assert len(command.lines) == 4
    assert re.search(r": 2 packets in .*; 2 ICMP; 2 answered$", command.remarks[-1])


# --- how it ends ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(number: signal.Signals, host: Host) -> None:
    command = sniff(host)
    assert "mesh0" in devices(host)
    assert command.end(number) == 0
    assert devices(host) == {"lo"}
    assert "10.9.0.0/16" not in host.ip("route show")
    assert command.remarks[-1].startswith("mesh0: 0 packets in ")
    assert len(command.remarks) == 2


def test_a_deleted_device_is_an_error(host: Host) -> None:
    command = sniff(host)
    send(host)
    command.wait_for(lambda it: it.lines == [HELLO])
    host.ip("link delete mesh0")
    assert command.end() == 1
    assert command.remarks[-1] == "error: device mesh0 was deleted"
    assert command.remarks[-2].startswith("mesh0: 1 packet in ")


def test_a_reader_that_leaves_ends_it_quietly(host: Host) -> None:
    reading, writing = os.pipe()
    process = host.popen([*MESHVPN, "sniff", "mesh0", "--address", "10.0.0.1/24"], stdout=writing)
    os.close(writing)
    assert process.stderr is not None
    process.stderr.readline()
    send(host, address="10.0.0.2")
    assert os.read(reading, 10) == b"[mesh0] 10"
    os.close(reading)
    send(host, address="10.0.0.2")
    remarks = process.stderr.read()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert re.fullmatch(r"mesh0: 2 packets in .*\n", remarks)


def test_a_capture_file_that_cannot_be_written_is_an_error(host: Host, tmp_path: Path) -> None:
    command = Running(host, "sniff", "mesh0", "--pcap", tmp_path / "missing" / "file")
    assert command.end() == 1
    (remark,) = command.remarks
    assert remark.startswith("error: ")
    assert "No such file or directory" in remark
    assert "mesh0" not in devices(host)
