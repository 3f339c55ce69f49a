"""Packets in files that Wireshark, tshark and tcpdump read.

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
from meshvpn._closing import Closing

if TYPE_CHECKING:
    from meshvpn.packet import Packet

__all__ = ["PcapngWriter"]


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
