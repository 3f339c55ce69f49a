"""The last lines of something, as many as there is room for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

__all__ = ["Tail"]

_KEPT: Final = 200
"""More lines than any terminal has."""


class Tail:
    """Lines that move up; each is cut off where the room ends."""

    def __init__(self) -> None:
        self._lines: deque[Text] = deque(maxlen=_KEPT)

    def append(self, line: Text) -> None:
        """Add a line at the bottom. Any thread may."""
        line.no_wrap = True
        line.overflow = "ellipsis"
        self._lines.append(line)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As many of the last lines as fit."""
        # Copied at once: another thread may append meanwhile.
        lines = self._lines.copy()
        yield from list(lines)[-(options.height or console.height) :]
