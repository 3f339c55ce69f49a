"""A megabyte arrives over paths of every width, told of by ICMP or not, also while they change."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.tunnel.pair import (
    FRAMINGS,
    VERSIONS,
    End,
    Framing,
    Version,
    open_pair,
    ping,
    transfer,
    wait_until,
)
from tests.tunnel.wire import Capture

if TYPE_CHECKING:
    from meshvpn import TunnelEvent
    from meshvpn.lab import NarrowPath

pytestmark = [pytest.mark.root, pytest.mark.needs("nft", "ping")]


# What `pytest --log-cli-level=INFO` shows: how long it took to find the path's new MTU.
log = logging.getLogger(__name__)


@pytest.fixture(params=["icmp_open", "icmp_blocked"])
def path(narrow_path: NarrowPath, request: pytest.FixtureRequest) -> NarrowPath:
    if request.param == "icmp_blocked":
        narrow_path.block_icmp()
    return narrow_path


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("mtu", "outer"), [(1500, 4), (1280, 4), (1124, 4), (1500, 6), (1280, 6)])
def test_a_megabyte_arrives(path: NarrowPath, framing: Framing, mtu: int, outer: Version) -> None:
    path.set_mtu(mtu)
    with open_pair(path.a, path.b, framing, outer=outer) as pair:
        for version in VERSIONS:
            transfer(pair.a, pair.b, version)
            transfer(pair.b, pair.a, version)
        wait_until(lambda: {end.tunnel.path_mtu for end in pair.ends} == {mtu})


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("version", VERSIONS, ids=["v4_inside", "v6_inside"])
def test_a_transfer_survives_a_path_that_shrinks(
    path: NarrowPath, framing: Framing, version: Version
) -> None:
    path.set_mtu(1500)
    shrunk: list[tuple[int, datetime]] = []

    def shrink(sent: int) -> None:
        mtu = {6 << 16: 1280, 11 << 16: 1124}.get(sent)
        if mtu is not None:
            if shrunk:
                wait_until(lambda: pair.a.tunnel.path_mtu == shrunk[-1][0])
            path.set_mtu(mtu)
            shrunk.append((mtu, datetime.now(UTC)))

    with open_pair(path.a, path.b, framing) as pair:
        took = transfer(pair.a, pair.b, version, pause=shrink)
        wait_until(lambda: pair.a.tunnel.path_mtu == 1124)
        events = fetched_events(pair.a)
        assert not any(event.kind == "down" for event in events)
    # Until the size fits, and until it is exact.
    for mtu, at in shrunk:
        found = [event for event in events if event.at > at and (event.path_mtu or 9999) <= mtu]
        exact = next(event for event in found if event.path_mtu == mtu)
        seconds = [(event.at - at).total_seconds() for event in (found[0], exact)]
        assert seconds[0] < 3
        log.info("to %d: fits after %.2f s, exact after %.2f s", mtu, *seconds)
    log.info("%s, IPv%d inside: 1 MiB in %.2f s", framing, version, took)


def fetched_events(end: End) -> list[TunnelEvent]:
    return list(iter(lambda: end.tunnel.next_event(0), None))


def test_a_path_that_grows_is_used_again(narrow_path: NarrowPath) -> None:
    """Also where ICMP once told of a smaller MTU: the kernel keeps that for ten minutes."""
    with open_pair(narrow_path.a, narrow_path.b, "preshared") as pair:
        wait_until(lambda: pair.a.tunnel.path_mtu == 1280)
        transfer(pair.a, pair.b, 4)
        narrow_path.set_mtu(1500)
        stop = time.monotonic() + 45
        while pair.a.tunnel.path_mtu < 1500 and time.monotonic() < stop:
            ping(pair.a, pair.b, 4)
            time.sleep(0.2)
        assert (pair.a.tunnel.path_mtu, pair.a.tunnel.mtu) == (1500, 1440)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_transfer_survives_a_local_interface_that_shrinks(
    narrow_path: NarrowPath, framing: Framing
) -> None:
    """The kernel refuses datagrams that were right when they were sealed."""
    narrow_path.set_mtu(1500)
    with open_pair(narrow_path.a, narrow_path.b, framing) as pair:

        def shrink(sent: int) -> None:
            if sent == 8 << 16:
                narrow_path.a.ip("link set eth0 mtu 1300")
                narrow_path.left.ip("link set eth0 mtu 1300")

        took = transfer(pair.a, pair.b, 4, pause=shrink)
        assert took < 5
        wait_until(lambda: pair.a.tunnel.path_mtu == 1300)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_ipv6_below_its_minimum_goes_in_outer_fragments(
    narrow_path: NarrowPath, framing: Framing
) -> None:
    narrow_path.set_mtu(1124)
    with open_pair(narrow_path.a, narrow_path.b, framing) as pair:
        wait_until(lambda: pair.a.tunnel.path_mtu == 1124)
        with Capture(narrow_path.right, "eth0") as wire:
            assert ping(pair.a, pair.b, 6, 1280 - 48, "-Mdo")
            wire.wait_for(lambda packets: sum(p.is_fragment for p in packets) >= 4)
        assert all(len(packet.content) <= 1124 for packet in wire.packets)
        with Capture(narrow_path.right, "eth0") as wire:
            assert ping(pair.a, pair.b, 4, pair.a.tunnel.mtu - 28, "-Mdont")
        # What may be shorter is: IPv4 inside, and datagrams that fit, are not cut.
        sent = [p for p in wire.packets if len(p.content) < 200]
        assert not any(p.is_fragment for p in sent)
