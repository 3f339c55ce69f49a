"""Floods at the socket and through the tunnel: it lives, and what it drops is counted."""

from __future__ import annotations

import random
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey
from tests.tunnel.pair import FRAMINGS, PORT, Framing, open_end, open_pair, ping, transfer
from tests.tunnel.processes import own_descriptors, resident_kilobytes

if TYPE_CHECKING:
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping")]

FLOOD_SECONDS = 3
# More than the buffers of a tunnel, which grow to their full size as they are used.
GROWTH_KILOBYTES = 16_384


# First bytes that mean something: data, hello, IPv4, IPv6, a probe, nothing.
FIRST_BYTES = b"\x04\x20\x45\x60\x01\x02\xff"


@pytest.mark.parametrize("framing", FRAMINGS)
def test_datagrams_of_every_length_from_the_peers_address(
    two_hosts: TwoHosts, framing: Framing
) -> None:
    a, b, _ = two_hosts
    key = PresharedKey.generate()
    noise = random.Random(1).randbytes(1 << 17)
    with open_end(b, a, framing, key, 2).tunnel as tunnel:
        memory, descriptors = resident_kilobytes(), own_descriptors()
        with a.socket(bind=(a.ipv4, PORT)) as sender:
            for length in range(65508):
                content = bytearray(noise[length : 2 * length])
                content[:1] = FIRST_BYTES[length % len(FIRST_BYTES) :][: min(1, length)]
                sender.sendto(content, (b.ipv4, PORT))
        assert tunnel.stats().dropped > 20_000
        assert resident_kilobytes() - memory < GROWTH_KILOBYTES
        assert own_descriptors() == descriptors
        with open_end(a, b, framing, key, 1).tunnel as peer:
            peer.wait_ready(5)
            tunnel.wait_ready(5)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_flood_at_the_socket(two_hosts: TwoHosts, framing: Framing) -> None:
    a, b, _ = two_hosts
    noise = random.Random(1).randbytes(1 << 17)
    with open_pair(a, b, framing) as pair, a.socket() as sender:
        transfer(pair.a, pair.b, 4)
        memory = resident_kilobytes()
        sent, end = 0, time.monotonic() + FLOOD_SECONDS
        while time.monotonic() < end:
            for length in (0, 16, 32, 88, 1200, 9000, 65507):
                at = (sent * 13) % (1 << 16)
                sender.sendto(noise[at : at + length], (b.ipv4, PORT))
                sent += 1
        assert ping(pair.a, pair.b, 4, 1400), "still there"
        transfer(pair.a, pair.b, 4)
        # Some were lost in the socket's buffer, which nobody can count but the kernel.
        assert pair.b.tunnel.stats().dropped > sent / 20
        assert resident_kilobytes() - memory < GROWTH_KILOBYTES


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", [16, 1200, 8000])
def test_a_flood_through_the_tunnel(two_hosts: TwoHosts, framing: Framing, size: int) -> None:
    a, b, _ = two_hosts
    with open_pair(a, b, framing) as pair:
        transfer(pair.a, pair.b, 4)
        memory = resident_kilobytes()
        stop = threading.Event()

        def send() -> None:
            with a.socket() as sock:
                while not stop.is_set():
                    sock.sendto(bytes(size), (pair.b.ipv4, 9))

        thread = threading.Thread(target=send)
        thread.start()
        try:
            time.sleep(1)
            # The kernel drops more than half of what is put into a device's full queue, its answers
            # to a ping and a connection's acknowledgements too: one of many comes through.
            assert ping(pair.b, pair.a, 4, 500, "-c40", "-i0.05")
        finally:
            stop.set()
            thread.join()
        transfer(pair.b, pair.a, 6)
        received = pair.b.tunnel.stats()
        assert received.received_packets > 5000
        assert received.phase == "up"
        assert [end.tunnel.path_mtu for end in pair.ends] == [1500, 1500], "a full queue is no MTU"
        assert resident_kilobytes() - memory < GROWTH_KILOBYTES


def test_a_socket_that_sends_nothing_but_errors(two_hosts: TwoHosts) -> None:
    """Nobody listens at the other end: ICMP errors come back and end nothing."""
    a, b, _ = two_hosts
    with open_pair(a, b, "plain") as pair:
        pair.b.tunnel.close()
        for _ in range(20):
            with a.socket(socket.AF_INET) as sock:
                sock.sendto(bytes(100), (pair.b.ipv4, 9))
        time.sleep(0.2)
        assert pair.a.tunnel.phase in {"up", "connecting"}
