"""``meshvpn genpsk``: make a pre-shared key."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from meshvpn.errors import ConfigError
from meshvpn.keys import PresharedKey

__all__ = ["app", "genpsk"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def genpsk(
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a new file that only its owner can read."),
    ] = None,
) -> None:
    """Make a key for two ends to share, and print it as 44 characters of base64.

    Whoever has the key can read and forge everything in the tunnel, and read everything that was
    ever recorded of it.
    """
    key = PresharedKey.generate()
    if out is None:
        typer.echo(key.to_base64())
        if sys.stdout.isatty():
            typer.echo("This is a secret. To keep it: meshvpn genpsk --out mesh.key", err=True)
        return
    try:
        key.to_file(out)
    except FileExistsError:
        raise ConfigError(
            f"--out: there is a file {out} already, and it may be a key in use",
            hint="remove it first, or choose another name",
        ) from None
