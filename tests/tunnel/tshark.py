"""What tshark reads in a capture file by itself: no option tells it what is there, or any key."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_COLUMNS = (
    *("frame.interface_name", "frame.packet_flags_direction", "frame.protocols"),
    *("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "udp.payload"),
    *("wg.type", "icmp.type", "icmpv6.type", "icmp.seq", "icmpv6.echo.sequence_number"),
)
_OUTBOUND = 2
_ECHO_TYPES = {"8": "request", "0": "reply", "128": "request", "129": "reply"}


@dataclass(frozen=True)
class Seen:
    """A packet in a file."""

    interface: str
    is_outbound: bool
    source: str
    destination: str
    """Endpoints, as "192.0.2.1:7"."""
    datagram: bytes
    """What UDP carries."""
    message: int | None
    """The type of a WireGuard message."""
    inside: str
    """Protocols of the packet that was decrypted: "ip:icmp:data"; nothing where none was."""
    echo: str | None
    """What that is in a ping: "request 1" or "reply 1"."""


def read(path: Path) -> list[Seen]:
    """All packets of a sound file."""
    return [_seen(*row) for row in fields(path, *_COLUMNS)]


def fields(path: Path, *columns: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    """The first value of each column in each packet."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=f", *options]
    command += [word for column in columns for word in ("-e", column)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert (done.returncode, complaints) == (0, [])
    return [line.split("\t") for line in done.stdout.splitlines()]


def _seen(
    interface: str,
    direction: str,
    protocols: str,
    *rest: str,
) -> Seen:
    src4, dst4, src6, dst6, srcport, dstport, datagram, message, *ping = rest
    is_v4 = protocols.startswith("raw:ip:")
    source, destination = (src4, dst4) if is_v4 else (f"[{src6}]", f"[{dst6}]")
    inside = protocols.partition(":wg:")[2]
    type4, type6, sequence4, sequence6 = ping
    kind = _ECHO_TYPES.get(type4 or type6) if inside else None
    return Seen(
        interface=interface,
        is_outbound=int(direction, 16) == _OUTBOUND,
        source=f"{source}:{srcport}",
        destination=f"{destination}:{dstport}",
        datagram=bytes.fromhex(datagram),
        message=int(message) if message else None,
        inside=inside,
        echo=kind and f"{kind} {sequence4 or sequence6}",
    )
