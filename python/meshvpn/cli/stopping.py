"""How a command that runs until it is told to stop is told to stop."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["until_stopped"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stop(BaseException):
    """Unwinds the body; no ``except Exception`` on the way may take it for an error."""


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
