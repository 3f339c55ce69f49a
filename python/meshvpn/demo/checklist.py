"""The list of scenes, ticked off as they are played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

__all__ = ["Checklist"]

_TITLE_STYLES: Final = {"waiting": "dim", "running": "bold", "done": "", "failed": "bold red"}


@dataclass
class _Item:
    title: str
    result: str = ""
    state: str = "waiting"


class Checklist:
    """A renderable; where there is little room, it leaves out the oldest results."""

    def __init__(self) -> None:
        self._items: list[_Item] = []
        self._spinner = Spinner("dots", style="cyan")

    def set_titles(self, titles: Sequence[str]) -> None:
        """What is to be done."""
        self._items = [_Item(title) for title in titles]

    def mark(self, title: str, state: str, result: str = "") -> None:
        """One of them is now "running", "done" or "failed"."""
        item = next(item for item in self._items if item.title == title)
        item.state, item.result = state, result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """With as many results as there is room for."""
        for left_out in range(len(self._items) + 1):
            grid = self._grid(self._items[:left_out])
            lines = console.render_lines(grid, options.update(height=None), pad=False)
            if options.height is None or len(lines) <= options.height:
                break
        yield grid

    def _grid(self, without_result: Sequence[_Item]) -> Table:
        grid = Table.grid(padding=(0, 1))
        for item in self._items:
            grid.add_row(self._sign(item), Text(item.title, style=_TITLE_STYLES[item.state]))
            if item.result and item not in without_result:
                grid.add_row(
                    "", Text(item.result, style="red" if item.state == "failed" else "dim")
                )
        return grid

    def _sign(self, item: _Item) -> RenderableType:
        match item.state:
            case "running":
                return self._spinner
            case "done":
                return Text("✓", style="bold green")
            case "failed":
                return Text("✗", style="bold red")
        return Text("·", style="dim")
