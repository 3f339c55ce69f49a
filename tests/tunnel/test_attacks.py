"""What a man in the middle changes, cuts, repeats or reflects is dropped for the right reason."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey
from tests.tunnel.pair import PORT, End, Pair, open_end, open_pair, ping, wait_until
from tests.tunnel.wire import HELLO, Capture, DataMessage, Injector, without_offload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshvpn.lab import NarrowPath

pytestmark = [pytest.mark.root, pytest.mark.needs("ping")]


class Attacked:
    """A tunnel whose path leads through an attacker, who has seen all that it sent."""

    def __init__(self, path: NarrowPath, pair: Pair, wire: Capture, injector: Injector) -> None:
        self.pair = pair
        self._path = path
        self._injector = injector
        everything = wire.datagrams(path.a.ipv4)
        self.hellos = [datagram for datagram in everything if datagram[0] == HELLO]
        self.packets = [datagram for datagram in everything if DataMessage.parse(datagram)]

    def inject(
        self, datagrams: Iterable[bytes], *, at: End | None = None, source: str | None = None
    ) -> dict[str, int]:
        """Sends datagrams to ``b`` as if ``a`` had sent them; returns how they were counted."""
        to = at or self.pair.b
        pretended = source or (self._path.a if to is self.pair.b else self._path.b).ipv4
        before, count = to.tunnel.stats(), 0
        for datagram in datagrams:
            self.send(datagram, to, pretended)
            count += 1
            if count % 100 == 0:
                time.sleep(0.005)
        wait_until(lambda: to.tunnel.stats().dropped - before.dropped >= count)
        after = to.tunnel.stats()
        assert after.received_packets == before.received_packets, "something got through"
        return dict(Counter(after.drops) - Counter(before.drops))

    def send(self, datagram: bytes, to: End | None = None, source: str | None = None) -> None:
        """Sends one datagram, to ``b`` as if from ``a`` unless told otherwise."""
        target = (to or self.pair.b).host.ipv4
        self._injector.send(datagram, (source or self._path.a.ipv4, PORT), (target, PORT))


@pytest.fixture
def attacked(narrow_path: NarrowPath) -> Iterator[Attacked]:
    narrow_path.set_mtu(1500)
    without_offload(narrow_path.a)
    with (
        Capture(narrow_path.right, "eth1") as wire,
        Injector(narrow_path.right) as injector,
        open_pair(narrow_path.a, narrow_path.b, "preshared") as pair,
    ):
        for size in (0, 56, 1000):
            assert ping(pair.a, pair.b, 4, size)
        # Echo replies arrive; now there is silence, and all that was sent is recorded.
        time.sleep(0.6)
        sessions = [end.tunnel.stats().sessions for end in pair.ends]
        yield Attacked(narrow_path, pair, wire, injector)
        assert ping(pair.a, pair.b, 4, 1000), "the tunnel works as before"
        assert [end.tunnel.stats().sessions for end in pair.ends] == sessions
        assert [end.tunnel.phase for end in pair.ends] == ["up", "up"]


def test_a_repeated_packet(attacked: Attacked) -> None:
    packets = attacked.packets
    assert len(packets) > 3
    assert attacked.inject(packets) == {"replayed": len(packets)}
    assert attacked.inject(packets[:1] * 50) == {"replayed": 50}


def test_a_changed_byte(attacked: Attacked) -> None:
    packet = max(attacked.packets, key=len)
    changed = [packet[:at] + bytes([packet[at] ^ 0x40]) + packet[at + 1 :] for at in range(200)]
    assert attacked.inject(changed) == {
        "unknown_type": 4,  # type and reserved bytes
        "unknown_session": 4,  # the receiver's index
        "bad_tag": 192,  # the counter, the contents
    }
    in_tag = [
        packet[:-at] + bytes([packet[-at] ^ 1]) + packet[len(packet) - at + 1 :]
        for at in range(1, 17)
    ]
    assert attacked.inject(in_tag) == {"bad_tag": 16}


def test_a_truncated_packet(attacked: Attacked) -> None:
    packet = max(attacked.packets, key=len)
    assert attacked.inject(packet[:length] for length in range(32)) == {"unknown_type": 32}
    assert attacked.inject(packet[:length] for length in range(32, 300)) == {"bad_tag": 268}
    assert attacked.inject([min(attacked.packets, key=len) + b"\0"]) == {"bad_tag": 1}


def test_a_reflected_packet(attacked: Attacked) -> None:
    packets = attacked.packets
    counted = attacked.inject(packets, at=attacked.pair.a)
    assert counted == {"unknown_session": len(packets)}
    # With the index put right it is still sealed for the other direction.
    own = next(iter(attacked.hellos))[4:8]
    turned = [packet[:4] + own + packet[8:] for packet in packets]
    assert attacked.inject(turned, at=attacked.pair.a) == {"bad_tag": len(packets)}


def test_a_packet_sealed_with_another_key(attacked: Attacked) -> None:
    foreign = [
        attacked.packets[0][:8] + counter.to_bytes(8, "little") + os.urandom(100)
        for counter in (*range(1000, 1050), 2**64 - 1)
    ]
    assert attacked.inject(foreign) == {"bad_tag": 51}


def test_where_a_packet_comes_from_does_not_matter(attacked: Attacked) -> None:
    packets = attacked.packets
    counted = attacked.inject(packets, source="10.3.0.99")
    assert counted == {"replayed": len(packets)}


def test_hellos_changed_reflected_and_foreign(attacked: Attacked) -> None:
    hello = attacked.hellos[-1]
    changed = [hello[:at] + bytes([hello[at] ^ 1]) + hello[at + 1 :] for at in range(1, len(hello))]
    assert attacked.inject(changed) == {"bad_handshake": len(hello) - 1}
    assert attacked.inject(attacked.hellos, at=attacked.pair.a) == {
        "bad_handshake": len(attacked.hellos)
    }
    assert attacked.inject([bytes([HELLO]) + os.urandom(87), hello[:-1], hello + b"\0"]) == {
        "bad_handshake": 3
    }


def test_random_datagrams(attacked: Attacked) -> None:
    dice = random.Random(4)
    datagrams = [dice.randbytes(dice.randrange(1, 1400)) for _ in range(2000)]
    counted = attacked.inject(datagrams)
    assert set(counted) <= {"unknown_type", "bad_handshake"}
    with_type = [bytes([4, 0, 0, 0]) + datagram for datagram in datagrams if len(datagram) > 28]
    assert attacked.inject(with_type) == {"unknown_session": len(with_type)}


def test_recorded_before_a_restart_refused_after_it(narrow_path: NarrowPath) -> None:
    """Whichever side starts again: neither hellos nor packets of before mean anything after."""
    narrow_path.set_mtu(1500)
    a, b, key = narrow_path.a, narrow_path.b, PresharedKey.generate()
    for host in (a, b):
        without_offload(host)
    ends = [open_end(a, b, "preshared", key, 1), open_end(b, a, "preshared", key, 2)]
    peers = [(a, b), (b, a)]
    with Capture(narrow_path.right, "eth1") as wire, Injector(narrow_path.right) as injector:
        for restarted in (1, 0, 1, 0):
            for end in ends:
                end.tunnel.wait_ready(5)
            assert ping(ends[0], ends[1], 4, 800)
            ends[restarted].tunnel.close()
            end = open_end(*peers[restarted], "preshared", key, restarted + 1)
            ends[restarted] = end
            end.tunnel.wait_ready(5)
            assert end.tunnel.stats().sessions == 1
            time.sleep(0.6)
            before = [end.tunnel.stats() for end in ends]
            for host, peer in peers:
                for datagram in wire.datagrams(peer.ipv4):
                    injector.send(datagram, (peer.ipv4, PORT), (host.ipv4, PORT))
            time.sleep(0.2)
            after = [end.tunnel.stats() for end in ends]
            for was, now in zip(before, after, strict=True):
                assert (now.sessions, now.received_packets) == (was.sessions, was.received_packets)
                reasons = dict(Counter(now.drops) - Counter(was.drops))
                assert set(reasons) <= {"replayed", "bad_tag", "unknown_session", "bad_handshake"}
                assert sum(reasons.values()) > 10, reasons
            assert ping(ends[1], ends[0], 4, 800)
    for end in ends:
        end.tunnel.close()


class TestPlain:
    """A plain tunnel believes whoever uses the peer's address, and nobody else."""

    @pytest.fixture
    def plain(self, narrow_path: NarrowPath) -> Iterator[Attacked]:
        with (
            Capture(narrow_path.right, "eth1") as wire,
            Injector(narrow_path.right) as injector,
            open_pair(narrow_path.a, narrow_path.b, "plain") as pair,
        ):
            assert ping(pair.a, pair.b, 4)
            time.sleep(0.3)
            yield Attacked(narrow_path, pair, wire, injector)
            assert ping(pair.a, pair.b, 4)

    def test_foreign_sources(self, plain: Attacked) -> None:
        packets = [bytes([0x45]) + os.urandom(40)] * 20
        assert plain.inject(packets, source="10.3.0.99") == {"foreign_source": 20}

    def test_packets_that_are_none(self, plain: Attacked) -> None:
        garbage = [b"", b"\x45", b"\x45" + bytes(19), b"\x45\0\xff\xff" + bytes(16), b"\x60" * 39]
        assert plain.inject(garbage[1:]) == {"malformed": 4}
        assert plain.inject([b"\x00" * 16, b"\x90" + bytes(99)]) == {"unknown_type": 2}

    def test_guessed_probe_replies_change_nothing(self, plain: Attacked) -> None:
        header = bytes([2, 0, 0, 0]) + (9000).to_bytes(2) + bytes(2)
        for token in range(500):
            plain.send(header + token.to_bytes(8))
        time.sleep(0.2)
        assert plain.pair.b.tunnel.path_mtu == 1280
