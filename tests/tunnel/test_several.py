"""Several tunnels in one process and several namespaces, one through another host, and asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey, Tunnel, TunnelClosedError
from tests.tunnel.pair import (
    FRAMINGS,
    PORT,
    VERSIONS,
    Framing,
    Place,
    open_end,
    open_pair,
    ping,
    transfer,
    wait_until,
)
from tests.tunnel.processes import own_threads

if TYPE_CHECKING:
    from meshvpn.lab import Host, Lab
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = [pytest.mark.root, pytest.mark.needs("ping")]


def test_a_chain_of_three_tunnels(lab: Lab) -> None:
    """First ═ left ═ right ═ last: the two in the middle forward from one tunnel into another."""
    hosts: list[Host] = [
        lab.host("first"),
        lab.router("left"),
        lab.router("right"),
        lab.host("last"),
    ]
    tunnels: list[Tunnel] = []
    with contextlib.ExitStack() as stack:
        for number, (near, far) in enumerate(itertools.pairwise(hosts)):
            lab.link(near, far, f"172.31.{number}.1/24", f"172.31.{number}.2/24")
            ends = [(near, 1, 2), (far, 2, 1)]
            key = PresharedKey.generate()
            for host, own, other in ends:
                # Everything before this link is reached through its near end, and the reverse.
                beyond = range(number) if own == 2 else range(number + 1, 3)
                tunnel = Tunnel.preshared(
                    f"mesh{number}",
                    local=(f"172.31.{number}.{own}", 7000),
                    remote=(f"172.31.{number}.{other}", 7000),
                    key=key,
                    address=[f"10.9.{number}.{own}/24", f"fd09:{number}::{own}/64"],
                    route=[
                        route
                        for other_number in beyond
                        for route in (f"10.9.{other_number}.0/24", f"fd09:{other_number}::/64")
                    ],
                    netns=host.netns,
                )
                tunnels.append(stack.enter_context(tunnel))
        for tunnel in tunnels:
            tunnel.wait_ready(5)
        first = Place(hosts[0], "10.9.0.1", "fd09:0::1")
        last = Place(hosts[-1], "10.9.2.2", "fd09:2::2")
        for version in VERSIONS:
            for size in (56, 1400, 4000):
                assert ping(first, last, version, size)
            transfer(first, last, version)
            transfer(last, first, version)


def test_tunnels_side_by_side(two_hosts: TwoHosts) -> None:
    """Eight between the same two hosts, each with its own key; no packet takes the wrong one."""
    a, b, _ = two_hosts
    with contextlib.ExitStack() as stack:
        tunnels = []
        for number in range(8):
            key = PresharedKey.generate()
            for here, there, own in ((a, b, 1), (b, a, 2)):
                tunnel = Tunnel.preshared(
                    f"mesh{number}",
                    local=(here.ipv4, 7000 + number),
                    remote=(there.ipv4, 7000 + number),
                    key=key,
                    address=f"10.9.{number}.{own}/24",
                    netns=here.netns,
                )
                tunnels.append(stack.enter_context(tunnel))
        for tunnel in tunnels:
            tunnel.wait_ready(5)
        for number in range(8):
            address = f"10.9.{number}.2"
            assert a.run(["ping", "-c1", "-W2", address]).returncode == 0
            received = [tunnel.stats().received_packets for tunnel in tunnels[1::2]]
            assert received[number] >= 1
            assert all(count == 0 for count in received[number + 1 :])
        wait_until(lambda: len(own_threads()) == 8 * 2 * 3)


def test_a_tunnel_inside_a_tunnel(two_hosts: TwoHosts) -> None:
    a, b, _ = two_hosts
    with open_pair(a, b, "plain") as outer, contextlib.ExitStack() as stack:
        key = PresharedKey.generate()
        inner = [
            stack.enter_context(
                Tunnel.preshared(
                    "mesh1",
                    local=(here.ipv4, 8000),
                    remote=(there.ipv4, 8000),
                    key=key,
                    address=f"10.10.0.{number}/24",
                    netns=here.host.netns,
                )
            )
            for number, (here, there) in enumerate([outer.ends, outer.ends[::-1]], start=1)
        ]
        for tunnel in inner:
            tunnel.wait_ready(5)
            assert tunnel.mtu == outer.a.tunnel.mtu - 28 - 32
        transfer(Place(a, "10.10.0.1", ""), Place(b, "10.10.0.2", ""), 4)


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_asyncio(two_hosts: TwoHosts, framing: Framing) -> None:
    a, b, _ = two_hosts
    key = PresharedKey.generate()
    kinds: list[str] = []
    async with open_end(a, b, framing, key, 1).tunnel as one:

        async def watch() -> None:
            async for event in one.events_async():
                kinds.append(event.kind)  # noqa: PERF401, seen while it goes on

        watching = asyncio.create_task(watch())
        with pytest.raises(TimeoutError):
            await one.wait_ready_async(timeout=0.05)
        async with open_end(b, a, framing, key, 2).tunnel as other:
            await asyncio.gather(one.wait_ready_async(5), other.wait_ready_async(5))
            await asyncio.sleep(0.05)
            assert "up" in kinds
            await other.aclose()
        assert not watching.done()
    await asyncio.wait_for(watching, 1)
    assert kinds[-1] == "closed"
    with pytest.raises(TunnelClosedError):
        await one.wait_ready_async()


async def test_asyncio_waits_can_be_cancelled(two_hosts: TwoHosts) -> None:
    a, b, _ = two_hosts
    async with open_end(a, b, "plain", PresharedKey.generate(), 1).tunnel as tunnel:
        events = tunnel.events_async()
        assert (await anext(events)).kind == "path_mtu"
        for waiting in (tunnel.wait_ready_async(), anext(events)):
            task = asyncio.ensure_future(waiting)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


def test_events_tell_the_story(two_hosts: TwoHosts) -> None:
    a, b, _ = two_hosts
    key = PresharedKey.generate()
    with open_end(a, b, "preshared", key, 1).tunnel as one:
        for _ in range(2):
            with open_end(b, a, "preshared", key, 2).tunnel as other:
                other.wait_ready(5)
                wait_until(lambda: one.stats().sessions >= 1)
        wait_until(lambda: one.stats().sessions == 2)
    events = list(one.events())
    assert [event.kind for event in events] == ["path_mtu", "session", "up", "session", "closed"]
    assert (events[0].path_mtu, events[0].mtu) == (1500, 1440)
    assert events == sorted(events, key=lambda event: event.at)
    assert one.next_event() is None


def test_a_mark_keeps_the_tunnel_out_of_its_own_route(two_hosts: TwoHosts) -> None:
    """All traffic goes into the tunnel but the tunnel's own, as on a laptop with an exit node."""
    a, b, _ = two_hosts
    mark = 51
    a.ip(f"rule add fwmark {mark} table 100")
    a.ip("route add 172.31.0.0/24 dev eth0 table 100")
    key = PresharedKey.generate()
    with (
        open_end(b, a, "preshared", key, 2).tunnel,
        Tunnel.preshared(
            "mesh0",
            local=(a.ipv4, PORT),
            remote=(b.ipv4, PORT),
            key=key,
            address="10.9.0.1/24",
            route="172.31.0.2/32",
            mark=mark,
            netns=a.netns,
        ) as tunnel,
    ):
        tunnel.wait_ready(5)
        before = tunnel.stats().sent_packets
        assert a.run(["ping", "-n", "-c3", "-i0.1", "-W2", b.ipv4], check=False).returncode == 0
        assert tunnel.stats().sent_packets >= before + 3
