"""What a NAT does, measured with nothing but plain sockets.

A :class:`Reflector` listens on two addresses and two ports each and tells who sent what: enough to
measure mapping and filtering as RFC 5780 does, but without trusting any STUN code.
"""

from __future__ import annotations

import select
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshvpn.lab import Filtering, Host, Lab, Mapping

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

Endpoint = tuple[str, int]

# Inside one machine a datagram arrives within a millisecond; on a loaded CI runner within ten.
ARRIVAL_SECONDS = 0.25


def receive(sock: socket.socket, seconds: float = ARRIVAL_SECONDS) -> tuple[bytes, Endpoint] | None:
    """The next datagram and its source, or ``None`` if none comes in time."""
    readable, _, _ = select.select([sock], [], [], seconds)
    return sock.recvfrom(2048) if readable else None


def receive_all(sock: socket.socket, seconds: float = ARRIVAL_SECONDS) -> dict[bytes, Endpoint]:
    """Every datagram that comes in the time, and its source."""
    end = time.monotonic() + seconds
    found: dict[bytes, Endpoint] = {}
    while (left := end - time.monotonic()) > 0:
        if arrived := receive(sock, left):
            found[arrived[0]] = arrived[1]
    return found


@dataclass
class Reflector:
    """Sockets of a public server, at two addresses with two ports each."""

    host: Host
    sockets: dict[Endpoint, socket.socket] = field(default_factory=dict)

    @classmethod
    def build(cls, lab: Lab) -> Reflector:
        server = lab.server("reflector", addresses=2)
        addresses = [str(at.ip) for at in server.interfaces["eth0"].addresses if at.version == 4]
        places = [(address, port) for address in addresses for port in (3478, 3479)]
        return cls(server, {place: server.socket(bind=place) for place in places})

    @property
    def places(self) -> list[Endpoint]:
        """First address with both its ports, then the second."""
        return list(self.sockets)

    def outer(self, inner: socket.socket, place: Endpoint | None = None) -> Endpoint | None:
        """From where a datagram of ``inner`` arrives at a place (the first), if it does."""
        place = place or self.places[0]
        inner.sendto(b"who am I?", place)
        arrived = receive(self.sockets[place])
        return arrived[1] if arrived else None

    def mapping(self, inner: socket.socket) -> Mapping:
        seen = [self.outer(inner, place) for place in self.places]
        if None in seen:
            assert seen == [None] * 4, f"some places were reached, others not: {seen}"
            return Mapping.NONE
        return self.classify(seen)

    @staticmethod
    def classify(seen: Sequence[Endpoint | None]) -> Mapping:
        """The mapping that shows the four places such outer endpoints."""
        if len(set(seen)) == 1:
            return Mapping.ENDPOINT_INDEPENDENT
        if seen[0] == seen[1] and seen[2] == seen[3]:
            return Mapping.ADDRESS_DEPENDENT
        return Mapping.ADDRESS_AND_PORT_DEPENDENT

    def filtering(self, fresh: socket.socket) -> Filtering:
        """``fresh`` must not have sent anything yet."""
        outer = self.outer(fresh)
        if outer is None:
            return Filtering.NONE
        for name, place in zip((b"asked", b"port", b"address", b"both"), self.places, strict=True):
            self.sockets[place].sendto(name, outer)
        arrived = set(receive_all(fresh))
        assert b"asked" in arrived, "even the answer of the endpoint that was asked got lost"
        return {
            frozenset([b"asked", b"port", b"address", b"both"]): Filtering.ENDPOINT_INDEPENDENT,
            frozenset([b"asked", b"port"]): Filtering.ADDRESS_DEPENDENT,
            frozenset([b"asked"]): Filtering.ADDRESS_AND_PORT_DEPENDENT,
        }[frozenset(arrived)]
