"""The command ``meshvpn`` as a process, as people and scripts have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from pathlib import Path

    from meshvpn.lab import Host

MESHVPN = (sys.executable, "-m", "meshvpn")

# Waiting for something that must come: only a machine that is very busy needs so long.
PATIENCE_SECONDS = 20.0


def meshvpn(*arguments: str | bytes | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [*MESHVPN, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


class Running:
    """The command while it runs on a host of the lab, with what it has printed so far."""

    def __init__(self, host: Host, *arguments: str | Path) -> None:
        self.process = host.popen([*MESHVPN, *map(str, arguments)])
        self.lines: list[str] = []
        self.remarks: list[str] = []
        self._readers = [
            threading.Thread(target=_read, args=(self.process.stdout, self.lines)),
            threading.Thread(target=_read, args=(self.process.stderr, self.remarks)),
        ]
        for reader in self._readers:
            reader.start()

    def objects(self) -> list[dict[str, Any]]:
        """What it has printed so far with ``--json``."""
        return [json.loads(line) for line in self.lines]

    def wait_for(self, condition: Callable[[Self], bool]) -> None:
        """Waits until what it has printed is as it should be."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition(self):
            assert self.process.poll() is None, f"it has ended: {self.remarks}"
            assert time.monotonic() < end, f"it printed {self.lines} and {self.remarks}"
            time.sleep(0.01)

    def wait_for_remark(self, words: str) -> None:
        """Waits for some words on its standard error."""
        self.wait_for(lambda command: any(words in line for line in command.remarks))

    def end(self, number: signal.Signals | None = None) -> int:
        """Sends a signal, if one is given, and returns the exit status."""
        if number is not None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join()
        return status


def devices(host: Host) -> set[str]:
    """The network devices of a host."""
    return {device["ifname"] for device in json.loads(host.run(["ip", "-json", "link"]).stdout)}


def _read(pipe: Any, lines: list[str]) -> None:
    lines.extend(line.rstrip("\n") for line in pipe)
