"""The relay: a server that carries packets between peers which cannot reach each other directly.

Nodes connect to it by HTTP or HTTPS, on one TCP port, and send it packets addressed by the other's
public key. What is in them it cannot read: they are sealed between the nodes. It speaks DERP,
version 2, as Tailscale's relays and clients do::

    with meshvpn.Relay("0.0.0.0:443", host="relay.example", self_signed=True) as relay:
        print(relay.url, relay.certificate_sha256)
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from meshvpn import _logging, _meshvpn
from meshvpn._closing import AsyncClosing
from meshvpn._values import Endpoint, bounded, endpoint_text, utf8
from meshvpn.errors import ConfigError, PermissionDeniedError
from meshvpn.keys import PrivateKey, PublicKey

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Relay", "RelayStats"]

_LARGEST_RATE: Final = 1 << 40
_BURST_SECONDS: Final = 0.25
"""How long a client may send faster than its rate."""
_SMALLEST_BURST: Final = 128 << 10


@dataclass(frozen=True, slots=True)
class RelayStats:
    """What a relay has counted so far, and how many clients it has.

    Bytes are those of the packets that it carries, without any framing.
    """

    clients: int
    """Connected now."""
    home_clients: int
    """Of them, those whose home this relay is."""
    logins: int
    received_packets: int
    """From clients."""
    received_bytes: int
    sent_packets: int
    """To clients, or to the queue of one."""
    sent_bytes: int
    dropped_slow: int
    """Packets dropped because their receiver was too slow."""
    dropped_absent: int
    """Packets dropped because their receiver was not connected."""

    @classmethod
    def _of(cls, counters: _meshvpn.RelayCounters) -> Self:
        return cls(**{name.name: getattr(counters, name.name) for name in fields(cls)})

    def to_dict(self) -> dict[str, Any]:
        """The figures by name, for JSON."""
        return {name.name: getattr(self, name.name) for name in fields(self)}


@final
class Relay(AsyncClosing):
    """A running relay. Ends with :meth:`close`; works as a context manager, also asynchronously.

    Without a certificate it speaks plain HTTP. That shows an observer who talks to whom, and
    nothing else: packets are sealed between the peers.

    Args:
        listen: the TCP endpoint to listen at; port 0 lets the system choose.
        private_key: what the relay is known by, or the path of the file that holds it; by default a
            new one. Nodes do not depend on it.
        certificate: the path of a PEM file with the certificate, and those that lead to its
            authority.
        certificate_key: the path of a PEM file with the certificate's private key.
        self_signed: make a certificate that no authority vouches for; nodes know it by its
            :attr:`certificate_sha256`. Where ``certificate`` and ``certificate_key`` are given too,
            it is kept in these files, and used again the next time.
        host: the name or address by which nodes reach it, for :attr:`url` and for a certificate
            that it makes; by default the address that it listens at.
        verify_clients: the URL of a coordinator to ask which nodes may come; by default, everyone
            may who has a key.
        bytes_per_second: how fast a client may send; by default as fast as it can.
        netns: the network namespace to live in, a name as ``ip netns`` lists it or a path.

    Raises:
        ConfigError: a value cannot be used; the message names it.
        NetworkError: the endpoint cannot be had.
        PermissionDeniedError: the key file can be read by others, or the namespace not be entered.
    """

    __slots__ = ("_handle", "_host", "_netns")

    def __init__(
        self,
        listen: Endpoint = "127.0.0.1:0",
        *,
        private_key: PrivateKey | str | os.PathLike[str] | None = None,
        certificate: str | os.PathLike[str] | None = None,
        certificate_key: str | os.PathLike[str] | None = None,
        self_signed: bool = False,
        host: str | None = None,
        verify_clients: str | None = None,
        bytes_per_second: int | None = None,
        netns: str | None = None,
    ) -> None:
        address = endpoint_text("listen", listen)
        if private_key is None:
            private_key = PrivateKey.generate()
        elif not isinstance(private_key, PrivateKey):
            private_key = PrivateKey.from_file(private_key)
        name = host or _reachable(address.rpartition(":")[0].strip("[]"))
        pair = _certificate(certificate, certificate_key, name if self_signed else None)
        rate = None
        if bytes_per_second is not None:
            rate = bounded("bytes_per_second", bytes_per_second, 1, _LARGEST_RATE)
        _logging.start()
        self._host = host
        self._netns = netns
        self._handle = _meshvpn.Relay(
            address,
            key=bytes(private_key),
            certificate=pair,
            verify_clients=None
            if verify_clients is None
            else utf8("verify_clients", verify_clients),
            rate=None if rate is None else (rate, max(int(rate * _BURST_SECONDS), _SMALLEST_BURST)),
            netns=None if netns is None else utf8("netns", netns),
        )

    @property
    def url(self) -> str:
        """Where nodes reach it: ``https://relay.example:443``."""
        address, port = self._handle.local_address()
        scheme = "http" if self._handle.certificate_sha256() is None else "https"
        host = self._host or _reachable(address)
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def public_key(self) -> PublicKey:
        """What clients know it by."""
        return PublicKey(self._handle.public_key())

    @property
    def certificate_sha256(self) -> str | None:
        """SHA-256 of its certificate in hex, for nodes to pin; ``None`` without TLS."""
        sha256 = self._handle.certificate_sha256()
        return None if sha256 is None else sha256.hex()

    @property
    def netns(self) -> str | None:
        """The network namespace that it is in; ``None`` for the process's own."""
        return self._netns

    def stats(self) -> RelayStats:
        """What it has counted so far."""
        return RelayStats._of(self._handle.counters())

    def close(self) -> None:
        """Tell its clients and end it; its port is free then. Closing twice is fine."""
        self._handle.close()

    def __repr__(self) -> str:
        place = f" in {self._netns}" if self._netns else ""
        return f"<Relay {self.url}{place}: {self.stats().clients} clients>"


def _reachable(address: str) -> str:
    """An address that reaches what listens at ``address``, from this host at least."""
    try:
        parsed = ip_address(address)
    except ValueError:  # the engine says what is wrong with it
        return address
    if not parsed.is_unspecified:
        return address
    return "127.0.0.1" if parsed.version == 4 else "::1"


def _certificate(
    certificate: str | os.PathLike[str] | None,
    key: str | os.PathLike[str] | None,
    self_signed_for: str | None,
) -> tuple[str, str] | None:
    """Certificate and private key, in PEM."""
    if (certificate is None) != (key is None):
        missing = "certificate" if certificate is None else "certificate_key"
        raise ConfigError(
            f"{missing}: missing, and the other one is given",
            hint="give the paths of both, or self_signed=True and neither",
        )
    if certificate is None or key is None:
        if self_signed_for is None:
            return None
        return _meshvpn.self_signed_certificate(utf8("host", self_signed_for))
    certificate_path, key_path = Path(certificate), Path(key)
    if self_signed_for is not None and not (certificate_path.exists() or key_path.exists()):
        made = _meshvpn.self_signed_certificate(utf8("host", self_signed_for))
        _write(key_path, made[1], 0o600)
        _write(certificate_path, made[0], 0o644)
        return made
    _check_guarded(key_path)
    return _read("certificate", certificate_path), _read("certificate_key", key_path)


def _read(field: str, path: Path) -> str:
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        raise ConfigError(
            f"{field}: {path}: no such file", hint="self_signed=True makes both files"
        ) from None
    except PermissionError:
        raise PermissionDeniedError(f"{field}: {path}: may not be read") from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{field}: {path}: is no PEM file",
            hint="openssl x509 -inform der -in FILE makes one of a DER file",
        ) from None


def _check_guarded(path: Path) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:  # reading it says what is wrong
        return
    if mode & 0o007:
        raise PermissionDeniedError(
            f"certificate_key: {path}: everyone can read or change it (mode {mode:04o})",
            hint=f"chmod 600 {path}",
        )


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
