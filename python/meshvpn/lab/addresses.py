"""Addresses as people write them, parsed once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from meshvpn.errors import ConfigError

__all__ = ["IPV6_MINIMUM_MTU", "Addresses", "InterfaceAddress", "parse_addresses"]

Addresses = str | Iterable[str]
"""One address with its prefix length (``"10.0.0.1/24"``) or several, IPv4 and IPv6 mixed."""

InterfaceAddress = ipaddress.IPv4Interface | ipaddress.IPv6Interface

# RFC 8200, section 5. Linux takes IPv6 off a device that is narrower.
IPV6_MINIMUM_MTU = 1280


def parse_addresses(addresses: Addresses) -> list[InterfaceAddress]:
    """Reads addresses with their prefix lengths.

    Raises:
        ConfigError: one is not an address, or has no prefix length (a forgotten ``/24`` would make
            a network of a single host, and a link on which nobody answers).
    """
    return [_parse(text) for text in ([addresses] if isinstance(addresses, str) else addresses)]


def _parse(text: str) -> InterfaceAddress:
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as wrong:
        raise ConfigError(f"not an address with prefix length: {text!r}") from wrong
    if "/" not in text:
        raise ConfigError(f"the address {text!r} lacks its prefix length", hint=f"as in {text}/24")
    return address
