"""``meshvpn genkey``: make a private key."""

import typer

from meshvpn.cli.key_output import Out, put_out
from meshvpn.keys import PrivateKey

__all__ = ["app", "genkey"]

app = typer.Typer(add_completion=False)


@app.command()
def genkey(*, out: Out = None) -> None:
    """Make a private key for WireGuard, and print it as 44 characters of base64.

    Whoever has the key can pass for its owner. Others get its public key: meshvpn pubkey.
    """
    put_out(PrivateKey.generate(), out, "meshvpn genkey --out private.key")
