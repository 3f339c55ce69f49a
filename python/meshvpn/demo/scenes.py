"""The scenes. Each does one thing, checks it, and says in a line what came out."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from meshvpn.demo.datagram import glimpse
from meshvpn.demo.sshd import ssh_server
from meshvpn.demo.stage import DEVICE, PORT, UNDERLAY
from meshvpn.demo.watchers import Meter, Tap, open_packet_socket, read_packet
from meshvpn.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.demo.audience import Audience
    from meshvpn.demo.stage import Stage
    from meshvpn.packet import Packet

__all__ = ["SCENES", "Scene"]

_ETHERNET_HEADER: Final = 14
_READY_WITHIN_S: Final = 5.0
_SEEN_WITHIN_S: Final = 1.0
_IPERF_PORT: Final = 5201
_IPERF_SECONDS: Final = 6

_SECRET: Final = b"Meet me at noon, under the old oak."
_SECRET_PORT: Final = 4711
_SECRET_COPIES: Final = 20


class Scene(NamedTuple):
    """A scene: what it is called and what happens in it."""

    title: str
    perform: Callable[[Stage, Audience], str]


def build(stage: Stage, _audience: Audience) -> str:
    """Two hosts and a cable."""
    stage.connect_cable()
    return f"network namespaces {stage.a.host.netns} and {stage.b.host.netns}"


def connect(stage: Stage, audience: Audience) -> str:
    """A WireGuard device on each host, their first handshake, and somebody who watches it."""
    host = stage.a.host
    # Before anything is said, so that the handshake is seen too.
    answered = threading.Event()

    def show(packet: Packet) -> None:
        audience.see_outside(packet)
        if glimpse(packet.payload).kind == "handshake response":
            answered.set()

    stage.props.enter_context(
        Tap(host, UNDERLAY, show, link_header=_ETHERNET_HEADER, wanted=_is_of_the_tunnel)
    )
    started = time.monotonic()
    stage.start_tunnels()
    for end in stage.ends:
        end.tunnel.wait_ready(_READY_WITHIN_S)
    took = time.monotonic() - started
    answered.wait(_SEEN_WITHIN_S)
    stage.props.enter_context(Meter(stage.ends, audience.measure))
    stage.props.enter_context(Tap(host, DEVICE, audience.see_inside))
    stats = stage.a.tunnel.stats()
    return (
        f"first handshake {took * 1e3:.0f} ms after the start, "
        f"ChaCha20-Poly1305 by {stats.aead}, MTU {stats.mtu}"
    )


def ping(stage: Stage, _audience: Audience) -> str:
    """Echo requests over both versions of IP; none may be lost."""
    results = []
    for version, target in (("IPv4", stage.b.inner), ("IPv6", stage.b.inner6)):
        printed = stage.a.host.run(["ping", "-c", "5", "-i", "0.2", target]).stdout
        match = re.search(r" (\d+)% packet loss.*= [\d.]+/([\d.]+)/", printed, re.DOTALL)
        if match is None or match[1] != "0":
            raise LabError(f"ping {target} lost packets:\n{printed}")
        results.append(f"{version} {float(match[2]):.2f} ms")
    return ", ".join(results) + ", nothing lost"


def ssh(stage: Stage, _audience: Audience) -> str:
    """A login over the tunnel; the server says whom it has seen come from where."""
    with ssh_server(stage.b, stage.folder) as login:
        asked = 'echo "$(whoami) on $(uname -sr), from $SSH_CONNECTION"'
        printed = stage.a.host.run([*login.command, asked]).stdout.strip()
    match = re.fullmatch(r"(.+), from (\S+) \d+ (\S+) 22", printed)
    if match is None or (match[2], match[3]) != (stage.a.inner, stage.b.inner):
        raise LabError(f"ssh did not come through the tunnel: {printed!r}")
    return f"logged in from {match[2]} as {match[1]}"


def iperf3(stage: Stage, _audience: Audience) -> str:
    """One TCP stream, as fast as it goes."""
    server = ["iperf3", "-s", "--one-off", "-B", stage.b.inner, "-p", str(_IPERF_PORT)]
    client = ["iperf3", "-J", "-c", stage.b.inner, "-p", str(_IPERF_PORT)]
    with (stage.folder / "iperf3.log").open("w") as log:
        stage.b.host.popen(server, stdout=log, stderr=log)
        stage.b.host.wait_listening(_IPERF_PORT)
        printed = stage.a.host.run([*client, "-t", str(_IPERF_SECONDS)]).stdout
    received = json.loads(printed)["end"]["sum_received"]
    if received["bytes"] == 0:
        raise LabError("iperf3 carried no byte")
    rate, size = received["bits_per_second"] / 1e9, received["bytes"] / 1e9
    return f"{rate:.2f} Gbit/s: {size:.1f} GB in one TCP stream, sealed and opened"


def eavesdrop(stage: Stage, _audience: Audience) -> str:
    """A known sentence through the tunnel, while somebody records the cable."""
    a, b = stage.ends
    with (
        open_packet_socket(a.host, UNDERLAY) as wire,
        b.host.socket(bind=(b.inner, _SECRET_PORT)) as ear,
        a.host.socket() as mouth,
    ):
        wire.settimeout(0.5)
        ear.settimeout(_READY_WITHIN_S)
        for _ in range(_SECRET_COPIES):
            mouth.sendto(_SECRET, (b.inner, _SECRET_PORT))
            if ear.recv(2048) != _SECRET:
                raise LabError("the sentence did not arrive as it was sent")
        recorded = []
        while (packet := read_packet(wire, link_header=_ETHERNET_HEADER)) is not None:
            recorded.append(packet.data)
    long_enough = [data for data in recorded if len(data) >= len(_SECRET)]
    if len(long_enough) < _SECRET_COPIES:
        raise LabError(f"the wire-tap saw {len(long_enough)} datagrams of {_SECRET_COPIES}")
    if any(_SECRET in data for data in recorded):
        raise LabError("the sentence is on the cable for everyone to read")
    return (
        f"a sentence arrived {_SECRET_COPIES} times; {len(recorded)} packets captured, none has it"
    )


def _is_of_the_tunnel(packet: Packet) -> bool:
    """Not what hosts say to each other about their network."""
    return PORT in {packet.source_port, packet.destination_port}


SCENES: Final = (
    Scene("Two hosts and a cable", build),
    Scene("WireGuard between them", connect),
    Scene("ping through it", ping),
    Scene("ssh through it", ssh),
    Scene("iperf3 through it", iperf3),
    Scene("A wire-tap on the cable", eavesdrop),
)
