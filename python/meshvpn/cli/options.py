"""Options that several commands have, said once."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

__all__ = ["Addresses", "DeviceName", "Mtu", "Namespace", "Routes", "Verbose"]

DeviceName: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="The device to create, up to 15 characters.")
]
Addresses: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--address", metavar="CIDR", help="An address of the device: 10.0.0.1/24; may repeat."
    ),
]
Routes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--route", metavar="CIDR", help="A network to route into it: 10.9.0.0/16; may repeat."
    ),
]
Mtu: TypeAlias = Annotated[
    int | None, typer.Option(min=68, max=65535, metavar="BYTES", help="The device's MTU.")
]
Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NETNS", help="The network namespace to live in: a name or a path."),
]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Log details; show the traceback of an error.")
]
