"""How a command is told to stop: by Ctrl-C, SIGTERM or SIGHUP, at each time of its life."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["INTERRUPTED", "end_at_once", "end_in_order", "until_stopped"]

INTERRUPTED = 130
"""Exit status of a program ended by Ctrl-C: 128 + SIGINT, as shells have it."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stop(BaseException):
    """Unwinds the body; no ``except Exception`` on the way may take it for an error."""


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


@contextmanager
def until_stopped() -> Iterator[None]:
    """Run the body until it ends, or until SIGINT (Ctrl-C), SIGTERM or SIGHUP ends it.

    The first of them unwinds the body, which tidies up undisturbed: further ones are ignored. Under
    ``nohup`` SIGHUP stays ignored.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise _Stop

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    except _Stop:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
