"""Both ends of a tunnel in a process of their own, so that what it holds is what tunnels hold.

A :class:`Keeper` starts this file as a program and talks to it in lines of JSON: the configuration
of both ends first, then numbers of ends to start again, answered by what the old one saw.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshvpn import PresharedKey, Tunnel
from tests.tunnel.processes import Held, held_by

if TYPE_CHECKING:
    from meshvpn.lab import Host

PORT = 7000


class Keeper:
    """The other process, and what its tunnels saw until they were closed.

    Attributes:
        drops: packets dropped, by reason.
        events: events, by kind.
    """

    def __init__(self, a: Host, b: Host) -> None:
        self.drops: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self._asking = threading.Lock()
        root = Path(__file__).parent.parent.parent
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.tunnel.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        key = PresharedKey.generate().to_base64()
        self._ask([end_values(a, b, 1, key), end_values(b, a, 2, key)])

    def restart(self, number: int) -> None:
        """Closes an end (0 or 1) and opens it again."""
        self._ask(number)

    def held(self) -> Held:
        """What the process holds now."""
        return held_by(self._process.pid)

    def close(self) -> None:
        """Closes both ends and ends the process."""
        self._ask(None)
        self._process.communicate(timeout=10)

    def _ask(self, question: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with self._asking:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        self.drops.update(answer["drops"])
        self.events.update(answer["events"])


def end_values(host: Host, peer: Host, number: int, key: str) -> dict[str, Any]:
    """The arguments of one end, as JSON can carry them."""
    return {
        "name": "mesh0",
        "local": f"{host.ipv4}:{PORT}",
        "remote": f"{peer.ipv4}:{PORT}",
        "address": [f"10.9.0.{number}/24", f"fd09::{number}/64"],
        "netns": host.netns,
        "key": key,
    }


def open_tunnel(values: dict[str, Any]) -> Tunnel:
    return Tunnel.preshared(**values | {"key": PresharedKey.from_base64(values["key"])})


def close_tunnel(tunnel: Tunnel, seen: dict[str, Counter[str]]) -> None:
    tunnel.close()
    seen["drops"].update(tunnel.stats().drops)
    seen["events"].update(event.kind for event in tunnel.events())


def main() -> None:
    """Keeps the ends until told to end."""
    # A peer that does not answer is nothing to be told of here.
    logging.basicConfig(level=logging.ERROR)
    ends = json.loads(sys.stdin.readline())
    tunnels = [open_tunnel(values) for values in ends]
    answer({"drops": Counter(), "events": Counter()})
    for line in sys.stdin:
        seen: dict[str, Counter[str]] = {"drops": Counter(), "events": Counter()}
        number = json.loads(line)
        if number is None:
            for tunnel in tunnels:
                close_tunnel(tunnel, seen)
            return answer(seen)
        close_tunnel(tunnels[number], seen)
        tunnels[number] = open_tunnel(ends[number])
        answer(seen)
    return None


def answer(seen: dict[str, Counter[str]]) -> None:
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
