"""What Ctrl-C does where a command has nothing better to do with it.

The first module that the command loads, and so one that loads next to nothing.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing is not loaded yet
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["INTERRUPTED", "end_at_once", "end_in_order"]

INTERRUPTED = 130
"""Exit status of a program ended by Ctrl-C: 128 + SIGINT, as shells have it."""


def end_at_once() -> None:
    """Let Ctrl-C end the process where it stands, from now on: there is nothing to tidy up.

    An exception would not do: while modules are loaded, Python prints some and goes on.
    """
    _on_interrupt(lambda _number, _frame: os._exit(INTERRUPTED))


def end_in_order() -> None:
    """Let Ctrl-C unwind the program, from now on, and end it with its exit status."""
    _on_interrupt(lambda _number, _frame: sys.exit(INTERRUPTED))


def _on_interrupt(handler: Callable[[int, FrameType | None], object]) -> None:
    # A shell script's background job is not meant by Ctrl-C, and starts with SIGINT ignored.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)
