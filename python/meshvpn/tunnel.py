"""Point-to-point tunnels: learning projects 2 and 3 as tools.

A tunnel is a TUN device and a UDP socket, and what goes in at one end comes out at the other.
Two framings are here:

* :meth:`Tunnel.plain`: a datagram is an IP packet. Everyone on the way can read and forge it.
  For learning, for measuring, and inside networks that are secured otherwise.
* :meth:`Tunnel.preshared`: sealed with ChaCha20-Poly1305, under keys that both sides derive from
  one they share, new for every start. A changed, replayed or foreign packet is dropped and counted.

What :meth:`Tunnel.preshared` does **not** give is forward secrecy (whoever learns the key opens
all that was ever recorded) and identity (everyone who has the key is the same peer). WireGuard
mode gives both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from meshvpn import _logging, _meshvpn
from meshvpn._closing import AsyncClosing
from meshvpn._values import (
    LARGEST_MARK,
    LARGEST_MTU,
    bounded,
    device_name,
    endpoint_text,
    patience,
    prefixed_texts,
    utf8,
)
from meshvpn.errors import TunnelClosedError
from meshvpn.keys import PresharedKey
from meshvpn.stats import TunnelEvent, TunnelStats

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Iterable, Iterator

    from meshvpn._values import Endpoint, Interface, Network
    from meshvpn.stats import Phase

__all__ = ["Tunnel"]

_PATIENCE = 0.2
"""Seconds after which an asynchronous wait looks whether it was cancelled."""


@final
class Tunnel(AsyncClosing):
    """A running tunnel. Made by :meth:`plain` or :meth:`preshared`; ends with :meth:`close`.

    Works as a context manager, also as an asynchronous one::

        with meshvpn.Tunnel.plain(
            "mesh0", local="172.31.0.1:7000", remote="172.31.0.2:7000", address="10.9.0.1/24"
        ) as tunnel:
            tunnel.wait_ready(timeout=5)
            print(tunnel.stats())

    Both constructors take:

    Args:
        name: the device's name, up to 15 characters.
        local: the local UDP endpoint; its address must be one of this host's, or ``0.0.0.0``
            or ``::``.
        remote: the peer's UDP endpoint, of the same IP version.
        address: the device's addresses with prefix lengths, one or several; without a prefix
            length it stands alone, as with ``ip address add`` (/32, /128).
        route: networks to route through the device, one or several.
        mtu: the device's MTU in bytes; by default it follows from the path, and changes with it.
        netns: the network namespace to live in, a name as ``ip netns`` lists it or a path. Device
            and socket are both there.
        mark: a firewall mark for everything that the tunnel sends, for policy routing.

    Raises:
        ConfigError: a value cannot be used; the message names it.
        PermissionDeniedError: the process lacks ``CAP_NET_ADMIN``.
        DeviceError: the device cannot be created.
        NetworkError: address, route or socket cannot be set up.
    """

    __slots__ = ("_handle", "_name", "_netns")
    _handle: _meshvpn.Tunnel
    _name: str
    _netns: str | None

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise TypeError("use Tunnel.plain(...) or Tunnel.preshared(...)")

    @classmethod
    def plain(
        cls,
        name: str,
        *,
        local: Endpoint,
        remote: Endpoint,
        address: Interface | Iterable[Interface] = (),
        route: Network | Iterable[Network] = (),
        mtu: int | None = None,
        netns: str | None = None,
        mark: int | None = None,
    ) -> Tunnel:
        """Start a tunnel without encryption: a datagram is an IP packet."""
        return cls._start(
            name,
            local=local,
            remote=remote,
            key=None,
            address=address,
            route=route,
            mtu=mtu,
            netns=netns,
            mark=mark,
            aead=None,
        )

    @classmethod
    def preshared(
        cls,
        name: str,
        *,
        local: Endpoint,
        remote: Endpoint,
        key: PresharedKey | str | os.PathLike[str],
        address: Interface | Iterable[Interface] = (),
        route: Network | Iterable[Network] = (),
        mtu: int | None = None,
        netns: str | None = None,
        mark: int | None = None,
        aead: str | None = None,
    ) -> Tunnel:
        """Start a tunnel sealed with ChaCha20-Poly1305 under keys derived from ``key``.

        Args:
            key: the shared key, or the path of the file that holds it.
            aead: the AEAD implementation, ``"aws-lc"``, ``"ipsec-mb"`` or ``"portable"``; by
                default the fastest one on this machine.
        """
        secret = key if isinstance(key, PresharedKey) else PresharedKey.from_file(key)
        return cls._start(
            name,
            local=local,
            remote=remote,
            key=bytes(secret),
            address=address,
            route=route,
            mtu=mtu,
            netns=netns,
            mark=mark,
            aead=aead,
        )

    @classmethod
    def _start(
        cls,
        name: str,
        *,
        local: Endpoint,
        remote: Endpoint,
        key: bytes | None,
        address: Interface | Iterable[Interface],
        route: Network | Iterable[Network],
        mtu: int | None,
        netns: str | None,
        mark: int | None,
        aead: str | None,
    ) -> Tunnel:
        _logging.start()
        tunnel = cls.__new__(cls)
        tunnel._name = name
        tunnel._netns = netns
        tunnel._handle = _meshvpn.Tunnel(
            device_name(name),
            local=endpoint_text("local", local),
            remote=endpoint_text("remote", remote),
            key=key,
            addresses=prefixed_texts("address", address),
            routes=prefixed_texts("route", route),
            mtu=None if mtu is None else bounded("mtu", mtu, 0, LARGEST_MTU),
            netns=None if netns is None else utf8("netns", netns),
            mark=None if mark is None else bounded("mark", mark, 0, LARGEST_MARK),
            aead=aead,
        )
        return tunnel

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
        """Whether the peer answers: "connecting", "up", or "closed"."""
        return self.stats().phase

    @property
    def mtu(self) -> int:
        """The device's MTU now, in bytes."""
        return self.stats().mtu

    @property
    def path_mtu(self) -> int:
        """Longest outer IP packet that the path takes, in bytes, as far as is known now."""
        return self.stats().path_mtu

    def stats(self) -> TunnelStats:
        """State and counters; still there after :meth:`close`."""
        return TunnelStats._of(self._handle.snapshot())

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until the peer answers.

        Args:
            timeout: seconds to wait; for ever if ``None``.

        Raises:
            ConfigError: ``timeout`` is negative, infinite or not a number.
            TimeoutError: the peer did not answer in time.
            TunnelClosedError: the tunnel was closed meanwhile.
        """
        if self._handle.wait_until_up(patience(timeout)):
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
        event = self._handle.next_event(patience(timeout))
        return None if event is None else TunnelEvent._of(event)

    def events(self) -> Iterator[TunnelEvent]:
        """All events from now on, ending when the tunnel is closed."""
        while (event := self.next_event()) is not None:
            yield event

    def close(self) -> None:
        """End the tunnel; device, routes, socket and threads are gone when it returns.

        Calling it again does nothing. In a process forked while the tunnel was open it does nothing
        either: the tunnel is the parent's, and its device stays until the child has ended too.
        """
        self._handle.close()

    # --- asyncio ---------------------------------------------------------------------------

    async def wait_ready_async(self, timeout: float | None = None) -> None:
        """As :meth:`wait_ready`, without blocking the event loop."""
        import asyncio  # noqa: PLC0415 (asyncio is half of the memory of a tunnel that needs none)

        async with asyncio.timeout(patience(timeout)):
            while not await asyncio.to_thread(self._handle.wait_until_up, _PATIENCE):
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
                await _until_readable(self._handle.fileno())

    def __repr__(self) -> str:
        stats = self.stats()
        place = f" in {self._netns}" if self._netns else ""
        return f"<Tunnel {self._name}{place}: {stats.phase}, AEAD {stats.aead}, MTU {stats.mtu}>"

    def _repr_html_(self) -> str:
        return f"<b>Tunnel {self._name}</b>{self.stats()._repr_html_()}"

    def _closed(self) -> TunnelClosedError:
        failure = self.stats().failure
        return TunnelClosedError(
            f"{self._name}: the tunnel is closed" + (f": {failure}" if failure else "")
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
