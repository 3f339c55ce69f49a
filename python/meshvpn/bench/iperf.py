"""Running iperf3 between the two hosts, and reading what it reports.

A fresh server takes one test and ends (``--one-off``). The figures are those of the receiving side,
which the server sends to the client at the end: what a sender believes to have sent says little.

    {"end": {"sum_sent": {…},
             "sum_received": {"bytes": …, "seconds": …, "bits_per_second": …,
                              "packets": …, "lost_packets": …},      ← the last two with UDP
             "sum_received_bidir_reverse": {…}}}                     ← with --bidir
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self

from meshvpn.bench.processes import Daemon, Program
from meshvpn.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshvpn.bench.contenders import Link

__all__ = ["IPERF3", "TcpOutcome", "UdpOutcome", "run_iperf"]

IPERF3: Final = Program(("iperf3",), "iperf3")

_PORT: Final = 5201
_PATIENCE_S: Final = 15
"""On top of the test's length: a drowned control connection may need retransmissions."""


@dataclass(frozen=True, slots=True)
class TcpOutcome:
    """What arrived of one TCP test, both directions together where it had two."""

    received_bytes: int
    gbit_per_s: float

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read the client's JSON; :class:`LabError` when the test failed or carried nothing."""
        end = _end(document)
        sums = [end[name] for name in ("sum_received", "sum_received_bidir_reverse") if name in end]
        received = sum(int(part["bytes"]) for part in sums)
        if received == 0:
            raise LabError("iperf3 carried no byte")
        return cls(received, sum(float(part["bits_per_second"]) for part in sums) / 1e9)


@dataclass(frozen=True, slots=True)
class UdpOutcome:
    """What arrived of one UDP test; ``loss`` is the share of datagrams that did not."""

    received_bytes: int
    received_packets: int
    seconds: float
    loss: float
    sent_bits_per_s: float

    @property
    def gbit_per_s(self) -> float:
        """Received payload."""
        return self.received_bytes * 8 / self.seconds / 1e9

    @property
    def kpps(self) -> float:
        """Received datagrams, thousands a second."""
        return self.received_packets / self.seconds / 1e3

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read the client's JSON; :class:`LabError` when the test failed or counted nothing."""
        end = _end(document)
        received = end["sum_received"]
        sent, lost = int(received["packets"]), int(received["lost_packets"])
        if sent == 0 or received["seconds"] <= 0:
            raise LabError("iperf3 counted no datagram")
        return cls(
            received_bytes=int(received["bytes"]),
            received_packets=sent - lost,
            seconds=float(received["seconds"]),
            loss=lost / sent,
            sent_bits_per_s=float(end["sum_sent"]["bits_per_second"]),
        )


def run_iperf(link: Link, seconds: int, *options: str) -> dict[str, Any]:
    """One test from ``link.near`` to ``link.far``; returns the client's JSON document.

    Raises:
        LabError: it failed, or hung because the tunnel no longer carries its control connection.
    """
    program = IPERF3.find()
    listen = (*program, "-s", "--one-off", "-B", link.target, "-p", str(_PORT))
    client = (*program, "-J", "-c", link.target, "-p", str(_PORT), "-t", str(seconds), *options)
    with TemporaryDirectory(prefix="meshvpn-iperf3-") as folder:
        server = Daemon(link.far.host, listen, Path(folder) / "server.log")
        with server:
            link.far.host.wait_listening(_PORT)
            # A failure is in the JSON: the exit status would tell less.
            timeout = seconds + _PATIENCE_S
            printed = link.near.host.run(client, timeout=timeout, check=False).stdout
    try:
        document: dict[str, Any] = json.loads(printed)
    except ValueError as error:
        raise LabError(f"iperf3 printed no JSON: {printed!r}") from error
    return document


def _end(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "error" in document:
        raise LabError(f"iperf3: {document['error']}")
    try:
        end: Mapping[str, Any] = document["end"]
        end["sum_received"]
    except KeyError as error:
        raise LabError(f"iperf3's report has no {error}") from error
    return end
