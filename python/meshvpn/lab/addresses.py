"""Addresses as people write them, parsed once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from meshvpn._values import DECIMAL
from meshvpn.errors import ConfigError, LabError

__all__ = [
    "IPV6_MINIMUM_MTU",
    "Addressed",
    "Addresses",
    "InterfaceAddress",
    "first_address",
    "parse_address",
    "parse_addresses",
    "parse_network",
]

Addresses = str | Iterable[str]
"""One address with its prefix length (``"10.0.0.1/24"``) or several, IPv4 and IPv6 mixed."""

InterfaceAddress = ipaddress.IPv4Interface | ipaddress.IPv6Interface

# RFC 8200, section 5. Linux takes IPv6 off a device that is narrower.
IPV6_MINIMUM_MTU = 1280


class Addressed:
    """What has addresses, and can be asked for the first of each IP version."""

    @property
    def ipv4(self) -> str:
        """Its first IPv4 address, without prefix length.

        Raises:
            LabError: it has none.
        """
        return self._first(4)

    @property
    def ipv6(self) -> str:
        """Its first IPv6 address, without prefix length.

        Raises:
            LabError: it has none.
        """
        return self._first(6)

    def _own_addresses(self) -> Iterable[InterfaceAddress]:
        raise NotImplementedError

    def _title(self) -> str:
        raise NotImplementedError

    def _first(self, version: int) -> str:
        found = first_address(self._own_addresses(), version)
        if found is None:
            raise LabError(
                f"{self._title()} has no IPv{version} address",
                hint="give it one with the link that it is on",
            )
        return str(found.ip)


def first_address(addresses: Iterable[InterfaceAddress], version: int) -> InterfaceAddress | None:
    """The first of an IP version, if there is one."""
    return next((address for address in addresses if address.version == version), None)


def parse_addresses(addresses: Addresses) -> list[InterfaceAddress]:
    """Reads addresses with their prefix lengths.

    Raises:
        ConfigError: one is not an address, or has no prefix length (a forgotten ``/24`` would make
            a network of a single host, and a link on which nobody answers).
    """
    return [_parse(text) for text in ([addresses] if isinstance(addresses, str) else addresses)]


def parse_network(
    field: str, text: str, *, version: int | None = None
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Reads a network, such as ``10.9.0.0/16``, of either IP version or of one.

    Raises:
        ConfigError: it is none, or has bits set behind its prefix.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError as wrong:
        raise ConfigError(f"{field}: not a network: {text!r}", hint=str(wrong)) from wrong
    if not _has_plain_prefix(text) or (version or network.version) != network.version:
        kind = "a" if version is None else f"an IPv{version}"
        raise ConfigError(f"{field}: not {kind} network: {text!r}", hint="write 10.9.0.0/16")
    return network


def parse_address(field: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Reads an address without a prefix length.

    Raises:
        ConfigError: it is none.
    """
    try:
        return ipaddress.ip_address(text)
    except ValueError as wrong:
        raise ConfigError(f"{field}: not an address: {text!r}") from wrong


def _parse(text: str) -> InterfaceAddress:
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as wrong:
        raise ConfigError(f"not an address with prefix length: {text!r}") from wrong
    if "/" not in text:
        raise ConfigError(f"the address {text!r} lacks its prefix length", hint=f"as in {text}/24")
    if not _has_plain_prefix(text) or "%" in text:
        raise ConfigError(
            f"not an address with prefix length: {text!r}", hint="write 10.0.0.1/24 or fd00::1/64"
        )
    return address


def _has_plain_prefix(text: str) -> bool:
    """Neither a netmask nor zeros in front, which :mod:`ipaddress` takes too."""
    _, slash, prefix_len = text.partition("/")
    return not slash or DECIMAL.fullmatch(prefix_len) is not None
