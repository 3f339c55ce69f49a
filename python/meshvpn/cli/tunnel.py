"""The command line of ``meshvpn tunnel``: run one end of a tunnel in the foreground.

It runs until it is told to stop (Ctrl-C, SIGTERM, SIGHUP), or until its device is deleted, which
is an error. What happens is logged to standard error; standard output stays empty unless
``--stats`` or ``--json`` asks for the figures at the end.

These functions only read options; :mod:`meshvpn.cli.foreground` gets them by ``context.obj``.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from meshvpn._values import LARGEST_MARK
from meshvpn.cli.options import (
    Addresses,
    DeviceName,
    Mtu,
    Namespace,
    Routes,
    Verbose,
    whole_number,
)
from meshvpn.cli.reader import Settings

__all__ = ["app"]

app = typer.Typer(
    help="Run one end of a tunnel in the foreground, until Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)

_Local: TypeAlias = Annotated[
    str,
    typer.Option(metavar="IP:PORT", help="Our UDP endpoint; 0.0.0.0 or [::] for any address."),
]
_Remote: TypeAlias = Annotated[str, typer.Option(metavar="IP:PORT", help="The peer's endpoint.")]
_Mark: TypeAlias = Annotated[
    int | None,
    typer.Option(
        parser=whole_number(1, LARGEST_MARK),
        metavar="NUMBER",
        help="Firewall mark of what it sends.",
    ),
]
_Stats: TypeAlias = Annotated[bool, typer.Option("--stats", help="Print figures at the end.")]
_Capture: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write what goes over the network to a pcapng file."),
]
_Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print figures at the end as JSON.")]


@app.command()
def plain(
    context: typer.Context,
    name: DeviceName,
    *,
    local: _Local,
    remote: _Remote,
    address: Addresses = None,
    route: Routes = None,
    mtu: Mtu = None,
    netns: Namespace = None,
    mark: _Mark = None,
    capture: _Capture = None,
    stats: _Stats = False,
    as_json: _Json = False,
    verbose: Verbose = False,
) -> None:
    """Without encryption: everyone on the way can read and forge it."""
    settings = Settings(
        name=name,
        local=local,
        remote=remote,
        address=address or [],
        route=route or [],
        mtu=mtu,
        netns=netns,
        mark=mark,
        key_file=None,
        aead=None,
        report=_report(stats=stats, as_json=as_json),
        capture=None if capture is None else str(capture),
        verbose=verbose,
    )
    context.obj(settings)


@app.command()
def preshared(
    context: typer.Context,
    name: DeviceName,
    *,
    local: _Local,
    remote: _Remote,
    key_file: Annotated[
        Path, typer.Option(metavar="FILE", help="The key that both ends share: meshvpn genpsk.")
    ],
    address: Addresses = None,
    route: Routes = None,
    mtu: Mtu = None,
    aead: Annotated[
        Literal["aws-lc", "ipsec-mb", "portable"] | None,
        typer.Option(help="The cipher's implementation; by default the fastest one here."),
    ] = None,
    netns: Namespace = None,
    mark: _Mark = None,
    capture: _Capture = None,
    stats: _Stats = False,
    as_json: _Json = False,
    verbose: Verbose = False,
) -> None:
    """Sealed with ChaCha20-Poly1305 under keys derived from a shared one.

    What it does not give is forward secrecy (whoever learns the key opens everything that was ever
    recorded) and identity (everyone who has the key is the same peer).
    """
    settings = Settings(
        name=name,
        local=local,
        remote=remote,
        address=address or [],
        route=route or [],
        mtu=mtu,
        netns=netns,
        mark=mark,
        key_file=str(key_file),
        aead=aead,
        report=_report(stats=stats, as_json=as_json),
        capture=None if capture is None else str(capture),
        verbose=verbose,
    )
    context.obj(settings)


def _report(*, stats: bool, as_json: bool) -> Literal["none", "text", "json"]:
    if as_json:
        return "json"
    return "text" if stats else "none"
