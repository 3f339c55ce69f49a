"""Reading the command line of ``meshvpn tunnel`` in a child process.

A tunnel runs for months, and typer would stay in its memory: a third of the whole process. So a
forked child reads the command line and passes the settings up a pipe; its help and its complaints
are the user's to see, and its exit status is ours. Meanwhile this process loads the engine.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Settings", "run_tunnel"]


class Settings(NamedTuple):
    """A command line of ``meshvpn tunnel`` as plain values."""

    name: str
    local: str
    remote: str
    address: list[str]
    route: list[str]
    mtu: int | None
    netns: str | None
    mark: int | None
    key_file: str | None
    """``None`` for a plain tunnel."""
    aead: str | None
    report: Literal["none", "text", "json"]
    """What to print at the end."""
    capture: str | None
    """Where to write what goes over the network."""
    verbose: bool


def run_tunnel(read: Callable[[Callable[[Settings], None]], int]) -> int:
    """Run the tunnel that the command line describes and return the exit status.

    Args:
        read: reads the command line, calls its argument with the settings, returns an exit status.
    """
    receiving, sending = os.pipe()
    if (child := os.fork()) == 0:
        _read_and_exit(read, sending)
    os.close(sending)

    # Here, for the child must not wait for it.
    from meshvpn.cli import foreground  # noqa: PLC0415

    with os.fdopen(receiving, encoding="utf-8") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if text:
        foreground.run(Settings(**json.loads(text)))
    return os.waitstatus_to_exitcode(status)


def _read_and_exit(read: Callable[[Callable[[Settings], None]], int], sending: int) -> None:
    def send(settings: Settings) -> None:
        os.write(sending, json.dumps(settings._asdict()).encode())

    status = 1
    try:
        status = read(send)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # whoever read it has left
                stream.flush()
        # Not sys.exit: what the parent had begun is the parent's to end.
        os._exit(status)
