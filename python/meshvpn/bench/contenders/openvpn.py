"""OpenVPN 2.6 in user space: point to point, TLS, ChaCha20-Poly1305, no kernel offload.

Static keys (``--secret``) know no AEAD cipher, so this is the smallest TLS set-up there is: two
self-signed certificates that name each other by fingerprint (openvpn(8), ``--peer-fingerprint``).
Everything else is as shipped. ``--disable-dco`` keeps the data in the process where a kernel has
the ovpn module: then the kernel would be measured, not OpenVPN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from meshvpn.bench.contenders.contender import DaemonPair, Side
from meshvpn.bench.processes import Daemon, Program
from meshvpn.errors import LabError
from meshvpn.lab.programs import run_program

__all__ = ["OpenVpn"]

_CIPHER: Final = "CHACHA20-POLY1305"
_PORT: Final = "1194"
_OPENVPN: Final = Program(("openvpn",), "openvpn")
_OPENSSL: Final = Program(("openssl",), "openssl", ("version",))


@dataclass(frozen=True, kw_only=True)
class OpenVpn(DaemonPair):
    """Two openvpn processes; ``a`` plays the TLS server."""

    name: str = "openvpn"
    family: str = "openvpn"
    program: Program = _OPENVPN
    tools: tuple[Program, ...] = (_OPENSSL,)

    def prepare(self, sides: tuple[Side, Side]) -> None:
        """Write both certificates and configuration files."""
        fingerprints = {side.end.letter: _make_certificate(side) for side in sides}
        for side, role in zip(sides, ("tls-server\ndh none", "tls-client"), strict=True):
            end, peer = side.end, side.peer
            side.file("conf").write_text(
                f"{role}\n"
                f"dev {end.device}\n"
                "dev-type tun\n"
                "proto udp4\n"
                f"local {end.outer}\n"
                f"lport {_PORT}\n"
                f"remote {peer.outer} {_PORT}\n"
                f"ifconfig {end.inner} {peer.inner}\n"
                f"cert {side.file('crt')}\n"
                f"key {side.file('key')}\n"
                f"peer-fingerprint {fingerprints[peer.letter]}\n"
                f"data-ciphers {_CIPHER}\n"
                "disable-dco\n"
                "verb 3\n",  # the level that names the data channel's cipher
                encoding="utf-8",
            )

    def command(self, side: Side) -> tuple[str, ...]:
        """``openvpn --config FILE``."""
        return (*self.program.find(), "--config", str(side.file("conf")))

    def verify(self, daemon: Daemon) -> None:
        """The log names the cipher of the data channel."""
        if f"Data Channel: cipher '{_CIPHER}'" not in daemon.log_text():
            raise LabError(f"openvpn did not agree on {_CIPHER}:\n{daemon.tail()}")


def _make_certificate(side: Side) -> str:
    """Write a key and a self-signed certificate; return the certificate's SHA-256 fingerprint."""
    key, certificate = str(side.file("key")), str(side.file("crt"))
    run_program(
        (
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={side.end.letter}"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-keyout", key, "-out", certificate),
        )
    )
    shown = run_program(
        ("openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256")
    )
    return shown.strip().partition("=")[2]
