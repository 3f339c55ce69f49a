"""``meshvpn coordinator``: run one, and see to its nodes and auth keys.

``run`` stays in the foreground; the other commands ask a running coordinator over its REST API.
They find it at ``--url`` and show it the token that lies in its state directory.
"""

import dataclasses
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.table import Table

from meshvpn.cli.options import Namespace, Verbose
from meshvpn.cli.stopping import until_stopped
from meshvpn.cli.tracing import log_to_stderr
from meshvpn.coordinator.client import CoordinatorClient
from meshvpn.coordinator.records import AuthKey, NodeInfo
from meshvpn.errors import ConfigError

__all__ = ["app"]

_STATE = "/var/lib/meshvpn/coordinator"
_URL = "http://127.0.0.1:8080"

app = typer.Typer(
    help="Run a coordinator, and see to its nodes and auth keys.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
_nodes = typer.Typer(help="The nodes of the mesh.", no_args_is_help=False)
_keys = typer.Typer(help="Auth keys: what machines join with.", no_args_is_help=False)
app.add_typer(_nodes, name="nodes")
app.add_typer(_keys, name="keys")

_Url: TypeAlias = Annotated[
    str,
    typer.Option(envvar="MESHVPN_COORDINATOR", metavar="URL", help="Where the coordinator is."),
]
_Token: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--token-file",
        envvar="MESHVPN_API_TOKEN_FILE",
        metavar="FILE",
        help="What it wants to be shown: the file `api-token` of its state directory.",
    ),
]
_Json: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON for machines.")]
_Node: TypeAlias = Annotated[str, typer.Argument(metavar="NODE", help="Its name or number.")]
_TOKEN = Path(_STATE) / "api-token"


@app.command()
def run(
    *,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="A YAML file.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="IP:PORT", help="Where to listen, without a file.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where its state lies, without a file.")
    ] = None,
    netns: Namespace = None,
    verbose: Verbose = False,
) -> None:
    """Run a coordinator in the foreground, until Ctrl-C."""
    from meshvpn.coordinator.running import Coordinator  # noqa: PLC0415 (the engine is large)

    given = {"listen": listen, "state": None if state is None else str(state)}
    fields = {name: value for name, value in given.items() if value is not None}
    if config is not None and fields:
        name = next(iter(fields))
        raise ConfigError(
            f"--{name} and --config at once", hint=f"write `{name}: {fields[name]}` in {config}"
        )
    log_to_stderr(verbose=verbose)
    with until_stopped(), Coordinator(config or fields, netns=netns) as coordinator:
        typer.echo(f"coordinator at {coordinator.url}, public key {coordinator.public_key}")
        sys.stdout.flush()
        import threading  # noqa: PLC0415 (only here)

        threading.Event().wait()


@app.command()
def status(*, url: _Url = _URL, token: _Token = _TOKEN, as_json: _Json = False) -> None:
    """Show the mesh as a whole."""
    mesh = _client(url, token).mesh()
    if as_json:
        _print_json(mesh)
        return
    networks = ", ".join(str(network) for network in mesh.networks)
    typer.echo(
        f"nodes       {mesh.nodes}, {mesh.online} of them online\n"
        f"domain      {mesh.domain}\n"
        f"networks    {networks}\n"
        f"allow       {'all' if mesh.allow_all else 'none'}\n"
        f"public key  {mesh.public_key}\n"
        f"version     {mesh.version}"
    )


@_nodes.callback(invoke_without_command=True)
def nodes(
    context: typer.Context, *, url: _Url = _URL, token: _Token = _TOKEN, as_json: _Json = False
) -> None:
    """List all nodes; the commands below see to one."""
    context.obj = _Asked(url, token, as_json=as_json)
    if context.invoked_subcommand is not None:
        return
    found = context.obj.client().nodes()
    if as_json:
        _print_json(found)
    elif found:
        Console().print(_node_table(found))
    else:
        typer.echo("There is no node. `meshvpn coordinator keys create` makes a key to join with.")


@_nodes.command()
def show(context: typer.Context, node: _Node) -> None:
    """Show everything that is known of a node, as JSON."""
    _print_json(context.obj.client().node(node))


@_nodes.command()
def approve(context: typer.Context, node: _Node) -> None:
    """Let a node in that waits for it."""
    context.obj.tell(context.obj.client().approve(node), "is a member")


@_nodes.command()
def rename(
    context: typer.Context, node: _Node, name: Annotated[str, typer.Argument(metavar="NAME")]
) -> None:
    """Give a node another name."""
    context.obj.tell(context.obj.client().rename(node, name), "that is its name now")


@_nodes.command()
def tag(
    context: typer.Context,
    node: _Node,
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]...")] = None,
) -> None:
    """Give a node these tags, and no others."""
    changed = context.obj.client().tag(node, tags or [])
    context.obj.tell(changed, f"has tags: {', '.join(changed.tags) or 'none'}")


@_nodes.command()
def routes(
    context: typer.Context,
    node: _Node,
    networks: Annotated[list[str] | None, typer.Argument(metavar="[CIDR]...")] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take all routes away.")] = False,
) -> None:
    """Let a node route these networks; all that it advertises when none is named."""
    wanted = [] if none else networks or None
    changed = context.obj.client().approve_routes(node, wanted)
    approved = ", ".join(str(route) for route in changed.approved_routes)
    context.obj.tell(changed, f"may route: {approved or 'nothing'}")


@_nodes.command()
def expire(
    context: typer.Context,
    node: _Node,
    *,
    after: Annotated[
        str | None, typer.Option("--in", metavar="TIME", help="90s, 5m, 12h, 180d, or `never`.")
    ] = None,
) -> None:
    """Make a node's key expire: now, or later."""
    at = None if after == "never" else _duration("--in", after) if after else timedelta()
    changed = context.obj.client().expire(node, at)
    when = "never expires" if changed.key_expiry is None else f"expires {_when(changed.key_expiry)}"
    context.obj.tell(changed, when)


@_nodes.command()
def remove(context: typer.Context, node: _Node) -> None:
    """Remove a node."""
    context.obj.client().remove(node)
    typer.echo(f"{node} is removed")


@_keys.callback(invoke_without_command=True)
def keys(
    context: typer.Context, *, url: _Url = _URL, token: _Token = _TOKEN, as_json: _Json = False
) -> None:
    """List all auth keys; the commands below make and revoke them."""
    context.obj = _Asked(url, token, as_json=as_json)
    if context.invoked_subcommand is not None:
        return
    found = context.obj.client().auth_keys()
    if as_json:
        _print_json(found)
    elif found:
        Console().print(_key_table(found))
    else:
        typer.echo("There is no auth key. `meshvpn coordinator keys create` makes one.")


@_keys.command()
def create(
    context: typer.Context,
    *,
    reusable: Annotated[bool, typer.Option(help="It admits more than one machine.")] = False,
    ephemeral: Annotated[bool, typer.Option(help="Its nodes vanish when they are gone.")] = False,
    needs_approval: Annotated[bool, typer.Option(help="Its nodes must be approved.")] = False,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Of its nodes; may repeat.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--in", metavar="TIME", help="Expires in 90s, 5m, 12h, 180d.")
    ] = None,
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
) -> None:
    """Make an auth key and print it: the one time that it is shown."""
    key = context.obj.client().new_auth_key(
        reusable=reusable,
        ephemeral=ephemeral,
        needs_approval=needs_approval,
        tags=tags or [],
        expires_in=_duration("--in", expires) if expires else None,
        description=description,
    )
    if context.obj.as_json:
        _print_json(key)
    else:
        typer.echo(key.secret)


@_keys.command()
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its name: see the list.")],
) -> None:
    """Make an auth key worthless; nodes that it admitted stay."""
    context.obj.client().revoke_auth_key(key)
    typer.echo(f"{key} is revoked")


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What was said before the command's name."""

    url: str
    token: Path
    _: dataclasses.KW_ONLY
    as_json: bool

    def client(self) -> CoordinatorClient:
        return _client(self.url, self.token)

    def tell(self, node: NodeInfo, what: str) -> None:
        if self.as_json:
            _print_json(node)
        else:
            typer.echo(f"{node.name}: {what}")


def _client(url: str, token: Path) -> CoordinatorClient:
    shown = os.environ.get("MESHVPN_API_TOKEN")
    if shown is None:
        try:
            shown = token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(
                f"--token-file: {token}: {error.strerror}",
                hint="it is the file `api-token` of the coordinator's state directory",
            ) from error
    return CoordinatorClient(url, shown)


_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _duration(option: str, text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigError(f"{option}: {text!r} is no time", hint="write 90s, 5m, 12h or 180d")
    try:
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise ConfigError(f"{option}: {text!r} is too long", hint="write `never`") from None


def _node_table(found: Iterable[NodeInfo]) -> Table:
    table = Table("id", "name", "addresses", "status", "relay", "reachable at", "routes", "tags")
    colors = {"online": "green", "pending": "yellow", "expired": "red"}
    for node in found:
        color = colors.get(node.status, "dim")
        since = f", {_when(node.last_seen)}" if node.status == "offline" else ""
        table.add_row(
            str(node.id),
            node.name,
            _lines(node.addresses),
            f"[{color}]{node.status}[/{color}]{since}",
            "" if node.home_relay is None else str(node.home_relay),
            _lines(node.candidates),
            _lines(_route_states(node)),
            ", ".join(node.tags),
        )
    return table


def _route_states(node: NodeInfo) -> list[str]:
    states = []
    for route in sorted({*node.advertised_routes, *node.approved_routes}, key=str):
        approved = route in node.approved_routes
        state = "" if route in node.active_routes else " (standby)" if approved else " (offered)"
        states.append(f"{route}{state}")
    return states


def _key_table(found: Iterable[AuthKey]) -> Table:
    table = Table("id", "status", "kind", "uses", "expires", "tags", "description")
    for key in found:
        kinds = [
            "reusable" if key.reusable else "one-time",
            *(["ephemeral"] if key.ephemeral else []),
            *(["needs approval"] if key.needs_approval else []),
        ]
        table.add_row(
            key.id,
            key.status,
            ", ".join(kinds),
            str(key.uses),
            "never" if key.expiry is None else _when(key.expiry),
            ", ".join(key.tags),
            key.description,
        )
    return table


def _lines(values: Sequence[object]) -> str:
    return "\n".join(str(value) for value in values)


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _print_json(value: Any) -> None:
    whole = [dataclasses.asdict(entry) for entry in value] if isinstance(value, list) else None
    typer.echo(
        json.dumps(whole if whole is not None else dataclasses.asdict(value), default=_plain)
    )


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
