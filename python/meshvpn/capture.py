"""Packets in files that Wireshark, tshark and tcpdump read.

:class:`PcapngWriter` writes packets that a program has; a :class:`Capture`, which every running
tunnel or device can begin (:meth:`meshvpn.WireGuard.capture`), what goes over the network.

>>> import io
>>> from meshvpn.packet import Packet
>>> file = io.BytesIO()
>>> with PcapngWriter(file) as capture:
...     capture.write(Packet(bytes(20), device="mesh0", time_ns=0))
>>> file.getvalue()[:4].hex()
'0a0d0d0a'
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, final

from meshvpn import _meshvpn
from meshvpn._closing import AsyncClosing, Closing

if TYPE_CHECKING:
    from meshvpn.packet import Packet

__all__ = ["Capture", "PcapngWriter"]


@final
class Capture(AsyncClosing):
    """What goes over the network, on its way into a file. Begun by ``tunnel.capture(path)``.

    Works as a context manager, also as an asynchronous one; ends with :meth:`close`, or with its
    tunnel, also if nobody holds this any more. The file can be read meanwhile.

    Packets are those that a wire-tap beside this host would see: the outer ones, in the order in
    which they were sent and received, each with its direction. Their IP headers are made up but
    for addresses and lengths: the other fields are the kernel's, and not known here. Each socket
    of the tunnel is an interface of the file.
    """

    __slots__ = ("_handle", "_path")
    _handle: _meshvpn.Capture
    _path: Path

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise TypeError("use the method capture(path) of a tunnel or a device")

    @classmethod
    def _of(cls, handle: _meshvpn.Capture, path: str | os.PathLike[str]) -> Capture:
        capture = cls.__new__(cls)
        capture._handle = handle
        capture._path = Path(path)
        return capture

    @property
    def path(self) -> Path:
        """Where it is written."""
        return self._path

    @property
    def packets(self) -> int:
        """Packets in the file."""
        return self._handle.packets

    @property
    def dropped(self) -> int:
        """Packets that came faster than they could be written, and are missing in the file."""
        return self._handle.dropped

    @property
    def failure(self) -> str | None:
        """Why it ended before it was told to (the disk is full, say), if it did."""
        return self._handle.failure

    def close(self) -> None:
        """End it; all packets until now are in the file when it returns.

        Calling it again does nothing more. In a process forked meanwhile it does nothing at all:
        the file is the parent's.

        Raises:
            CaptureError: not everything could be written. What :attr:`dropped` counts is no error.
        """
        self._handle.close()

    def __repr__(self) -> str:
        failure = f", failed: {self.failure}" if self.failure else ""
        return f"<Capture {self._path}: {self.packets} packets, {self.dropped} dropped{failure}>"


@final
class PcapngWriter(Closing):
    """A capture file in the pcapng format, complete after every packet.

    Args:
        file: the path of a file, which is overwritten, or an open binary file, which is left open.

    Raises:
        OSError: the file cannot be written.
    """

    __slots__ = ("_file", "_interfaces", "_is_ours")

    def __init__(self, file: str | os.PathLike[str] | BinaryIO) -> None:
        self._is_ours = isinstance(file, str | os.PathLike)
        if isinstance(file, str | os.PathLike):
            file = Path(file).open("wb")  # noqa: SIM115  # close() closes it
        self._file: BinaryIO = file
        self._interfaces: dict[str, int] = {}
        self._file.write(_meshvpn.pcapng_section_header(f"meshvpn {_meshvpn.__version__}"))
        self._file.flush()

    def write(self, packet: Packet) -> None:
        """Append a packet. Its device becomes an interface; without a time, it was seen now.

        Raises:
            OSError: the file cannot be written.
            ValueError: the file was closed.
        """
        device = packet.device or "unknown"
        if device not in self._interfaces:
            self._interfaces[device] = len(self._interfaces)
            self._file.write(_meshvpn.pcapng_interface(device))
        time_ns = time.time_ns() if packet.time_ns is None else packet.time_ns
        number = self._interfaces[device]
        block = _meshvpn.pcapng_packet(number, time_ns, packet.direction, packet.data)
        self._file.write(block)
        self._file.flush()

    def close(self) -> None:
        """Close the file if it was given as a path. Calling it again does nothing."""
        if self._is_ours:
            self._file.close()
