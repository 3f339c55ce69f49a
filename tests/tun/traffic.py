"""Real traffic into a TUN device that answers nothing, of every kind, in bursts.

Most of it is made by the kernel for real programs; what the kernel does not make by itself, such as
extension headers, options and broken packets, is built by scapy and put on the device.
"""

from __future__ import annotations

import contextlib
import random
import socket
from typing import TYPE_CHECKING, Final

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.packet import Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshvpn.lab import Host

# <linux/if_ether.h>
_ETHERTYPES: Final = {4: 0x0800, 6: 0x86DD}

IPV4, IPV6 = "10.0.0.2", "fd00::2"


def bursts() -> list[Callable[[Host], None]]:
    """Functions that send up to 150 packets each: a TUN device holds 500 for its reader."""
    return [pings, fragmented_pings, datagrams, connections, unusual_packets, broken_packets]


def pings(host: Host) -> None:
    for target in (IPV4, IPV6):
        _ping(host, target, count=60, size=56)


def fragmented_pings(host: Host) -> None:
    for target in (IPV4, IPV6):
        for size in (1480, 4000, 9000):
            _ping(host, target, count=6, size=size)


def datagrams(host: Host) -> None:
    dice = random.Random(1)
    for family, target in ((socket.AF_INET, IPV4), (socket.AF_INET6, IPV6)):
        with host.socket(family) as sender:
            for _ in range(50):
                sender.sendto(
                    dice.randbytes(dice.randrange(2000)), (target, dice.randrange(1, 65536))
                )


def connections(host: Host) -> None:
    with contextlib.ExitStack() as opened:
        for family, target in ((socket.AF_INET, IPV4), (socket.AF_INET6, IPV6)):
            for port in range(2000, 2050):
                attempt = opened.enter_context(host.socket(family, socket.SOCK_STREAM))
                attempt.setblocking(False)
                attempt.connect_ex((target, port))


def unusual_packets(host: Host) -> None:
    inject(host, _unusual())


def broken_packets(host: Host) -> None:
    inject(host, broken())


def inject(host: Host, packets: Iterator[bytes]) -> None:
    """Puts packets on the device as they are."""
    with host.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
        for data in packets:
            raw.sendto(data, ("mesh0", _ETHERTYPES[6 if data[0] >> 4 == 6 else 4]))


def _ping(host: Host, target: str, *, count: int, size: int) -> None:
    # Nobody answers, which ping reports by its exit status.
    options = ["-c", str(count), "-i", "0.002", "-W", "0.1", "-s", str(size)]
    host.run(["ping", *options, target], check=False)


def _unusual() -> Iterator[bytes]:
    v4, v6 = (
        IP(src="10.0.0.1", dst=IPV4, tos=0xB8, ttl=3),
        IPv6(src="fd00::1", dst=IPV6, fl=0x12345),
    )
    options = [("MSS", 1400), ("SAckOK", b""), ("Timestamp", (1, 2)), ("NOP", None), ("WScale", 7)]
    for flags in ("S", "SA", "A", "PA", "FA", "R", "RA", "FPU", "SEC", "", "FSRPAUEC"):
        for network in (v4, v6):
            tcp = TCP(sport=1, dport=65535, seq=2**32 - 1, ack=2**31, flags=flags, options=options)
            yield bytes(network / tcp / Raw(b"data"))
    for kind, code in ((0, 0), (3, 1), (3, 4), (5, 1), (11, 0), (12, 0), (13, 0), (99, 7)):
        yield bytes(v4 / ICMP(type=kind, code=code) / v4 / UDP(sport=7, dport=9))
    echo = ICMPv6EchoRequest(id=0xBEEF, seq=0xFFFF, data=b"x" * 40)
    hop, options6 = IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()
    for chain in (hop, options6, hop / options6, IPv6ExtHdrRouting(addresses=["fd00::3"])):
        yield bytes(v6 / chain / echo)
        yield bytes(v6 / chain / UDP(sport=53, dport=5353) / Raw(b"name?"))
        yield bytes(v6 / chain / TCP(flags="S"))
    yield bytes(v6 / hop / IPv6ExtHdrFragment(id=7, m=1, offset=0) / Raw(bytes(64)))
    yield bytes(v6 / IPv6ExtHdrFragment(id=2**32 - 1, m=0, offset=8191, nh=17) / Raw(bytes(7)))
    yield bytes(v6 / ICMPv6PacketTooBig(mtu=1280) / v6 / UDP(sport=7, dport=9))
    for protocol in (2, 4, 41, 47, 50, 89, 132, 253):
        yield bytes(IP(src="10.0.0.1", dst=IPV4, proto=protocol) / Raw(bytes(32)))


def broken() -> Iterator[bytes]:
    """Packets with which something is wrong."""
    v4, v6 = IP(src="10.0.0.1", dst=IPV4), IPv6(src="fd00::1", dst=IPV6)
    whole = bytes(v4 / TCP(flags="S") / Raw(b"x" * 20))
    yield from (whole[:length] for length in (1, 10, 19))
    yield b"\xf0" + bytes(30)
    yield bytes(v6 / UDP())[:20]
    yield bytes(v4 / ICMP(chksum=1))
    yield bytes(v4 / UDP(sport=1, dport=2, chksum=1) / Raw(b"data"))
    yield bytes(v4 / TCP(sport=1, dport=2, chksum=1) / Raw(b"data"))
    yield bytes(IP(src="10.0.0.1", dst=IPV4, chksum=1) / UDP(sport=1, dport=2))
    yield bytes(v6 / UDP(sport=1, dport=2, chksum=1) / Raw(b"data"))
