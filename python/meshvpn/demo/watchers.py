"""Threads that look on.

:class:`Tap` reads what passes a device, as tcpdump does, by a packet socket (packet(7)). Under load
a device carries more than anybody can read, in super-packets of up to 64 KB: a tap shows the first
few of every burst, and its small buffer lets the kernel drop the rest before it is copied.

:class:`Meter` reads the tunnels' counters.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from meshvpn.demo.audience import Sample
from meshvpn.packet import Packet

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from meshvpn.demo.stage import End
    from meshvpn.lab import Host

__all__ = ["Meter", "Tap", "open_packet_socket", "read_packet"]

# <linux/if_ether.h>, <linux/socket.h>, <linux/if_packet.h>
_ETH_P_ALL: Final = 0x0003
_SOL_PACKET: Final = 263
_PACKET_VNET_HDR: Final = 15

# struct virtio_net_hdr of <linux/virtio_net.h>: flags, kind, lengths, where the checksum belongs.
_VNET_HEADER: Final = struct.Struct("=BBHHHH")
_NEEDS_CHECKSUM: Final = 0x01

_LONGEST: Final = _VNET_HEADER.size + 65535 + 14

_BURST: Final = 6
"""Packets shown before a pause, unless they come slowly enough to be read."""

_BURST_PAUSE_S: Final = 0.25

_BUFFER: Final = 256 << 10
"""Bytes: room for four super-packets."""

_SMALLEST: Final = 512
"""Bytes that even the smallest packet takes in that buffer."""

_METER_INTERVAL_S: Final = 0.2
_WAIT_S: Final = 0.1
"""How soon a thread sees that it is to stop."""


def open_packet_socket(host: Host, device: str) -> socket.socket:
    """A socket that gets a copy of every frame on a device, sent or received."""
    opened = host.socket(socket.AF_PACKET, socket.SOCK_RAW)
    opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    opened.bind((device, _ETH_P_ALL))
    return opened


def read_packet(opened: socket.socket, *, link_header: int = 0) -> Packet | None:
    """The next packet, or ``None`` when the socket's timeout passes without one.

    A checksum that the sender left to the network card, which no card has filled in yet, is.

    Args:
        opened: from :func:`open_packet_socket`.
        link_header: bytes before the IP header: 14 on Ethernet, none on a TUN device.
    """
    try:
        frame, (device, _, kind, *_) = opened.recvfrom(_LONGEST)
    except TimeoutError:
        return None
    flags, _, _, _, start, offset = _VNET_HEADER.unpack_from(frame)
    data = frame[_VNET_HEADER.size :]
    if flags & _NEEDS_CHECKSUM:
        data = _with_checksum(data, start, offset)
    return Packet(
        data[link_header:],
        device=device,
        time_ns=time.time_ns(),
        direction="outbound" if kind == socket.PACKET_OUTGOING else "inbound",
    )


def _with_checksum(data: bytes, start: int, offset: int) -> bytes:
    """Fill in the checksum over everything from ``start``; its field holds the pseudo-header's."""
    covered = data[start:] + bytes(len(data[start:]) % 2)
    # The ones' complement sum of 16-bit words is the number they make, modulo 2^16 - 1.
    checksum = 0xFFFF - int.from_bytes(covered, "big") % 0xFFFF
    place = start + offset
    return data[:place] + checksum.to_bytes(2, "big") + data[place + 2 :]


class _Watcher(threading.Thread):
    """A thread that works in a ``with``; what goes wrong in it is raised at the end of that."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        """Watch until it is to stop."""
        try:
            self.watch()
        except Exception as error:  # noqa: BLE001 (raised again where somebody can see it)
            self._error = error

    def watch(self) -> None:
        """The work of a subclass; ends soon after :attr:`stopping` is set."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self.join()
        if self._error is not None:
            raise self._error


class Tap(_Watcher):
    """Shows packets of a device to somebody.

    Args:
        host: the device's host.
        device: its name.
        show: called with each packet that is read.
        link_header: bytes before the IP header.
        wanted: which of them to show; all by default.
    """

    def __init__(
        self,
        host: Host,
        device: str,
        show: Callable[[Packet], None],
        *,
        link_header: int = 0,
        wanted: Callable[[Packet], bool] = lambda _packet: True,
    ) -> None:
        super().__init__(f"tap-{device}")
        self._show = show
        self._wanted = wanted
        self._link_header = link_header
        self._socket = open_packet_socket(host, device)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.settimeout(_WAIT_S)

    def watch(self) -> None:
        """Read and show."""
        shown = 0
        with self._socket:
            while not self.stopping.is_set():
                packet = read_packet(self._socket, link_header=self._link_header)
                if packet is None:
                    shown = 0
                    continue
                if not self._wanted(packet):
                    continue
                self._show(packet)
                shown += 1
                if shown == _BURST:
                    self.stopping.wait(_BURST_PAUSE_S)
                    self._skip_waiting()
                    shown = 0

    def _skip_waiting(self) -> None:
        """Forget what came meanwhile, so that what is shown is what happens now."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BUFFER // _SMALLEST):
                self._socket.recv(_VNET_HEADER.size)
        self._socket.settimeout(_WAIT_S)


class Meter(_Watcher):
    """Measures the throughput of a tunnel, and shows it to somebody."""

    def __init__(self, ends: tuple[End, End], show: Callable[[Sample], None]) -> None:
        super().__init__("meter")
        self._tunnels = [end.tunnel for end in ends]
        self._show = show

    def watch(self) -> None:
        """Measure and show."""
        before, at = 0, time.monotonic()
        while not self.stopping.wait(_METER_INTERVAL_S):
            a, b = (tunnel.stats() for tunnel in self._tunnels)
            now, received = time.monotonic(), a.received_bytes + b.received_bytes
            self._show(Sample((received - before) * 8e-9 / (now - at), a, b))
            before, at = received, now
