"""However often either side starts again, no nonce repeats and nobody is left behind."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey
from tests.tunnel.pair import FRAMINGS, Framing, open_end, open_pair, ping, wait_until
from tests.tunnel.wire import Capture, DataMessage, without_offload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshvpn import Tunnel
    from meshvpn.lab import Host
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping")]

# A block of ChaCha20: the same key and nonce with the same plaintext give the same bytes.
BLOCK = 64
RESTARTS = 100


def repeated_keystreams(datagrams: Iterable[bytes]) -> list[tuple[int, int]]:
    """Counter and length of packets that were sealed alike."""
    seen = Counter(
        (message.counter, len(message.sealed), message.sealed[:BLOCK])
        for message in map(DataMessage.parse, datagrams)
        if message
    )
    return [(counter, length) for (counter, length, _), count in seen.items() if count > 1]


def comparable(datagrams: Iterable[bytes]) -> int:
    """The most packets with one counter and length: what a repeated key would show in."""
    groups = defaultdict(set)
    for message in map(DataMessage.parse, datagrams):
        if message:
            groups[message.counter, len(message.sealed)].add(message.sealed)
    return max(map(len, groups.values()))


def test_a_hundred_restarts_repeat_no_keystream(two_hosts: TwoHosts) -> None:
    """The first packets of every start are probes with the same contents."""
    a, b, _ = two_hosts
    key = PresharedKey.generate()
    for host in (a, b):
        without_offload(host)
    with Capture(b, "eth0") as wire, open_end(a, b, "preshared", key, 1).tunnel as running:
        for _ in range(RESTARTS):
            with open_end(b, a, "preshared", key, 2).tunnel as restarted:
                restarted.wait_ready(5)
                assert restarted.stats().sessions == 1
        wait_until(lambda: running.stats().sessions == RESTARTS)
        assert running.phase == "up"
        datagrams = wire.datagrams()
        # A probe that was repeated has a counter of its own; only a key used twice repeats bytes.
        assert comparable(datagrams) >= RESTARTS
        assert repeated_keystreams(datagrams) == []
        with open_end(b, a, "preshared", key, 2).tunnel as last:
            last.wait_ready(5)
            assert a.run(["ping", "-c1", "-W2", "10.9.0.2"]).returncode == 0


def test_starts_in_the_same_millisecond_repeat_no_keystream(two_hosts: TwoHosts) -> None:
    a, b, _ = two_hosts
    key = PresharedKey.generate()
    for host in (a, b):
        without_offload(host)
    started: list[float] = []
    with Capture(b, "eth0") as wire:
        for _ in range(20):
            barrier = threading.Barrier(2)
            with ThreadPoolExecutor() as pool:
                starting = [
                    pool.submit(start_at_once, barrier, here, there, key, number)
                    for number, (here, there) in enumerate([(a, b), (b, a)], start=1)
                ]
            tunnels = [future.result() for future in starting]
            for tunnel in tunnels:
                tunnel.wait_ready(5)
            events = [tunnel.next_event(0) for tunnel in tunnels]
            at = [event.at.timestamp() for event in events if event]
            started.append(abs(at[0] - at[1]))
            for tunnel in tunnels:
                tunnel.close()
    assert min(started) < 0.001, started
    # Both sides' probes have the same contents: compared across directions too.
    assert comparable(wire.datagrams()) >= 40
    assert repeated_keystreams(wire.datagrams()) == []


def start_at_once(
    barrier: threading.Barrier, here: Host, there: Host, key: PresharedKey, number: int
) -> Tunnel:
    barrier.wait()
    return open_end(here, there, "preshared", key, number).tunnel


def test_what_is_looked_for_would_be_found() -> None:
    packet = bytes([4, 0, 0, 0, 1, 2, 3, 4]) + bytes(8) + bytes(range(100))
    assert repeated_keystreams([packet, packet[:4] + bytes(4) + packet[8:]]) == [(0, 100)]
    assert repeated_keystreams([packet, packet[:8] + b"\1" + packet[9:]]) == []


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_restart_costs_a_moment(two_hosts: TwoHosts, framing: Framing) -> None:
    a, b, _ = two_hosts
    key = PresharedKey.generate()
    silences = []
    with open_end(a, b, framing, key, 1).tunnel:
        for _ in range(5):
            with open_end(b, a, framing, key, 2).tunnel as restarted:
                restarted.wait_ready(5)
                start = time.monotonic()
                assert a.run(["ping", "-c1", "-W2", "10.9.0.2"]).returncode == 0
                silences.append(time.monotonic() - start)
    assert max(silences) < 0.5, silences


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_a_lossy_path_delays_the_start_only(
    two_hosts: TwoHosts, framing: Framing, loss: float
) -> None:
    """Whichever message of the handshake is lost, it is repeated; after a restart too."""
    a, b, link = two_hosts
    key = PresharedKey.generate()
    with open_end(a, b, framing, key, 1).tunnel as running:
        for _ in range(4):
            with link.set_loss(loss), open_end(b, a, framing, key, 2).tunnel as restarted:
                restarted.wait_ready(15)
                running.wait_ready(15)
            # The restarted one was closed with the loss; what counts is that both came up.


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_remote_that_is_away_for_a_while(two_hosts: TwoHosts, framing: Framing) -> None:
    a, b, link = two_hosts
    with open_pair(a, b, framing) as pair:
        mtu = pair.a.tunnel.path_mtu
        with link.set_loss(1):
            # Only who sends notices that nobody answers.
            assert not ping(pair.a, pair.b, 4, seconds=1)
            for _ in range(50):
                ping(pair.a, pair.b, 4, seconds=1)
                if pair.a.tunnel.phase == "connecting":
                    break
            assert pair.a.tunnel.phase == "connecting"
            with pytest.raises(TimeoutError):
                pair.a.tunnel.wait_ready(0.1)
            assert pair.a.tunnel.path_mtu == mtu, "silence says nothing about the path"
        pair.a.tunnel.wait_ready(3)
        assert ping(pair.a, pair.b, 4, 1400)
        kinds = [event.kind for event in iter(lambda: pair.a.tunnel.next_event(0), None)]
        assert [kind for kind in kinds if kind in {"up", "down"}] == ["up", "down", "up"]
        assert kinds.count("path_mtu") == 1
