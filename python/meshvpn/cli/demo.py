"""``meshvpn demo``: two hosts, WireGuard between them, real programs through it; see it work.

On a terminal a picture that moves, elsewhere plain lines. The exit status is 0 only when every step
has worked, 130 after Ctrl-C.
"""

import logging
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from meshvpn.cli.interrupt import INTERRUPTED
from meshvpn.cli.stopping import until_stopped
from meshvpn.demo import play
from meshvpn.demo.lines import Lines
from meshvpn.demo.live import Screen
from meshvpn.errors import MeshError

__all__ = ["app", "demo"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

_PICTURES_PER_SECOND = 10
_PAUSE_S = 1.2
"""Between two steps on a terminal: time to read what came out."""


@app.command()
def demo(
    *,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines instead of a picture, on a terminal too.")
    ] = False,
) -> None:
    """Show WireGuard at work: a handshake, ping, ssh and iperf3 through it, and what a spy sees.

    It takes half a minute and builds everything it needs in network namespaces, which are gone
    afterwards. Nothing else on this machine is touched.
    """
    # The engine's records would fall into the picture; what went wrong is told by the steps.
    logging.getLogger("meshvpn").addHandler(logging.NullHandler())
    started = time.monotonic()
    is_over = False
    with until_stopped():
        if sys.stdout.isatty() and not plain:
            _show_picture()
        else:
            play(Lines(sys.stdout))
        is_over = True
    if not is_over:
        typer.echo("interrupted; everything that was built is gone", err=True)
        raise typer.Exit(INTERRUPTED)
    typer.echo(f"Everything worked, in {time.monotonic() - started:.0f} seconds.")


def _show_picture() -> None:
    console = Console()
    screen = Screen()
    live = Live(
        get_renderable=screen.render,
        console=console,
        refresh_per_second=_PICTURES_PER_SECOND,
        screen=True,
    )
    try:
        with live:
            play(screen, pause=_PAUSE_S)
    except MeshError:
        console.print(screen.summary())
        raise
    console.print(screen.summary())
