"""Standard streams that were closed before the command started, or while it ran."""

from __future__ import annotations

import os
import sys

__all__ = ["give_up_output", "open_what_is_closed"]


def open_what_is_closed() -> None:
    """Let ``/dev/null`` stand for each standard stream that is not there (``>&-`` in a shell).

    Otherwise the next file or socket would have its number, and whoever prints would crash.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 (it stays open)


def give_up_output() -> None:
    """Let everything written from now on vanish: nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
