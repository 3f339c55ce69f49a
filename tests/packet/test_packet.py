"""Packets as Python objects, crafted by scapy, which so judges what we read."""

from __future__ import annotations

import copy
import html.parser
import json
import pickle
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrFragment,
    fragment6,
)

from meshvpn.errors import ConfigError
from meshvpn.packet import Packet, Reassembler

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket

PING = bytes(IP(src="192.168.1.100", dst="8.8.8.8") / ICMP(id=7, seq=3) / (b"x" * 56))


def split(packet: ScapyPacket, size: int) -> list[Packet]:
    cut = fragment if packet.version == 4 else fragment6
    pieces = cut(packet, size)  # type: ignore[no-untyped-call]  # scapy's types end here
    return [Packet(bytes(piece), device="mesh0") for piece in pieces]


def test_the_line_of_a_ping_is_the_one_of_the_readme() -> None:
    packet = Packet(PING, device="mesh0")
    assert str(packet) == "[mesh0] 192.168.1.100 -> 8.8.8.8 | ICMP Echo Request | 64 bytes"
    assert packet.summary() == "192.168.1.100 -> 8.8.8.8 | ICMP Echo Request | 64 bytes"
    assert repr(packet) == f"<Packet {packet}>"


def test_fields_of_a_ping() -> None:
    packet = Packet(PING)
    assert packet.version == 4
    assert packet.source == IPv4Address("192.168.1.100")
    assert packet.destination == IPv4Address("8.8.8.8")
    assert (packet.hop_limit, packet.protocol, packet.protocol_name) == (64, 1, "ICMP")
    assert (packet.icmp_type, packet.icmp_code, packet.icmp_name) == (8, 0, "Echo Request")
    assert (packet.icmp_identifier, packet.icmp_sequence, packet.icmp_mtu) == (7, 3, None)
    assert (packet.header_checksum, packet.checksum) == ("correct", "correct")
    assert packet.payload == b"x" * 56
    assert (bytes(packet), len(packet), packet.length) == (PING, 84, 64)
    assert (packet.tcp_flags, packet.source_port, packet.fragment_kind) == (None, None, None)
    assert not packet.is_malformed


def test_fields_of_a_segment() -> None:
    tcp = TCP(sport=443, dport=51514, seq=7, ack=8, flags="SA", window=64240)
    packet = Packet(bytes(IPv6(src="fd00::1", dst="fd00::2", tc=0xB9, fl=5, hlim=3) / tcp))
    assert packet.source == IPv6Address("fd00::1")
    assert (packet.source_port, packet.destination_port) == (443, 51514)
    assert (packet.tcp_sequence, packet.tcp_acknowledgment, packet.tcp_window) == (7, 8, 64240)
    assert packet.tcp_flags == {"SYN", "ACK"}
    assert (packet.dscp, packet.ecn, packet.flow_label, packet.hop_limit) == (46, 1, 5, 3)
    assert (packet.header_checksum, packet.dont_fragment) == (None, None)


def test_packet_too_big_tells_the_mtu() -> None:
    quoted = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=2)
    packet = Packet(bytes(IPv6() / ICMPv6PacketTooBig(mtu=1280) / quoted))
    assert packet.icmp_mtu == 1280
    assert packet.fields()["icmp.quote.dst"] == IPv6Address("fd00::2")


def test_malformed_packets_say_why() -> None:
    packet = Packet(PING[:30])
    assert packet.is_malformed
    assert packet.defects == ["IPv4 packet truncated (30 of 84 bytes)"]
    assert packet.source == IPv4Address("192.168.1.100")
    junk = Packet(b"junk")
    assert (junk.version, junk.source, junk.layers()[0].name) == (None, None, "Data")


def test_a_packet_is_a_value() -> None:
    packet = Packet(PING, device="mesh0", time_ns=5, direction="outbound", pieces=2)
    for twin in (pickle.loads(pickle.dumps(packet)), copy.deepcopy(packet)):
        assert twin == packet
        assert hash(twin) == hash(packet)
        assert type(twin) is Packet
        assert (twin.device, twin.time_ns, twin.direction, twin.pieces) == (
            "mesh0",
            5,
            "outbound",
            2,
        )
    assert packet != Packet(PING)
    with pytest.raises(AttributeError):
        packet.device = "mesh1"  # type: ignore[misc]  # that it cannot be set is what is tested
    with pytest.raises(AttributeError):
        packet.note = ""  # type: ignore[attr-defined]  # likewise


def test_a_wrong_direction_is_refused() -> None:
    with pytest.raises(ConfigError, match="inbound"):
        Packet(PING, direction="up")


def test_layers_and_fields() -> None:
    packet = Packet(bytes(IP() / UDP(sport=1, dport=2) / b"data"))
    assert [layer.key for layer in packet.layers()] == ["ip", "udp", "data"]
    assert [(layer.start, layer.stop) for layer in packet.layers()] == [(0, 20), (20, 28), (28, 32)]
    udp = {field.key: field for field in packet.layers()[1].fields}
    assert (udp["udp.dstport"].value, udp["udp.checksum"].meaning) == (2, "correct")
    two = Packet(bytes(IP() / TCP(options=[("SAck", (1, 2, 3, 4))])))
    assert two.fields()["tcp.options.sack_le"] == [1, 3]


def test_a_packet_goes_into_json() -> None:
    told = json.loads(json.dumps(Packet(PING, device="mesh0").to_dict()))
    assert told["summary"] == "192.168.1.100 -> 8.8.8.8 | ICMP Echo Request | 64 bytes"
    assert told["fields"]["ip.src"] == "192.168.1.100"
    assert bytes.fromhex(told["data"]) == PING


def test_the_tree_shows_lines_at_the_prompt() -> None:
    tree = Packet(PING).show()
    assert repr(tree) == tree
    assert "├─ Internet Protocol Version 4, bytes 0–19" in tree
    assert "Type             8 (Echo Request)" in tree


def test_html_is_whole_and_escaped() -> None:
    class Balance(html.parser.HTMLParser):
        depth = 0

        def handle_starttag(self, _tag: str, _attributes: object) -> None:
            self.depth += 1

        def handle_endtag(self, _tag: str) -> None:
            self.depth -= 1

    packet = Packet(bytes(IP() / UDP() / b"<b>"), device="<img>")
    shown = packet._repr_html_()
    balance = Balance()
    balance.feed(shown)
    assert balance.depth == 0
    assert "<b>" not in shown
    assert "<img>" not in shown
    assert "&lt;b&gt;|" in shown
    assert "http" not in shown


def test_a_ping_is_answered() -> None:
    for ping in (IP(dst="10.0.0.2") / ICMP(id=7, seq=3), IPv6(dst="fd00::2") / ICMPv6EchoRequest()):
        # Scapy's loopback source is not one to answer to.
        ping.src = "10.0.0.1" if ping.version == 4 else "fd00::1"
        request = Packet(bytes(ping), device="mesh0", direction="outbound")
        reply = request.echo_reply()
        assert reply is not None
        assert (reply.device, reply.direction) == ("mesh0", "inbound")
        assert (reply.source, reply.destination) == (request.destination, request.source)
        assert (reply.icmp_name, reply.defects) == ("Echo Reply", [])
        assert reply.echo_reply() is None


def test_fragments_become_the_whole() -> None:
    old = IP(src="10.0.0.1", dst="10.0.0.2", id=0x1234) / UDP(sport=1, dport=2) / bytes(4000)
    new = IPv6() / IPv6ExtHdrFragment(id=9) / UDP(sport=1, dport=2) / bytes(4000)
    for packets in (split(old, 1480), split(new, 1500)):
        reassembler = Reassembler()
        assert [packet.fragment_kind for packet in packets] == ["first", "middle", "last"]
        *others, last = reversed(packets)
        assert [reassembler.feed(packet) for packet in others] == [None, None]
        whole = reassembler.feed(last)
        assert whole is not None
        assert (whole.device, whole.pieces, whole.checksum) == ("mesh0", 3, "correct")
        assert whole.summary().endswith("UDP len=4000, reassembled from 3 fragments | 4008 bytes")


def test_fragments_do_not_wait_for_ever() -> None:
    datagram = IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / bytes(2000)
    first, last = split(datagram, 1480)
    reassembler = Reassembler()
    assert reassembler.feed(first, now=0) is None
    assert reassembler.feed(last, now=31) is None
    assert reassembler.feed(first, now=32) is not None
    for now in (-1, float("nan"), 10**400):
        with pytest.raises(ConfigError, match="now: "):
            reassembler.feed(first, now=now)


@pytest.mark.parametrize(
    ("field", "value"),
    [("time_ns", -1), ("time_ns", 1 << 64), ("pieces", -1), ("pieces", 1 << 64)],
)
def test_a_number_that_cannot_be_kept_is_named(field: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"{field}: {value} is outside 0\.\.=\d+"):
        Packet(PING, **{field: value})  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize("field", ["datagrams", "size"])
def test_memory_that_nobody_has_is_refused(field: str) -> None:
    for value in (-1, 1 << 64):
        with pytest.raises(ConfigError, match=f"{field}: {value} is outside"):
            Reassembler(**{field: value})
