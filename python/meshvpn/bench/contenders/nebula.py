"""Nebula: two hosts of one certificate authority that know each other's address.

No lighthouse, no punching, a firewall that allows all; ChaCha20-Poly1305 in place of the AES that
it prefers, so that the cipher is everybody's. The MTU stays at its default of 1300.

``nebula`` runs with the socket buffers it ships with, ``nebula-big`` with 7 MB, which newer
versions need to show what they can.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from meshvpn.bench.contenders.contender import DaemonPair, Side
from meshvpn.bench.processes import Program
from meshvpn.bench.topology import PREFIX_LENGTH
from meshvpn.lab.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BIG_BUFFER", "Nebula"]

BIG_BUFFER: Final = 7 * 1024 * 1024
"""Bytes of a socket buffer that holds a hundred full UDP super-packets."""

_PORT: Final = 4242
_NEBULA: Final = Program(("nebula",), "nebula", ("-version",))
_CERT: Final = Program(("nebula-cert",), "nebula", ("-version",))


@dataclass(frozen=True, kw_only=True)
class Nebula(DaemonPair):
    """Two nebula processes; ``buffer`` is the size of both socket buffers, 0 the system's."""

    name: str = "nebula"
    family: str = "nebula"
    program: Program = _NEBULA
    tools: tuple[Program, ...] = (_CERT,)
    buffer: int = 0

    def variant(self, label: str, path: Path) -> Self:
        """Another build; certificates come from the ``nebula-cert`` beside it, if there is one."""
        built = super().variant(label, path)
        beside = path.with_name("nebula-cert")
        if not beside.exists():
            return built
        return replace(built, tools=(replace(_CERT, command=(str(beside),)),))

    def prepare(self, sides: tuple[Side, Side]) -> None:
        """Make an authority, two certificates and two configuration files."""
        tool = self.tools[0].find()
        folder = sides[0].folder
        authority = (str(folder / "ca.crt"), str(folder / "ca.key"))
        run_program(
            (*tool, "ca", "-name", "bench", "-out-crt", authority[0], "-out-key", authority[1])
        )
        for side in sides:
            name, network = side.end.letter, f"{side.end.inner}/{PREFIX_LENGTH}"
            run_program(
                (
                    *(*tool, "sign", "-name", name, "-ip", network),
                    *("-ca-crt", authority[0], "-ca-key", authority[1]),
                    *("-out-crt", str(side.file("crt")), "-out-key", str(side.file("key"))),
                )
            )
            side.file("yml").write_text(self._configuration(side), encoding="utf-8")

    def command(self, side: Side) -> tuple[str, ...]:
        """``nebula -config FILE``."""
        return (*self.program.find(), "-config", str(side.file("yml")))

    def _configuration(self, side: Side) -> str:
        buffers = (
            f"  read_buffer: {self.buffer}\n  write_buffer: {self.buffer}\n" if self.buffer else ""
        )
        return (
            "pki:\n"
            f"  ca: {side.folder}/ca.crt\n"
            f"  cert: {side.file('crt')}\n"
            f"  key: {side.file('key')}\n"
            "static_host_map:\n"
            f'  "{side.peer.inner}": ["{side.peer.outer}:{_PORT}"]\n'
            "lighthouse:\n"
            "  am_lighthouse: false\n"
            "listen:\n"
            f"  host: {side.end.outer}\n"
            f"  port: {_PORT}\n"
            f"{buffers}"
            "cipher: chachapoly\n"
            "tun:\n"
            f"  dev: {side.end.device}\n"
            "firewall:\n"
            "  outbound: [{port: any, proto: any, host: any}]\n"
            "  inbound: [{port: any, proto: any, host: any}]\n"
        )
