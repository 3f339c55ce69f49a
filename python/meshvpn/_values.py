"""Values in the forms that Python programs have them in, made into what the engine reads.

What the engine's types cannot hold, or would take although it means nothing, is refused here, by
the argument's name.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Final, SupportsIndex, TypeAlias

from meshvpn.errors import ConfigError

Interface: TypeAlias = str | IPv4Interface | IPv6Interface
"""An address with its prefix length: ``"10.0.0.1/24"`` or an :mod:`ipaddress` interface."""

Network: TypeAlias = str | IPv4Network | IPv6Network
"""A network: ``"10.9.0.0/16"`` or an :mod:`ipaddress` network."""

Endpoint: TypeAlias = str | tuple[str | IPv4Address | IPv6Address, int]
"""An IP address and UDP port: ``"192.0.2.1:7000"``, ``"[2001:db8::1]:7000"``, or a pair."""

DECIMAL: Final = re.compile(r"0|[1-9][0-9]*")
"""A whole number as people write it: ``int()`` takes ``+24``, ``2_4`` and ``٢٤`` as well."""

LARGEST_PORT: Final = 0xFFFF
LARGEST_MTU: Final = 0xFFFF
LARGEST_MARK: Final = 0xFFFF_FFFF

_LONGEST_SHOWN_BITS: Final = 128
"""A number beyond it is told by its size: Python itself refuses to write out very long ones."""


def prefixed_texts(field: str, values: object | Iterable[object]) -> list[str]:
    """One address or network, or an iterable of them, as texts.

    Raises:
        ConfigError: a prefix length is not a plain number. Whether it fits the address is the
            engine's to judge.
    """
    texts = _texts(values)
    for text in texts:
        _, slash, prefix_len = text.partition("/")
        if slash and not DECIMAL.fullmatch(prefix_len):
            raise ConfigError(
                f"{field}: {text!r} is not an IP address with a prefix length",
                hint="write 10.0.0.1/24 or fd00::1/64",
            )
    return [utf8(field, text) for text in texts]


def endpoint_text(field: str, value: Endpoint) -> str:
    """An endpoint as ``address:port``, IPv6 addresses in brackets.

    Raises:
        ConfigError: a port that was given as a number is none. Texts are the engine's to judge.
    """
    if isinstance(value, str):
        return utf8(field, value)
    host, number = value
    port = bounded(f"{field} port", number, 0, LARGEST_PORT)
    return utf8(field, f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}")


def device_name(name: str) -> str:
    """The name, if terminals and logs can show it; the engine knows what else the kernel takes.

    Raises:
        ConfigError: they cannot: the kernel takes control characters and broken UTF-8 as well.
    """
    if not str(name).isprintable():  # another type is the engine's to refuse
        raise ConfigError(
            f"device name {name!r} must be 1 to 15 characters, all of them printable",
            hint="use letters, digits, '-' and '_'",
        )
    return name


def utf8(field: str, text: str) -> str:
    """The text, if it is one: of a byte that is not UTF-8, Python makes half a character.

    Raises:
        ConfigError: it is not.
    """
    if any("\ud800" <= character <= "\udfff" for character in str(text)):
        raise ConfigError(f"{field}: {text!r} is not UTF-8")
    return text


def bounded(field: str, value: SupportsIndex, smallest: int, largest: int) -> int:
    """A whole number from ``smallest`` to ``largest``.

    Raises:
        ConfigError: it is outside.
        TypeError: it is no whole number.
    """
    number = operator.index(value)
    if not smallest <= number <= largest:
        raise ConfigError(f"{field}: {shown(number)} is outside {smallest}..={largest}")
    return number


def timeout_seconds(value: float, field: str = "timeout") -> float:
    """A time to wait, in seconds.

    Raises:
        ConfigError: it is negative, infinite or not a number.
        TypeError: it is of another type.
    """
    try:
        is_time = math.isfinite(value) and value >= 0
    except OverflowError:  # a whole number that no float can hold
        is_time = False
    if not is_time:
        raise ConfigError(f"{field}: {shown(value)} is not a number of seconds from 0 on")
    return value


def patience(timeout: float | None) -> float | None:
    """The ``timeout`` of a wait that may also be for ever, with ``None``.

    Raises:
        ConfigError: it is neither that nor a time.
    """
    if timeout is None:
        return None
    try:
        return timeout_seconds(timeout)
    except ConfigError as error:
        raise ConfigError(error.message, hint="None waits for ever") from None


def shown(number: float) -> str:
    """A number for a message."""
    if isinstance(number, int) and number.bit_length() > _LONGEST_SHOWN_BITS:
        return f"a number of {number.bit_length()} bits"
    return str(number)


def _texts(values: object | Iterable[object]) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        return [str(values)]
    if isinstance(values, IPv4Network | IPv6Network):  # iterable, but one value
        return [str(values)]
    return [str(value) for value in values]
