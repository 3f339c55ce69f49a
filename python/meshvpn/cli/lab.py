"""``meshvpn lab``: see and remove the network labs on this machine.

A lab is built from Python (:mod:`meshvpn.lab`) and normally removes itself; these commands are for
the moment when somebody asks what all those namespaces are.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from meshvpn.lab import list_labs, reap

if TYPE_CHECKING:
    from meshvpn.lab import LabRecord

__all__ = ["app"]

app = typer.Typer(
    help="See and remove network labs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


@app.command("list")
def list_command(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array for machines.")] = False,
) -> None:
    """Show every lab, its owner and its namespaces."""
    records = list_labs()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(record) for record in records], indent=2))
    elif records:
        Console().print(_table(records))
    else:
        typer.echo("There is no lab.")


@app.command()
def clean() -> None:
    """Remove what dead processes left behind; labs in use are not touched."""
    removed = [name for record in reap() for name in record.namespaces]
    for name in removed:
        typer.echo(f"removed {name}")
    if not removed:
        typer.echo("Nothing was left behind.")


def _table(records: list[LabRecord]) -> Table:
    table = Table("owner", "lab", "state", "program", "namespaces")
    for record in records:
        table.add_row(
            str(record.process),
            str(record.number),
            "[green]in use" if record.alive else "[red]left behind",
            _program(record) if record.alive else "",
            "\n".join(record.namespaces),
        )
    return table


def _program(record: LabRecord) -> str:
    try:
        words = Path(f"/proc/{record.process}/cmdline").read_text().split("\0")
    except OSError:
        return ""
    return " ".join(words).strip()[:60]
