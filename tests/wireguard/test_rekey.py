"""A session is renewed after two minutes, and traffic does not notice."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey
from meshvpn.bench.contenders.wireguard import FOREIGN_WIREGUARDS
from tests.tunnel.pair import ping
from tests.wireguard.ends import foreign, ours, sides

if TYPE_CHECKING:
    from meshvpn import WireGuard
    from meshvpn.lab import Lab

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("ping", "wg", *(one.program.command[0] for one in FOREIGN_WIREGUARDS)),
]

REKEY_SECONDS = 120
"""Whoever began a session renews it with the first packet after so long (REKEY_AFTER_TIME)."""
WATCHED_SECONDS = REKEY_SECONDS + 8


@pytest.mark.timeout(WATCHED_SECONDS + 60)
def test_no_packet_is_lost_when_a_session_is_renewed(lab: Lab) -> None:
    """All implementations at once, because it takes so long: each as initiator and as responder."""
    with contextlib.ExitStack() as stack:
        met = []
        for by in FOREIGN_WIREGUARDS:
            for begins in ("ours", "theirs"):
                name = f"{by.name}-{begins}"
                a, b = lab.host(f"{name}-a"), lab.host(f"{name}-b")
                lab.link(a, b, "172.31.0.1/24", "172.31.0.2/24")
                near, far = sides(a, b)
                psk = PresharedKey.generate() if begins == "ours" else None
                there, here = near.endpoint(), far.endpoint()
                stack.enter_context(
                    foreign(
                        far, near, endpoint=there if begins == "theirs" else None, psk=psk, by=by
                    )
                )
                device = stack.enter_context(
                    ours(near, far, endpoint=here if begins == "ours" else None, psk=psk)
                )
                first, second = (near, far) if begins == "ours" else (far, near)
                assert ping(first, second, 4), name
                watch = first.host.popen(
                    ["ping", "-n", "-q", "-i", "0.2", "-c", str(5 * WATCHED_SECONDS), second.ipv4]
                )
                met.append((name, device, handshake_time(device), watch))

        for name, device, met_at, watch in met:
            said, _ = watch.communicate(timeout=WATCHED_SECONDS + 20)
            sent, received = re.findall(r"(\d+) (?:packets transmitted|received)", said)
            assert sent == received, f"{name}: {said}"
            assert device.stats().sessions == 2, name
            assert REKEY_SECONDS - 1 <= handshake_time(device) - met_at <= WATCHED_SECONDS, name


def handshake_time(device: WireGuard) -> float:
    """Of the last handshake with its only peer; what others say of theirs is not always a time."""
    last = device.peers[0].last_handshake
    assert last is not None
    return last.timestamp()
