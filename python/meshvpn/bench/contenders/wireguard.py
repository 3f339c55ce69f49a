"""WireGuard implementations in user space that the stock ``wg`` tool configures.

They differ in the program and its arguments; keys, peers and addresses are the same. The MTU is the
one that the daemon gives its device (1420 for wireguard-go).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshvpn.bench.contenders.contender import DaemonPair, Side
from meshvpn.bench.processes import Program
from meshvpn.bench.topology import PREFIX_LENGTH
from meshvpn.lab.programs import run_program

__all__ = ["WireGuard"]

_PORT: Final = "51820"
_SOCKETS: Final = Path("/var/run/wireguard")
"""Where the cross-platform interface puts its sockets (wireguard.com/xplatform)."""


@dataclass(frozen=True, kw_only=True)
class WireGuard(DaemonPair):
    """Two daemons of one implementation.

    ``arguments`` keep it in the foreground; ``{device}`` stands for the device's name.
    """

    arguments: tuple[str, ...] = ("-f", "{device}")
    tools: tuple[Program, ...] = (Program(("wg",), "wireguard-tools"),)

    def prepare(self, sides: tuple[Side, Side]) -> None:
        """Make two pairs of keys."""
        for side in sides:
            private = run_program(("wg", "genkey"))
            side.file("key").touch(mode=0o600)
            side.file("key").write_text(private, encoding="ascii")
            public = run_program(("wg", "pubkey"), text=private)
            side.file("pub").write_text(public, encoding="ascii")

    def command(self, side: Side) -> tuple[str, ...]:
        """The program with its arguments."""
        arguments = (argument.format(device=side.end.device) for argument in self.arguments)
        return (*self.program.find(), *arguments)

    def is_up(self, side: Side) -> bool:
        """Whether it listens for ``wg``."""
        return _socket(side).exists()

    def configure(self, side: Side) -> None:
        """Keys and peer by ``wg``, the address by ``ip``, as wg-quick does."""
        end, peer = side.end, side.peer
        public = side.peer_file("pub").read_text(encoding="ascii").strip()
        end.host.run(
            (
                *("wg", "set", end.device, "listen-port", _PORT),
                *("private-key", str(side.file("key"))),
                *("peer", public, "allowed-ips", f"{peer.inner}/32"),
                *("endpoint", f"{peer.outer}:{_PORT}"),
            )
        )
        end.host.ip(
            f"address add {end.inner}/{PREFIX_LENGTH} dev {end.device}",
            f"link set {end.device} up",
        )

    def clean(self, side: Side) -> None:
        """A daemon that was killed leaves its socket."""
        _socket(side).unlink(missing_ok=True)


def _socket(side: Side) -> Path:
    return _SOCKETS / f"{side.end.device}.sock"
