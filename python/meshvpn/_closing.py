"""What ``with`` and ``async with`` do for everything that has an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Closing:
    """Ends with :meth:`close`, by itself where a ``with`` over it does."""

    __slots__ = ()

    def close(self) -> None:
        """End it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClosing(Closing):
    """The same, also for ``async with``."""

    __slots__ = ()

    async def aclose(self) -> None:
        """As :meth:`close`, without blocking the event loop."""
        import asyncio  # noqa: PLC0415 (it is half of the memory of a tunnel that needs none)

        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
