"""Where a new secret goes: to standard output, or into a file of its owner alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from meshvpn.errors import ConfigError

if TYPE_CHECKING:
    from meshvpn.keys import PresharedKey, PrivateKey

__all__ = ["Out", "put_out"]

Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a new file that only its owner can read."),
]


def put_out(key: PresharedKey | PrivateKey, out: Path | None, example: str) -> None:
    """Print a key, or write it to the file ``out``.

    Args:
        key: the key.
        out: the new file, or ``None`` for standard output.
        example: the command that keeps a key, for those who see theirs on a terminal.
    """
    if out is None:
        typer.echo(key.to_base64())
        if sys.stdout.isatty():
            typer.echo(f"This is a secret. To keep it: {example}", err=True)
        return
    try:
        key.to_file(out)
    except FileExistsError:
        raise ConfigError(
            f"--out: there is a file {out} already, and it may be a key in use",
            hint="remove it first, or choose another name",
        ) from None
