"""A peer as it is to be, and in the words of UAPI (https://www.wireguard.com/xplatform/)."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from meshvpn._values import LARGEST_PORT, bounded, endpoint_text, prefixed_texts
from meshvpn.errors import ConfigError, NetworkError
from meshvpn.keys import PresharedKey, PublicKey

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from meshvpn._values import Endpoint, Network

__all__ = ["AllowedIp", "Peer"]

AllowedIp: TypeAlias = IPv4Network | IPv6Network
"""A network that a peer may send from, and whose packets it gets."""

_LONGEST_KEEPALIVE_S: Final = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A peer as it is to be.

    Args:
        public_key: who it is; a :class:`meshvpn.PublicKey` or its base64.
        preshared_key: a secret that both share besides, or the path of the file that holds it.
        endpoint: where it is reached until it is heard from elsewhere: ``"192.0.2.1:51820"``,
            ``"vpn.example.org:51820"`` (looked up when the device starts) or a pair. Without one
            it has to begin.
        allowed_ips: networks that it may send from, and whose packets it gets; single addresses
            too.
        persistent_keepalive: how often it hears from us even when there is nothing to say, in
            seconds or as a :class:`~datetime.timedelta`; ``None`` for never.

    Raises:
        ConfigError: a value cannot be used; the message names it.
    """

    public_key: PublicKey
    preshared_key: PresharedKey | None = None
    endpoint: Endpoint | None = None
    allowed_ips: tuple[AllowedIp, ...] = ()
    persistent_keepalive: timedelta | None = None

    # Written out, since it takes more forms of values than it keeps.
    def __init__(
        self,
        *,
        public_key: PublicKey | str,
        preshared_key: PresharedKey | str | os.PathLike[str] | None = None,
        endpoint: Endpoint | None = None,
        allowed_ips: Network | Iterable[Network] = (),
        persistent_keepalive: timedelta | int | None = None,
    ) -> None:
        if isinstance(public_key, str):
            public_key = PublicKey.from_base64(public_key)
        if preshared_key is not None and not isinstance(preshared_key, PresharedKey):
            preshared_key = PresharedKey.from_file(preshared_key)
        if endpoint is not None:
            _split(endpoint)
        if isinstance(persistent_keepalive, int):
            persistent_keepalive = timedelta(seconds=persistent_keepalive)
        if persistent_keepalive is not None:
            _keepalive_seconds(persistent_keepalive)
        keep = object.__setattr__
        keep(self, "public_key", public_key)
        keep(self, "preshared_key", preshared_key)
        keep(self, "endpoint", endpoint)
        keep(self, "allowed_ips", _allowed_networks(allowed_ips))
        keep(self, "persistent_keepalive", persistent_keepalive)

    def check_is_not(self, own: PublicKey | None) -> None:
        """Do nothing if this peer is another than the device itself.

        Raises:
            ConfigError: its key is ``own``.
        """
        if self.public_key == own:
            raise ConfigError(
                f"public_key: {own} is the device's own",
                hint="give the peer's: meshvpn pubkey, on its side",
            )

    def lines(self) -> Iterator[str]:
        """This peer in the words of UAPI, its secret included."""
        yield f"public_key={bytes(self.public_key).hex()}"
        if self.preshared_key is not None:
            yield f"preshared_key={bytes(self.preshared_key).hex()}"
        yield from _endpoint_lines(self.endpoint)
        yield _keepalive_line(self.persistent_keepalive)
        yield "replace_allowed_ips=true"
        for network in self.allowed_ips:
            yield f"allowed_ip={network}"


def _allowed_networks(values: Network | Iterable[Network]) -> tuple[AllowedIp, ...]:
    """Networks, as ``wg`` takes them: bits behind the prefix are cleared.

    Raises:
        ConfigError: one of them is none.
    """
    networks = []
    for text in prefixed_texts("allowed_ips", values):
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError:
            raise ConfigError(
                f"allowed_ips: {text!r} is not a network",
                hint="write 10.0.0.0/24, fd00::/64, or a single address",
            ) from None
    return tuple(networks)


def _endpoint_lines(endpoint: Endpoint | None) -> Iterator[str]:
    """The line for an endpoint, whose name is looked up here and now; none without an endpoint.

    Raises:
        ConfigError: it is no host with a port.
        NetworkError: the name cannot be looked up.
    """
    if endpoint is None:
        return
    host, port = _split(endpoint)
    try:
        place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4]
    except (OSError, UnicodeError) as error:
        raise NetworkError(
            f"endpoint: the address of {host!r} cannot be found: {error}",
            hint="check the name, and the name servers of this host; an address needs neither",
        ) from error
    address, zone = str(place[0]).partition("%")[0], str(place[3]) if len(place) == 4 else "0"
    if ":" in address:
        address = f"[{address}]" if zone == "0" else f"[{address}%{zone}]"
    yield f"endpoint={address}:{port}"


def _keepalive_line(interval: timedelta | None) -> str:
    """The line for a persistent keepalive; ``None`` ends it."""
    return (
        f"persistent_keepalive_interval={0 if interval is None else _keepalive_seconds(interval)}"
    )


def _keepalive_seconds(interval: timedelta) -> int:
    seconds = interval // timedelta(seconds=1)
    if interval != timedelta(seconds=seconds):
        raise ConfigError(f"persistent_keepalive: {interval} is not a whole number of seconds")
    return bounded("persistent_keepalive", seconds, 0, _LONGEST_KEEPALIVE_S)


def _split(endpoint: Endpoint) -> tuple[str, int]:
    text = endpoint_text("endpoint", endpoint)
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    is_host = host != "" and (is_bracketed or ":" not in host)
    if not (colon and is_host and port.isascii() and port.isdecimal()):
        raise ConfigError(
            f"endpoint: {text!r} is not a host and a UDP port",
            hint="write 192.0.2.1:51820, [2001:db8::1]:51820 or vpn.example.org:51820",
        )
    # Python refuses to read very long numbers; what is left of one is out of bounds too.
    return host.strip("[]"), bounded("endpoint port", int(port[:9]), 0, LARGEST_PORT)
