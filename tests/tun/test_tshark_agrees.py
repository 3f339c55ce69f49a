"""tshark is the judge: on one device, it and ``meshvpn sniff`` list the same packets."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest

pytest.importorskip("scapy", reason="needs scapy: pip install scapy")

from tests.cli.command import PATIENCE_SECONDS, Running
from tests.tun.traffic import IPV4, broken, bursts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshvpn.lab import Host, Lab

pytestmark = [pytest.mark.root, pytest.mark.needs("tshark", "ping")]

# Wireshark's names, which are ours too.
FIELDS: Final = (
    *("ip.src", "ip.dst", "ip.len", "ip.id", "ip.ttl", "ip.proto", "ip.hdr_len"),
    *("ip.flags.df", "ip.flags.mf", "ip.frag_offset", "ip.dsfield.dscp", "ip.checksum"),
    *("ipv6.src", "ipv6.dst", "ipv6.plen", "ipv6.nxt", "ipv6.hlim", "ipv6.flow"),
    *("ipv6.fraghdr.ident", "ipv6.fraghdr.offset", "ipv6.fraghdr.more"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len"),
    *("tcp.window_size_value", "tcp.options.mss_val"),
    *("udp.srcport", "udp.dstport", "udp.length", "udp.checksum"),
    *("icmp.type", "icmp.code", "icmp.ident", "icmp.seq"),
    *("icmpv6.type", "icmpv6.code", "icmpv6.echo.identifier", "icmpv6.echo.sequence_number"),
)

# 0 for a wrong one.
VERDICTS: Final = tuple(
    f"{name}.checksum.status" for name in ("ip", "tcp", "udp", "icmp", "icmpv6")
)

# Each fragment and each segment on its own; checksums are looked at.
SETTINGS: Final = (
    *("-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"),
    *("-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.analyze_sequence_numbers:FALSE"),
    *("-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"),
    *("-o", "udp.check_checksum:TRUE"),
)

BEGIN_PORT, END_PORT, FIRST_BURST_PORT = 60001, 60002, 60003


class Tshark:
    """tshark on the device, with one list of field values a packet."""

    def __init__(self, host: Host) -> None:
        fields = [word for name in FIELDS + VERDICTS for word in ("-e", name)]
        self._process = host.popen(
            ["tshark", "-i", "mesh0", "-n", "-l", "-T", "fields", "-E", "occurrence=f",
             "-E", "separator=|", *SETTINGS, *fields]
        )  # fmt: skip
        self.packets: list[dict[str, str]] = []
        threading.Thread(target=self._read).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            values = line.rstrip("\n").split("|")
            self.packets.append(dict(zip(FIELDS + VERDICTS, values, strict=True)))


def test_both_list_the_same_packets_with_the_same_fields(lab: Lab) -> None:
    host = lab.host("a")
    addresses = ("--address", "10.0.0.1/24", "--address", "fd00::1/64")
    sniffer = Running(host, "sniff", "mesh0", *addresses, "--json")
    sniffer.wait_for_remark("Ctrl-C ends")
    judge = Tshark(host)

    def ours() -> list[dict[str, Any]]:
        # A reassembled whole was never on the device.
        seen = (packet for packet in sniffer.objects() if packet["pieces"] is None)
        return [packet["fields"] | {"defects": packet["defects"]} for packet in seen]

    def theirs() -> list[dict[str, str]]:
        return list(judge.packets)

    while position(theirs(), BEGIN_PORT) is None:
        mark(host, BEGIN_PORT)
        time.sleep(0.1)
    for port, send in enumerate(bursts(), start=FIRST_BURST_PORT):
        send(host)
        mark(host, port)
        wait_for_mark(ours, port)
    mark(host, END_PORT)
    for packets in (ours, theirs):
        wait_for_mark(packets, END_PORT)

    mine, judged = between_marks(ours()), between_marks(theirs())
    assert len(mine) == len(judged)
    assert len(mine) >= 500
    for number, (packet, judgement) in enumerate(zip(mine, judged, strict=True)):
        if "ip.dst" in packet or "ipv6.dst" in packet:
            assert normal(packet) == normal(judgement), f"packet {number}"
        else:  # cut off within the IP header
            assert not judgement["ip.dst"], f"packet {number}"
            assert not judgement["ipv6.dst"], f"packet {number}"
        if has_wrong_checksum(judgement):
            assert packet["defects"], f"packet {number}"
    assert sum(bool(packet["defects"]) for packet in mine) == len(list(broken()))
    kinds = Counter(kind for packet in mine for kind in packet_kinds(packet))
    assert all(kinds[kind] >= 50 for kind in KINDS), kinds


KINDS: Final = ("icmp", "icmpv6", "tcp", "udp", "ip.fragment", "ipv6.fraghdr")


def packet_kinds(packet: dict[str, Any]) -> set[str]:
    kinds = {name.partition(".")[0] for name in packet} | {name for name in packet if name in KINDS}
    if packet.get("ip.flags.mf") or packet.get("ip.frag_offset"):
        kinds.add("ip.fragment")
    if "ipv6.fraghdr.offset" in packet:
        kinds.add("ipv6.fraghdr")
    return kinds


def normal(packet: dict[str, Any]) -> dict[str, int | str]:
    """The fields that are there, with numbers as numbers; ours and tshark's alike."""
    known = (*FIELDS, "icmp.quote.dstport")
    there = {name: number(packet[name]) for name in known if packet.get(name, "") != ""}
    plain = {name: value for name, value in there.items() if name in FIELDS}
    if not there.keys() & {"icmp.type", "icmpv6.type"}:
        return plain
    # tshark calls the ports that an ICMP error quotes as if they were its own.
    quoted = there.get("icmp.quote.dstport", there.get("udp.dstport", 0))
    own = {name: value for name, value in plain.items() if not name.startswith(("tcp", "udp"))}
    return own | {"quoted port": quoted}


def has_wrong_checksum(judgement: dict[str, str]) -> bool:
    return any(judgement[name] == "0" for name in VERDICTS)


def number(value: Any) -> int | str:
    if isinstance(value, list):  # tshark gives the first one only
        value = value[0]
    if isinstance(value, str):
        if value in {"True", "False"}:
            return int(value == "True")
        try:
            return int(value, 0)
        except ValueError:
            return value
    return int(value)


def mark(host: Host, port: int) -> None:
    with host.socket() as sender:
        sender.sendto(b"mark", (IPV4, port))


def position(packets: Sequence[dict[str, Any]], port: int) -> int | None:
    """Where the last packet to a port is."""
    places = [
        at for at, packet in enumerate(packets) if str(packet.get("udp.dstport")) == str(port)
    ]
    return places[-1] if places else None


def between_marks(packets: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    begin, end = position(packets, BEGIN_PORT), position(packets, END_PORT)
    assert begin is not None
    return packets[begin + 1 : end]


def wait_for_mark(packets: Callable[[], Sequence[dict[str, Any]]], port: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while position(packets(), port) is None:
        assert time.monotonic() < end
        time.sleep(0.1)
