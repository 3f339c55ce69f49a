"""Two hosts with a tunnel between them, and what goes through it."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meshvpn import PresharedKey, Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshvpn.lab import Host

Framing = Literal["plain", "preshared"]
Version = Literal[4, 6]

FRAMINGS: tuple[Framing, ...] = ("plain", "preshared")
VERSIONS: tuple[Version, ...] = (4, 6)
# Bytes that the framing adds to an inner packet: WireGuard's header and tag.
FRAMING_BYTES: dict[Framing, int] = {"plain": 0, "preshared": 32}
# Bytes of the IP and UDP headers around a datagram.
OUTER_BYTES: dict[Version, int] = {4: 28, 6: 48}

PORT = 7000
# A transfer over a path that has just become narrower waits for TCP's retransmissions.
TRANSFER_SECONDS = 20.0


@dataclass(frozen=True)
class Place:
    """A host and its addresses in a tunnel."""

    host: Host
    ipv4: str
    ipv6: str

    def inside(self, version: Version) -> str:
        return self.ipv4 if version == 4 else self.ipv6


@dataclass(frozen=True)
class End(Place):
    """One end of a tunnel."""

    tunnel: Tunnel

    @property
    def dropped(self) -> dict[str, int]:
        """The reasons that occurred. Packets from before the first session are nobody's loss."""
        drops = self.tunnel.stats().drops
        return {reason: n for reason, n in drops.items() if n and reason != "no_session"}


@dataclass(frozen=True)
class Pair:
    """Both ends of a tunnel."""

    a: End
    b: End

    @property
    def ends(self) -> tuple[End, End]:
        return self.a, self.b


def open_end(
    host: Host,
    peer: Host,
    framing: Framing,
    key: PresharedKey,
    number: int,
    *,
    outer: Version = 4,
    mtu: int | None = None,
    inside: tuple[Version, ...] = VERSIONS,
    name: str = "mesh0",
) -> End:
    """Starts one end, which has ``number`` as the last part of its addresses inside."""
    local = host.ipv4 if outer == 4 else host.ipv6
    remote = peer.ipv4 if outer == 4 else peer.ipv6
    ipv4, ipv6 = f"10.9.0.{number}", f"fd09::{number}"
    address = [f"{ipv4}/24"] * (4 in inside) + [f"{ipv6}/64"] * (6 in inside)
    if framing == "plain":
        tunnel = Tunnel.plain(
            name,
            local=(local, PORT),
            remote=(remote, PORT),
            address=address,
            mtu=mtu,
            netns=host.netns,
        )
    else:
        tunnel = Tunnel.preshared(
            name,
            local=(local, PORT),
            remote=(remote, PORT),
            key=key,
            address=address,
            mtu=mtu,
            netns=host.netns,
        )
    return End(host, ipv4, ipv6, tunnel)


@contextlib.contextmanager
def open_pair(
    a: Host,
    b: Host,
    framing: Framing,
    *,
    outer: Version = 4,
    mtu: int | None = None,
    inside: tuple[Version, ...] = VERSIONS,
) -> Iterator[Pair]:
    """A tunnel between two hosts, ready at both ends."""
    key = PresharedKey.generate()
    with contextlib.ExitStack() as stack:
        ends = []
        for number, (host, peer) in enumerate([(a, b), (b, a)], start=1):
            end = open_end(host, peer, framing, key, number, outer=outer, mtu=mtu, inside=inside)
            ends.append(end)
            stack.enter_context(end.tunnel)
        for end in ends:
            end.tunnel.wait_ready(timeout=5)
        yield Pair(*ends)


def wait_until(condition: Callable[[], bool], timeout: float = 5.0) -> float:
    """Waits for something to become true; returns the seconds that it took."""
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        assert waited < timeout, f"not so within {timeout} s"
        time.sleep(0.005)
    return time.monotonic() - start


def transfer(
    sender: Place,
    receiver: Place,
    version: Version,
    *,
    size: int = 1 << 20,
    pause: Callable[[int], None] = lambda _sent: None,
) -> float:
    """Carries random bytes over TCP and compares checksums; returns the seconds that it took.

    Args:
        sender: who connects and sends.
        receiver: who listens.
        version: of IP inside the tunnel.
        size: in bytes.
        pause: called with the number of bytes sent so far, before each piece of 64 KiB.
    """
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    content = random.Random(size).randbytes(size)
    digest = hashlib.sha256()
    with receiver.host.enter():
        listener = socket.create_server((receiver.inside(version), 0), family=family)

    def receive() -> None:
        # What goes wrong here, the sender hears of.
        with contextlib.suppress(OSError):
            listener.settimeout(TRANSFER_SECONDS)
            incoming, _ = listener.accept()
            with incoming:
                incoming.settimeout(TRANSFER_SECONDS)
                while piece := incoming.recv(65536):
                    digest.update(piece)
                incoming.sendall(b"done")

    thread = threading.Thread(target=receive, daemon=True)
    with listener, sender.host.socket(family, socket.SOCK_STREAM) as outgoing:
        thread.start()
        start = time.monotonic()
        outgoing.settimeout(TRANSFER_SECONDS)
        # Every kernel has it; BBR, the default of some, needs minutes to believe in a path again.
        outgoing.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        outgoing.connect(listener.getsockname()[:2])
        for at in range(0, size, 65536):
            pause(at)
            outgoing.sendall(content[at : at + 65536])
        outgoing.shutdown(socket.SHUT_WR)
        assert outgoing.recv(4) == b"done"
        thread.join(TRANSFER_SECONDS)
    assert digest.digest() == hashlib.sha256(content).digest()
    return time.monotonic() - start


def ping(
    end: Place, to: Place, version: Version, size: int = 56, *options: str, seconds: int = 2
) -> str | None:
    """Pings through the tunnel with ``size`` bytes of payload.

    Returns:
        What ping printed, or ``None`` if there was no reply.
    """
    command = ["ping", "-n", "-c1", f"-W{seconds}", f"-s{size}", *options, to.inside(version)]
    done = end.host.run(command, check=False)
    return done.stdout if done.returncode == 0 else None
