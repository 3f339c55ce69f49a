"""What ``meshvpn tunnel`` does once its command line has been read: run the tunnel to its end.

Nothing here needs typer: see :mod:`meshvpn.cli.reader` for the reason.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from meshvpn.cli.stopping import until_stopped
from meshvpn.cli.tracing import log_to_stderr
from meshvpn.errors import TunnelClosedError
from meshvpn.tunnel import Tunnel

if TYPE_CHECKING:
    from meshvpn.capture import Capture
    from meshvpn.cli.reader import Settings
    from meshvpn.stats import TunnelStats

__all__ = ["run"]


def run(settings: Settings) -> None:
    """Run a tunnel until SIGINT, SIGTERM or SIGHUP.

    Raises:
        MeshError: it could not be started, its device was deleted, or the capture is not complete.
    """
    log_to_stderr(verbose=settings.verbose)
    tunnel: Tunnel | None = None
    capture: Capture | None = None
    with until_stopped():
        tunnel = _start(settings)
        with tunnel:
            if settings.capture is not None:
                capture = tunnel.capture(settings.capture)  # ends with the tunnel
            for _event in tunnel.events():  # the engine logs them; they end when the tunnel does
                pass
    if tunnel is None:  # told to stop before it stood
        return
    figures = tunnel.stats()
    if settings.report != "none":
        text = json.dumps(figures.to_dict()) if settings.report == "json" else _readable(figures)
        sys.stdout.write(text + "\n")
    if figures.failure is not None:
        raise TunnelClosedError(f"{tunnel.name}: {figures.failure}")
    if capture is not None:
        capture.close()  # says so if it is not complete


def _start(settings: Settings) -> Tunnel:
    if settings.key_file is None:
        return Tunnel.plain(
            settings.name,
            local=settings.local,
            remote=settings.remote,
            address=settings.address,
            route=settings.route,
            mtu=settings.mtu,
            netns=settings.netns,
            mark=settings.mark,
        )
    return Tunnel.preshared(
        settings.name,
        local=settings.local,
        remote=settings.remote,
        key=settings.key_file,
        address=settings.address,
        route=settings.route,
        mtu=settings.mtu,
        netns=settings.netns,
        mark=settings.mark,
        aead=settings.aead,
    )


def _readable(figures: TunnelStats) -> str:
    drops = ", ".join(f"{count:,} {reason}" for reason, count in figures.drops.items() if count)
    return (
        f"sent      {figures.sent_packets:,} packets, {figures.sent_bytes:,} bytes\n"
        f"received  {figures.received_packets:,} packets, {figures.received_bytes:,} bytes\n"
        f"dropped   {drops or 'none'}\n"
        f"sessions  {figures.sessions}\n"
        f"MTU       {figures.mtu} inside, {figures.path_mtu} on the path\n"
        f"AEAD      {figures.aead}"
    )
