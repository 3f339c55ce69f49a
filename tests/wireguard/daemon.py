"""``meshvpn wg`` as ``wg-quick`` starts it: one word, and in the background when it returns."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshvpn.lab import Host

COMMAND = (sys.executable, "-m", "meshvpn", "wg")


def one_word(folder: Path) -> Path:
    """A program that is this installation's ``meshvpn wg``."""
    script = folder / "meshvpn-wg"
    script.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    script.chmod(0o755)
    return script


def environment(**variables: str) -> dict[str, str]:
    """This process's, where programs of the system's directories are found too."""
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    return os.environ | {"PATH": path} | variables


def processes(device: str) -> list[int]:
    """Those that run for this device; not the dead whom nobody has asked about."""
    return [
        int(place.name)
        for place in Path("/proc").iterdir()
        if place.name.isdecimal() and device in _command(place)
    ]


def wait_until_gone(device: str) -> None:
    """Waits until nothing runs for this device any more."""
    end = time.monotonic() + 10
    while left := processes(device):
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.01)


def has_device(host: Host, device: str) -> bool:
    return host.run(["ip", "link", "show", device], check=False).returncode == 0


def _command(place: Path) -> list[str]:
    try:
        return (place / "cmdline").read_text().split("\0")
    except OSError:
        return []
