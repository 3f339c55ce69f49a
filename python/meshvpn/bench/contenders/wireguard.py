"""WireGuard implementations in user space that the stock ``wg`` tool configures.

They differ in the program and its arguments; keys, peers, addresses and MTU are the same. The MTU
is the one that wg-quick sets on a path of 1500 bytes, since some of the daemons leave their device
at 1500, and then every full packet travels in two fragments.

What is peculiar to a foreign implementation is in :data:`FOREIGN_WIREGUARDS` and nowhere else: the
tests of interoperation start them from there, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshvpn.bench.contenders.contender import DaemonPair, Side
from meshvpn.bench.processes import Program
from meshvpn.bench.topology import PREFIX_LENGTH
from meshvpn.lab.programs import run_program

__all__ = ["FOREIGN_WIREGUARDS", "PORT", "WireGuard"]

PORT: Final = 51820
"""Where all devices listen."""

_MTU: Final = 1420
"""What 1500 bytes leave when IPv6, UDP and WireGuard have put their headers before a packet."""
_SOCKETS: Final = Path("/var/run/wireguard")
"""Where the cross-platform interface puts its sockets (wireguard.com/xplatform)."""


@dataclass(frozen=True, kw_only=True)
class WireGuard(DaemonPair):
    """Two daemons of one implementation.

    ``arguments`` keep it in the foreground; ``{device}`` stands for the device's name.
    """

    arguments: tuple[str, ...] = ("-f", "{device}")
    tools: tuple[Program, ...] = (Program(("wg",), "wireguard-tools"),)

    @property
    def is_wireguard(self) -> bool:
        """It is."""
        return True

    def prepare(self, sides: tuple[Side, Side]) -> None:
        """Make two pairs of keys."""
        for side in sides:
            private = run_program(("wg", "genkey"))
            side.file("key").touch(mode=0o600)
            side.file("key").write_text(private, encoding="ascii")
            public = run_program(("wg", "pubkey"), text=private)
            side.file("pub").write_text(public.strip(), encoding="ascii")

    def command(self, side: Side) -> tuple[str, ...]:
        """The program with its arguments."""
        return self.foreground(side.end.device)

    def foreground(self, device: str) -> tuple[str, ...]:
        """The command line for a device of that name."""
        arguments = (argument.format(device=device) for argument in self.arguments)
        return (*self.program.find(), *arguments)

    def is_up(self, side: Side) -> bool:
        """Whether it listens for ``wg``."""
        return _socket(side).exists()

    def configure(self, side: Side) -> None:
        """Keys and peer by ``wg``, address and MTU by ``ip``, as wg-quick does."""
        end, peer = side.end, side.peer
        public = side.peer_file("pub").read_text(encoding="ascii")
        end.host.run(
            (
                *("wg", "set", end.device, "listen-port", str(PORT)),
                *("private-key", str(side.file("key"))),
                *("peer", public, "allowed-ips", f"{peer.inner}/32"),
                *("endpoint", f"{peer.outer}:{PORT}"),
            )
        )
        end.host.ip(
            f"address add {end.inner}/{PREFIX_LENGTH} dev {end.device}",
            f"link set {end.device} mtu {_MTU} up",
        )

    def public_key(self, side: Side) -> str:
        """As it was made."""
        return side.file("pub").read_text(encoding="ascii")

    def clean(self, side: Side) -> None:
        """A daemon that was killed leaves its socket."""
        _socket(side).unlink(missing_ok=True)


def _socket(side: Side) -> Path:
    return _SOCKETS / f"{side.end.device}.sock"


_STAYS_ROOT: Final = ("-f", "--disable-drop-privileges", "{device}")
"""boringtun and what grew out of it ask who has logged in, to become that user, and end where
nobody has: in a container, or started by a service."""

FOREIGN_WIREGUARDS: Final = (
    WireGuard(
        name="wireguard-go",
        family="wireguard-go",
        program=Program(("wireguard-go",), "wireguard-go"),
    ),
    WireGuard(
        name="boringtun",
        family="boringtun",
        program=Program(("boringtun-cli",), "boringtun-cli", installer="cargo"),
        arguments=_STAYS_ROOT,
    ),
    WireGuard(
        name="gotatun",
        family="gotatun",
        program=Program(("gotatun",), "gotatun-cli", installer="cargo"),
        arguments=_STAYS_ROOT,
    ),
)
"""Implementations by others: Debian's, and those that are published for cargo."""
