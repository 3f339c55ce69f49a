"""The tree of commands.

A command's module is imported when the command runs: a tunnel that stays for months should not hold
the benchmark in memory, and ``meshvpn --help`` should not take a second.
"""

import importlib
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

import meshvpn
from meshvpn.cli.interrupt import end_in_order

__all__ = ["command_tree"]


class _Entry(NamedTuple):
    """A command: its name, the module that has its ``app``, and its place and line in the help."""

    name: str
    module: str
    panel: str
    line: str


# The command line of `wg` is read without typer, in `meshvpn.cli`; here it is for the help alone.
_ENTRIES: Final = (
    _Entry(
        "demo", "demo", "See it work", "An encrypted tunnel and real programs through it, live."
    ),
    _Entry("sniff", "sniff", "See it work", "Create a TUN device and print every packet in it."),
    _Entry("tunnel", "tunnel", "Tunnels", "Run a tunnel in the foreground: plain or preshared."),
    _Entry("wg", "wg", "Tunnels", "Run a WireGuard device for wg and wg-quick to configure."),
    _Entry("genpsk", "genpsk", "Tunnels", "Make a key for two ends to share."),
    _Entry("genkey", "genkey", "Tunnels", "Make a private key for WireGuard."),
    _Entry("pubkey", "pubkey", "Tunnels", "Make the public key of a private one."),
    _Entry("relay", "relay", "Servers", "Run a relay for peers that cannot reach each other."),
    _Entry(
        "coordinator", "coordinator", "Servers", "Run a coordinator; see to nodes and auth keys."
    ),
    _Entry("bench", "bench", "Laboratory", "Hold our tunnels against other VPNs."),
    _Entry("lab", "lab", "Laboratory", "See and remove network labs."),
)

_EXAMPLES: Final = """
[bold]Examples[/bold]

  sudo meshvpn demo

  sudo meshvpn sniff mesh0 --address 10.0.0.1/24 --answer-ping

  meshvpn genpsk --out mesh.key

  meshvpn tunnel preshared --help
"""

_app = typer.Typer(
    name="meshvpn",
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXAMPLES,
)


def command_tree() -> TyperGroup:
    """The command ``meshvpn`` with everything under it, ready to be called."""
    group = typer.main.get_group(_app)
    for entry in _ENTRIES:
        group.add_command(_Later(entry))
    return group


class _Later(TyperCommand):
    """A command before its module is imported: enough for the help of the one above it."""

    def __init__(self, entry: _Entry) -> None:
        super().__init__(entry.name, help=entry.line, rich_help_panel=entry.panel)
        self._module = entry.module

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """The context of the real command, which takes over from here."""
        module = importlib.import_module(f"meshvpn.cli.{self._module}")
        end_in_order()
        command = typer.main.get_command(module.app)
        return command.make_context(info_name, args, parent, **extra)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(meshvpn.__version__)
        raise typer.Exit


@_app.callback()
def _meshvpn(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """TUN devices, encrypted tunnels, and a network lab to try them in."""
