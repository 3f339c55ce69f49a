"""TUN devices in a program's hands: learning project 1.

A TUN device is a network interface whose other end is a program. What the kernel routes into it
comes out here, one packet at a time, and what is sent here the kernel takes as having arrived::

    with meshvpn.Tun("mesh0", address="10.0.0.1/24") as tun:
        for packet in tun:
            print(packet)       # [mesh0] 10.0.0.1 -> 10.0.0.2 | ICMP Echo Request | 64 bytes

The device has no offload, so every packet is as it would be on a wire. :class:`meshvpn.Tunnel`
opens its devices by itself, with offload: this one is for looking at packets and answering them.
"""

from __future__ import annotations

import asyncio
import select
import time
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Self, final

from meshvpn import _logging, _meshvpn
from meshvpn._closing import AsyncClosing
from meshvpn._values import (
    LARGEST_MTU,
    Interface,
    Network,
    bounded,
    device_name,
    patience,
    prefixed_texts,
    utf8,
)
from meshvpn.errors import TunnelClosedError
from meshvpn.packet import Packet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Interface, IPv6Interface

__all__ = ["Tun"]


@final
class Tun(AsyncClosing):
    """A TUN device of this process; it lasts until :meth:`close`.

    Works as a context manager and as an iterator, each also asynchronously. Iterating ends when the
    device is closed, and raises :class:`TunnelClosedError` when somebody else deleted it.

    Args:
        name: the device's name, up to 15 characters.
        address: its addresses with prefix lengths, one or several; without a prefix length it
            stands alone, as with ``ip address add`` (/32, /128).
        route: networks to route through it, one or several.
        mtu: its MTU in bytes; 1,500 by default.
        netns: the network namespace to create it in, a name as ``ip netns`` lists it or a path.

    Raises:
        ConfigError: a value cannot be used; the message names it.
        PermissionDeniedError: the process lacks ``CAP_NET_ADMIN``.
        DeviceError: the device cannot be created.
        NetworkError: an address or a route cannot be set up.
    """

    __slots__ = ("_addresses", "_handle", "_is_closed", "_netns", "_wakers")

    def __init__(
        self,
        name: str,
        *,
        address: Interface | Iterable[Interface] = (),
        route: Network | Iterable[Network] = (),
        mtu: int | None = None,
        netns: str | None = None,
    ) -> None:
        addresses = prefixed_texts("address", address)
        routes = prefixed_texts("route", route)
        _logging.start()
        self._is_closed = False
        self._wakers: set[Callable[[], object]] = set()
        self._netns = netns
        self._handle = _meshvpn.Tun(
            device_name(name),
            addresses=addresses,
            routes=routes,
            mtu=None if mtu is None else bounded("mtu", mtu, 0, LARGEST_MTU),
            netns=None if netns is None else utf8("netns", netns),
        )
        self._addresses = tuple(ip_interface(text) for text in addresses)

    @property
    def name(self) -> str:
        """The device's name."""
        return self._handle.name

    @property
    def mtu(self) -> int:
        """The MTU that it was created with, in bytes."""
        return self._handle.mtu

    @property
    def addresses(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """The addresses that it was created with."""
        return self._addresses

    @property
    def netns(self) -> str | None:
        """The network namespace that it is in; ``None`` for the process's own."""
        return self._netns

    def recv(self, timeout: float | None = None) -> Packet | None:
        """The next packet that the kernel routes into the device, after waiting for one.

        Args:
            timeout: seconds to wait; for ever if ``None``, not at all if 0.

        Returns:
            ``None`` when there is none in time.

        Raises:
            ConfigError: ``timeout`` is negative, infinite or not a number.
            TunnelClosedError: the device was closed, here or meanwhile, or deleted.
        """
        data = self._handle.receive(patience(timeout))
        if data is None:
            return None
        return Packet(data, device=self.name, time_ns=time.time_ns(), direction="outbound")

    def send(self, packet: bytes | Packet) -> None:
        """Give the kernel a packet, as if it had arrived over the network.

        Args:
            packet: a whole IP packet. Longer ones than the MTU are taken too.

        Raises:
            DeviceError: the kernel refuses it: it is not IP, or the device is down.
            TunnelClosedError: the device was closed.
        """
        self._handle.send(bytes(packet))

    def close(self) -> None:
        """Remove the device and its routes, and wake whoever waits. Closing twice is fine."""
        self._is_closed = True
        self._handle.close()
        for wake in tuple(self._wakers):
            wake()

    # --- asyncio ---

    async def recv_async(
        self,
        timeout: float | None = None,
    ) -> Packet | None:
        """As :meth:`recv`, without blocking the event loop."""
        try:
            async with asyncio.timeout(patience(timeout)):
                while (packet := self.recv(timeout=0)) is None:
                    await self._until_readable()
        except TimeoutError:
            return None
        return packet

    async def _until_readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(readable.set)

        # The loop watches a descriptor of our own, which watches the device's: that one is closed
        # by whichever thread calls `close`, and its number can be another file's a moment later.
        with select.epoll() as watch:
            watch.register(self._handle.fileno(), select.EPOLLIN)
            self._wakers.add(wake)
            loop.add_reader(watch.fileno(), readable.set)
            try:
                if not self._is_closed:
                    await readable.wait()
            finally:
                loop.remove_reader(watch.fileno())
                self._wakers.discard(wake)

    # --- for, async for ---

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Packet:
        try:
            # Without a timeout there is always a packet.
            while (packet := self.recv()) is None:
                pass
        except TunnelClosedError:
            if self._is_closed:
                raise StopIteration from None
            raise
        return packet

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Packet:
        try:
            while (packet := await self.recv_async()) is None:
                pass
        except TunnelClosedError:
            if self._is_closed:
                raise StopAsyncIteration from None
            raise
        return packet

    def __repr__(self) -> str:
        if self._is_closed:
            return f"<Tun {self.name}: closed>"
        place = f" in {self._netns}" if self._netns else ""
        addresses = ", ".join(map(str, self._addresses)) or "no address"
        return f"<Tun {self.name}{place}: {addresses}, MTU {self.mtu}>"
