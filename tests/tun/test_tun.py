"""``meshvpn.Tun``: real devices in the lab's namespaces, and every way to end them."""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
import sys
import threading
import time
from ipaddress import IPv4Address, ip_interface
from typing import TYPE_CHECKING, Any

import pytest

from meshvpn import ConfigError, DeviceError, NetworkError, Packet, Tun, TunnelClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.lab import Host, Lab

pytestmark = [pytest.mark.root, pytest.mark.needs("ping")]

SOON_SECONDS = 5.0


@pytest.fixture
def host(lab: Lab) -> Host:
    """A host whose kernel sends nothing by itself."""
    host = lab.host("a")
    host.sysctl({"net/ipv6/conf/default/router_solicitations": "0"})
    return host


def open_tun(host: Host, **options: Any) -> Tun:
    return Tun("mesh0", address="10.0.0.1/24", netns=host.netns, **options)


def send_datagram(host: Host, data: bytes = b"hello", address: str = "10.0.0.9") -> None:
    with host.socket() as sender:
        sender.sendto(data, (address, 9))


def shown(host: Host, *command: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(host.run(["ip", "-json", *command]).stdout)
    return answer


def device_exists(host: Host) -> bool:
    return any(device["ifname"] == "mesh0" for device in shown(host, "link"))


# --- the device ---


def test_device_addresses_routes_and_mtu_are_as_asked_for(host: Host) -> None:
    with Tun(
        "mesh0",
        address=["10.0.0.1/24", ip_interface("fd00::1/64")],
        route=["10.9.0.0/16", "fd09::/32"],
        mtu=1400,
        netns=host.netns,
    ) as tun:
        (device,) = shown(host, "address", "show", "dev", "mesh0")
        there = {f"{at['local']}/{at['prefixlen']}" for at in device["addr_info"]}
        assert {"10.0.0.1/24", "fd00::1/64"} <= there
        assert (device["mtu"], device["operstate"] != "DOWN") == (1400, True)
        routes = {route["dst"] for route in shown(host, "route") + shown(host, "-6", "route")}
        assert {"10.9.0.0/16", "fd09::/32"} <= routes

        assert (tun.name, tun.mtu, tun.netns) == ("mesh0", 1400, host.netns)
        assert tun.addresses == (ip_interface("10.0.0.1/24"), ip_interface("fd00::1/64"))
        assert repr(tun) == f"<Tun mesh0 in {host.netns}: 10.0.0.1/24, fd00::1/64, MTU 1400>"
    assert not device_exists(host)
    assert shown(host, "route") == []
    assert repr(tun) == "<Tun mesh0: closed>"


def test_what_cannot_be_set_up_leaves_no_device(host: Host) -> None:
    with pytest.raises(NetworkError, match=r"10\.9\.0\.0/16|fd09::") as raised:
        open_tun(host, route=["10.9.0.0/16", "10.9.0.0/16"])
    assert raised.value.hint
    assert not device_exists(host)


def test_a_name_in_use_is_refused(host: Host) -> None:
    with open_tun(host), pytest.raises(DeviceError, match="mesh0") as raised:
        open_tun(host)
    assert raised.value.hint == "a device of that name is in use: choose another name"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "a name"}, "device name"),
        ({"name": "me\x1b[31m"}, r"device name 'me\\x1b\[31m'"),
        ({"name": "mesh\udcff"}, r"device name 'mesh\\udcff'"),
        ({"address": "10.0.0.1/33"}, "address: "),
        ({"address": "10.0.0.1/+24"}, "address: '10.0.0.1/\\+24'"),
        ({"route": "10.9.0.0/016"}, "route: '10.9.0.0/016'"),
        ({"mtu": 1 << 64}, r"mtu: 18446744073709551616 is outside 0\.\.=65535"),
        ({"route": "10.9.0.0/x"}, "route: "),
        ({"netns": "nowhere"}, "nowhere"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Tun(**{"name": "mesh0", **wrong})


# --- packets ---


def test_a_packet_says_where_it_was_seen(host: Host) -> None:
    with open_tun(host) as tun:
        before = time.time_ns()
        send_datagram(host)
        packet = tun.recv(SOON_SECONDS)
        assert isinstance(packet, Packet)
        assert str(packet).startswith("[mesh0] 10.0.0.1:")
        assert (packet.destination, packet.payload) == (IPv4Address("10.0.0.9"), b"hello")
        assert (packet.device, packet.direction) == ("mesh0", "outbound")
        assert packet.time_ns is not None
        assert before <= packet.time_ns <= time.time_ns()
        assert pickle.loads(pickle.dumps(packet)) == packet


def test_recv_gives_up_in_time(host: Host) -> None:
    with open_tun(host) as tun:
        started = time.monotonic()
        assert tun.recv(timeout=0) is None
        assert tun.recv(timeout=0.3) is None
        assert 0.3 <= time.monotonic() - started < SOON_SECONDS


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), -1])
async def test_a_timeout_that_is_no_time_is_refused(host: Host, timeout: float) -> None:
    with open_tun(host) as tun:
        with pytest.raises(ConfigError, match=r"timeout: .* from 0 on") as raised:
            tun.recv(timeout)
        assert raised.value.hint == "None waits for ever"
        with pytest.raises(ConfigError, match="timeout: "):
            await tun.recv_async(timeout)


def test_an_address_without_prefix_length_stands_alone(host: Host) -> None:
    with Tun("mesh0", address=["10.0.0.1", "fd00::1"], netns=host.netns) as tun:
        assert [str(address) for address in tun.addresses] == ["10.0.0.1/32", "fd00::1/128"]
        assert "10.0.0.1/32" in host.ip("address show dev mesh0")


def test_what_is_sent_arrives_at_the_host(host: Host) -> None:
    with open_tun(host) as tun, host.socket(bind=("10.0.0.1", 9)) as receiver:
        receiver.settimeout(SOON_SECONDS)
        send_datagram(host)
        packet = tun.recv(SOON_SECONDS)
        assert packet is not None
        # The same datagram from the other side: source and destination change places.
        data = bytearray(packet.data)
        data[12:16], data[16:20] = data[16:20], data[12:16]
        tun.send(bytes(data))
        tun.send(Packet(bytes(data)))
        assert receiver.recvfrom(100) == (b"hello", ("10.0.0.9", packet.source_port))
        assert receiver.recv(100) == b"hello"


@pytest.mark.parametrize("data", [b"\x00" * 40, b"\x00"])
def test_the_kernel_s_refusal_is_told(host: Host, data: bytes) -> None:
    with open_tun(host) as tun, pytest.raises(DeviceError, match=f"of {len(data)} bytes"):
        tun.send(data)


def test_real_ping_is_answered_by_a_few_lines_of_python(host: Host) -> None:
    with open_tun(host) as tun:
        ping = host.popen(["ping", "-c", "3", "-i", "0.1", "-W", "2", "10.0.0.77"])
        for number, packet in enumerate(tun, start=1):
            reply = packet.echo_reply()
            assert reply is not None
            tun.send(reply)
            if number == 3:
                break
        assert ping.wait(SOON_SECONDS) == 0


# --- the end ---


def test_closing_ends_a_loop_in_another_thread_quietly(host: Host) -> None:
    tun = open_tun(host)
    got: list[Packet] = []
    reader = threading.Thread(target=lambda: got.extend(tun))
    reader.start()
    send_datagram(host)
    wait_until(lambda: bool(got))
    tun.close()
    reader.join(SOON_SECONDS)
    assert not reader.is_alive()
    assert len(got) == 1
    wait_until(lambda: not device_exists(host))


def test_a_closed_device_says_so(host: Host) -> None:
    tun = open_tun(host)
    tun.close()
    tun.close()
    assert not device_exists(host)
    for use in (tun.recv, lambda: tun.send(b"")):
        with pytest.raises(TunnelClosedError, match="device mesh0 is closed"):
            use()
    assert list(tun) == []


def test_a_deleted_device_raises(host: Host) -> None:
    with open_tun(host) as tun:
        deleting = threading.Timer(0.2, host.ip, ["link delete mesh0"])
        deleting.start()
        with pytest.raises(TunnelClosedError, match="device mesh0 was deleted"):
            list(tun)
        deleting.join()


def test_an_exception_leaves_nothing(host: Host) -> None:
    threads = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError), open_tun(host, route="10.9.0.0/16"):
        raise ZeroDivisionError
    assert not device_exists(host)
    assert shown(host, "route") == []
    # The one that carries log records stays as long as the process.
    assert {thread.name for thread in set(threading.enumerate()) - threads} <= {"meshvpn-log"}


WAITING = {
    "recv": "tun.recv()",
    "recv with a timeout": "tun.recv(60)",
    "for": "[packet for packet in tun]",
}


@pytest.mark.parametrize("waiting", WAITING.values(), ids=WAITING)
def test_ctrl_c_ends_every_wait(host: Host, waiting: str) -> None:
    program = (
        "import meshvpn\n"
        "try:\n"
        "    with meshvpn.Tun('mesh0') as tun:\n"
        "        print('ready', flush=True)\n"
        f"        {waiting}\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    process = host.popen([sys.executable, "-c", program])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=SOON_SECONDS)[0] == "interrupted\n"
    assert not device_exists(host)


def test_a_killed_process_leaves_no_device(host: Host) -> None:
    program = "import meshvpn; tun = meshvpn.Tun('mesh0'); print(flush=True); tun.recv()"
    process = host.popen([sys.executable, "-c", program])
    assert process.stdout is not None
    process.stdout.readline()
    assert device_exists(host)
    process.kill()
    process.wait()
    wait_until(lambda: not device_exists(host))


# --- asyncio ---


async def test_async_for_gives_packets_and_ends_on_close(host: Host) -> None:
    got = []
    async with open_tun(host) as tun:
        send_datagram(host, b"first")
        asyncio.get_running_loop().call_later(0.2, send_datagram, host, b"second")
        async for packet in tun:
            got.append(packet.payload)
            if len(got) == 2:
                asyncio.get_running_loop().call_later(0.2, tun.close)
    assert got == [b"first", b"second"]
    assert not device_exists(host)


async def test_other_tasks_run_while_one_waits(host: Host) -> None:
    async with open_tun(host) as tun:
        waiting = asyncio.create_task(tun.recv_async())
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not waiting.done()
        send_datagram(host)
        packet = await asyncio.wait_for(waiting, SOON_SECONDS)
        assert packet is not None
        assert packet.payload == b"hello"


async def test_recv_async_gives_up_in_time(host: Host) -> None:
    async with open_tun(host) as tun:
        assert await tun.recv_async(timeout=0) is None
        assert await tun.recv_async(timeout=0.1) is None


async def test_a_wait_can_be_cancelled_and_loses_nothing(host: Host) -> None:
    async with open_tun(host) as tun:
        waiting = asyncio.create_task(tun.recv_async())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        send_datagram(host)
        packet = await tun.recv_async(SOON_SECONDS)
        assert packet is not None


async def test_closing_in_another_thread_ends_async_for(host: Host) -> None:
    tun = open_tun(host)
    threading.Timer(0.2, tun.close).start()
    assert [packet async for packet in tun] == []


async def test_a_deleted_device_raises_in_async_for(host: Host) -> None:
    async with open_tun(host) as tun:
        asyncio.get_running_loop().call_later(0.2, host.ip, "link delete mesh0")
        with pytest.raises(TunnelClosedError, match="was deleted"):
            async for _ in tun:
                pass


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
