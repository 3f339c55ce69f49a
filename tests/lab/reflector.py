"""What a NAT does, measured with nothing but plain sockets.

A :class:`Reflector` listens on two addresses and two ports each and tells who sent what: enough to
measure mapping and filtering as RFC 5780 does, but without trusting any STUN code.
"""

from __future__ import annotations

import select
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshvpn.lab import Filtering, Host, Lab, Mapping

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

Endpoint = tuple[str, int]

# How long to wait for what must not come: it would take a millisecond.
SILENCE_SECONDS = 0.2

# How long to wait for what must come: it does at once, unless other programs hold the processors.
PATIENCE_SECONDS = 5.0


def receive(sock: socket.socket, seconds: float) -> tuple[bytes, Endpoint] | None:
    """The next datagram and its source, or ``None`` if none comes in time."""
    readable, _, _ = select.select([sock], [], [], seconds)
    return sock.recvfrom(2048) if readable else None


def expect(sock: socket.socket, *, until: bytes | None = None) -> dict[bytes, Endpoint]:
    """The next datagram, or all up to a certain one, with their sources."""
    found: dict[bytes, Endpoint] = {}
    while not found or (until is not None and until not in found):
        arrived = receive(sock, PATIENCE_SECONDS)
        assert arrived is not None, f"no datagram came (after {list(found)})"
        found[arrived[0]] = arrived[1]
    return found


def expect_silence(sock: socket.socket) -> None:
    """Nothing comes."""
    assert receive(sock, SILENCE_SECONDS) is None


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

    def outer(self, inner: socket.socket, place: Endpoint | None = None) -> Endpoint:
        """From where a datagram of ``inner`` arrives at a place (the first)."""
        place = place or self.places[0]
        inner.sendto(b"who am I?", place)
        return expect(self.sockets[place])[b"who am I?"]

    def unreachable(self, inner: socket.socket) -> bool:
        """Whether nothing of ``inner`` arrives at any place."""
        for place in self.places:
            inner.sendto(b"anybody there?", place)
        readable, _, _ = select.select(list(self.sockets.values()), [], [], SILENCE_SECONDS)
        return not readable

    def mapping(self, inner: socket.socket) -> Mapping:
        """For which destinations ``inner`` keeps its outer endpoint."""
        return self.classify([self.outer(inner, place) for place in self.places])

    @staticmethod
    def classify(seen: Sequence[Endpoint]) -> Mapping:
        """The mapping that shows the four places such outer endpoints."""
        if len(set(seen)) == 1:
            return Mapping.ENDPOINT_INDEPENDENT
        if seen[0] == seen[1] and seen[2] == seen[3]:
            return Mapping.ADDRESS_DEPENDENT
        return Mapping.ADDRESS_AND_PORT_DEPENDENT

    def filtering(self, fresh: socket.socket) -> Filtering:
        """Who may answer ``fresh``, which must not have sent anything yet."""
        outer = self.outer(fresh)
        same, other_port, other_address, _ = self.places
        # The one that may answer in any case does so last: by then the others have come, or do not.
        for name, place in ((b"address", other_address), (b"port", other_port), (b"asked", same)):
            self.sockets[place].sendto(name, outer)
        return {
            frozenset([b"asked", b"port", b"address"]): Filtering.ENDPOINT_INDEPENDENT,
            frozenset([b"asked", b"port"]): Filtering.ADDRESS_DEPENDENT,
            frozenset([b"asked"]): Filtering.ADDRESS_AND_PORT_DEPENDENT,
        }[frozenset(expect(fresh, until=b"asked"))]
