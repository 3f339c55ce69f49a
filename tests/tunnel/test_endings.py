"""However a tunnel ends, nothing of it stays: device, routes, socket, threads, descriptors."""

from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey, Tunnel, TunnelClosedError
from tests.tunnel.pair import FRAMINGS, Framing, open_end, open_pair, wait_until
from tests.tunnel.processes import own_descriptors, own_threads, resident_kilobytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.lab import Host
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = pytest.mark.root


def leftovers(host: Host) -> str:
    """What a tunnel put into a host: its device, routes, and UDP socket."""
    commands = ["ip -o link show mesh0", "ip route", "ip -6 route", "ss -Huan"]
    shown = [
        host.run(["sh", "-c", f"{command} 2>/dev/null || true"]).stdout for command in commands
    ]
    return "\n".join(
        line for line in "".join(shown).splitlines() if "mesh0" in line or ":7000" in line
    )


@pytest.fixture
def clean(two_hosts: TwoHosts) -> Iterator[Host]:
    """Host ``a``, in which nothing may stay."""
    assert leftovers(two_hosts.a) == ""
    yield two_hosts.a
    assert leftovers(two_hosts.a) == ""
    wait_until(lambda: not own_threads())


@pytest.mark.parametrize("framing", FRAMINGS)
def test_close(two_hosts: TwoHosts, clean: Host, framing: Framing) -> None:
    before = own_descriptors()
    end = open_end(clean, two_hosts.b, framing, PresharedKey.generate(), 1)
    # A thread has its parent's name until it runs.
    wait_until(lambda: sorted(own_threads()) == ["mesh0-driver", "mesh0-rx", "mesh0-tx"])
    assert "mesh0" in leftovers(clean)
    assert ":7000" in leftovers(clean)
    end.tunnel.close()
    assert leftovers(clean) == ""
    assert own_threads() == []
    end.tunnel.close()
    stats = end.tunnel.stats()
    assert (stats.phase, stats.failure) == ("closed", None)
    with pytest.raises(TunnelClosedError, match="mesh0: the tunnel is closed"):
        end.tunnel.wait_ready(1)
    del end
    gc.collect()
    assert own_descriptors() == before


def test_an_exception_in_the_body(two_hosts: TwoHosts, clean: Host) -> None:
    key = PresharedKey.generate()
    with pytest.raises(ZeroDivisionError), open_end(clean, two_hosts.b, "plain", key, 1).tunnel:
        _ = 1 / 0


def test_garbage_collection(two_hosts: TwoHosts, clean: Host) -> None:
    before = own_descriptors()
    end = open_end(clean, two_hosts.b, "plain", PresharedKey.generate(), 1)
    assert own_threads()
    del end
    gc.collect()
    assert own_threads() == []
    assert own_descriptors() == before


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_deleted_device(two_hosts: TwoHosts, clean: Host, framing: Framing) -> None:
    with open_pair(clean, two_hosts.b, framing) as pair, contextlib.ExitStack() as traffic:
        flood(pair.a.host, pair.b.ipv4, traffic)
        flood(pair.b.host, pair.a.ipv4, traffic)
        time.sleep(0.3)
        clean.ip("link del mesh0")
        wait_until(lambda: pair.a.tunnel.phase == "closed")
        assert "the device was deleted" in str(pair.a.tunnel.stats().failure)
        assert leftovers(clean) == ""
        with pytest.raises(TunnelClosedError, match="the device was deleted"):
            pair.a.tunnel.wait_ready(1)
        events = list(pair.a.tunnel.events())
        assert events[-1].kind == "closed"
        assert "the device was deleted" in str(events[-1].failure)


def test_a_deleted_namespace(two_hosts: TwoHosts) -> None:
    """The kernel keeps it as long as the tunnel's socket and threads are in it."""
    before = own_descriptors()
    with open_pair(two_hosts.a, two_hosts.b, "plain") as pair:
        subprocess.run(["ip", "netns", "del", two_hosts.a.netns], check=True)
        assert pair.a.tunnel.phase == "up"
        pair.a.tunnel.close()
    assert own_threads() == []
    del pair
    gc.collect()
    assert own_descriptors() == before
    subprocess.run(["ip", "netns", "add", two_hosts.a.netns], check=True)


def test_close_while_others_wait(two_hosts: TwoHosts, clean: Host) -> None:
    tunnel = open_end(clean, two_hosts.b, "preshared", PresharedKey.generate(), 1).tunnel
    ended: list[str] = []

    def wait_ready() -> None:
        with pytest.raises(TunnelClosedError):
            tunnel.wait_ready()
        ended.append("wait_ready")

    def events() -> None:
        assert [event.kind for event in tunnel.events()][-1] == "closed"
        ended.append("events")

    def close() -> None:
        tunnel.close()
        ended.append("close")

    threads = [threading.Thread(target=call) for call in (wait_ready, events)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert ended == []
    closing = [threading.Thread(target=close) for _ in range(4)]
    for thread in closing:
        thread.start()
    for thread in threads + closing:
        thread.join(3)
    assert sorted(ended) == ["close"] * 4 + ["events", "wait_ready"]


PROGRAM = """
import sys, time, meshvpn
tunnels = [
    meshvpn.Tunnel.preshared(
        f"mesh{n}", local=f"172.31.0.1:{7000 + n}", remote=f"172.31.0.2:{7000 + n}",
        key=meshvpn.PresharedKey.generate(), address=f"10.{n}.0.1/24", route=f"10.9{n}.0.0/16",
    )
    for n in range(3)
]
print("started", flush=True)
ENDING
"""
ENDINGS = {
    "waits_for_the_peer": "tunnels[0].wait_ready()",
    "waits_for_events": "list(tunnels[1].events())\nlist(tunnels[1].events())",
    "sleeps": "time.sleep(60)",
    "waits_in_asyncio": "import asyncio\nasyncio.run(tunnels[2].wait_ready_async())",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGINT, {130, -2, 1}), (signal.SIGTERM, {-15}), (signal.SIGKILL, {-9})],
    ids=["SIGINT", "SIGTERM", "SIGKILL"],
)
def test_a_signal(clean: Host, ending: str, sent: signal.Signals, status: set[int]) -> None:
    program = PROGRAM.replace("ENDING", ENDINGS[ending])
    process = clean.popen([sys.executable, "-c", program])
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    assert leftovers(clean).count("mesh") >= 3
    time.sleep(0.1)
    process.send_signal(sent)
    out, err = process.communicate(timeout=3)
    assert process.returncode in status, err
    assert out == ""
    assert sent != signal.SIGINT or err.rstrip().endswith("KeyboardInterrupt")
    assert "mesh" not in clean.run(["ip", "-o", "link"]).stdout


def test_a_program_that_just_ends(clean: Host) -> None:
    process = clean.popen([sys.executable, "-c", PROGRAM.replace("ENDING", "")])
    out, err = process.communicate(timeout=3)
    assert (process.returncode, out, err) == (0, "started\n", "")


def flood(host: Host, address: str, stack: contextlib.ExitStack) -> None:
    """Sends datagrams through the tunnel, as fast as it takes them, until the stack unwinds."""
    stop = threading.Event()

    def send() -> None:
        with host.socket() as sock:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    sock.sendto(bytes(1000), (address, 9))

    thread = threading.Thread(target=send)
    thread.start()
    stack.callback(thread.join)
    stack.callback(stop.set)


def test_two_hundred_cycles_leak_nothing(two_hosts: TwoHosts, clean: Host) -> None:
    key = PresharedKey.generate()

    def cycle(count: int) -> tuple[int, int]:
        for number in range(count):
            with open_end(clean, two_hosts.b, FRAMINGS[number % 2], key, 1).tunnel as tunnel:
                tunnel.stats()
        gc.collect()
        return own_descriptors(), resident_kilobytes()

    descriptors, memory = cycle(40)
    descriptors_after, memory_after = cycle(200)
    assert descriptors_after == descriptors
    # 200 times the buffers of a tunnel would be hundreds of megabytes.
    assert memory_after - memory < 4096, f"{memory} kB before, {memory_after} kB after"


def test_a_tunnel_is_not_made_by_its_class() -> None:
    with pytest.raises(TypeError, match=r"use Tunnel\.plain"):
        Tunnel()
