"""Capture files as tshark reads them."""

from __future__ import annotations

import io
import subprocess
from typing import TYPE_CHECKING

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.utils import rdpcap

from meshvpn.capture import PcapngWriter
from meshvpn.packet import Packet

if TYPE_CHECKING:
    from pathlib import Path

PING = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP())


@pytest.mark.needs("tshark")
def test_tshark_reads_devices_times_and_directions(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    with PcapngWriter(path) as capture:
        for number, device in enumerate(["mesh0", "mesh1", "mesh0"]):
            direction = "inbound" if number else "outbound"
            capture.write(Packet(PING, device=device, time_ns=10**18 + number, direction=direction))
    columns = ["frame.interface_name", "frame.time_epoch", "frame.packet_flags_direction", "ip.dst"]
    arguments = [argument for column in columns for argument in ("-e", column)]
    command = ["tshark", "-r", str(path), "-T", "fields", *arguments]
    seen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [line.split("\t") for line in seen.splitlines()] == [
        ["mesh0", "1000000000.000000000", "0x00000002", "10.0.0.2"],
        ["mesh1", "1000000000.000000001", "0x00000001", "10.0.0.2"],
        ["mesh0", "1000000000.000000002", "0x00000001", "10.0.0.2"],
    ]


def test_scapy_reads_what_is_there_so_far(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    with PcapngWriter(path) as capture:
        capture.write(Packet(PING))
        assert [bytes(packet) for packet in rdpcap(str(path))] == [PING]


def test_a_file_that_was_given_stays_open() -> None:
    file = io.BytesIO()
    with PcapngWriter(file) as capture:
        capture.write(Packet(PING))
    assert not file.closed


def test_a_closed_file_takes_nothing(tmp_path: Path) -> None:
    capture = PcapngWriter(tmp_path / "capture.pcapng")
    capture.close()
    capture.close()
    with pytest.raises(ValueError, match="closed"):
        capture.write(Packet(PING))
