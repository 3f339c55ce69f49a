"""``meshvpn genpsk``: make a pre-shared key."""

import typer

from meshvpn.cli.key_output import Out, put_out
from meshvpn.keys import PresharedKey

__all__ = ["app", "genpsk"]

app = typer.Typer(add_completion=False)


@app.command()
def genpsk(*, out: Out = None) -> None:
    """Make a key for two ends to share, and print it as 44 characters of base64.

    Whoever has the key can read and forge everything in the tunnel, and read everything that was
    ever recorded of it.
    """
    put_out(PresharedKey.generate(), out, "meshvpn genpsk --out mesh.key")
