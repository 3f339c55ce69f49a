"""The bare wire, and this project's own tunnels.

Our tunnels are started as the rivals are, by their command in the namespace, so that process,
memory and CPU time are counted alike.
"""

from __future__ import annotations

import base64
import secrets
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshvpn.bench.aead import backends
from meshvpn.bench.contenders.contender import Contender, DaemonPair, Link, Side
from meshvpn.bench.contenders.wireguard import WireGuard
from meshvpn.bench.processes import Daemon, Program
from meshvpn.bench.topology import PREFIX_LENGTH, WIRE_MTU, Wire
from meshvpn.errors import LabError, MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BareWire", "OwnWireGuard", "PlainTunnel", "PresharedTunnel", "own_program"]

_PORT: Final = 7000
_KEY_BYTES: Final = 32
"""Length of a pre-shared key, which the file holds in base64 (``meshvpn genpsk``)."""


def own_program(*words: str) -> Program:
    """This installation's own command: the script beside the interpreter, else the module.

    ``words`` are those of a command under it.
    """
    script = Path(sys.executable).with_name("meshvpn")
    command = (str(script),) if script.exists() else (sys.executable, "-m", "meshvpn")
    return Program((*command, *words), "meshvpn")


@dataclass(frozen=True, kw_only=True)
class BareWire(Contender):
    """No tunnel at all: the ceiling."""

    name: str = "none"
    family: str = "none"

    @contextmanager
    def running(self, wire: Wire, folder: Path) -> Iterator[Link]:  # noqa: ARG002 (nothing to write)
        """The wire's own addresses, and no daemons."""
        yield Link(wire.a, wire.b, wire.b.outer, wire.crowd, mtu=WIRE_MTU)


@dataclass(frozen=True, kw_only=True)
class PlainTunnel(DaemonPair):
    """``meshvpn tunnel plain``: no encryption, the ceiling of our data plane."""

    name: str = "plain"
    family: str = "plain"

    def command(self, side: Side) -> tuple[str, ...]:
        """``meshvpn tunnel KIND DEVICE …``."""
        end, peer = side.end, side.peer
        return (
            *(*self.program.find(), "tunnel", self.family, end.device),
            *("--local", f"{end.outer}:{_PORT}", "--remote", f"{peer.outer}:{_PORT}"),
            *("--address", f"{end.inner}/{PREFIX_LENGTH}"),
        )


@dataclass(frozen=True, kw_only=True)
class PresharedTunnel(PlainTunnel):
    """``meshvpn tunnel preshared`` with one named AEAD backend."""

    family: str = "preshared"
    backend: str

    def check_available(self) -> None:
        """The command is there, and the backend works on this machine."""
        super().check_available()
        _check_backend(self.backend)

    def prepare(self, sides: tuple[Side, Side]) -> None:
        """Write one key for both."""
        secret = _key_file(sides[0])
        secret.touch(mode=0o600)
        secret.write_bytes(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")

    def command(self, side: Side) -> tuple[str, ...]:
        """As for plain, with key and backend."""
        return (*super().command(side), "--key-file", str(_key_file(side)), "--aead", self.backend)

    def verify(self, daemon: Daemon) -> None:
        """The log names the backend in use."""
        if self.backend not in daemon.log_text():
            raise LabError(f"the tunnel's log does not name {self.backend}:\n{daemon.tail()}")


@dataclass(frozen=True, kw_only=True)
class OwnWireGuard(WireGuard):
    """``meshvpn wg`` with one named AEAD backend, set up by ``wg`` as the rivals are."""

    family: str = "wireguard"
    backend: str

    def check_available(self) -> None:
        """The command is there, and the backend works on this machine."""
        super().check_available()
        _check_backend(self.backend)

    def command(self, side: Side) -> tuple[str, ...]:
        """The device in the foreground; it starts with this backend or not at all."""
        return (*super().command(side), "--aead", self.backend)


def _check_backend(name: str) -> None:
    for backend in backends():
        if backend.name == name and not backend.available:
            raise MissingProgramError(
                f"AEAD backend {name!r} cannot be used here: {backend.why}",
                hint="apt-get install libipsec-mb1" if "ipsec" in name else None,
            )


def _key_file(side: Side) -> Path:
    return side.folder / "psk"
