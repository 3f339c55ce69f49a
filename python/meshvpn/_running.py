"""What everything that runs between two ends can be asked, be it a tunnel or a WireGuard device."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from meshvpn._closing import AsyncClosing
from meshvpn._values import patience
from meshvpn.errors import TunnelClosedError
from meshvpn.stats import TunnelEvent, TunnelStats

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Iterator

    from meshvpn import _meshvpn
    from meshvpn.capture import Capture
    from meshvpn.stats import Phase

__all__ = ["Handle", "Running"]

_PATIENCE = 0.2
"""Seconds after which an asynchronous wait looks whether it was cancelled."""


class Handle(Protocol):
    """What the engine has of it."""

    def snapshot(self) -> _meshvpn.TunnelSnapshot:
        """State and counters."""

    def wait_until_up(self, timeout: float | None) -> bool:
        """Wait until a peer answers; true when one does."""

    def next_event(self, timeout: float | None) -> _meshvpn.TunnelEvent | None:
        """The oldest event not fetched yet."""

    def capture(self, path: str | os.PathLike[str], *, secrets: bool) -> _meshvpn.Capture:
        """Write what goes over the network to a file."""

    def fileno(self) -> int:
        """Readable while events wait."""

    def close(self) -> None:
        """End it."""


class Running(AsyncClosing):
    """A running tunnel or device: its state, its events and its end."""

    __slots__ = ("_name", "_netns")
    _KIND: ClassVar[str]
    """What it is, for messages."""

    _name: str
    _netns: str | None

    @property
    def _engine(self) -> Handle:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The device's name."""
        return self._name

    @property
    def netns(self) -> str | None:
        """The network namespace it was started in; ``None`` for the process's own."""
        return self._netns

    @property
    def phase(self) -> Phase:
        """Whether a peer answers: "connecting", "up", or "closed"."""
        return self.stats().phase

    @property
    def mtu(self) -> int:
        """The device's MTU now, in bytes."""
        return self.stats().mtu

    def stats(self) -> TunnelStats:
        """State and counters; still there after :meth:`close`."""
        return TunnelStats._of(self._engine.snapshot())

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until the peer answers (of several: one).

        Args:
            timeout: seconds to wait; for ever if ``None``.

        Raises:
            ConfigError: ``timeout`` is negative, infinite or not a number.
            TimeoutError: the peer did not answer in time.
            TunnelClosedError: the tunnel was closed meanwhile.
        """
        if self._engine.wait_until_up(patience(timeout)):
            return
        if self.phase == "closed":
            raise self._closed()
        raise TimeoutError(f"{self._name}: the peer did not answer within {timeout} s")

    def next_event(self, timeout: float | None = None) -> TunnelEvent | None:
        """The oldest event not fetched yet, after waiting for one.

        Events go to one reader each; the newest 256 are kept for it.

        Returns:
            ``None`` when there is none within ``timeout`` seconds, or the tunnel is closed and all
            were fetched.

        Raises:
            ConfigError: ``timeout`` is negative, infinite or not a number.
        """
        event = self._engine.next_event(patience(timeout))
        return None if event is None else TunnelEvent._of(event)

    def events(self) -> Iterator[TunnelEvent]:
        """All events from now on, ending when the tunnel is closed."""
        while (event := self.next_event()) is not None:
            yield event

    def capture(self, path: str | os.PathLike[str], *, secrets: bool = False) -> Capture:
        """Write what goes over the network to a file in the pcapng format, until it is closed.

        The file has what a wire-tap sees, and, with ``secrets``, the keys of every WireGuard
        handshake from now on: then Wireshark and tshark decrypt it by themselves. **Whoever has
        such a file can read the traffic in it, and has the device's private key.** It is its
        owner's alone (mode 0600); do not pass it on, and delete it soon.

        Nobody keeps keys of sessions that began before. So with ``secrets``, peers that have a
        session get a new one, at the earliest 5 seconds after their last handshake; until then,
        packets stay sealed in the file.

        Several captures may run at once. What cannot be written in time is left out and counted,
        and a disk that is full ends the capture: the tunnel never waits for it.

        Args:
            path: a file, which is overwritten, or a pipe that somebody reads.
            secrets: whether keys go into the file. Only WireGuard devices have some that Wireshark
                can use.

        Raises:
            CaptureError: the file cannot be written.
            ConfigError: this kind of tunnel has no secrets that Wireshark can use.
            PermissionDeniedError: the file may not be written; or keys were to go to one that was
                there before, and that others own or can read.
            TunnelClosedError: it is closed.
        """
        from meshvpn.capture import Capture  # noqa: PLC0415 (most tunnels are never captured)

        return Capture._of(self._engine.capture(path, secrets=secrets), path)

    def close(self) -> None:
        """End it; device, routes, sockets and threads are gone when it returns.

        Calling it again does nothing. In a process forked while it was open it does nothing
        either: it is the parent's, and its device stays until the child has ended too.
        """
        self._engine.close()

    # --- asyncio ---------------------------------------------------------------------------

    async def wait_ready_async(self, timeout: float | None = None) -> None:
        """As :meth:`wait_ready`, without blocking the event loop."""
        import asyncio  # noqa: PLC0415 (asyncio is half of the memory of a tunnel that needs none)

        async with asyncio.timeout(patience(timeout)):
            while not await asyncio.to_thread(self._engine.wait_until_up, _PATIENCE):
                if self.phase == "closed":
                    raise self._closed()

    async def events_async(self) -> AsyncIterator[TunnelEvent]:
        """As :meth:`events`, for ``async for``."""
        while True:
            event = self.next_event(timeout=0)
            if event is not None:
                yield event
            elif self.phase == "closed":
                return
            else:
                await _until_readable(self._engine.fileno())

    def _closed(self) -> TunnelClosedError:
        failure = self.stats().failure
        return TunnelClosedError(
            f"{self._name}: the {self._KIND} is closed" + (f": {failure}" if failure else "")
        )


async def _until_readable(watched: int) -> None:
    import asyncio  # noqa: PLC0415 (asyncio is half of the memory of a tunnel that needs none)
    import os  # noqa: PLC0415 (as above)

    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    # A descriptor of our own: the loop watches each number only once, and others may wait too.
    descriptor = os.dup(watched)
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
