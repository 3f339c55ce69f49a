"""``meshvpn pubkey``: the public key of a private one."""

import sys

import typer

from meshvpn.errors import ConfigError
from meshvpn.keys import PrivateKey

__all__ = ["app", "pubkey"]

app = typer.Typer(add_completion=False)

_MOST = 256
"""Bytes that are read: whoever gives more gives something else than a key."""


@app.command()
def pubkey() -> None:
    """Read a private key from standard input, and print its public key.

    The public key is no secret: it is what the other end's configuration needs.
    """
    content = sys.stdin.buffer.read(_MOST)
    try:
        key = PrivateKey.from_base64(content.decode("ascii"))
    except (ConfigError, UnicodeDecodeError):
        raise ConfigError(
            "standard input: holds no private key",
            hint="give it one: meshvpn genkey | meshvpn pubkey, or: meshvpn pubkey < private.key",
        ) from None
    typer.echo(key.public_key.to_base64())
