"""What is wrong with the network for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Fault"]


class Fault:
    """A changed condition of the lab that can be taken back.

    It lasts until :meth:`undo`, the end of a ``with`` over it, or the end of the lab.
    """

    def __init__(self, description: str, undo: Callable[[], object]) -> None:
        self._description = description
        self._undo: Callable[[], object] | None = undo

    def undo(self) -> None:
        """Restores what was before; the second call does nothing."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()

    def __repr__(self) -> str:
        return f"<Fault {self._description}{'' if self._undo else ', undone'}>"
