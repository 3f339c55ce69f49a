"""Addresses in the forms that Python programs have them in, as the text that the engine reads."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import TypeAlias

Interface: TypeAlias = str | IPv4Interface | IPv6Interface
"""An address with its prefix length: ``"10.0.0.1/24"`` or an :mod:`ipaddress` interface."""

Network: TypeAlias = str | IPv4Network | IPv6Network
"""A network: ``"10.9.0.0/16"`` or an :mod:`ipaddress` network."""

Endpoint: TypeAlias = str | tuple[str | IPv4Address | IPv6Address, int]
"""An IP address and UDP port: ``"192.0.2.1:7000"``, ``"[2001:db8::1]:7000"``, or a pair."""


def texts(values: object | Iterable[object]) -> list[str]:
    """One value, or an iterable of values, as a list of texts."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return [str(values)]
    if isinstance(values, IPv4Network | IPv6Network):  # iterable, but one value
        return [str(values)]
    return [str(value) for value in values]


def endpoint_text(value: Endpoint) -> str:
    """An endpoint as ``address:port``, IPv6 addresses in brackets."""
    if isinstance(value, str):
        return value
    host, port = value
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
