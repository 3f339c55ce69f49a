"""Options that several commands have, said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from meshvpn._values import DECIMAL, LARGEST_MTU

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Addresses", "DeviceName", "Mtu", "Namespace", "Routes", "Verbose", "whole_number"]


def whole_number(smallest: int, largest: int) -> Callable[[int | str], int]:
    """What reads the number behind an option; it takes digits alone, unlike ``int()``."""

    def parse(text: int | str) -> int:
        digits = str(text)
        # The number of digits first: Python refuses to read very long numbers.
        if DECIMAL.fullmatch(digits) and len(digits) <= len(str(largest)):
            number = int(digits)
            if smallest <= number <= largest:
                return number
        raise typer.BadParameter(f"{digits!r} is not a whole number from {smallest} to {largest}.")

    return parse


DeviceName: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="The device to create, up to 15 characters.")
]
Addresses: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--address",
        metavar="CIDR",
        help="An address of the device: 10.0.0.1/24; without a prefix length alone, as /32 or "
        "/128; may repeat.",
    ),
]
Routes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--route",
        metavar="CIDR",
        help="A network to route into it: 10.9.0.0/16, or a single address; may repeat.",
    ),
]
Mtu: TypeAlias = Annotated[
    int | None,
    typer.Option(parser=whole_number(68, LARGEST_MTU), metavar="BYTES", help="The device's MTU."),
]
Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NETNS", help="The network namespace to live in: a name or a path."),
]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Log details; show the traceback of an error.")
]
