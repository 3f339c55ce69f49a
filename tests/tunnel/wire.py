"""The wire under a tunnel: what is on it, and ways to put something else there."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from meshvpn.lab import Host

# <linux/if_ether.h>, <linux/if_packet.h>, <linux/in.h>
_ETH_P_ALL = 3
_ETH_P_IP = 0x0800
_ETH_P_IPV6 = 0x86DD
_PACKET_OUTGOING = 4
_IPPROTO_RAW = 255

_UDP = 17
_UDP_HEADER = 8
_FRAGMENT_BITS = 0x3FFF

# The first byte of a message.
HELLO = 0x20
DATA = 4
# Message type, the receiver's index and the counter of a data message.
_DATA_HEADER = struct.Struct("<B3xIQ")


@dataclass(frozen=True)
class Packet:
    """An IPv4 or IPv6 packet as captured."""

    content: bytes

    @property
    def header_length(self) -> int:
        return 40 if self.content[0] >> 4 == 6 else (self.content[0] & 15) * 4

    @property
    def is_fragment(self) -> bool:
        if self.content[0] >> 4 == 6:
            return self.content[6] == socket.IPPROTO_FRAGMENT
        return bool(int.from_bytes(self.content[6:8]) & _FRAGMENT_BITS)

    @property
    def is_udp(self) -> bool:
        protocol = self.content[6] if self.content[0] >> 4 == 6 else self.content[9]
        return protocol == _UDP and not self.is_fragment

    @property
    def source(self) -> str:
        if self.content[0] >> 4 == 6:
            return socket.inet_ntop(socket.AF_INET6, self.content[8:24])
        return socket.inet_ntop(socket.AF_INET, self.content[12:16])

    @property
    def datagram(self) -> bytes:
        """What UDP carries."""
        return self.content[self.header_length + _UDP_HEADER :]


@dataclass(frozen=True)
class DataMessage:
    """A sealed packet, taken apart."""

    receiver: int
    counter: int
    sealed: bytes

    @classmethod
    def parse(cls, datagram: bytes) -> DataMessage | None:
        if len(datagram) < _DATA_HEADER.size or datagram[0] != DATA:
            return None
        _, receiver, counter = _DATA_HEADER.unpack_from(datagram)
        return cls(receiver, counter, datagram[_DATA_HEADER.size :])


class Capture:
    """Every IP packet that a device of a host receives, and sends unless told otherwise.

    Runs of datagrams that the kernel hands on as one packet are seen as one; see
    :func:`without_offload`.
    """

    def __init__(self, host: Host, device: str, *, outgoing: bool = True, limit: int = 1 << 30):
        self.packets: list[Packet] = []
        self._outgoing = outgoing
        self._limit = limit
        with host.enter():
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)
            )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._socket.bind((device, _ETH_P_ALL))
        self._socket.settimeout(0.05)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def wait_for(self, condition: Callable[[Sequence[Packet]], bool], timeout: float = 5) -> None:
        """Waits until enough was captured."""
        end = time.monotonic() + timeout
        while not condition(self.packets):
            assert time.monotonic() < end, f"not among {len(self.packets)} packets"
            time.sleep(0.01)

    def datagrams(self, source: str | None = None) -> list[bytes]:
        """The contents of all UDP packets, or of those from one address."""
        return [
            packet.datagram
            for packet in list(self.packets)
            if packet.is_udp and source in {None, packet.source}
        ]

    def _run(self) -> None:
        while not self._is_over.is_set() and len(self.packets) < self._limit:
            with contextlib.suppress(TimeoutError):
                content, (_, protocol, kind, *_) = self._socket.recvfrom(1 << 17)
                if protocol not in {_ETH_P_IP, _ETH_P_IPV6}:
                    continue
                if self._outgoing or kind != _PACKET_OUTGOING:
                    self.packets.append(Packet(content))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What has just been sent is on its way through this socket.
        time.sleep(0.1)
        self._is_over.set()
        self._thread.join()
        self._socket.close()


def without_offload(host: Host) -> None:
    """Makes a host put every datagram on the wire by itself, so that a capture sees each."""
    for device in host.interfaces:
        host.ip(f"link set {device} gso_max_segs 1")


class Injector:
    """Puts UDP datagrams with any source on the wire towards a host that a router reaches."""

    def __init__(self, router: Host) -> None:
        with router.enter():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, _IPPROTO_RAW)

    def send(self, datagram: bytes, source: tuple[str, int], destination: tuple[str, int]) -> None:
        """Sends one; the kernel fills in lengths and checksum, UDP over IPv4 may go without."""
        length = _UDP_HEADER + len(datagram)
        addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
        header = struct.pack("!BxHxxxxBBxx", 0x45, 20 + length, 64, _UDP) + addresses
        udp = struct.pack("!HHHH", source[1], destination[1], length, 0)
        self._socket.sendto(header + udp + datagram, destination)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
