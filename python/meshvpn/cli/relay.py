"""``meshvpn relay``: run a relay in the foreground, until Ctrl-C.

When it is ready it says where it is and what nodes need to know of it: a line for people on
standard error, or with ``--json`` an object on standard output, and another with its figures at
the end. Who connects and leaves is logged to standard error.
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from meshvpn.cli.options import Namespace, Verbose, whole_number
from meshvpn.cli.stopping import until_stopped
from meshvpn.cli.tracing import log_to_stderr
from meshvpn.relay import Relay

__all__ = ["app", "relay"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

_BITS = 1_000_000 // 8
"""Bytes a second in a Mbit/s."""


@app.command()
def relay(
    *,
    listen: Annotated[
        str,
        typer.Option(metavar="IP:PORT", help="Where to listen; 0.0.0.0 or [::] for any address."),
    ] = "0.0.0.0:443",
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The name or address by which nodes reach it; by default the one it listens at.",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate, in PEM; plain without.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate's private key, in PEM.")
    ] = None,
    self_signed: Annotated[
        bool,
        typer.Option(
            "--self-signed",
            help="Make a certificate, for nodes to know by its SHA-256. With --tls-cert and "
            "--tls-key, keep it in these files and use it again.",
        ),
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The relay's own key; by default a new one each time."),
    ] = None,
    verify_clients: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A coordinator to ask which nodes may come."),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(1, 1_000_000),
            metavar="MBIT/S",
            help="How fast each client may send; by default as fast as it can.",
        ),
    ] = None,
    netns: Namespace = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print where it is, and at the end figures, as JSON.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Carry packets between peers that cannot reach each other directly (DERP over HTTP)."""
    log_to_stderr(verbose=verbose)
    with until_stopped():
        server = Relay(
            listen,
            host=host,
            private_key=key_file,
            certificate=tls_cert,
            certificate_key=tls_key,
            self_signed=self_signed,
            verify_clients=verify_clients,
            bytes_per_second=None if rate is None else rate * _BITS,
            netns=netns,
        )
        with server:
            try:
                _introduce(server, as_json=as_json)
                while True:  # the relay has threads of its own; a signal ends this one
                    time.sleep(1)
            finally:
                if as_json:
                    _print(server.stats().to_dict())


def _introduce(server: Relay, *, as_json: bool) -> None:
    if as_json:
        _print(
            {
                "url": server.url,
                "public_key": str(server.public_key),
                "certificate_sha256": server.certificate_sha256,
            }
        )
        return
    typer.echo(f"relay at {server.url}, key {server.public_key}; Ctrl-C ends", err=True)
    if server.certificate_sha256 is not None:
        typer.echo(f"certificate SHA-256 {server.certificate_sha256}", err=True)


def _print(values: dict[str, object]) -> None:
    # Whoever reads a pipe wants the line now, not when a buffer is full.
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
